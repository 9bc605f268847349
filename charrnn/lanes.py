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
    """

    def __init__(self, characters: int, lanes: int = 32, steps: int = 64):
        self.count = max(1, min(lanes, characters // LANE_LENGTH))
        self.steps = steps
        self._characters = characters
        self._bounds = np.array([characters * lane // self.count for lane in range(self.count + 1)])
        self._starts = np.maximum(self._bounds[:-1] - WARM_UP, 0)
        self.length = int((self._bounds[1:] - self._starts).max())

    def windows(self) -> Iterator[Places]:
        """The windows in order; a state of ``count`` lanes is carried from one to the next."""
        for begin in range(0, self.length, self.steps):
            at = self._starts + np.arange(begin, min(begin + self.steps, self.length))[:, None]
            own = (at >= self._bounds[:-1]) & (at < self._bounds[1:])
            yield Places(np.minimum(at, self._characters - 1), own)
