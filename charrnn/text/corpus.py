"""From files, folders and pipes to the ids of one long text.

A text is read in blocks, twice: once to count its characters, once to encode them.  Small ones are encoded
in memory.  Large ones are encoded into a file of ids in the user's cache folder (``corpora`` there, which
may be deleted at any time) and memory-mapped; a side file remembers what was made of which files, so that the
next start reads nothing.
"""

import codecs
import contextlib
import difflib
import encodings.aliases
import hashlib
import io
import itertools
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from charrnn.errors import CheckpointError, ConfigError, CorpusError, VocabularyError
from charrnn.folders import cache_folder
from charrnn.text.catalog import find_text
from charrnn.text.vocabulary import REPLACEMENT, Unknown, Vocabulary, code_points

STREAM_FROM = 64 << 20  # bytes; smaller texts are encoded in memory
BLOCK = 1 << 20  # bytes read at a time

_FORMAT = 1  # of the id and side files; raise it when the meaning of either changes
_SNIFFED = 8192  # bytes at the start of a file in which a NUL says that it is no text
_NEWLINE = 10
_CODE_POINTS = 0x110000
_BYTE_ORDER_MARKS = (  # the first that fits counts: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID_FILE = re.compile(r"[0-9a-f]{64}\.ids")
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text, encoded; its ``len`` is its length in symbols.

    Attributes:
        ids: array of shape (length,) of ``vocabulary.dtype``, read-only, memory-mapped if the text is large.
        vocabulary: what the ids mean.
        sha256: hash in hex over the raw bytes of all sources in order.
        sources: the sources as they were given.
        notes: sentences for the user about what was found or done: a byte-order mark dropped, CRLF kept, …
    """

    ids: np.ndarray
    vocabulary: Vocabulary
    sha256: str
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Source:
    """A file to read, or bytes that were read already (then ``path`` is None); messages call it ``name``."""

    name: str
    size: int
    path: Path | None = None
    mtime_ns: int = 0
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
            if not stat.S_ISREG(status.st_mode):
                return cls.from_data(path.read_bytes(), name)
        except OSError as error:
            raise _unreadable(name, error) from None
        return cls(name, status.st_size, path.absolute(), status.st_mtime_ns)

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
            lines += decoder.decode(data[:offset]).count("\n")
            offset -= len(data)
            if offset <= 0:
                break
        return lines


def open_corpus(
    sources: Sequence[str | Path],
    *,
    as_bytes: bool = False,
    encoding: str = "utf-8",
    min_count: int = 1,
    max_vocab: int = 1000,
    vocabulary: Vocabulary | None = None,
    unknown: Unknown | None = None,
    stdin: BinaryIO | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Corpus:
    """Read some texts, join them, encode them.

    A source is a file; a folder, which stands for all files below it in the order of their paths, save
    hidden and binary ones (a NUL byte in the first 8 KB); ``-`` for standard input; or a name in the catalog.
    The texts are joined as they are, with a newline between two of which the first doesn't end with one.  A
    byte-order mark at the start of a file is dropped (not with ``as_bytes``).  Nothing else is changed.

    Args:
        sources: at least one.
        as_bytes: model the raw bytes instead of characters.
        encoding: how to decode the files, strictly; not used with ``as_bytes``.
        min_count: rarer characters become U+FFFD.
        max_vocab: the most distinct symbols that are accepted.
        vocabulary: encode with this one (to resume, to evaluate) instead of making one from the text.  It
            decides between characters and bytes; ``min_count`` and ``max_vocab`` are not used.
        unknown: what to do with symbols that ``vocabulary`` doesn't have, as in ``Vocabulary.encode``.  By
            default they become U+FFFD if that is in the vocabulary, and are an error otherwise.
        stdin: the stream that ``-`` reads, by default the process's own.
        progress: called with the bytes read so far and the bytes to read, over all passes.

    Raises:
        ConfigError: the settings are unusable or contradict each other.
        CorpusError: a source is missing, unreadable, empty, not in the encoding, or has too many distinct
            symbols.
        VocabularyError: the text has symbols that ``vocabulary`` doesn't have.
    """
    sources = [sources] if isinstance(sources, str | Path) else list(sources)
    if vocabulary is not None:
        if as_bytes and not vocabulary.is_bytes:
            raise ConfigError("the model was trained on characters, not on bytes: leave out --bytes")
        as_bytes = vocabulary.is_bytes
        unknown = unknown or ("replace" if REPLACEMENT in vocabulary else "error")
    codec = None if as_bytes else check_encoding(encoding)
    found, skipped = _find(sources, codec, stdin)
    names = tuple(str(source) for source in sources)
    label = found[0].name if len(found) == 1 else f"{found[0].name} and {len(found) - 1:,} more"

    # What came through a pipe is in memory already, and would never be looked up in the cache.
    streamed = sum(source.size for source in found if source.path is not None) >= STREAM_FROM
    side = None
    if streamed and all(source.path is not None for source in found):
        listed = None if vocabulary is None else vocabulary.to_list()
        files = [[source.name, str(source.path)] for source in found]
        side = _SideFile(
            f"{_digest(files, codec, min_count, max_vocab, listed, unknown)}.json",
            [[source.size, source.mtime_ns] for source in found],
        )
        cached = side.load()
        if cached is not None:
            ids, vocabulary, sha256, notes = cached
            return Corpus(ids, vocabulary, sha256, names, (*skipped, *notes))
    if not streamed:
        found = [source.loaded() for source in found]

    report = _total_progress(progress, found, passes=2 if vocabulary is None else 1)
    counted = None
    if vocabulary is None:
        counted = _Reading(found, codec, report)
        counts = counted.counts()
        if not counts:
            raise CorpusError(f"{label}: there is no text in it")
        try:
            vocabulary = Vocabulary.from_counts(counts, min_count, max_vocab)
        except CorpusError as error:
            raise CorpusError(f"{label}: {error}") from None
        unknown = "replace" if any(symbol not in vocabulary for symbol in counts) else "error"

    def encode_into(file: BinaryIO) -> _Reading:
        reading = _Reading(found, codec, report)
        try:
            for ids in reading.ids(vocabulary, unknown, "unknown" if counted is None else "rare"):
                file.write(ids.data)
        except VocabularyError:
            if counted is None:
                raise
            raise CorpusError(f"{label}: changed while it was read: try again") from None
        if counted is not None and reading.sha256.digest() != counted.sha256.digest():
            raise CorpusError(f"{label}: changed while it was read: try again")
        if not file.tell():
            raise CorpusError(f"{label}: there is no text in it")
        return reading

    extra = []
    if streamed:
        try:
            ids, reading = _encode_on_disk(encode_into, vocabulary, [codec, unknown, [s.size for s in found]])
            if side is not None:
                side.save(ids, vocabulary, reading)
            return Corpus(ids, vocabulary, reading.sha256.hexdigest(), names, (*skipped, *reading.notes))
        except OSError as error:  # of the cache: those of the sources are CorpusErrors already
            reason = error.strerror or error
            extra = [f"the cache folder {_folder()} cannot be used ({reason}), so the text is kept in memory"]
    buffer = io.BytesIO()
    reading = encode_into(buffer)
    ids = np.frombuffer(buffer.getbuffer().toreadonly(), vocabulary.dtype)
    return Corpus(ids, vocabulary, reading.sha256.hexdigest(), names, (*skipped, *reading.notes, *extra))


def check_encoding(name: str) -> str:
    """The canonical name of a text encoding.

    Raises:
        CorpusError: there is no such encoding (with the nearest one).
    """
    try:
        "".encode(name)
        codecs.getincrementaldecoder(name)
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        known = {*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "latin-1"}
        known = sorted(alias.replace("_", "-") for alias in known)
        near = difflib.get_close_matches(name.lower().replace("_", "-"), known, 1)
        guess = f"did you mean {near[0]}?" if near else "for example utf-8, utf-16, latin-1, cp1252"
        raise CorpusError(f"unknown encoding {name!r}: {guess}") from None


def split(length: int, fractions: str | Sequence[float | str]) -> tuple[slice, slice, slice]:
    """Cut a text into training, validation and test parts, in this order and without a gap.

    Args:
        length: of the text, in symbols.
        fractions: percentages for training, validation and, if wanted, test: "90/10/0", "90/10", or a tuple.

    Returns:
        Three slices; borders are rounded down.

    Raises:
        ConfigError: they are not two or three percentages that sum to 100, the first above 0.
    """
    parts = fractions.split("/") if isinstance(fractions, str) else fractions
    parts = [str(part).strip() for part in parts]
    shown = "/".join(parts)
    if len(parts) not in (2, 3) or not all(_PERCENT.fullmatch(part) for part in parts):
        raise ConfigError(f"the split {shown!r} must be percentages like 90/10/0: training/validation/test")
    percentages = [Fraction(part) for part in parts]
    if sum(percentages) != 100:
        raise ConfigError(f"the split {shown!r} must sum to 100, not {float(sum(percentages)):g}")
    if not percentages[0]:
        raise ConfigError(f"the split {shown!r} leaves nothing to train on: the first part must be above 0")
    # Fractions, because floor(length * 0.9) can miss by one.
    first = int(length * percentages[0] / 100)
    second = int(length * (percentages[0] + percentages[1]) / 100)
    return slice(0, first), slice(first, second), slice(second, length)


class _Reading:
    """One pass over the sources, by ``points``, ``counts`` or ``ids``, whichever is called, and once only.

    After it, ``sha256`` is the hash object over the raw bytes, ``notes`` are sentences about what was met.
    """

    def __init__(self, sources: list[Source], codec: str | None, report: Callable[[int], None]):
        self.sources = sources
        self.codec = codec
        self.report = report
        self.sha256 = hashlib.sha256()
        self.notes: list[str] = []

    def counts(self) -> dict[Any, int]:
        """How often each character, or byte, occurs."""
        totals = np.zeros(256 if self.codec is None else _CODE_POINTS, np.int64)
        for _, points in self.points():
            counts = np.bincount(points)
            totals[: len(counts)] += counts
        used = np.flatnonzero(totals).tolist()
        symbols = used if self.codec is None else map(chr, used)
        return dict(zip(symbols, totals[used].tolist(), strict=True))

    def ids(self, vocabulary: Vocabulary, unknown: Unknown, kind: str) -> Iterator[np.ndarray]:
        """The text's ids in blocks of ``vocabulary.dtype``.

        Symbols that are not in the vocabulary are treated as ``unknown`` says; a note calls them ``kind``.
        """
        changed = 0
        distinct: set[int] = set()
        line, current = 1, None
        for source, points in self.points():
            if source is not current:
                line, current = 1, source
            ids = vocabulary.look_up(points)
            if len(ids) and ids.min() < 0:
                missing = ids < 0
                if unknown == "error":
                    line += np.count_nonzero(points[: missing.argmax()] == _NEWLINE)
                    raise VocabularyError(f"{source.name}, line {line}: {vocabulary.describe_unknown(points[missing])}")
                changed += np.count_nonzero(missing)
                distinct.update(np.unique(points[missing]).tolist())
                if unknown == "skip":
                    ids = ids[~missing]
                else:
                    ids[missing] = vocabulary.replacement
            line += np.count_nonzero(points == _NEWLINE)
            yield ids.astype(vocabulary.dtype)
        if changed:
            what = _plural(changed, f"{kind} byte" if vocabulary.is_bytes else f"{kind} character")
            done = "left out" if unknown == "skip" else f"turned into {vocabulary.name(vocabulary.replacement)}"
            self.notes.append(f"{what} ({len(distinct):,} distinct) {done}")

    def points(self) -> Iterator[tuple[Source, np.ndarray]]:
        """The joined text as code points or bytes, unsigned arrays of shape (any,), each with its source."""
        with_mark: list[str] = []
        with_crlf: list[str] = []
        last_source, last = None, _NEWLINE
        for source in self.sources:
            at_start = True
            for points in self._decode(source, with_mark, with_crlf):
                if not len(points):
                    continue
                if at_start and last != _NEWLINE:
                    yield last_source, np.array([_NEWLINE], np.uint8)
                at_start = False
                last_source, last = source, points[-1]
                yield source, points
        if with_mark:
            self.notes.append(f"a byte-order mark was dropped at the start of {_some(with_mark)}")
        if with_crlf:
            self.notes.append(f"CRLF line ends were found, and kept, in {_some(with_crlf)}")

    def _decode(self, source: Source, with_mark: list[str], with_crlf: list[str]) -> Iterator[np.ndarray]:
        if self.codec is None:
            for data in self._raw(source):
                yield np.frombuffer(data, np.uint8)
            return
        decoder = codecs.getincrementaldecoder(self.codec)()
        position = 0
        before, crlf = "", False  # the last character so far
        for data in itertools.chain(self._raw(source), [b""]):  # the empty block flushes the decoder
            position += len(data)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError as error:
                raise CorpusError(_undecodable(source, self.codec, error, position)) from None
            if not text:
                continue
            crlf = crlf or "\r\n" in text or (before == "\r" and text[0] == "\n")
            if not before and text[0] == "\ufeff":
                with_mark.append(source.name)
                yield code_points(text[1:])
            else:
                yield code_points(text)
            before = text[-1]
        if crlf:
            with_crlf.append(source.name)

    def _raw(self, source: Source) -> Iterator[bytes]:
        for data in source.blocks():
            self.sha256.update(data)
            self.report(len(data))
            yield data


def _find(sources: Sequence[str | Path], codec: str | None, stdin: BinaryIO | None) -> tuple[list[Source], list[str]]:
    """The files behind the sources, and notes about those left out."""
    if not sources:
        raise CorpusError("no text was given: name a file, a folder, or - for standard input")
    if sum(str(source) == "-" for source in sources) > 1:
        raise CorpusError("standard input (-) can be given only once")
    found, notes = [], []
    for source in sources:
        if str(source) == "-":
            found.append(Source.from_stdin(stdin))
            continue
        path = find_text(source)
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except OSError as error:
            raise _unreadable(str(source), error) from None
        if not is_folder:
            found.append(Source.from_path(path, str(source)))
            continue
        # In UTF-16 and UTF-32 every other byte is a NUL.
        wide = codec is not None and codec.startswith(("utf-16", "utf-32"))
        files = _files_below(path)
        texts = [file for file in files if wide or not _is_binary(file)]
        if not texts:
            raise CorpusError(f"{source}: there are no text files in this folder")
        if len(texts) < len(files):
            notes.append(f"{_plural(len(files) - len(texts), 'binary file')} skipped in {source}")
        found += [Source.from_path(file) for file in texts]
    return found, notes


def _files_below(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise _unreadable(error.filename or str(folder), error)

    files = []
    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(place, name) for name in names if not name.startswith("."))
        try:
            files += [path for path in paths if path.is_file()]
        except OSError as error:
            fail(error)
    return sorted(files, key=lambda path: path.parts)


def _is_binary(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\0" in file.read(_SNIFFED)
    except OSError as error:
        raise _unreadable(str(path), error) from None


def _undecodable(source: Source, codec: str, error: UnicodeError, position: int) -> str:
    """What to say about bytes that cannot be decoded; ``position`` is where the bytes read so far end."""
    encoding = codec.upper() if codec.startswith("utf") else codec
    advice = "pass --encoding latin-1 (or another), or --bytes"
    if codec != "utf-8":
        advice = "pass another --encoding, or --bytes"
    if not isinstance(error, UnicodeDecodeError):
        return f"{source.name}: this is not {encoding} ({error}); {advice}"
    # The decoder's index is into what it held back and was given last: bytes that end where the reading does.
    offset = position - len(error.object) + error.start
    if offset == 0:
        start = next(source.blocks(), b"")[:4]
        for mark, wanted in _BYTE_ORDER_MARKS:
            if start.startswith(mark):
                name = wanted.upper()
                return f"{source.name}: begins with the byte-order mark of {name}; pass --encoding {wanted}"
    line = source.line_at(offset, codec)
    byte = error.object[error.start]
    return f"{source.name}: byte 0x{byte:02X} at offset {offset} (line {line}) is not {encoding}; {advice}"


def _folder() -> Path:
    return cache_folder() / "corpora"


def _digest(*what: Any) -> str:
    """SHA-256, in hex, that tells apart whatever differs in these JSON values."""
    return hashlib.sha256(json.dumps([_FORMAT, *what]).encode()).hexdigest()


def _encode_on_disk(
    encode_into: Callable[[BinaryIO], _Reading], vocabulary: Vocabulary, options: list[Any]
) -> tuple[np.ndarray, _Reading]:
    """Encode a text into an id file in the cache, whole or not at all, and map it.

    Raises:
        OSError: the cache folder cannot be written.
    """
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(suffix=".part", dir=folder)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            reading = encode_into(file)
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{_digest(reading.sha256.hexdigest(), vocabulary.to_list(), options)}.ids"
        try:
            temporary.replace(path)
        except PermissionError:
            # Windows does not replace a file that another process has mapped; then it is the one we want.
            if not path.is_file() or path.stat().st_size != size:
                raise
    finally:
        temporary.unlink(missing_ok=True)
    return np.memmap(path, vocabulary.dtype, mode="r"), reading


class _SideFile:
    """What is known about the id file that was made of some files, so that a later start need not read them.

    Its name stands for the files and the options; the files' sizes and times are inside.
    """

    def __init__(self, name: str, stamps: list[list[int]]):
        self.path = _folder() / name
        self.stamps = stamps

    def load(self) -> tuple[np.ndarray, Vocabulary, str, list[str]] | None:
        """The ids, vocabulary, SHA-256 and notes that were saved, or None if anything is amiss with them."""
        content = self._content()
        try:
            vocabulary = Vocabulary.from_list(content.get("vocabulary"))
            path = self._ids_path(content)
            size = path.stat().st_size if path else 0
        except (OSError, CheckpointError):
            return None  # damaged: it is made anew
        sha256, notes = content.get("sha256"), content.get("notes")
        sound = (
            content.get("files") == self.stamps
            and content.get("dtype") == vocabulary.dtype.str
            and 0 < size == content.get("bytes")
            and size % vocabulary.dtype.itemsize == 0
            and isinstance(sha256, str)
            and _SHA256.fullmatch(sha256)
            and isinstance(notes, list)
            and all(isinstance(note, str) for note in notes)
        )
        return (np.memmap(path, vocabulary.dtype, mode="r"), vocabulary, sha256, notes) if sound else None

    def save(self, ids: np.memmap, vocabulary: Vocabulary, reading: _Reading) -> None:
        """Record an id file, and delete the one that was made of an earlier state of the same files.

        Raises:
            OSError: the cache folder cannot be written.
        """
        new, old = Path(ids.filename), self._ids_path(self._content())
        content = {
            "files": self.stamps,
            "ids": new.name,
            "bytes": ids.nbytes,
            "dtype": ids.dtype.str,
            "sha256": reading.sha256.hexdigest(),
            "vocabulary": vocabulary.to_list(),
            "notes": reading.notes,
        }
        temporary = self.path.with_suffix(f".{os.getpid()}.part")
        try:
            temporary.write_text(json.dumps(content), encoding="utf-8")
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        if old is not None and old.name != new.name:
            with contextlib.suppress(PermissionError):  # on Windows, if another process has it mapped
                old.unlink(missing_ok=True)

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}  # missing or damaged: as if nothing were known
        return content if isinstance(content, dict) else {}

    def _ids_path(self, content: dict[str, Any]) -> Path | None:
        name = content.get("ids")
        # Only a name of our own making: whatever it points to may be deleted later.
        return self.path.with_name(name) if isinstance(name, str) and _ID_FILE.fullmatch(name) else None


def _total_progress(
    progress: Callable[[int, int], None] | None, sources: list[Source], passes: int
) -> Callable[[int], None]:
    total = passes * sum(source.size for source in sources)
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done = min(done + count, total)  # a pass may be repeated, and a file may grow
        if progress is not None:
            progress(done, total)

    return report


def _unreadable(name: str, error: OSError) -> CorpusError:
    return CorpusError(f"{name}: cannot read: {error.strerror or error}")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _some(names: list[str]) -> str:
    """Names for a sentence: all of them if they are few."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names):,} files, first {names[0]}"
