"""A pass over texts: decoded, joined, and on the way counted or turned into ids."""

import codecs
import difflib
import encodings.aliases
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from charrnn.errors import CorpusError, VocabularyError, brief
from charrnn.text.binary import BYTE_ORDER_MARKS, SNIFFED, describe_binary, is_wide
from charrnn.text.sources import Source
from charrnn.text.vocabulary import Unknown, Vocabulary, code_points

_NEWLINE = 10
# Python's names for how hosts and literals are written; what they cannot decode they tell in ways of their own.
_NO_TEXTS = ("idna", "punycode", "unicode-escape", "raw-unicode-escape")


def check_encoding(name: str) -> str:
    """The canonical name of a text encoding.

    Raises:
        CorpusError: there is no such encoding (with the nearest one).
    """
    if _is_text_encoding(name):
        return codecs.lookup(name).name
    known = {*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "latin-1"}
    known = sorted(alias.replace("_", "-") for alias in known)
    near = difflib.get_close_matches(name.lower().replace("_", "-"), known, len(known))
    # Python's list also has what is no text encoding: base64, zip.
    near = next(filter(_is_text_encoding, near), None)
    guess = f"did you mean {near}?" if near else "for example utf-8, utf-16, latin-1, cp1252"
    raise CorpusError(f"unknown encoding {brief(name)}: {guess}")


def _is_text_encoding(name: str) -> bool:
    try:
        "".encode(name)
        codecs.getincrementaldecoder(name)
        return codecs.lookup(name).name not in _NO_TEXTS
    except (LookupError, ValueError):
        return False


def marked_encoding(source: Source) -> str | None:
    """The encoding, ``utf-16`` or ``utf-32``, whose byte-order mark a source begins with, or None."""
    start = next(source.blocks(), b"")
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS if start.startswith(mark)), None)


class Pass:
    """One pass over some sources, by ``counts`` or by ``ids``, whichever is called, and once only.

    The texts are joined as they are, with a newline between two of which the first doesn't end with one.
    After the pass, ``sha256`` is the hash object over the raw bytes of all sources in order, ``notes`` are
    sentences for the user about what was met.

    Args:
        sources: what to read.
        codec: the canonical name of their encoding, or None to read bytes.
        report: called with the number of bytes in each block.
        choice: whether messages may advise to read bytes, where a model does not settle that.
    """

    def __init__(
        self, sources: Sequence[Source], codec: str | None, report: Callable[[int], None], choice: bool = True
    ):
        self.sha256 = hashlib.sha256()
        self.notes: list[str] = []
        self._sources = sources
        self._codec = codec
        self._report = report
        self._choice = choice
        self._with_mark: list[str] = []
        self._with_crlf: list[str] = []

    def counts(self) -> dict[Any, int]:
        """How often each character, or byte, occurs.

        Raises:
            CorpusError: a source cannot be read, or is not in the encoding.
        """
        totals = np.zeros(0, np.int64)
        for _, points in self._points():
            counts = np.bincount(points, minlength=len(totals))
            counts[: len(totals)] += totals
            totals = counts
        used = np.flatnonzero(totals).tolist()
        symbols = used if self._codec is None else map(chr, used)
        return dict(zip(symbols, totals[used].tolist(), strict=True))

    def ids(self, vocabulary: Vocabulary, unknown: Unknown, kind: str) -> Iterator[np.ndarray]:
        """The text's ids in blocks of ``vocabulary.dtype``.

        Symbols that are not in the vocabulary are treated as ``unknown`` says; a note calls them ``kind``.

        Raises:
            CorpusError: a source cannot be read, or is not in the encoding.
            VocabularyError: there is such a symbol, and ``unknown`` says that it is an error.
        """
        changed = 0
        distinct: set[int] = set()
        line, current = 1, None
        for source, points in self._points():
            if source is not current:
                line, current = 1, source
            ids = vocabulary.look_up(points)
            if ids.min() < 0:
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
            noun = ("byte" if vocabulary.is_bytes else "character") + ("" if changed == 1 else "s")
            done = "left out" if unknown == "skip" else f"turned into {vocabulary.name(vocabulary.replacement)}"
            self.notes.append(f"{changed:,} {kind} {noun} ({len(distinct):,} distinct) {done}")

    def _points(self) -> Iterator[tuple[Source, np.ndarray]]:
        """The joined text as code points or bytes: unsigned arrays, none of them empty, each with its source."""
        last_source, last = None, _NEWLINE
        for source in self._sources:
            at_start = True
            for points in self._decode(source):
                if not len(points):
                    continue
                if at_start and last != _NEWLINE:
                    yield last_source, np.array([_NEWLINE], np.uint8)
                at_start = False
                last_source, last = source, points[-1]
                yield source, points
        if self._with_mark:
            self.notes.append(f"a byte-order mark was dropped at the start of {_some(self._with_mark)}")
        if self._with_crlf:
            self.notes.append(f"CRLF line ends were found, and kept, in {_some(self._with_crlf)}")

    def _decode(self, source: Source) -> Iterator[np.ndarray]:
        if self._codec is None:
            for data in self._raw(source):
                yield np.frombuffer(data, np.uint8)
            return
        decoder = codecs.getincrementaldecoder(self._codec)()
        position = 0
        before, crlf = "", False  # the last character so far
        for data in itertools.chain(self._raw(source), [b""]):  # the empty block flushes the decoder
            if not position and b"\0" in data[:SNIFFED] and not is_wide(self._codec):
                raise CorpusError(self._refusal(source, *describe_binary(data)))
            position += len(data)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError as error:
                raise CorpusError(self._undecodable(source, error, position)) from None
            if not text:
                continue
            crlf = crlf or "\r\n" in text or (before == "\r" and text[0] == "\n")
            if not before and text[0] == "\ufeff":
                self._with_mark.append(source.name)
                yield code_points(text[1:])
            else:
                yield code_points(text)
            before = text[-1]
        if crlf:
            self._with_crlf.append(source.name)

    def _raw(self, source: Source) -> Iterator[bytes]:
        for data in source.blocks():
            self.sha256.update(data)
            self._report(len(data))
            yield data

    def _undecodable(self, source: Source, error: UnicodeError, position: int) -> str:
        """What to say about bytes that cannot be decoded; ``position`` is where the bytes read so far end."""
        codec = self._codec
        encoding = codec.upper() if codec.startswith("utf") else codec
        advice = "pass --encoding latin-1 (or another)" if codec == "utf-8" else "pass another --encoding"
        if not isinstance(error, UnicodeDecodeError):
            return self._refusal(source, f"this is not {encoding} ({error})", advice)
        # The decoder's index is into what it held back and was given last: bytes that end where the reading does.
        offset = position - len(error.object) + error.start
        known = describe_binary(next(source.blocks(), b""))
        if known and (offset == 0 or not is_wide(codec)):
            return self._refusal(source, *known)
        line, byte = source.line_at(offset, codec), error.object[error.start]
        return self._refusal(source, f"byte 0x{byte:02X} at offset {offset} (line {line}) is not {encoding}", advice)

    def _refusal(self, source: Source, what: str, advice: str) -> str:
        if self._choice:
            advice += ", or --bytes" if advice.startswith("pass") else ", or pass --bytes"
        return f"{source.name}: {what}; {advice}"


def _some(names: list[str]) -> str:
    """Names for a sentence: all of them if they are few."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names):,} files, first {names[0]}"
