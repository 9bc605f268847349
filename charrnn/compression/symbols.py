"""Bytes as symbols of a model, and back: without any loss, whatever the bytes.

What a model of characters does not know becomes an escape in its place: an unknown character, or a byte that is no part
of a character in UTF-8.  The escaped characters are kept beside the symbols, packed by zlib.
"""

import zlib

import numpy as np
import numpy.typing as npt

from charrnn.errors import CompressedError
from charrnn.text.vocabulary import Vocabulary, code_points

_LONGEST_CHARACTER = 4  # bytes of UTF-8


class Alphabet:
    """The symbols of a model: its V ids, and V for the escape.

    Attributes:
        escape: V.
        has_escapes: whether there are bytes that the model does not know; a model of all 256 bytes knows all.
    """

    def __init__(self, vocabulary: Vocabulary):
        self._vocabulary, self.escape = vocabulary, len(vocabulary)
        self.has_escapes = not (vocabulary.is_bytes and len(vocabulary) == 256)
        self._points = vocabulary.points.astype("<u4")

    @property
    def first(self) -> int:
        """The id that a model reads before a text."""
        return self._vocabulary.line_start

    @property
    def replacement(self) -> int:
        """The id that a model reads in place of an escape."""
        return self._vocabulary.replacement

    def whole(self, data: bytes | bytearray, size: int) -> int:
        """How many of the first ``size`` bytes to take, so that no character is cut in two where there is a choice."""
        if self._vocabulary.is_bytes or size >= len(data):
            return min(size, len(data))
        begins = range(size, max(size - _LONGEST_CHARACTER, 0), -1)
        return next((place for place in begins if data[place] & 0xC0 != 0x80), size)

    def encode(self, data: bytes) -> tuple[npt.NDArray[np.int32], bytes]:
        """The symbols (M,) of some bytes, and what is escaped."""
        if self._vocabulary.is_bytes:
            points = np.frombuffer(data, np.uint8)
        else:
            points = code_points(data.decode("utf-8", "surrogateescape"))
        symbols = self._vocabulary.look_up(points)
        unknown = symbols < 0
        if not unknown.any():
            return symbols, b""
        symbols[unknown] = self.escape
        return symbols, zlib.compress(_text(points[unknown]).encode("utf-8", "surrogatepass"), 9)

    def decode(self, symbols: npt.NDArray[np.int32], escaped: bytes) -> bytes:
        """The bytes again.

        Raises:
            CompressedError: the symbols and what is escaped do not belong together.
        """
        points = np.zeros(len(symbols), "<u4")
        unknown = symbols == self.escape
        points[~unknown] = self._points[symbols[~unknown]]
        try:
            points[unknown] = self._unpacked(escaped, int(np.count_nonzero(unknown)))
            if self._vocabulary.is_bytes:
                return _text(points).encode("latin-1")
            return _text(points).encode("utf-8", "surrogateescape")
        except ValueError:  # from NumPy, or of Unicode
            raise CompressedError("damaged (what is escaped does not fit)") from None

    def _unpacked(self, escaped: bytes, count: int) -> npt.NDArray[np.uint32]:
        """The code points of ``count`` escaped characters. Never more memory is taken than they need."""
        if not count and not escaped:
            return np.zeros(0, "<u4")
        unpacker = zlib.decompressobj()
        try:
            data = unpacker.decompress(escaped, _LONGEST_CHARACTER * count + 1)
        except zlib.error:
            raise CompressedError("damaged (what is escaped cannot be unpacked)") from None
        found = code_points(data.decode("utf-8", "surrogatepass")).astype("<u4")
        if len(found) != count or not unpacker.eof or unpacker.unused_data:
            raise CompressedError("damaged (there are not as many escaped characters as escapes)")
        return found


def _text(points: np.ndarray) -> str:
    """Code points as a string; lone surrogates are allowed."""
    return points.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
