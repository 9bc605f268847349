"""The lines of files and pipes, as they come, in bounded memory."""

import codecs
import contextlib
import stat
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, TypeVar

from charrnn.errors import CorpusError, os_errors_as
from charrnn.text.binary import BYTE_ORDER_MARKS
from charrnn.text.catalog import find_text
from charrnn.text.sources import require_text, standard_input

LONGEST = 1 << 16  # characters: a longer line is cut
BLOCK = 1 << 16  # bytes read at a time
_STREAM = "-"  # standard input
_LONGEST_CHARACTER = 4  # bytes of UTF-8
_Part = TypeVar("_Part", str, bytes)


class Line(NamedTuple):
    """A line of a text, without its line end.

    Attributes:
        number: from 1.
        text: its characters, or its bytes.
        is_ended: whether the line ends here; False for a part of a line that is too long.
    """

    number: int
    text: str | bytes
    is_ended: bool = True


class LineCutter:
    """Cuts a text, which comes in blocks of bytes, into lines.

    The lines do not depend on where the blocks end.  A line of more than ``longest`` characters is cut into parts that
    all have its number.  Bytes that the encoding does not have never fail: of UTF-8 they become lone surrogates, as
    Python's ``surrogateescape`` makes them, and of other encodings U+FFFD.

    Args:
        codec: the canonical name of the encoding, or None for lines of bytes.
        drop_cr: whether the carriage return before a line feed belongs to the line end.
        first: the number of the first line.
        name: what messages call the text.
        longest: the most characters of a part, or bytes, between which no character of UTF-8 is cut.
    """

    def __init__(
        self,
        codec: str | None,
        drop_cr: bool = False,
        first: int = 1,
        name: str = "the text",
        longest: int = LONGEST,
    ):
        self._codec, self._drop_cr, self._number, self._name = codec, drop_cr, first, name
        self._longest = longest
        self._start, self._decoder = b"", None
        self._rest: str | bytes = b"" if codec is None else ""

    def feed(self, data: bytes, final: bool = False) -> list[Line]:
        """The lines that end in the next block; with ``final`` also what stands behind the last line end.

        Raises:
            CorpusError: the text cannot be in the encoding: it has no byte-order mark, and must have one.
        """
        try:
            text = self._decoded(data, final)
        except UnicodeError as error:
            raise CorpusError(f"{self._name}: this is not {self._codec} ({error}): pass another --encoding") from None
        *ended, rest = (self._rest + text).split(b"\n" if self._codec is None else "\n")
        lines: list[Line] = []
        for line in ended:
            lines += self._whole(line)
        *begun, self._rest = cut(rest, self._longest)
        if final:
            lines += self._whole(rest) if rest else []
            self._rest = rest[:0]
        else:
            lines += [Line(self._number, part, is_ended=False) for part in begun]
        return lines

    def _whole(self, line: str | bytes) -> list[Line]:
        """The parts of a line that ends here, or of what is left of it."""
        *parts, last = cut(line, self._longest)
        if self._drop_cr:
            last = last.removesuffix(b"\r" if self._codec is None else "\r")
        found = [*(Line(self._number, part, is_ended=False) for part in parts), Line(self._number, last)]
        self._number += 1
        return found

    def _decoded(self, data: bytes, final: bool) -> str | bytes:
        if self._codec is None:
            return data
        if self._decoder is not None:
            return self._decoder.decode(data, final)
        self._start += data
        if len(self._start) < 4 and not final:
            return ""
        if self._codec == "utf-8":
            marked = (encoding for mark, encoding in BYTE_ORDER_MARKS if self._start.startswith(mark))
            self._codec = next(marked, self._codec)
        errors = "surrogateescape" if self._codec in ("utf-8", "ascii") else "replace"
        self._decoder = codecs.getincrementaldecoder(self._codec)(errors)
        return self._decoder.decode(self._start, final).removeprefix("\ufeff")


def cut(line: _Part, longest: int) -> Iterator[_Part]:
    """A line in parts of at most ``longest`` characters or bytes; at least one, and no character of UTF-8 is cut."""
    while len(line) > longest:
        size = longest
        if isinstance(line, bytes):
            begins = range(longest, longest - _LONGEST_CHARACTER, -1)
            size = next((place for place in begins if line[place] & 0xC0 != 0x80), longest)
        yield line[:size]
        line = line[size:]
    yield line


@contextlib.contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """A file, a pipe, a text of the catalog, or ``-`` for standard input; and its size if it has one.

    Raises:
        CorpusError: it cannot be read, or is a folder or a device.
    """
    if name == _STREAM:
        yield standard_input(), None
        return
    path = find_text(name, "a file")
    with os_errors_as(CorpusError, f"{name}: cannot be read"):
        status = path.stat()
        require_text(path, status, name)
        file = path.open("rb")
    with file:
        yield file, status.st_size if stat.S_ISREG(status.st_mode) else None


def blocks(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The bytes of a file as they come, up to ``BLOCK`` at a time.

    Raises:
        CorpusError: it cannot be read.
    """
    read = getattr(file, "read1", file.read)  # does not wait until a block is full
    while True:
        with os_errors_as(CorpusError, f"{name}: cannot be read"):
            data = read(BLOCK)
        if not data:
            return
        yield data
