"""The lines of files and pipes, as they come, in bounded memory; and of a file that grows while it is read."""

import codecs
import contextlib
import enum
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from charrnn.errors import CorpusError, os_errors_as
from charrnn.text.binary import BYTE_ORDER_MARKS, is_wide
from charrnn.text.catalog import find_text
from charrnn.text.decoding import check_encoding
from charrnn.text.sources import require_no_device, require_text, standard_input

LONGEST = 1 << 16  # characters: a longer line is cut
BLOCK = 1 << 16  # bytes read at a time
STREAM = "-"  # standard input
_POLL = 0.2  # seconds between two looks at a file that grows
_BACK = 1 << 20  # bytes at the end of a file in which its last lines are looked for


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

    The lines do not depend on where the blocks end.  A line of more than ``LONGEST`` characters is cut into parts that
    all have its number.  Bytes that the encoding does not have never fail: of UTF-8 they become lone surrogates, as
    Python's ``surrogateescape`` makes them, and of other encodings U+FFFD.

    Args:
        codec: the canonical name of the encoding, or None for lines of bytes.
        drop_cr: whether the carriage return before a line feed belongs to the line end.
        first: the number of the first line.
        name: what messages call the text.
    """

    def __init__(self, codec: str | None, drop_cr: bool = False, first: int = 1, name: str = "the text"):
        self._codec, self._drop_cr, self._number, self._name = codec, drop_cr, first, name
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
        pieces = (self._rest + text).split(b"\n" if self._codec is None else "\n")
        lines: list[Line] = []
        for piece in pieces[:-1]:
            lines += self._parts(piece, is_ended=True)
            self._number += 1
        rest = pieces[-1]
        if final:
            lines += self._parts(rest, is_ended=True) if rest else []
            self._number += bool(rest)
            self._rest = rest[:0]
        else:
            cut = len(rest) // LONGEST * LONGEST
            if cut == len(rest) and cut:  # perhaps the line ends here
                cut -= LONGEST
            lines += self._parts(rest[:cut], is_ended=False) if cut else []
            self._rest = rest[cut:]
        return lines

    def _parts(self, text, is_ended: bool) -> list[Line]:
        parts = [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)] or [text]
        if is_ended and self._drop_cr and parts[-1].endswith(b"\r" if self._codec is None else "\r"):
            parts[-1] = parts[-1][:-1]
        last = len(parts) - 1
        return [Line(self._number, part, is_ended and place == last) for place, part in enumerate(parts)]

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


class Change(enum.Enum):
    """What happened to a file that is followed, other than that it grew."""

    IDLE = "nothing"
    CUT = "was cut off: it is read from its new beginning"
    REPLACED = "was replaced: the new file is read from its beginning"


@contextlib.contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """A file, a pipe, a text of the catalog, or ``-`` for standard input; and its size if it has one.

    Raises:
        CorpusError: it cannot be read, or is a folder or a device.
    """
    if name == STREAM:
        stream = standard_input()
        require_no_device(stream)
        yield stream, None
        return
    path = find_text(name)
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


class Following:
    """A file that is read as it grows, by its name: also when it is cut off or replaced, as logs are.

    Args:
        name: of the file; or of a pipe, which is read to its end.
        codec: of its text, as for :class:`LineCutter`: of UTF-16 and UTF-32 all lines are read.
        last: begin so many lines before the end.

    Attributes:
        first: the number of the first line that is read.
        grows: whether it is a file; a pipe ends.

    Raises:
        CorpusError: the file cannot be read.
    """

    def __init__(self, name: str, codec: str | None, last: int):
        self.name, self._path = name, Path(find_text(name))
        with os_errors_as(CorpusError, f"{name}: cannot be read"):
            require_text(self._path, self._path.stat(), name)
            self._file = self._path.open("rb", buffering=0)
            self.grows = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
            self.first = 1
            if self.grows and not (codec is not None and is_wide(codec)):
                self.first = self._skip_to(last)

    def blocks(self) -> Iterator[bytes | Change]:
        """The bytes as they come, and changes. ``IDLE`` comes five times a second while there is nothing to read.

        It does not end, unless the file is a pipe.  A file that is gone is waited for.
        """
        while True:
            with os_errors_as(CorpusError, f"{self.name}: cannot be read"):
                data = self._file.read(BLOCK)
            if data:
                yield data
            elif not self.grows:
                return
            elif (change := self._change()) is not Change.IDLE:
                yield change
            else:
                yield Change.IDLE
                time.sleep(_POLL)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _change(self) -> Change:
        """Whether another file has the name now, or the file is shorter than what was read of it."""
        try:
            now, own = self._path.stat(), os.fstat(self._file.fileno())
        except OSError:  # the name is gone: another file will have it
            return Change.IDLE
        if (now.st_dev, now.st_ino) != (own.st_dev, own.st_ino):
            if not stat.S_ISREG(now.st_mode):
                return Change.IDLE
            try:
                file = self._path.open("rb", buffering=0)
            except OSError:  # not yet readable
                return Change.IDLE
            self._file.close()
            self._file = file
            return Change.REPLACED
        if own.st_size < self._file.tell():
            self._file.seek(0)
            return Change.CUT
        return Change.IDLE

    def _skip_to(self, last: int) -> int:
        """Go to where the last lines begin, and say the number of the first of them."""
        size = self._file.seek(0, os.SEEK_END)
        begin = max(size - _BACK, 0)
        self._file.seek(begin)
        end = self._file.read(size - begin) or b""
        # The line end at the very end belongs to the last line.
        at = len(end) - end.endswith(b"\n")
        for _ in range(last):
            at = end.rfind(b"\n", 0, at)
            if at < 0:
                break
        if at < 0:  # fewer lines: all of the file, or the first that begins here
            at = end.find(b"\n") if begin else -1
        self._file.seek(0)
        number, left = 1, begin + at + 1
        while left and (data := self._file.read(min(left, 1 << 22))):
            number, left = number + data.count(b"\n"), left - len(data)
        return number


def codec_of(encoding: str, is_bytes: bool) -> str | None:
    """The canonical name of an encoding, or None where lines are bytes.

    Raises:
        CorpusError: there is no such encoding.
    """
    return None if is_bytes else check_encoding(encoding)
