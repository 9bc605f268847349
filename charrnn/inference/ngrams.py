"""N-grams that predict symbol after symbol, as a network does: they learn a text, and then read another one."""

import numpy as np

from charrnn.kernels import compiler
from charrnn.kernels.ngrams import (
    COLUMNS,
    LEARNING_LENGTH,
    LEARNING_NODE,
    LEARNT,
    LENGTH,
    NODE,
    PLACE,
    REACH,
    ROOT,
    USED,
    Trie,
    count_counts,
    enter_all,
    learn,
    read,
    read_likeliest,
)
from charrnn.records import ProgressCallback, in_steps, no_progress
from charrnn.system import memory
from charrnn.system.threads import Team, divided

KERNELS = (learn, read, read_likeliest, enter_all, count_counts)
ORDER = 16  # symbols of the longest gram
LONGEST = 10_000_000  # symbols that n-grams learn in a run
MEMORY_SHARE = 1 / 8  # of the machine's memory, that they may take
BYTES_A_SYMBOL, SECONDS_A_SYMBOL = 100, 1e-6  # nearly what a symbol of a long text takes to be learnt
_BLOCK = 4096  # symbols that are learnt at a time


class Ngrams:
    """Modified Kneser-Ney n-grams of up to ``order`` symbols over V symbols.

    Args:
        vocabulary: V.
        order: K.
    """

    def __init__(self, vocabulary: int, order: int = ORDER):
        compiler.prepare(*KERNELS)
        self.vocabulary, self.order = vocabulary, order
        self._nodes, self._table = np.zeros((ROOT + 1, COLUMNS), np.int32), np.zeros(1, np.int32)
        self._text, self._sizes = np.zeros(0, np.int32), np.zeros(4, np.int64)
        self._sizes[USED], self._sizes[LEARNING_NODE] = ROOT + 1, ROOT
        self._discounts = np.zeros((order, 4))

    @property
    def learnt(self) -> int:
        """The number of symbols learnt."""
        return int(self._sizes[LEARNT])

    @property
    def nbytes(self) -> int:
        """Bytes of memory."""
        return self._nodes.nbytes + self._table.nbytes + self._text.nbytes

    def learn(self, ids: np.ndarray, progress: ProgressCallback = no_progress, settle: bool = True) -> None:
        """Learn ids (N,), which follow those learnt before; ``progress`` is called with the number learnt and N.

        ``settle`` finds the discounts anew, which takes a pass over all nodes.
        """
        first = self.learnt
        if first + len(ids) > len(self._text):
            text = np.zeros(max(first + len(ids), 3 * first // 2), np.int32)
            text[:first] = self._text[:first]
            self._text = text
        self._text[first : first + len(ids)] = ids
        for start, stop in in_steps(len(ids), _BLOCK, progress):
            self._make_room((stop - start) * 2 * self.order)
            learn(self._trie(), first + start, first + stop)
        if settle:
            self._find_discounts()

    def begin_at_end(self, readers: np.ndarray) -> None:
        """Readers (B, 4) become as if they had read all that is learnt."""
        readers[:, NODE], readers[:, LENGTH] = self._sizes[LEARNING_NODE], self._sizes[LEARNING_LENGTH]
        readers[:, PLACE], readers[:, REACH] = -1, self._sizes[LEARNING_LENGTH]

    def _find_discounts(self) -> None:
        counts = np.zeros((self.order, 5), np.int64)
        count_counts(self._trie(), counts)
        self._discounts = discounts(counts)

    def read(self, x: np.ndarray, readers: np.ndarray, team: Team) -> np.ndarray:
        """log p of every symbol after each of x (T, B): (T, B, V) float32 in nats.  ``readers`` move on."""
        steps, batch = x.shape
        logs, trie = np.empty((steps, batch, self.vocabulary), np.float32), self.trie(readers)

        def work(worker: int, first: int, last: int) -> None:
            read(trie, x, first, last, logs)

        team.run(work, divided(batch, min(team.threads, batch)))
        return logs

    def read_likeliest(self, x: np.ndarray, readers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The ``count`` likeliest symbols at each of x (N,), after those before it: ids (N, count) int32.

        Also their probabilities (N, count) float32, which are made to sum to one.  ``readers`` (1, 4) moves on.  The
        bits are the same on any processor.
        """
        ids, q = np.empty((len(x), count), np.int32), np.empty((len(x), count), np.float32)
        read_likeliest(self.trie(readers), x, ids, q)
        return ids, q

    def trie(self, readers: np.ndarray) -> Trie:
        """The arrays for a kernel in which ``readers`` read."""
        scratch = np.zeros((len(readers), self.vocabulary)), np.zeros((len(readers), self.order), np.int64)
        return Trie(self._nodes, self._table, self._text, self._sizes, self._discounts, readers, *scratch)

    def _trie(self) -> Trie:
        return self.trie(new_readers(0))

    def _make_room(self, more: int) -> None:
        """Have room for ``more`` nodes."""
        need = int(self._sizes[USED]) + more
        if need > len(self._nodes):
            nodes = np.zeros((max(need, 3 * len(self._nodes) // 2), COLUMNS), np.int32)
            nodes[: len(self._nodes)] = self._nodes
            self._nodes = nodes
        if 2 * need > len(self._table):
            self._table = np.zeros(1 << (2 * need - 1).bit_length(), np.int32)
            enter_all(self._trie())


def most_symbols(seconds: float | None) -> int:
    """How many symbols n-grams may learn in a run: not too many for this machine, and no more than take ``seconds``."""
    most, have = LONGEST, memory.installed()
    if have is not None:
        most = min(most, int(have * MEMORY_SHARE / BYTES_A_SYMBOL))
    return most if seconds is None else min(most, int(seconds / SECONDS_A_SYMBOL))


def new_readers(count: int) -> np.ndarray:
    """``count`` readers, each at the beginning of a text: (B, 4) int64 for :meth:`Ngrams.read`."""
    readers = np.zeros((count, 4), np.int64)
    readers[:, NODE], readers[:, PLACE] = ROOT, -1
    return readers


def no_trie() -> Trie:
    """Arrays for a kernel that takes a trie where there are no n-grams."""
    shapes, types = ((1, COLUMNS), 1, 1, 4, (1, 4), (1, 4), (1, 1), (1, 1)), "iiiqdqdq"
    return Trie(*(np.zeros(shape, kind) for shape, kind in zip(shapes, types, strict=True)))


def discounts(counts: np.ndarray) -> np.ndarray:
    """The discounts of a count of 0, 1, 2 and 3 or more: (K, 4) float64.

    D_k = k - (k + 1) Y n_{k+1} / n_k with Y = n_1 / (n_1 + 2 n_2) (Chen & Goodman 1999, equation 26), where n_k in
    column k of counts (K, 5) is how many grams have the count k.  Where D_k has no value, it is Y (Ney, Essen & Kneser
    1994); where Y has no value, it is 1/2.
    """
    n = counts.astype(np.float64)
    result = np.zeros((len(n), 4))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n[:, 1] > 0, n[:, 1] / (n[:, 1] + 2 * n[:, 2]), 0.5)
        for k in (1, 2, 3):
            found = k - (k + 1) * share * n[:, k + 1] / n[:, k]
            result[:, k] = np.where((found > 0) & (found <= k), found, share)  # a NaN is neither
    return result
