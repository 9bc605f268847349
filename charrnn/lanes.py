"""Reading a long text in several lanes at once, as if it were read in one go.

A lane starts ``WARM_UP`` characters before the first one that is its own, so that its state is what it would be had it
read from the beginning, to well below the fourth decimal of a loss.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

WARM_UP = 256
LANE_LENGTH = 1024  # a lane shorter than this would spend too much on its warm-up


class Places(NamedTuple):
    """A window of T steps: ``at`` (T, B) says which characters the lanes read, ``own`` (T, B) which of them count.

    Every character counts once; the others are warm-up, or stand in for a lane that has come to its end.
    """

    at: np.ndarray
    own: np.ndarray


class Lanes:
    """How ``characters`` are shared out.

    Args:
        characters: how many there are to read, 1 or more.
        lanes: at most so many lanes; short texts get fewer.
        steps: of a window.
        most: how many count, if not all: each lane has a stretch of these, so they are spread over the whole.
    """

    def __init__(self, characters: int, lanes: int = 32, steps: int = 64, most: int | None = None):
        self.count = max(1, min(lanes, characters // LANE_LENGTH))
        self.steps = steps
        self._characters = characters
        bounds = np.array([characters * lane // self.count for lane in range(self.count + 1)])
        self._firsts, self._ends = bounds[:-1], bounds[1:]
        if most is not None and most < characters:
            self._ends = np.minimum(self._ends, self._firsts + max(1, most // self.count))
        self._starts = np.maximum(self._firsts - WARM_UP, 0)
        self.length = int((self._ends - self._starts).max())

    def windows(self) -> Iterator[Places]:
        """The windows in order; a state of ``count`` lanes is carried from one to the next."""
        for begin in range(0, self.length, self.steps):
            at = self._starts + np.arange(begin, min(begin + self.steps, self.length))[:, None]
            own = (at >= self._firsts) & (at < self._ends)
            yield Places(np.minimum(at, self._characters - 1), own)
