"""Soft targets: what teachers expect at every place of a training text, for a network that learns from them too.

A network learns from the mean probabilities q of its teachers beside the characters themselves: the target of its
cross-entropy is (1 - a) one-hot + a q (Hinton, Vinyals & Dean 2015, at temperature 1).  An ensemble's q tells which
characters would have fitted as well, so that one network learns most of what several know.
"""

import numpy as np

from charrnn.inference.ensemble import Ensemble
from charrnn.kernels.cross_entropy import Soft
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.system import memory
from charrnn.text.windows import ReadingWindows

MOST = 16  # characters that are kept at a place, the likeliest ones


class SoftTargets:
    """The K likeliest characters at every place of ids (N,), and their probabilities, which are made to sum to one.

    Four bytes are kept for each of them, or six where the vocabulary has more than 65,536 characters.

    Args:
        teachers: a network, or an ensemble.
        ids: the text that the network will learn.
        weight: a, the part of q in the target.
        progress: called with the number of steps read and the number of all.

    Raises:
        ConfigError: this machine has not enough memory for them.
    """

    def __init__(
        self, teachers: Network | Ensemble, ids: np.ndarray, weight: float, progress: ProgressCallback = no_progress
    ):
        vocabulary = (teachers.networks[0] if isinstance(teachers, Ensemble) else teachers).config.vocabulary
        count, kind = min(MOST, vocabulary), np.uint16 if vocabulary <= 2**16 else np.int32
        each = count * (np.dtype(kind).itemsize + 2)
        windows = ReadingWindows(len(ids) - 1, progress=progress)
        reading = 64 * windows.batch * vocabulary * 32  # bytes: four float64 arrays of a window's probabilities
        memory.require(len(ids) * each + reading, "what teachers expect takes", "leave the teachers out")
        self._weight = np.float32(weight)
        self._ids, self._q = np.zeros((len(ids), count), kind), np.zeros((len(ids), count), np.float16)
        state = teachers.initial_state(windows.batch)
        for places in windows:
            p = teachers.log_probabilities(ids[places.at].astype(np.int32), state)[places.counted]
            likely = np.argpartition(-p, count - 1, axis=1)[:, :count]
            q = np.exp(np.take_along_axis(p, likely, axis=1))
            after = places.at[places.counted] + 1
            self._ids[after], self._q[after] = likely, q / q.sum(axis=1, keepdims=True)

    def at(self, places: np.ndarray) -> Soft:
        """The soft targets of the characters at places (T, B).  The text's first character has none: its q is 0."""
        return Soft(self._weight, self._ids[places].astype(np.int32), self._q[places].astype(np.float32))
