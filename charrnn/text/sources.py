"""Finds the files behind what the user named (files, folders, pipes, names of the catalog) and reads them in blocks."""

import codecs
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from charrnn.errors import CorpusError, os_errors_as
from charrnn.system import memory
from charrnn.text.binary import SNIFFED, is_wide
from charrnn.text.catalog import find_text
from charrnn.text.vocabulary import utf8

BLOCK = 1 << 20  # bytes read at a time
_USUAL_MEMORY = 8 << 30  # bytes, where the machine does not tell its own


@dataclass(frozen=True)
class Source:
    """A file to read, or bytes that have been read already.

    Attributes:
        name: what messages call it.
        size: in bytes.
        path: the file, or None if the bytes are in ``data``.
        times_ns: when the file's content changed last, and when anything about the file changed last.
        data: the bytes, if there is no ``path``.
    """

    name: str
    size: int
    path: Path | None = None
    times_ns: tuple[int, ...] = ()
    data: bytes = field(default=b"", repr=False)

    @classmethod
    def from_path(cls, path: Path, name: str | None = None) -> "Source":
        """A source for a file. A pipe or a terminal is read at once, because it can be read only once.

        Raises:
            CorpusError: ``path`` is a folder or another device, or cannot be read.
        """
        name = name or str(path)
        with _reading(name):
            status = path.stat()
            require_text(path, status, name)
            if not stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    return cls.from_data(_everything(file, name), name)
        # Nobody can set st_ctime back by hand. It also shows a second change within one tick of st_mtime.
        return cls(name, status.st_size, path.absolute(), (status.st_mtime_ns, status.st_ctime_ns))

    @classmethod
    def from_data(cls, data: bytes, name: str) -> "Source":
        """A source for bytes in memory."""
        return cls(name, len(data), data=data)

    @classmethod
    def from_text(cls, text: str | bytes) -> "Source":
        """A source for a text in memory; a string becomes UTF-8.

        Raises:
            CorpusError: the string has half a character (a lone surrogate), which no file can have.
        """
        if isinstance(text, str):
            text = utf8(text, CorpusError)
        return cls.from_data(text, "the text")

    @classmethod
    def from_stdin(cls, stream: BinaryIO | None = None) -> "Source":
        """A source for everything that standard input, or another stream, still contains.

        Raises:
            CorpusError: the stream is closed or cannot be read.
        """
        stream = standard_input(stream)
        with _reading("standard input"):
            return cls.from_data(_everything(stream, "standard input"), "standard input")

    @classmethod
    def end_of(cls, name: str, most: int) -> "Source":
        """A source for the last ``most`` bytes of a file, a pipe, or ``-`` for standard input, whatever its size.

        Its ``size`` is the size of the whole.

        Raises:
            CorpusError: it is a folder or a device, or cannot be read.
        """
        if name == "-":
            return cls._end_of(standard_input(), "standard input", most)
        with _reading(name):
            require_text(Path(name), Path(name).stat())
            with Path(name).open("rb") as file:
                return cls._end_of(file, name, most)

    @classmethod
    def _end_of(cls, stream: BinaryIO, name: str, most: int) -> "Source":
        with _reading(name):
            size, end = 0, b""
            if stream.seekable():
                size = stream.seek(max(stream.seek(0, os.SEEK_END) - most, 0))
            while data := stream.read(BLOCK):
                size, end = size + len(data), (end + data)[-most:]
        return cls(name, size, data=end)

    def blocks(self) -> Iterator[bytes]:
        """The raw bytes, ``BLOCK`` at a time.

        Raises:
            CorpusError: the file cannot be read.
        """
        if self.path is None:
            for start in range(0, len(self.data), BLOCK):
                yield self.data[start : start + BLOCK]
            return
        with _reading(self.name), self.path.open("rb") as file:
            while data := file.read(BLOCK):
                yield data

    def loaded(self) -> "Source":
        """The same source with all its bytes in memory.

        Raises:
            CorpusError: the file cannot be read.
        """
        if self.path is None:
            return self
        with _reading(self.name), self.path.open("rb") as file:
            return Source.from_data(_everything(file, self.name), self.name)

    def line_at(self, offset: int, encoding: str) -> int:
        """The number, from 1, of the line with the byte at ``offset``. All bytes before it must be decodable."""
        decoder = codecs.getincrementaldecoder(encoding)()
        lines = 1
        for data in self.blocks():
            try:
                lines += decoder.decode(data[:offset]).count("\n")
            except UnicodeError:
                break  # UTF-32 reports a missing byte-order mark only after some bytes: no line has ended before
            offset -= len(data)
            if offset <= 0:
                break
        return lines


@dataclass
class Listing:
    """The content of a folder and of the folders below it, without hidden files and folders.

    Attributes:
        files: paths and sizes (bytes) of the regular files, sorted by their paths.  Files of 0 bytes are left out: they
            add nothing to a text, and the system may generate their content without end while it is read (/proc).
        others: number of pipes, devices, sockets and dead links.
        binary: number of files that ``is_text`` found to be binary.
        unreadable: files and folders that cannot be read, each with the reason.
    """

    files: list[tuple[Path, int]] = field(default_factory=list)
    others: int = 0
    binary: int = 0
    unreadable: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Sort in one more path, without opening it."""
        try:
            status = path.stat()
        except FileNotFoundError:
            self.others += 1
        except OSError as error:
            self.unreadable.append(f"{path}: {error.strerror or error}")
        else:
            if not stat.S_ISREG(status.st_mode):
                self.others += 1
            elif status.st_size:
                self.files.append((path, status.st_size))

    def is_text(self, path: Path, wide: bool) -> bool:
        """Whether a file can be read and has no NUL in its first 8 KB, which the ``wide`` encodings may have."""
        try:
            with path.open("rb") as file:
                found = b"\0" not in file.read(SNIFFED) or wide
        except OSError as error:
            self.unreadable.append(f"{path}: {error.strerror or error}")
            return False
        self.binary += not found
        return found


def files_below(folder: Path, most: int | None = None) -> Listing:
    """List a folder and the folders below it. No file is opened.

    Raises:
        CorpusError: ``folder`` cannot be read, or there are more than ``most`` files.
    """
    found = Listing()

    def fail(error: OSError) -> None:
        if error.filename is None or Path(error.filename) == folder:
            raise CorpusError(f"{folder}: cannot be read ({error.strerror or error})")
        found.unreadable.append(f"{error.filename}: {error.strerror or error}")

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                found.add(Path(place, name))
        if most is not None and len(found.files) > most:
            raise CorpusError(f"{folder}: more than {most:,} files")
    found.files.sort(key=lambda file: file[0].parts)
    return found


def find_sources(
    sources: Sequence[str | Path | Source], codec: str | None, stdin: BinaryIO | None = None
) -> tuple[list[Source], list[str]]:
    """The files behind the names that the user gave, in order, and notes about files that were left out.

    Args:
        sources: files; folders (all files below them that are not hidden, not binary and can be read); names in the
            catalog; ``-`` for standard input; texts in memory.  If there are several, empty files are left out.
        codec: the canonical name of the files' encoding, or None to read bytes.
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
        if isinstance(source, Source):
            found.append(source)
            continue
        if str(source) == "-":
            found.append(Source.from_stdin(stdin))
            continue
        path = find_text(source)
        with _reading(source):
            status = path.stat()
        if stat.S_ISREG(status.st_mode) and not status.st_size and len(sources) > 1:
            # It stays unopened: a checkpoint may have named it, and its content may be endless (see provenance.py).
            notes.append(f"{source} is empty and left out")
        elif not stat.S_ISDIR(status.st_mode):
            found.append(Source.from_path(path, str(source)))
        else:
            texts, skipped = _texts_below(path, wide)
            if not texts:
                raise CorpusError("; ".join([f"{source}: there are no text files in this folder", *skipped]))
            found += [Source.from_path(file) for file in texts]
            notes += [f"{what} skipped in {source}" for what in skipped]
    if not found:
        raise CorpusError(f"{sources[0]} and {len(sources) - 1:,} more: there is no text in them")
    return found, notes


def _texts_below(folder: Path, wide: bool) -> tuple[list[Path], list[str]]:
    """The texts below a folder in order, and phrases that count the files left out."""
    listing = files_below(folder)
    texts = [path for path, _ in listing.files if listing.is_text(path, wide)]
    unreadable = listing.unreadable
    left_out = [
        (listing.binary, "binary file", "binary files"),
        (listing.others, "pipe, device or dead link", "pipes, devices or dead links"),
        (len(unreadable), "unreadable file or folder", "unreadable files or folders"),
    ]
    skipped = [f"{count:,} {one if count == 1 else many}" for count, one, many in left_out if count]
    return texts, [*skipped[:-1], f"{skipped[-1]} ({unreadable[0]})"] if unreadable else skipped


def require_text(path: Path, status: os.stat_result, name: str | None = None) -> None:
    """Refuse a folder, and a device, which may have no end."""
    name = name or str(path)
    if stat.S_ISDIR(status.st_mode):
        raise CorpusError(f"{name}: this is a folder: name one of its files")
    if stat.S_ISBLK(status.st_mode) or (stat.S_ISCHR(status.st_mode) and not _is_terminal(path)):
        raise CorpusError(f"{name}: this is a device: name a file, or pipe its content in and name it with -")


def standard_input(stream: BinaryIO | None = None) -> BinaryIO:
    """The bytes of standard input, or ``stream`` in its place.

    Raises:
        CorpusError: it is closed, or a device was redirected into it, such as /dev/zero, which has no end.
    """
    stream = stream or getattr(sys.stdin, "buffer", None)
    if stream is None:
        raise CorpusError("standard input is closed: give a file, or pipe a text in")
    if _is_endless(stream):
        raise CorpusError("standard input: this is a device: name a file, or pipe a text in")
    return stream


def _is_endless(stream: BinaryIO) -> bool:
    """Whether a stream is a device that may have no end. A terminal has one."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, AttributeError):
        return False  # not a file of the system
    return stat.S_ISBLK(status.st_mode) or (
        stat.S_ISCHR(status.st_mode) and not stream.isatty() and not _is_null(status)
    )


def _is_null(status: os.stat_result) -> bool:
    """Whether a device is the one that is always empty."""
    try:
        return status.st_rdev == Path(os.devnull).stat().st_rdev
    except OSError:
        return False


def _everything(stream: BinaryIO, name: str) -> bytes:
    """All bytes of a pipe. They are kept in memory, and so they must not be more than an eighth of it."""
    most, data = (memory.installed() or _USUAL_MEMORY) // 8, bytearray()
    while block := stream.read(BLOCK):
        data += block
        if len(data) > most:
            raise CorpusError(
                f"{name}: more than {most / 1e9:.1f} GB came, an eighth of this machine's memory: save it to a file, "
                "which is read block by block"
            )
    return bytes(data)


def _is_terminal(path: Path) -> bool:
    # A serial line would wait for its other end, and a terminal could become the one that controls this process.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
    try:
        return os.isatty(handle)
    finally:
        os.close(handle)


def _reading(name: str | Path) -> AbstractContextManager[None]:
    return os_errors_as(CorpusError, f"{name}: cannot be read")
