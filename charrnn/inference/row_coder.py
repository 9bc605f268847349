"""Codes rows of symbols side by side, with the probabilities that a network gives them.  Symbols are ids here."""

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig
from charrnn.inference.online_ngrams import OnlineNgrams, no_blend
from charrnn.inference.sampler import Streams
from charrnn.inference.stream_team import StreamTeam
from charrnn.kernels import compiler
from charrnn.kernels.range_coder import (
    AT,
    COLUMNS,
    DAMAGED,
    END,
    Codes,
    Scratch,
    Task,
    begin_decoding,
    begin_encoding,
    code,
    end_encoding,
)
from charrnn.kernels.step import Share
from charrnn.network.network import Network
from charrnn.network.parameters import aligned_zeros
from charrnn.network.workspace import padded

_SYMBOL, _LAST = 8, 8  # bytes that a symbol may take at most, and that the last byte of a row needs


def kernels(config: ModelConfig) -> list:
    """The kernels that code with a network of these settings, beside those that read."""
    return [code, *Network.kernels(config)[2], begin_encoding, end_encoding, begin_decoding]


class RowCoder(StreamTeam):
    """``rows`` rows of symbols, each with a code of its own, and a network that reads them while they are coded.

    A symbol is an id of the network, or V, the escape.  The codes are the same bytes for any number of threads and on
    any processor.  The network's state, and what it reads next, stay from one code to the next, until :meth:`reset`.

    Args:
        network: says how likely each symbol is.
        rows: B.
        first: the id that it reads before the first symbol of a row.
        replacement: the id that it reads in place of an escape.
        escapes: whether there are escapes.
        ngrams: are mixed with the network, if they are given. Then there is one row.

    Raises:
        ConfigError: this machine has not enough memory for so many rows.
    """

    def __init__(
        self,
        network: Network,
        rows: int,
        first: int,
        replacement: int,
        escapes: bool,
        ngrams: OnlineNgrams | None = None,
    ):
        compiler.prepare(*kernels(network.config))
        super().__init__(network.team, rows)
        self.network, self.rows, self._ngrams = network, rows, ngrams
        self._first, self._replacement, self._escapes = first, replacement, int(escapes)
        width = padded(network.config.vocabulary)
        logits, mixed, weights = aligned_zeros(3, rows, width)
        self._scratch = Scratch(logits, mixed, weights, np.zeros((rows, width), np.int32), self._flags)
        self.reset()

    def reset(self) -> None:
        """Forget what was read."""
        prime = np.array([self._first], np.int32)
        self._streams = Streams(self.network, prime, self.rows, self._scratch.logits)
        self.ids, self._turn = np.full(self.rows, self._first, np.int32), 0

    def begin_encoding(self) -> None:
        """Begin a new code for every row."""
        self._codes = self._with_room(1024)
        begin_encoding(self._codes)

    def encode(self, symbols: npt.NDArray[np.int32], lengths: npt.NDArray[np.int64]) -> None:
        """Append the first ``lengths[b]`` of the symbols (N, B) to the code of each row b."""
        places, data = self._codes.places, self._codes.data
        need = int(places[:, AT].max()) + _SYMBOL * len(symbols) + _LAST
        if need > data.shape[1]:
            self._codes = self._codes._replace(data=np.zeros((self.rows, max(need, 3 * data.shape[1] // 2)), np.uint8))
            self._codes.data[:, : data.shape[1]] = data
        self._code(symbols, lengths, decoding=0)

    def end_encoding(self) -> list[bytes]:
        """The codes of the rows."""
        end_encoding(self._codes)
        ends = self._codes.places[:, AT].tolist()
        return [self._codes.data[row, :end].tobytes() for row, end in enumerate(ends)]

    def begin_decoding(self, codes: list[bytes]) -> None:
        """Begin to decode a code for every row."""
        self._codes = self._with_room(max(map(len, codes), default=0) or 1)
        for row, each in enumerate(codes):
            self._codes.data[row, : len(each)] = np.frombuffer(each, np.uint8)
            self._codes.places[row, END] = len(each)
        begin_decoding(self._codes)

    def decode(self, steps: int, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """The next ``lengths[b]`` symbols, at most ``steps``, of each row b: (steps, B)."""
        symbols = np.zeros((steps, self.rows), np.int32)
        self._code(symbols, lengths, decoding=1)
        return symbols

    @property
    def is_damaged(self) -> bool:
        """Whether the codes that are decoded are no encoder's, as far as that has shown."""
        return bool(self._codes.places[:, DAMAGED].any())

    @property
    def is_at_end(self) -> bool:
        """Whether all codes are decoded to their last byte, as an encoder's are."""
        places = self._codes.places
        return bool((places[:, AT] == places[:, END] + 7).all())

    def _with_room(self, size: int) -> Codes:
        """Codes with room for ``size`` bytes a row."""
        return Codes(
            np.zeros((self.rows, COLUMNS), np.uint64),
            np.zeros((self.rows, COLUMNS), np.int64),
            np.zeros((self.rows, size), np.uint8),
        )

    def _code(self, symbols: np.ndarray, lengths: np.ndarray, decoding: int) -> None:
        characters = self.network.config.vocabulary
        task = Task(symbols, lengths, decoding, characters, self._replacement, self._escapes)
        steps, blend = self._streams.steps(), no_blend() if self._ngrams is None else self._ngrams.blend()

        def work(_, first: int, last: int, part: int = 0, parts: int = 1) -> None:
            share = Share(first, last, part, parts)
            code(steps, self.ids, self._turn, task, share, self._codes, self._scratch, blend)

        self._share_out(work, len(symbols))
        self._turn = (self._turn + len(symbols)) % 2
