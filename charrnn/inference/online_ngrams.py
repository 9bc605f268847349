"""N-grams that learn a text while it is coded or scored, and are mixed with a network."""

import numpy as np
import numpy.typing as npt

from charrnn.inference.ngrams import KERNELS, Ngrams, new_readers, no_trie
from charrnn.kernels.range_coder import Blend
from charrnn.network.parameters import aligned_zeros
from charrnn.network.workspace import padded
from charrnn.system.threads import Team

ORDER = 8  # symbols of the longest gram
MOST_LEARNT = 2**22  # symbols, about 400 MB; those after them are read but not learnt
FROM_SCRATCH, BESIDE_A_MODEL = (0.3, 0.7), (0.8, 0.2)  # first weights of the network and of the n-grams
_RATE = 0.002
_SOON = 64  # symbols until the discounts are found for the first time

kernels = list(KERNELS)


class OnlineNgrams:
    """N-grams over V symbols for one row of text, and the weights with which a coder mixes them.

    They learn from the same symbols in the encoder and in the decoder, with the same bits on any processor.
    """

    def __init__(self, vocabulary: int, weights: tuple[float, float] = FROM_SCRATCH):
        self._ngrams, self._readers = Ngrams(vocabulary, ORDER), new_readers(1)
        self._weights, self._logs = np.array([weights]), aligned_zeros(1, padded(vocabulary))
        self._logs[:] = 1.0  # also where no symbol is
        self._settle_at = _SOON

    @property
    def vocabulary(self) -> int:
        """V."""
        return self._ngrams.vocabulary

    @property
    def learnt(self) -> int:
        """The number of symbols learnt."""
        return self._ngrams.learnt

    def blend(self) -> Blend:
        """The arrays for the kernel."""
        return Blend(self._ngrams.trie(self._readers), self._weights, self._logs, _RATE)

    def read(self, x: npt.NDArray[np.int32], team: Team) -> npt.NDArray[np.float32]:
        """log p of every symbol after each of x (T,): (T, V) in nats, which may be -inf while little is learnt."""
        logs = self._ngrams.read(x[:, None], self._readers, team)[:, 0]
        if self._settle_at == _SOON:  # without discounts they would be sure of what has come once
            logs[:] = -np.log(self.vocabulary)
        return logs

    def learn(self, x: npt.NDArray[np.int32]) -> None:
        """Learn ids x (T,), which have just been read.

        The discounts are found anew when there is a quarter more to find them from.
        """
        if self._ngrams.learnt + len(x) > MOST_LEARNT:
            return
        settles = self._ngrams.learnt + len(x) >= self._settle_at
        self._ngrams.learn(x, settle=settles)
        if settles:
            self._settle_at = self._ngrams.learnt * 5 // 4
        self._ngrams.begin_at_end(self._readers)


def no_blend() -> Blend:
    """The arrays for a kernel without n-grams."""
    return Blend(no_trie(), np.zeros((0, 2)), np.zeros((1, 1), np.float32), 0.0)
