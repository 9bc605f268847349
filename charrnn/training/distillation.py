"""Soft targets: what teachers expect at every place of a training text, for a network that learns from them too.

A network learns from the probabilities q of its teachers beside the characters themselves: the target of its
cross-entropy is (1 - a) one-hot + a q (Hinton, Vinyals & Dean 2015, at temperature 1).  q tells which characters would
have fitted as well.  Teachers are other networks, whose mean probabilities are taken, or n-grams, which learn a text in
seconds.  N-grams know the text that they have learnt by heart.  So the text is cut into two halves, and those that
teach a half have learnt the other one.
"""

from threading import Lock

import numpy as np

from charrnn.inference.ensemble import Ensemble
from charrnn.inference.ngrams import BYTES_A_SYMBOL, ORDER, Ngrams, new_readers
from charrnn.kernels.cross_entropy import Soft
from charrnn.records import ProgressCallback, in_steps, no_progress
from charrnn.system import memory
from charrnn.system.threads import Team, divided
from charrnn.text.windows import ReadingWindows

MOST = 16  # characters that are kept at a place, the likeliest ones
PARTS = 2  # of a text that n-grams teach; with more parts each is taught better, and the network worse
LAST_TARGETS = 1 / 4  # of the dropout: the part of the n-grams in the target at the end of a run
_BLOCK = 16_384  # characters that n-grams read at a time


class SoftTargets:
    """The K likeliest characters at each of ``length`` places, and their probabilities, which sum to one.

    A place that was not set has no soft target: its q is 0.  Four bytes are kept for each of the K characters, or six
    where the vocabulary has more than 65,536 characters.

    Args:
        length: places in the training text.
        vocabulary: V.
        weights: a, the part of q in the target, at the beginning and at the end of the run; in between it goes along a
            line.
        reading: bytes of memory that are needed beside, to find the probabilities.

    Raises:
        ConfigError: this machine has not enough memory for them.
    """

    def __init__(self, length: int, vocabulary: int, weights: tuple[float, float], reading: int = 0):
        self.count, kind = min(MOST, vocabulary), np.uint16 if vocabulary <= 2**16 else np.int32
        each = self.count * (np.dtype(kind).itemsize + 2)
        memory.require(
            length * each + reading, "what teachers expect takes", "leave them out (--teachers 0, --ngram-targets 0)"
        )
        self._weights = weights
        self._ids, self._q = np.zeros((length, self.count), kind), np.zeros((length, self.count), np.float16)

    def set(self, places: np.ndarray | slice, ids: np.ndarray, q: np.ndarray) -> None:
        """Set the characters ids (M, K) at M places, and their probabilities q (M, K)."""
        self._ids[places], self._q[places] = ids, q

    def at(self, places: np.ndarray, done: float) -> Soft:
        """The soft targets of the characters at places (T, B), when the fraction ``done`` of the run is done."""
        first, last = self._weights
        weight = first + (last - first) * min(1.0, done)
        return Soft(np.float32(weight), self._ids[places].astype(np.int32), self._q[places].astype(np.float32))


def targets_of_networks(
    teachers: Ensemble, ids: np.ndarray, weight: float, progress: ProgressCallback = no_progress
) -> SoftTargets:
    """The soft targets of a text ids (N,); its first character has none.

    ``progress`` is called with the number of steps read and the number of all.

    Raises:
        ConfigError: this machine has not enough memory for them.
    """
    vocabulary = teachers.networks[0].config.vocabulary
    windows = ReadingWindows(len(ids) - 1, progress=progress, warm_up=teachers.warm_up)
    reading = 64 * windows.batch * vocabulary * 32  # bytes: four float64 arrays of a window's probabilities
    targets = SoftTargets(len(ids), vocabulary, (weight, weight), reading)
    state = teachers.initial_state(windows.batch)
    for places in windows:
        p = teachers.log_probabilities(ids[places.at].astype(np.int32), state)[places.counted]
        likely = np.argpartition(-p, targets.count - 1, axis=1)[:, : targets.count]
        q = np.exp(np.take_along_axis(p, likely, axis=1))
        targets.set(places.at[places.counted] + 1, likely, q / q.sum(axis=1, keepdims=True))
    return targets


def targets_of_ngrams(
    ids: np.ndarray,
    vocabulary: int,
    weights: tuple[float, float],
    team: Team,
    parts: int = PARTS,
    progress: ProgressCallback = no_progress,
) -> SoftTargets:
    """The soft targets that n-grams give a text ids (N,), each part of it those that have learnt the others.

    ``weights`` are the first and the last part of q in the target.  ``progress`` is called with what is done and what
    there is to do.

    Raises:
        ConfigError: this machine has not enough memory for them.
    """
    beside = len(ids) * BYTES_A_SYMBOL * min(team.threads, parts)
    targets = SoftTargets(len(ids), vocabulary, weights, beside)
    work = _Work(parts * len(ids), progress)

    def teach(worker: int, first: int, last: int) -> None:
        ngrams, readers = Ngrams(vocabulary), new_readers(1)
        others = np.concatenate([ids[last:], ids[:first]]).astype(np.int32)
        ngrams.learn(others, work.counted(worker))
        ngrams.read_likeliest(ids[max(first - ORDER, 0) : first].astype(np.int32), readers, targets.count)
        for start, stop in in_steps(last - first, _BLOCK, work.counted(worker)):
            places = slice(first + start, first + stop)
            targets.set(places, *ngrams.read_likeliest(ids[places].astype(np.int32), readers, targets.count))

    team.run(teach, divided(len(ids), parts))
    return targets


class _Work:
    """Progress of work that is shared out; worker 0 reports it, and if its report fails all workers stop.

    Args:
        total: what there is to do.
        progress: called with what is done and ``total``.
    """

    def __init__(self, total: int, progress: ProgressCallback):
        self._total, self._progress = total, progress
        self._done, self._lock, self._error = 0, Lock(), None

    def counted(self, worker: int) -> ProgressCallback:
        """A callback for a part of the work."""
        before = 0

        def report(done: int, _: int) -> None:
            nonlocal before
            with self._lock:
                self._done += done - before
            before = done
            if self._error is not None:
                raise self._error
            if worker == 0:
                try:
                    self._progress(self._done, self._total)
                except Exception as error:
                    self._error = error
                    raise

        return report
