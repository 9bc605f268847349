"""What is added up in the bins of every cell's histogram: how many places, and the sums of their labels.

One label and the count share a word: with one addition a value, counting costs a third of what it does in vectors.
"""

import numpy as np

from charrnn.kernels.histograms import BINS, count_columns, count_words
from charrnn.kernels.simd import LANES

_COUNT = 42  # the bit from which on a word counts places; below it stands the sum of labels
_UNIT = 1 << 20  # what a label of 1 is in there: 2^21 places of up to 3/2 have room
_FROM = 0.5  # labels are from -1/2 on; a word holds nothing negative


class OneLabel:
    """Sums of one label, from -1/2 to 1; it is rounded to 2^-20."""

    kernel = staticmethod(count_words)

    def __init__(self, cells: int):
        self.part = np.zeros((cells, BINS), np.uint64)
        self.totals = np.zeros((cells, BINS, 2))

    def addends(self, labels: np.ndarray) -> np.ndarray:
        """What the kernel adds for places with labels (P, 1): words (P,)."""
        return np.rint((labels[:, 0] + _FROM) * _UNIT).astype(np.uint64) + np.uint64(1 << _COUNT)

    def close_part(self) -> None:
        """Add ``part``, what the kernel has added up over at most 2^21 places, to ``totals`` (C, BINS, 2)."""
        counts = (self.part >> np.uint64(_COUNT)).astype(np.float64)
        sums = (self.part & np.uint64((1 << _COUNT) - 1)).astype(np.float64)
        self.totals[:, :, 0] += counts
        self.totals[:, :, 1] += sums / _UNIT - _FROM * counts
        self.part[:] = 0


class ManyLabels:
    """Sums of K labels, in float32 within a part: there counts are exact."""

    kernel = staticmethod(count_columns)

    def __init__(self, cells: int, labels: int):
        width = -(-(labels + 1) // LANES) * LANES
        self.part = np.zeros((cells, BINS, width), np.float32)
        self.totals = np.zeros((cells, BINS, labels + 1))

    def addends(self, labels: np.ndarray) -> np.ndarray:
        """What the kernel adds for places with labels (P, K): columns (P, W), the first of them 1."""
        columns = np.zeros((len(labels), self.part.shape[2]), np.float32)
        columns[:, 0] = 1
        columns[:, 1 : 1 + labels.shape[1]] = labels
        return columns

    def close_part(self) -> None:
        """Add ``part``, what the kernel has added up, to ``totals`` (C, BINS, 1 + K)."""
        self.totals += self.part[:, :, : self.totals.shape[2]]
        self.part[:] = 0
