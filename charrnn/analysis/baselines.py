"""How n-grams and compressors do on a text: simple models that the loss of a network is compared with."""

import bz2
import lzma
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from charrnn.analysis.ngrams import ORDERS, probabilities
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.vocabulary import Vocabulary

_BLOCK = 1 << 20  # symbols decoded at a time
# Bytes that xz looks back over. It needs ten times as much memory.
_LEAST_DICTIONARY, _LARGEST_DICTIONARY = 4096, 64 << 20
_COMPRESSORS = ("gzip", "bzip2", "xz")


@dataclass(frozen=True)
class Compression:
    """Bits per symbol that a compressor needs for a text ``alone``, and ``after`` it has read the training text."""

    name: str
    alone: float
    after: float


def ngram_losses(
    training: np.ndarray,
    scored: np.ndarray,
    before: np.ndarray,
    vocabulary: int,
    progress: ProgressCallback = no_progress,
) -> list[float]:
    """The mean loss in nats of n-grams of order 0 to ``ORDERS`` on ids ``scored`` (M,), which follow ``before`` (B,).

    Raises:
        ConfigError: the n-grams would not fit into memory.
    """
    by_order = probabilities(training, scored, before, vocabulary, ORDERS, progress)
    return [float(-np.log(chances).mean()) + 0.0 for chances in by_order]  # -0.0 becomes 0.0


def compressions(
    training: np.ndarray, scored: np.ndarray, vocabulary: Vocabulary, progress: ProgressCallback = no_progress
) -> list[Compression]:
    """Compress ids ``scored``, as UTF-8 or bytes, with gzip, bzip2 and xz at their best settings.

    ``after`` is computed from the size of training + scored minus the size of training. gzip looks back 32 KiB, bzip2
    over a block of 900 kB, xz over the whole text, up to 64 MiB.
    """
    found, done, steps = [], 0, 3 * len(_COMPRESSORS)
    for name in _COMPRESSORS:
        sizes = []
        for parts in ((scored,), (training, scored), (training,)):
            sizes.append(_compressed_size(name, parts, vocabulary))
            done += 1
            progress(done, steps)
        alone, joined, first = (8 * size / len(scored) for size in sizes)
        found.append(Compression(name, alone, joined - first))
    return found


def _compressed_size(name: str, parts: Iterable[np.ndarray], vocabulary: Vocabulary) -> int:
    """The size in bytes of ``parts``, joined and compressed."""
    compressor = _compressor(name, sum(len(part) for part in parts))
    size = 0
    for part in parts:
        for start in range(0, len(part), _BLOCK):
            text = vocabulary.decode(part[start : start + _BLOCK])
            size += len(compressor.compress(text if isinstance(text, bytes) else text.encode("utf-8")))
    return size + len(compressor.flush())


def _compressor(name: str, symbols: int):
    """A compressor object for a text with this number of ``symbols``."""
    if name == "gzip":
        return zlib.compressobj(9, wbits=31)
    if name == "bzip2":
        return bz2.BZ2Compressor(9)
    # The dictionary covers the whole text and no more, because memory grows with it. A character has at most 4 bytes.
    dictionary = min(max(4 * symbols, _LEAST_DICTIONARY), _LARGEST_DICTIONARY)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]
    return lzma.LZMACompressor(filters=filters)
