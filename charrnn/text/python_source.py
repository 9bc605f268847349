"""Builds a corpus that every user already has: the sources of Python's standard library."""

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from charrnn.errors import CorpusError, os_errors_as
from charrnn.system.files import write_durably

# Folders that are not the library itself (installed packages, tests, bundled wheels) or hold tables, not code.
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
_SKIPPED_PREFIX = "_sysconfigdata"  # generated files: they have paths of the machine that compiled this Python
_ALLOWED = frozenset(b"\n\t") | frozenset(range(0x20, 0x7F))


def python_sources(limit: int = 2_000_000) -> str:
    """Files of this Python's standard library, joined by an empty line, at most ``limit`` characters in all.

    Only whole files of printable ASCII, tabs and newlines are taken (CRLF becomes a newline), so that the vocabulary
    has at most 97 characters.  Files are sorted by the hashes of their names.  So the order is the same on every
    machine with the same Python, and even a low limit gives a mixture of all packages.

    Raises:
        CorpusError: no sources are installed, or every file is longer than the limit.
    """
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts: list[str] = []
    room, found = limit + 1, False
    for data in filter(None, map(_read, _files(folder))):
        found = True
        if len(data) + 1 <= room:  # with the newline between two texts; the first text needs none
            texts.append(data.decode("ascii"))
            room -= len(data) + 1
    if not found:
        raise CorpusError(f"{folder}: this Python has no library sources to learn from; use a file of your own")
    if not texts:
        raise CorpusError(f"no file of the standard library is as short as {limit:,} characters: raise --limit")
    return "\n".join(texts)


def write_python_sources(path: Path, limit: int = 2_000_000) -> int:
    """Write ``python_sources`` to a file, whole or not at all, and return its length in characters.

    Missing folders are made; an existing file is replaced.

    Raises:
        CorpusError: there are no sources, or the file cannot be written.
    """
    text = python_sources(limit)
    with os_errors_as(CorpusError, f"{path}: cannot be written"):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise CorpusError(f"{path}: cannot be written ({path.parent} is not a folder)") from None
        write_durably(path, text.encode("ascii"))
    return len(text)


def _files(folder: Path) -> Iterator[Path]:
    """The library's files, sorted by the hashes of their names."""
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
    """A file's bytes with plain newlines and one of them at the end, or None if the file is not taken."""
    try:
        data = path.read_bytes().replace(b"\r\n", b"\n").rstrip(b"\n")
    except OSError:
        return None  # a file that this user may not read counts as not installed
    if not data or not _ALLOWED.issuperset(data):
        return None
    return data + b"\n"
