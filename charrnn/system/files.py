"""Durable and locked files: after a crash, a file has either its old content or its new one, complete."""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

CHUNK = 2**20
TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")


def open_regular(path: Path, mode: str = "rb") -> IO[bytes]:
    """Open a regular file. A symbolic link is followed to one. With "ab" a missing file is made.

    Pipes and devices are not opened: opening a pipe can wait for ever, and a device can be read without end.

    Raises:
        OSError: the file cannot be opened, or is not regular.
    """
    if path.exists():
        _require_regular(path.stat())
    return open(path, mode, opener=_open_if_regular)


def _open_if_regular(name: str, flags: int) -> int:
    # Another process may have put a pipe there meanwhile: do not wait for its other end.
    handle = os.open(name, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    try:
        _require_regular(os.fstat(handle))
    except OSError:
        os.close(handle)
        raise
    return handle


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")


def read_regular(path: Path, most: int) -> bytes:
    """The content of a regular file of at most ``most`` bytes.

    Raises:
        OSError: the file cannot be read, is not regular, or is longer.
    """
    with open_regular(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    return data


def write_durably(path: Path, data: bytes, previous: Path | None = None, keep_mode: bool = False) -> None:
    """Replace the content of ``path`` by ``data``, so that a crash at any moment leaves the old file or the new one.

    The data is written to a temporary file in the same folder, flushed to the disk and read back.  Then the file is
    renamed to ``path``, or to what ``path`` is a symbolic link to.  If ``previous`` is given, the old file keeps
    existing under this name.  With ``keep_mode`` the new file has the permissions of the old one.

    Raises:
        OSError: the data could not be written, or reads back differently, or ``path`` is a device, a pipe or a folder;
            ``path`` is unchanged.
    """
    with _renamed_at_end(path) as (path, temporary):
        with _flushed(temporary) as file:
            if keep_mode and path.exists() and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            file.write(data)
        _verify(temporary, data)
        if previous is not None and path.exists():
            _keep(path, previous)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to be written piece by piece; it gets the name ``path`` at the end of the block, when it is complete.

    A crash, or an exception in the block, leaves what was there before. The data is flushed to the disk, and is not
    read back.

    Raises:
        OSError: it cannot be written, or ``path`` is a device, a pipe or a folder; ``path`` is unchanged.
    """
    with _renamed_at_end(path) as (_, temporary), _flushed(temporary) as file:
        yield file


@contextlib.contextmanager
def _renamed_at_end(path: Path) -> Iterator[tuple[Path, Path]]:
    """What ``path`` leads to, and the name of a temporary file beside it, which takes its place at the end."""
    path = Path(os.path.realpath(path))
    if path.exists():
        _require_regular(path.stat())
    temporary = _beside(path)
    try:
        yield path, temporary
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


@contextlib.contextmanager
def _flushed(path: Path) -> Iterator[IO[bytes]]:
    """A new file, which is on the disk at the end of the block."""
    with path.open("xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_folder_durably(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files``, contents by name, into ``folder``. A name may have a folder of its own: ``below/name``.

    A new folder appears with all files or not at all: it is written under another name, and renamed.  In a folder that
    exists each file is replaced as by :func:`write_durably`; other files in it stay.

    Raises:
        OSError: a file could not be written. A new folder does not appear.
    """
    is_new = not folder.exists()
    # Not named like a temporary file of a run: those are removed as files.
    place = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp") if is_new else folder
    try:
        place.mkdir(exist_ok=not is_new)
        for name, data in files.items():
            (place / name).parent.mkdir(exist_ok=True)
            write_durably(place / name, data)
        flush_folder(place)
        if is_new:
            place.rename(folder)
            flush_folder(folder.parent)
    except BaseException:
        if is_new:
            shutil.rmtree(place, ignore_errors=True)
        raise


def keep_newest(files: Iterable[Path], most: float, size: Callable[[os.stat_result], float]) -> None:
    """Remove the files that were changed longest ago, until the sizes of the others sum to at most ``most``.

    A file that cannot be removed stays: on Windows a file that another process has open.
    """
    found = []
    for path in files:
        with contextlib.suppress(OSError):  # another process has removed it
            status = path.stat()
            found.append((status.st_mtime, size(status), path))
    kept = 0.0
    for _, each, path in sorted(found, reverse=True):
        kept += each
        if kept > most:
            with contextlib.suppress(OSError):
                path.unlink()


def _beside(path: Path) -> Path:
    """A unique name for a temporary file in the folder of ``path``."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _verify(path: Path, data: bytes) -> None:
    """Raise OSError unless the file reads back as ``data``."""
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):  # drop the page cache, so that the bytes are read from the disk
            with contextlib.suppress(OSError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for start in range(0, len(data) + 1, CHUNK):
            if file.read(CHUNK) != data[start : start + CHUNK]:
                raise OSError(errno.EIO, "it does not read back as it was written")


def _keep(path: Path, previous: Path) -> None:
    """Give the file ``path`` a second name, ``previous``, which replaces the file of this name."""
    temporary = _beside(previous)
    try:
        os.link(path, temporary)
    except OSError:  # FAT and some network drives have no hard links
        write_durably(previous, path.read_bytes())
        return
    try:
        temporary.replace(previous)
    finally:
        temporary.unlink(missing_ok=True)  # rename does nothing if both names are of the same file


def remove_temporaries(folder: Path) -> None:
    """Remove the temporary files of killed writes. The caller must be the only process that writes in ``folder``."""
    for path in folder.iterdir():
        if TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def flush_file(path: Path) -> None:
    """Flush to the disk what was appended to ``path``, if the file exists.

    Raises:
        OSError: it cannot be flushed.
    """
    with contextlib.suppress(FileNotFoundError), open_regular(path, "r+b") as file:
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make renames in ``folder`` durable. Windows cannot open folders, so nothing happens there."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock_file(file: IO) -> None:
    """Lock an open file against other processes, until it is closed or the process ends.

    Raises:
        OSError: another process has locked it.
    """
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(path: Path) -> bool:
    """Whether another process has locked the file ``path``. A file that is not there, or cannot be read, is not."""
    try:
        file = open_regular(path)
    except OSError:
        return False
    with file:
        try:
            lock_file(file)
        except OSError:
            return True
    return False
