"""What much simpler models make of a text, so that a loss means something: n-grams and compressors."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from charrnn.analysis.ngrams import ORDERS, probabilities
from charrnn.text.vocabulary import Vocabulary

_BLOCK = 1 << 20  # symbols decoded at a time
# Bytes that xz looks back over; it needs ten times as much memory.
_LEAST_DICTIONARY, _LARGEST_DICTIONARY = 4096, 64 << 20

Progress = Callable[[int, int], None] | None


@dataclass(frozen=True)
class Compression:
    """Bits per symbol that a compressor needs for a text ``alone``, and ``after`` it has seen the training text."""

    name: str
    alone: float
    after: float


def ngram_losses(
    training: np.ndarray, scored: np.ndarray, before: np.ndarray, vocabulary: int, progress: Progress = None
) -> list[float]:
    """The mean loss in nats of n-grams of order 0 to ``ORDERS`` on ids ``scored`` (M,), which follow ``before`` (B,).

    Raises:
        ConfigError: they would not fit into memory.
    """
    of_orders = probabilities(training, scored, before, vocabulary, ORDERS, progress)
    return [float(-np.log(chances).mean()) for chances in of_orders]


def compressions(
    training: np.ndarray, scored: np.ndarray, vocabulary: Vocabulary, progress: Progress = None
) -> list[Compression]:
    """What gzip, bzip2 and xz, at their best, need for ids ``scored``, in UTF-8.

    ``after`` is the size of training + scored less that of training.  gzip looks back 32 KiB, bzip2 over a block of
    900 kB, xz over all, up to 64 MiB.
    """
    found, done, steps = [], 0, 9
    texts = ((scored,), (training, scored), (training,))
    for name in ("gzip", "bzip2", "xz"):
        sizes = []
        for parts in texts:
            sizes.append(_compressed(name, parts, vocabulary))
            done += 1
            if progress is not None:
                progress(done, steps)
        alone, joined, first = (8 * size / len(scored) for size in sizes)
        found.append(Compression(name, alone, joined - first))
    return found


def _compressed(name: str, parts: Iterable[np.ndarray], vocabulary: Vocabulary) -> int:
    """The compressed size of some texts, joined, in bytes."""
    compressor = _compressor(name, sum(len(part) for part in parts))
    size = 0
    for part in parts:
        for start in range(0, len(part), _BLOCK):
            text = vocabulary.decode(part[start : start + _BLOCK])
            size += len(compressor.compress(text if isinstance(text, bytes) else text.encode("utf-8")))
    return size + len(compressor.flush())


def _compressor(name: str, length: int):
    if name == "gzip":
        return zlib.compressobj(9, wbits=31)
    if name == "bzip2":
        return bz2.BZ2Compressor(9)
    # All of the text and no more, as memory goes with it: a character has at most 4 bytes.
    dictionary = min(max(4 * length, _LEAST_DICTIONARY), _LARGEST_DICTIONARY)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]
    return lzma.LZMACompressor(filters=filters)
