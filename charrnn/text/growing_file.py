"""A file that grows while it is read, such as a log."""

import enum
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from charrnn.errors import CorpusError, os_errors_as
from charrnn.text.binary import is_wide
from charrnn.text.catalog import find_text
from charrnn.text.lines import BLOCK
from charrnn.text.sources import require_text

_POLL = 0.2  # seconds between two looks at a file that grows
_BACK = 1 << 20  # bytes at the end of a file in which its last lines are looked for


class Change(enum.Enum):
    """What happened to a file that is followed, other than that it grew."""

    IDLE = "nothing"
    CUT = "was cut off: it is read from its new beginning"
    REPLACED = "was replaced: the new file is read from its beginning"


class Following:
    """A file that is read as it grows, by its name: also when it is cut off or replaced, as logs are.

    Args:
        name: of the file; or of a pipe, which is read to its end.
        codec: of its text, as for :class:`charrnn.text.lines.LineCutter`: of UTF-16 and UTF-32 all lines are read.
        last: begin so many lines before the end.

    Attributes:
        first: the number of the first line that is read.
        grows: whether it is a file; a pipe ends.

    Raises:
        CorpusError: the file cannot be read.
    """

    def __init__(self, name: str, codec: str | None, last: int):
        self.name, self._path = name, Path(find_text(name, "a file"))
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
