"""Windows of a text for training: B batch rows side by side, T steps at a time.

The text is taken as a ring of N characters, entered at a place that is different in every epoch, and cut into B
batch rows of N/B (or one more).  Each batch row is read from its start to its end, so the state is carried from window
to window.  Every character is a target exactly once an epoch, except the first of the text, which nothing
precedes.  Places without a target have y = -1: where the ring closes, and beyond the end of the shorter batch rows.

Reading a long text in several batch rows at once, as if it were read in one go.

A batch row starts ``WARM_UP`` characters before the first one that is its own, so that its state is what it would be
had it read from the beginning, to well below the fourth decimal of a loss.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class TrainingWindows:
    """Epochs over ``ids`` (N,), as windows x, y (T, B) int32; the last of an epoch may be shorter."""

    def __init__(self, ids: np.ndarray, batch: int, steps: int, seed: int):
        self.ids, self.batch, self.steps, self.seed = ids, batch, steps, seed
        self.row_length = -(-len(ids) // batch)
        self.count = -(-self.row_length // steps)
        bounds = np.array([len(ids) * b // batch for b in range(batch + 1)])
        self._starts, self._lengths = bounds[:-1], np.diff(bounds)

    def entry(self, epoch: int) -> int:
        """Where epoch ``epoch`` enters the ring: a function of the seed and the epoch alone."""
        return int(np.random.default_rng([self.seed, epoch]).integers(len(self.ids)))

    def window(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Window ``number`` (from 0) of epoch ``epoch``: y is x one character later, or -1."""
        size, first = len(self.ids), number * self.steps
        last = min(first + self.steps, self.row_length)
        places = (self.entry(epoch) + self._starts + np.arange(first, last + 1)[:, None]) % size
        text = self.ids[places].astype(np.int32)
        beyond = np.arange(first, last)[:, None] >= self._lengths
        y = np.where(beyond | (places[:-1] == size - 1), np.int32(-1), text[1:])
        return text[:-1], y


def fitting_window(length: int, batch: int, steps: int) -> tuple[int, int]:
    """How many batch rows and steps a text of ``length`` characters fills: no more than asked for, at least 1 and 1."""
    steps = max(1, min(steps, length - 1))
    return max(1, min(batch, length // steps)), steps


WARM_UP = 256
ROW_LENGTH = 1024  # a batch row shorter than this would spend too much on its warm-up


class Places(NamedTuple):
    """A window of T steps: ``at`` (T, B) says which characters the batch rows read, ``own`` (T, B) which of them count.

    Every character counts once; the others are warm-up, or stand in for a batch row that has come to its end.
    """

    at: np.ndarray
    own: np.ndarray


class ReadingWindows:
    """How ``characters`` are shared out.

    Args:
        characters: how many there are to read, 1 or more.
        batch: at most so many batch rows; short texts get fewer.
        steps: of a window.
        most: how many count, if not all: each batch row has a stretch of these, so they are spread over the whole.
    """

    def __init__(self, characters: int, batch: int = 32, steps: int = 64, most: int | None = None):
        self.batch = max(1, min(batch, characters // ROW_LENGTH))
        self.steps = steps
        self._characters = characters
        bounds = np.array([characters * b // self.batch for b in range(self.batch + 1)])
        self._firsts, self._ends = bounds[:-1], bounds[1:]
        if most is not None and most < characters:
            self._ends = np.minimum(self._ends, self._firsts + max(1, most // self.batch))
        self._starts = np.maximum(self._firsts - WARM_UP, 0)
        self.length = int((self._ends - self._starts).max())

    def __iter__(self) -> Iterator[Places]:
        """The windows in order; a state of ``batch`` rows is carried from one to the next."""
        for begin in range(0, self.length, self.steps):
            at = self._starts + np.arange(begin, min(begin + self.steps, self.length))[:, None]
            own = (at >= self._firsts) & (at < self._ends)
            yield Places(np.minimum(at, self._characters - 1), own)
