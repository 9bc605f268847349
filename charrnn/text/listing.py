"""The files of a folder: those that may be texts, and what there is beside them."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from charrnn.errors import CorpusError
from charrnn.text.binary import SNIFFED


@dataclass
class Listing:
    """What is below a folder, but for what is hidden.

    Attributes:
        files: plain files that are not empty, in the order of their paths, with their sizes in bytes.  What is empty
            adds nothing to a text, and may be what the system makes up as it is read, without end.
        others: how many pipes, devices, sockets, and links that lead nowhere.
        unreadable: files and folders that cannot be looked into, with the reason.
    """

    files: list[tuple[Path, int]] = field(default_factory=list)
    others: int = 0
    unreadable: list[str] = field(default_factory=list)

    def texts(self, wide: bool) -> list[Path]:
        """The files that may be texts; one that cannot be opened becomes ``unreadable``."""
        return [path for path, _ in self.files if self.is_text(path, wide)]

    def is_text(self, path: Path, wide: bool) -> bool:
        """Whether a file can be read and, unless the encoding is ``wide``, has no NUL in its first 8 KB."""
        try:
            with path.open("rb") as file:
                return b"\0" not in file.read(SNIFFED) or wide
        except OSError as error:
            self.unreadable.append(f"{path}: {error.strerror or error}")
            return False


def files_below(folder: Path, most: int | None = None) -> Listing:
    """What is below a folder; no file is opened.

    Raises:
        CorpusError: the folder cannot be read, or there are more than ``most`` files.
    """
    found = Listing()

    def fail(error: OSError) -> None:
        if error.filename is None or Path(error.filename) == folder:
            raise CorpusError(f"{folder}: cannot read: {error.strerror or error}")
        found.unreadable.append(f"{error.filename}: {error.strerror or error}")

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                _add(found, Path(place, name))
        if most is not None and len(found.files) > most:
            raise CorpusError(f"{folder}: more than {most:,} files")
    found.files.sort(key=lambda file: file[0].parts)
    return found


def _add(found: Listing, path: Path) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        found.others += 1
    except OSError as error:
        found.unreadable.append(f"{path}: {error.strerror or error}")
    else:
        if not stat.S_ISREG(status.st_mode):
            found.others += 1
        elif status.st_size:
            found.files.append((path, status.st_size))
