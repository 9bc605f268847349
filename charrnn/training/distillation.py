"""Soft targets: what teachers expect at every place of a training text, for a network that learns from them too.

A network learns from the probabilities q of its teachers beside the characters themselves: the target of its
cross-entropy is (1 - a) one-hot + a q (Hinton, Vinyals & Dean 2015, at temperature 1).  q tells which characters would
have fitted as well.  Teachers are other networks, whose mean probabilities are taken, or n-grams of the same text.
N-grams cost a network no more than a few steps, and each q leaves out the character that it stands beside.
"""

import numpy as np

from charrnn.inference.ensemble import Ensemble
from charrnn.inference.ngrams import Ngrams
from charrnn.kernels.cross_entropy import Soft
from charrnn.records import ProgressCallback, no_progress
from charrnn.system import memory
from charrnn.system.threads import Team
from charrnn.text.windows import ReadingWindows

MOST = 16  # characters that are kept at a place, the likeliest ones


class SoftTargets:
    """The K likeliest characters at each of ``length`` places, and their probabilities, which sum to one.

    A place that was not set has no soft target: its q is 0.  Four bytes are kept for each of the K characters, or six
    where the vocabulary has more than 65,536 characters.

    Args:
        length: places in the training text.
        vocabulary: V.
        weight: a, the part of q in the target.
        reading: bytes of memory that are needed beside, to find the probabilities.

    Raises:
        ConfigError: this machine has not enough memory for them.
    """

    def __init__(self, length: int, vocabulary: int, weight: float, reading: int = 0):
        self.count, kind = min(MOST, vocabulary), np.uint16 if vocabulary <= 2**16 else np.int32
        each = self.count * (np.dtype(kind).itemsize + 2)
        memory.require(length * each + reading, "what teachers expect takes", "leave the teachers out")
        self._weight = np.float32(weight)
        self._ids, self._q = np.zeros((length, self.count), kind), np.zeros((length, self.count), np.float16)

    def set(self, places: np.ndarray | slice, ids: np.ndarray, q: np.ndarray) -> None:
        """Set the characters ids (M, K) at M places, and their probabilities q (M, K)."""
        self._ids[places], self._q[places] = ids, q

    def at(self, places: np.ndarray) -> Soft:
        """The soft targets of the characters at places (T, B)."""
        return Soft(self._weight, self._ids[places].astype(np.int32), self._q[places].astype(np.float32))


def targets_of_networks(
    teachers: Ensemble, ids: np.ndarray, weight: float, progress: ProgressCallback = no_progress
) -> SoftTargets:
    """The soft targets of a text ids (N,); its first character has none.

    ``progress`` is called with the number of steps read and the number of all.

    Raises:
        ConfigError: this machine has not enough memory for them.
    """
    vocabulary = teachers.networks[0].config.vocabulary
    windows = ReadingWindows(len(ids) - 1, progress=progress)
    reading = 64 * windows.batch * vocabulary * 32  # bytes: four float64 arrays of a window's probabilities
    targets = SoftTargets(len(ids), vocabulary, weight, reading)
    state = teachers.initial_state(windows.batch)
    for places in windows:
        p = teachers.log_probabilities(ids[places.at].astype(np.int32), state)[places.counted]
        likely = np.argpartition(-p, targets.count - 1, axis=1)[:, : targets.count]
        q = np.exp(np.take_along_axis(p, likely, axis=1))
        targets.set(places.at[places.counted] + 1, likely, q / q.sum(axis=1, keepdims=True))
    return targets


def targets_of_ngrams(
    ids: np.ndarray, vocabulary: int, weight: float, team: Team, progress: ProgressCallback = no_progress
) -> SoftTargets:
    """The soft targets that n-grams of the text ids (N,) give it.

    ``progress`` is called with the characters done, each once for learning and once for reading, and the number of all.

    Raises:
        ConfigError: this machine has not enough memory for them.
    """
    targets = SoftTargets(len(ids), vocabulary, weight)
    ngrams = Ngrams(vocabulary)
    ngrams.learn(ids.astype(np.int32), lambda done, total: progress(done, 2 * total))
    again = ngrams.read_again(targets.count, team, lambda done, total: progress(total + done, 2 * total))
    for places, likely, q in again:
        targets.set(places, likely, q)
    return targets
