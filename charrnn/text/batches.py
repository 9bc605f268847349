"""Windows of a text for training: B lanes side by side, T steps at a time.

The text is taken as a ring of N characters, entered at a place that is different in every epoch, and cut into B
lanes of N/B (or one more).  Each lane is read from its start to its end, so the state is carried from window to
window.  Every character is a target exactly once an epoch, except the first of the text, which nothing
precedes.  Places without a target have y = -1: where the ring closes, and beyond the end of the shorter lanes.
"""

import numpy as np


class Batches:
    """Epochs over ``ids`` (N,), as windows x, y (T, B) int32; the last of an epoch may be shorter."""

    def __init__(self, ids: np.ndarray, lanes: int, steps: int, seed: int):
        self.ids, self.lanes, self.steps, self.seed = ids, lanes, steps, seed
        self.lane_length = -(-len(ids) // lanes)
        self.windows = -(-self.lane_length // steps)
        bounds = np.array([len(ids) * lane // lanes for lane in range(lanes + 1)])
        self._starts, self._lengths = bounds[:-1], np.diff(bounds)

    def entry(self, epoch: int) -> int:
        """Where epoch ``epoch`` enters the ring: a function of the seed and the epoch alone."""
        return int(np.random.default_rng([self.seed, epoch]).integers(len(self.ids)))

    def window(self, epoch: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Window ``number`` (from 0) of epoch ``epoch``: y is x one character later, or -1."""
        size, first = len(self.ids), number * self.steps
        last = min(first + self.steps, self.lane_length)
        places = (self.entry(epoch) + self._starts + np.arange(first, last + 1)[:, None]) % size
        text = self.ids[places].astype(np.int32)
        beyond = np.arange(first, last)[:, None] >= self._lengths
        y = np.where(beyond | (places[:-1] == size - 1), np.int32(-1), text[1:])
        return text[:-1], y


def fitting_lanes(length: int, lanes: int, steps: int) -> tuple[int, int]:
    """How many lanes and steps a text of ``length`` characters fills: no more than asked for, at least 1 and 1."""
    steps = max(1, min(steps, length - 1))
    return max(1, min(lanes, length // steps)), steps
