"""A reading as arrays for a notebook, in NumPy's own file format and without pickles."""

import io
from collections.abc import Sequence

import numpy as np

from charrnn.inspection.clamping import Cell
from charrnn.model.reading import Reading
from charrnn.text.vocabulary import Vocabulary, code_points


def as_npz(reading: Reading, vocabulary: Vocabulary, cells: Sequence[Cell] | None = None, offset: int = 0) -> bytes:
    """The bytes of a compressed .npz file, which ``numpy.load`` opens.

    The file has ``text`` (N,) and ``symbols`` (V,), code points (or bytes) as uint32; ``ids`` (N,) int32; ``cells``
    (K, 2), layers and units; ``values`` (N, K) float32 of the ``signal``; ``log_probabilities`` (N, V) float32 of the
    next character in nats; ``surprise`` (N,) float32 in bits; ``offset`` of the first character. Of a reading with S
    signals ``signal`` is (S,) and ``values`` (N, K, S).

    Args:
        reading: a reading of N characters.
        vocabulary: the V symbols that the model knows.
        cells: the K cells (layer, unit) to write; None for all, layer by layer.
        offset: where in the text the reading begins.

    Raises:
        ConfigError: there is no such cell.
    """
    _, layers, units = reading.values.shape
    if cells is None:
        cells = [(layer, unit) for layer in range(layers) for unit in range(units)]
    signals, values = [reading.signal, *reading.others], reading.columns(cells)
    if reading.others:
        values = values.reshape(len(values), len(cells), len(signals))
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        text=code_points(reading.text).astype(np.uint32),
        symbols=vocabulary.points.astype(np.uint32),
        ids=reading.ids.astype(np.int32),
        cells=np.array(cells, np.int32).reshape(-1, 2),
        values=values.astype(np.float32),
        log_probabilities=reading.log_probabilities.astype(np.float32),
        surprise=reading.surprise().astype(np.float32),
        signal=np.array(signals if reading.others else reading.signal),
        offset=np.array(offset),
    )
    return stream.getvalue()
