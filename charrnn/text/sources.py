"""Where texts come from: files, folders and pipes, found by what the user calls them, read as blocks of bytes.

The files of a folder: those that may be texts, and what there is beside them.
"""

import codecs
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from charrnn.errors import CorpusError
from charrnn.text.binary import SNIFFED, is_wide
from charrnn.text.catalog import find_text

BLOCK = 1 << 20  # bytes read at a time


@dataclass(frozen=True)
class Source:
    """A file to read, or bytes that were read already (then ``path`` is None); messages call it ``name``.

    ``times_ns`` are those of its last change: of the content, and of anything about it.
    """

    name: str
    size: int
    path: Path | None = None
    times_ns: tuple[int, ...] = ()
    data: bytes = field(default=b"", repr=False)

    @classmethod
    def from_path(cls, path: Path, name: str | None = None) -> "Source":
        """A source for a file. A pipe or a device is read at once, because it can be read only once.

        Raises:
            CorpusError: it cannot be read.
        """
        name = name or str(path)
        try:
            status = path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise CorpusError(f"{name}: this is a folder: name one of its files")
            if stat.S_ISBLK(status.st_mode) or (stat.S_ISCHR(status.st_mode) and not _is_terminal(path)):
                raise CorpusError(f"{name}: this is a device: name a file, or pipe its content in and name it with -")
            if not stat.S_ISREG(status.st_mode):
                return cls.from_data(path.read_bytes(), name)
        except OSError as error:
            raise _unreadable(name, error) from None
        # The second cannot be set back by hand, and tells of changes within one tick of the first.
        return cls(name, status.st_size, path.absolute(), (status.st_mtime_ns, status.st_ctime_ns))

    @classmethod
    def from_data(cls, data: bytes, name: str) -> "Source":
        """A source for bytes in memory."""
        return cls(name, len(data), data=data)

    @classmethod
    def from_stdin(cls, stream: BinaryIO | None = None) -> "Source":
        """A source for all that standard input, or another stream, has to give.

        Raises:
            CorpusError: it is closed, or cannot be read.
        """
        stream = stream or getattr(sys.stdin, "buffer", None)
        if stream is None:
            raise CorpusError("standard input is closed: give a file, or pipe a text in")
        try:
            return cls.from_data(stream.read(), "standard input")
        except OSError as error:
            raise _unreadable("standard input", error) from None

    def blocks(self) -> Iterator[bytes]:
        """The raw bytes, ``BLOCK`` at a time.

        Raises:
            CorpusError: the file cannot be read.
        """
        if self.path is None:
            for start in range(0, len(self.data), BLOCK):
                yield self.data[start : start + BLOCK]
            return
        try:
            with self.path.open("rb") as file:
                while data := file.read(BLOCK):
                    yield data
        except OSError as error:
            raise _unreadable(self.name, error) from None

    def loaded(self) -> "Source":
        """The same source with all its bytes in memory.

        Raises:
            CorpusError: the file cannot be read.
        """
        return self if self.path is None else Source.from_data(b"".join(self.blocks()), self.name)

    def line_at(self, offset: int, encoding: str) -> int:
        """The line, counted from 1, that the byte at ``offset`` is in; all before it must be decodable."""
        decoder = codecs.getincrementaldecoder(encoding)()
        lines = 1
        for data in self.blocks():
            try:
                lines += decoder.decode(data[:offset]).count("\n")
            except UnicodeError:
                break  # UTF-32 misses its mark only after so many bytes: there is no line before
            offset -= len(data)
            if offset <= 0:
                break
        return lines


def find_sources(
    sources: Sequence[str | Path], codec: str | None, stdin: BinaryIO | None = None
) -> tuple[list[Source], list[str]]:
    """The files behind what the user named, in order, and notes about those left out.

    Args:
        sources: files; folders, for all files below them that are neither hidden nor binary and can be read;
            names in the catalog; ``-`` for standard input.  Of several, empty files are left out.
        codec: the canonical name of the encoding the files are in, or None if they are to be read as bytes.
        stdin: the stream that ``-`` reads, by default the process's own.

    Raises:
        CorpusError: a source is missing or cannot be read, a folder has no text in it, or ``-`` comes twice.
    """
    if not sources:
        raise CorpusError("no text was given: name a file, a folder, or - for standard input")
    if sum(str(source) == "-" for source in sources) > 1:
        raise CorpusError("standard input (-) can be given only once")
    wide = codec is not None and is_wide(codec)
    found, notes = [], []
    for source in sources:
        if str(source) == "-":
            found.append(Source.from_stdin(stdin))
            continue
        path = find_text(source)
        try:
            status = path.stat()
        except OSError as error:
            raise _unreadable(str(source), error) from None
        if stat.S_ISREG(status.st_mode) and not status.st_size and len(sources) > 1:
            notes.append(f"{source} is empty and left out")  # unopened: a checkpoint may have named it, see claims.py
            continue
        if not stat.S_ISDIR(status.st_mode):
            found.append(Source.from_path(path, str(source)))
            continue
        texts, skipped = _texts_below(path, wide)
        if not texts:
            raise CorpusError("; ".join([f"{source}: there are no text files in this folder", *skipped]))
        found += [Source.from_path(file) for file in texts]
        notes += [f"{what} skipped in {source}" for what in skipped]
    if not found:
        raise CorpusError(f"{sources[0]} and {len(sources) - 1:,} more: there is no text in them")
    return found, notes


def _texts_below(folder: Path, wide: bool) -> tuple[list[Path], list[str]]:
    """The texts below a folder in order, and in words how much else is there."""
    listing = files_below(folder)
    before = len(listing.unreadable)
    texts = listing.texts(wide)
    closed = listing.unreadable
    binary = len(listing.files) - len(texts) - len(closed) + before
    left_out = [
        (binary, "binary file", "binary files"),
        (listing.others, "pipe, device or dead link", "pipes, devices or dead links"),
        (len(closed), "unreadable file or folder", "unreadable files or folders"),
    ]
    skipped = [f"{count:,} {one if count == 1 else many}" for count, one, many in left_out if count]
    return texts, [*skipped[:-1], f"{skipped[-1]} ({closed[0]})"] if closed else skipped


def _is_terminal(path: Path) -> bool:
    with path.open("rb", buffering=0) as file:
        return file.isatty()


def _unreadable(name: str, error: OSError) -> CorpusError:
    return CorpusError(f"{name}: cannot read: {error.strerror or error}")


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
