"""N-grams of bytes that score lines: a small model of a text, which is learnt in a moment."""

import numpy as np
import numpy.typing as npt

from charrnn.inference.ngrams import KERNELS as _LEARNING
from charrnn.inference.ngrams import Ngrams, new_readers
from charrnn.kernels import compiler
from charrnn.kernels.ngram_scores import evaluate_nodes, score_lines

KERNELS = (*_LEARNING, evaluate_nodes, score_lines)
ORDER = 6  # bytes of the longest gram; docs/LOG.md has what other orders gave
BYTES_A_BYTE = 100  # of memory, at most, for a byte that is learnt
_BYTES, _NEWLINE = 256, 10


class ByteNgrams:
    """Modified Kneser-Ney n-grams of all 256 bytes, which have learnt a text.

    Args:
        text: (N,) uint8, N >= 1.
        order: bytes of the longest gram.
    """

    def __init__(self, text: npt.NDArray[np.uint8], order: int = ORDER):
        compiler.prepare(*KERNELS)
        self._ngrams = Ngrams(_BYTES, order)
        self._ngrams.learn(text.astype(np.int32))
        trie = self._ngrams.trie(new_readers(1))
        self._values = np.zeros((len(trie.nodes), 2))
        evaluate_nodes(trie, self._values)

    def losses(self, data: npt.NDArray[np.uint8], bounds: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The loss of every byte of data (N,) in nats: (N,).

        Line k is data[bounds[k] : bounds[k + 1]], bounds (R + 1,), and is read after a newline.  Threads may call this
        at the same time.
        """
        losses = np.empty(len(data), np.float32)
        score_lines(self._ngrams.trie(new_readers(1)), self._values, data.astype(np.int32), bounds, _NEWLINE, losses)
        return losses
