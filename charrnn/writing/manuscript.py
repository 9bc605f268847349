"""The file that a text is written to: read strictly, saved durably, never over what another program has saved."""

import contextlib
import os
import secrets
import stat
import threading
from pathlib import Path

from charrnn.errors import CorpusError, os_errors_as
from charrnn.system.files import open_regular, read_regular, write_durably

LARGEST = 64 * 2**20  # bytes
_MARK = "\ufeff"
_MOST_NAMES = 1000


class ChangedError(CorpusError):
    """Another program has changed the file since it was read or saved."""


class Manuscript:
    """A text file, or a name for one that the first save makes.

    A byte-order mark, and line ends if all of them are CRLF, are taken off the text and come back when it is saved.

    Args:
        path: of the file.

    Attributes:
        path: as above.
        text: the text when it was read or saved last.
        exists: whether there was a file.

    Raises:
        CorpusError: the file cannot be read or written, is not UTF-8, or is too long.
    """

    def __init__(self, path: Path):
        self.path, self.text, self.exists = path, "", os.path.lexists(path)
        self._data: bytes | None = None
        self._mark, self._crlf = "", False
        self._saving = threading.Lock()
        if self.exists:
            with os_errors_as(CorpusError, f"{path}: it cannot be read"):
                data = self._data = read_regular(path, LARGEST)
            self.text = self._decoded(data)
        target = Path(os.path.realpath(path))
        where = target if target.exists() else target.parent
        if not os.access(where, os.W_OK) or not os.access(target.parent, os.W_OK):
            raise CorpusError(f"{path}: it cannot be written: {_reason(where, target.parent)}; give another name")

    def save(self, text: str, over: bool = False) -> None:
        """Save a text durably; ``over`` also what another program has saved.

        Raises:
            ChangedError: the file is not what it was when it was read or saved last, and not ``over``.
            CorpusError: it cannot be written.
        """
        with self._saving:  # the autosave has a thread of its own
            if not over and self.was_changed():
                raise ChangedError(f"{self.path}: another program has changed it")
            data = self._encoded(text)
            with os_errors_as(CorpusError, f"{self.path}: it cannot be saved"):
                write_durably(self.path, data, keep_mode=True)
            self.text, self._data, self.exists = text, data, True

    def save_beside(self, text: str) -> Path:
        """Save a text under a new name in the same folder; the name.

        Raises:
            CorpusError: it cannot be written.
        """
        for number in range(1, _MOST_NAMES):
            path = self.path.with_name(f"{self.path.name}.mine-{number}")
            with os_errors_as(CorpusError, f"{path}: it cannot be saved"), contextlib.suppress(FileExistsError):
                with open_regular(path, "xb") as file:
                    file.write(self._encoded(text))
                    file.flush()
                    os.fsync(file.fileno())
                return path
        raise CorpusError(f"{self.path}: it cannot be saved: there are {_MOST_NAMES} files beside it already")

    def was_changed(self) -> bool:
        """Whether the file differs from what was read or saved last. A file that is gone counts as unchanged."""
        try:
            return read_regular(self.path, LARGEST) != self._data
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def _decoded(self, data: bytes) -> str:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise CorpusError(
                f"{self.path}: byte 0x{data[error.start]:02X} at offset {error.start} (line {line}) is not UTF-8; "
                "convert it first"
            ) from None
        if text.startswith(_MARK):
            self._mark, text = _MARK, text[1:]
        if "\r\n" in text and text.count("\n") == text.count("\r\n") == text.count("\r"):
            self._crlf, text = True, text.replace("\r\n", "\n")
        return text

    def _encoded(self, text: str) -> bytes:
        return (self._mark + (text.replace("\n", "\r\n") if self._crlf else text)).encode("utf-8", "replace")


def _reason(where: Path, folder: Path) -> str:
    if not folder.is_dir():
        return "there is no such folder"
    if where.exists() and stat.S_ISREG(where.stat().st_mode) and not os.access(where, os.W_OK):
        return "it is read-only"
    return "its folder is read-only"


class Recovery:
    """Where a text without a file is kept while it is written, so that a killed process loses little.

    Args:
        folder: for such texts; it is made, for the user alone, when a text is saved.

    Attributes:
        path: of this process' file.
    """

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / f"{os.getpid()}-{secrets.token_hex(4)}.txt"

    def leftovers(self) -> list[Path]:
        """Texts of processes that have ended without writing them out, the oldest first."""
        found = []
        for path in self.folder.glob("*.txt"):
            process = path.stem.partition("-")[0]
            if process.isdecimal() and not _is_running(int(process)):
                found.append(path)
        return sorted(found)

    def save(self, text: str) -> None:
        """Save the text durably.

        Raises:
            CorpusError: it cannot be written.
        """
        with os_errors_as(CorpusError, f"{self.path}: the text cannot be kept there"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self.path, text.encode("utf-8", "replace"))

    def discard(self) -> None:
        """Remove the file: the text is where it belongs."""
        self.path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # there a signal 0 would end the process; so nothing is known of it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it is another user's
        return True
    return True
