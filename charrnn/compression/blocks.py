"""Blocks of symbols: cut into rows, coded side by side, and put together again."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from charrnn.compression.symbols import Alphabet
from charrnn.errors import CompressedError
from charrnn.inference.online_ngrams import OnlineNgrams
from charrnn.inference.row_coder import RowCoder
from charrnn.network.network import Network

_SHORT, _LONG = 0.02, 0.1  # seconds that a call of the coder should take: a signal waits for it
_FIRST_STEPS, _MOST_STEPS = 16, 4096


class Learner(Protocol):
    """What makes a network learn from symbols after they are coded.

    Attributes:
        steps: so many symbols of each row are coded with the same weights.
    """

    steps: int

    def learn(self, x: np.ndarray, y: np.ndarray) -> None:
        """Learn from the ids x (T, B) that the network has read and the ids y that followed; -1: nothing to learn."""


class BlockCoder:
    """Codes blocks of symbols in ``rows`` rows, and has a network learn from them if there is a ``learner``.

    A block of M symbols is cut into rows of ⌊M / B⌋ or ⌈M / B⌉ symbols; row b of a block goes on with what the network
    has read in row b of the block before.  With ``ngrams``, which the learner teaches, there is one row.
    """

    def __init__(
        self,
        network: Network,
        alphabet: Alphabet,
        rows: int,
        learner: Learner | None = None,
        ngrams: OnlineNgrams | None = None,
    ):
        self.alphabet, self.rows, self._learner = alphabet, rows, learner
        self._coder = RowCoder(network, rows, alphabet.first, alphabet.replacement, alphabet.has_escapes, ngrams)
        self._steps = _FIRST_STEPS if learner is None else learner.steps

    def encode(self, symbols: npt.NDArray[np.int32], report: Callable[[int], None]) -> list[bytes]:
        """The code of each row; ``report`` is called with the number of symbols coded now and then."""
        bounds = self._bounds(len(symbols))
        lengths = np.diff(bounds)
        laid_out = np.full((int(lengths.max()), self.rows), self.alphabet.escape, np.int32)
        for row in range(self.rows):
            laid_out[: lengths[row], row] = symbols[bounds[row] : bounds[row + 1]]
        self._coder.begin_encoding()
        self._go(lengths, lambda start, stop, left: self._coder.encode(laid_out[start:stop], left), report, laid_out)
        return self._coder.end_encoding()

    def decode(self, count: int, codes: Sequence[bytes], report: Callable[[int], None]) -> npt.NDArray[np.int32]:
        """The ``count`` symbols of a block from the codes of its rows.

        Raises:
            CompressedError: the codes are no encoder's.
        """
        bounds = self._bounds(count)
        lengths = np.diff(bounds)
        laid_out = np.full((int(lengths.max()), self.rows), self.alphabet.escape, np.int32)

        def decode(start: int, stop: int, left: np.ndarray) -> None:
            laid_out[start:stop] = self._coder.decode(stop - start, left)
            if self._coder.is_damaged:
                raise CompressedError("damaged (no encoder writes these bytes)")

        self._coder.begin_decoding(list(codes))
        self._go(lengths, decode, report, laid_out)
        if not self._coder.is_at_end:
            raise CompressedError("damaged (a row has bytes too many)")
        return np.concatenate([laid_out[: lengths[row], row] for row in range(self.rows)])

    def _bounds(self, count: int) -> np.ndarray:
        """Where the rows begin and end in a block of ``count`` symbols: (B + 1,)."""
        return np.array([count * row // self.rows for row in range(self.rows + 1)], np.int64)

    def _go(self, lengths: np.ndarray, code: Callable[[int, int, np.ndarray], None], report, laid_out) -> None:
        """Call code(start, stop, what is left of each row) for pieces of the rows, and learn from each piece."""
        start, longest = 0, int(lengths.max())
        while start < longest:
            stop = min(start + self._steps, longest)
            left, before = np.clip(lengths - start, 0, stop - start), self._coder.ids.copy()
            begun = time.perf_counter()
            code(start, stop, left)
            if self._learner is None:
                self._adapt_steps(time.perf_counter() - begun)
            else:
                self._learn(laid_out[start:stop], left, before)
            report(int(np.minimum(lengths, stop).sum()))
            start = stop

    def _learn(self, symbols: np.ndarray, lengths: np.ndarray, before: np.ndarray) -> None:
        """Have the network learn from symbols (T, B), the first ``lengths`` (B,) of each row, after ids ``before``."""
        known = (symbols != self.alphabet.escape) & (np.arange(len(symbols))[:, None] < lengths)
        read = np.where(symbols != self.alphabet.escape, symbols, np.int32(self.alphabet.replacement))
        x = np.concatenate([before[None], read[:-1]])
        self._learner.learn(np.ascontiguousarray(x, np.int32), np.where(known, symbols, np.int32(-1)))

    def _adapt_steps(self, seconds: float) -> None:
        """Choose how much one call of the coder codes, so that the next one takes neither too long nor too short."""
        if seconds < _SHORT and self._steps < _MOST_STEPS:
            self._steps *= 2
        elif seconds > _LONG and self._steps > 1:
            self._steps //= 2
