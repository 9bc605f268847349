"""Writing files so that a crash leaves the old one or the new one, whole."""

import contextlib
import errno
import os
import re
import secrets
from pathlib import Path
from typing import IO

CHUNK = 2**20
TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")


def write_durably(path: Path, data: bytes, previous: Path | None = None) -> None:
    """Write beside ``path``, flush to the disk, read back, and rename over it: at no moment is ``path`` half written.

    With ``previous`` the file that was at ``path`` has that name from then on; at no moment is there none at ``path``.

    Raises:
        OSError: it could not be written, or not be read back as it was; ``path`` is as it was.
    """
    temporary = _beside(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _verify(temporary, data)
        if previous is not None and path.exists():
            _keep(path, previous)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def _beside(path: Path) -> Path:
    """A name in the folder of ``path`` that nobody else has."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _verify(path: Path, data: bytes) -> None:
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):  # have the disk asked, not the memory of what was written
            with contextlib.suppress(OSError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for start in range(0, len(data) + 1, CHUNK):
            if file.read(CHUNK) != data[start : start + CHUNK]:
                raise OSError(errno.EIO, "it does not read back as it was written")


def _keep(path: Path, previous: Path) -> None:
    """Have the content of ``path`` under the name ``previous`` too."""
    temporary = _beside(previous)
    try:
        os.link(path, temporary)
    except OSError:  # FAT and some network drives have no second names
        write_durably(previous, path.read_bytes())
        return
    try:
        temporary.replace(previous)
    finally:
        temporary.unlink(missing_ok=True)  # still there if both were the same file before


def remove_temporaries(folder: Path) -> None:
    """Remove what writes that were killed left in ``folder``; only for who has the folder to themselves."""
    for path in folder.iterdir():
        if TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def flush_file(path: Path) -> None:
    """Have what was appended to ``path`` on the disk; a file that is not there needs nothing.

    Raises:
        OSError: it cannot be flushed.
    """
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable, where the system can (Windows cannot open folders)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock_file(file: IO) -> None:
    """Take the lock of an open file, which ends with the process at the latest.

    Raises:
        OSError: another process has it.
    """
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
