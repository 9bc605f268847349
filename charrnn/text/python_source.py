"""A corpus that every user already has: the sources of Python's own standard library."""

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from charrnn.errors import CorpusError

# Not the library itself (installed packages, tests, bundled wheels), or tables rather than code.
_SKIPPED_FOLDERS = {
    "__pycache__",
    "_bundled",
    "dist-packages",
    "encodings",
    "ensurepip",
    "idle_test",
    "lib-dynload",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "turtledemo",
}
_SKIPPED_PREFIX = "_sysconfigdata"  # how this Python was compiled, paths of the building machine included
_ALLOWED = frozenset(b"\n\t") | frozenset(range(0x20, 0x7F))


def python_sources(limit: int = 2_000_000) -> str:
    """Files of this Python's standard library, joined by an empty line, at most ``limit`` characters in all.

    Only whole files of printable ASCII, tabs and newlines are taken (line ends of Windows become newlines),
    so that the vocabulary stays below 98 characters.  Their order is that of the hashes of their names: the
    same on every machine with the same Python, and a mixture of all packages however low the limit.

    Raises:
        CorpusError: no sources are installed, or none is as short as the limit.
    """
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts: list[str] = []
    room = limit
    found = False
    for path in _files(folder):
        data = _read(path)
        if data is None:
            continue
        found = True
        separator = 1 if texts else 0
        if len(data) + separator <= room:
            texts.append(data.decode("ascii"))
            room -= len(data) + separator
    if not found:
        raise CorpusError(f"{folder}: this Python has no library sources to learn from; use a file of your own")
    if not texts:
        raise CorpusError(f"no file of the standard library is as short as {limit:,} characters: raise --limit")
    return "\n".join(texts)


def write_python_sources(path: Path, limit: int = 2_000_000) -> int:
    """Write ``python_sources`` to a file, whole or not at all, and return its length in characters.

    Folders on the way are made; a file in the way is replaced.

    Raises:
        CorpusError: there are no sources, or the file cannot be written.
    """
    text = python_sources(limit)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(text.encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise CorpusError(f"{path}: cannot write: {path.parent} is not a folder") from None
    except OSError as error:
        raise CorpusError(f"{path}: cannot write: {error.strerror or error}") from None
    return len(text)


def _files(folder: Path) -> Iterator[Path]:
    """The library's files in the order of the hashes of their names."""
    names = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED_FOLDERS]
        names += [
            (Path(place) / name).relative_to(folder).as_posix()
            for name in files
            if name.endswith(".py") and not name.startswith(_SKIPPED_PREFIX)
        ]
    names.sort(key=lambda name: (hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest(), name))
    return (folder / name for name in names)


def _read(path: Path) -> bytes | None:
    """A file's bytes with plain newlines and one at the end, or None if it does not suit."""
    try:
        data = path.read_bytes().replace(b"\r\n", b"\n").rstrip(b"\n")
    except OSError:
        return None  # a file of the library that this user may not read is as good as not installed
    if not data or not _ALLOWED.issuperset(data):
        return None
    return data + b"\n"
