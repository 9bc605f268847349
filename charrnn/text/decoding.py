"""Decodes and joins texts in one pass over them, and counts their symbols or turns them into ids on the way."""

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
# Codecs of Python for host names and literals. Their decoders report errors in other ways than text encodings.
_NOT_FOR_TEXTS = ("idna", "punycode", "unicode-escape", "raw-unicode-escape")


def check_encoding(name: str) -> str:
    """The canonical name of a text encoding.

    Raises:
        CorpusError: there is no such encoding; the message has the nearest one.
    """
    if _is_text_encoding(name):
        return codecs.lookup(name).name
    known = {*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "latin-1"}
    known = sorted(alias.replace("_", "-") for alias in known)
    near = difflib.get_close_matches(name.lower().replace("_", "-"), known, len(known))
    # Python's list also has codecs that are not text encodings: base64, zip.
    near = next(filter(_is_text_encoding, near), None)
    guess = f"did you mean {near}?" if near else "for example utf-8, utf-16, latin-1, cp1252"
    raise CorpusError(f"unknown encoding {brief(name)}: {guess}")


def _is_text_encoding(name: str) -> bool:
    try:
        "".encode(name)
        codecs.getincrementaldecoder(name)
        return codecs.lookup(name).name not in _NOT_FOR_TEXTS
    except (LookupError, ValueError):
        return False


def marked_encoding(source: Source) -> str | None:
    """``utf-16`` or ``utf-32`` if a source begins with the byte-order mark of this encoding, else None."""
    start = next(source.blocks(), b"")
    return next((encoding for mark, encoding in BYTE_ORDER_MARKS if start.startswith(mark)), None)


class Pass:
    """One pass over some sources: call either ``counts`` or ``ids``, once.

    The texts are joined; between two of them comes a newline if the first does not end with one.

    Args:
        sources: the texts.
        codec: the canonical name of their encoding, or None to read bytes.
        report: called with the number of bytes of each block.
        offer_bytes: whether messages may advise to pass ``--bytes``.  It is False if a model decides between bytes and
            characters.

    Attributes:
        sha256: after the pass, the hash object over the raw bytes of all sources in order.
        notes: after the pass, sentences for the user about what was found.
    """

    def __init__(
        self, sources: Sequence[Source], codec: str | None, report: Callable[[int], None], offer_bytes: bool = True
    ):
        self.sha256 = hashlib.sha256()
        self.notes: list[str] = []
        self._sources = sources
        self._codec = codec
        self._report = report
        self._offer_bytes = offer_bytes
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
        """The text's ids, in blocks (n,) of ``vocabulary.dtype``.

        Args:
            vocabulary: the symbols.
            unknown: what to do with a symbol that is not in the vocabulary, as in ``Vocabulary.encode``.
            kind: "unknown" or "rare", as a note calls the symbols that were left out or replaced.

        Raises:
            CorpusError: a source cannot be read, or is not in the encoding.
            VocabularyError: a symbol is not in the vocabulary and ``unknown`` is "error".
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
        """The joined text in blocks: the source, and code points or bytes as an unsigned array, never empty."""
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
        """The code points, or the bytes, of one source in blocks, which may be empty."""
        if self._codec is None:
            for data in self._raw(source):
                yield np.frombuffer(data, np.uint8)
            return
        decoder = codecs.getincrementaldecoder(self._codec)()
        position = 0
        before, crlf = "", False  # the last character of the blocks before; whether a CRLF was found
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
        """The blocks of a source, hashed and reported."""
        for data in source.blocks():
            self.sha256.update(data)
            self._report(len(data))
            yield data

    def _undecodable(self, source: Source, error: UnicodeError, position: int) -> str:
        """The message about bytes that cannot be decoded; ``position`` is the number of bytes given to the decoder."""
        codec = self._codec
        encoding = codec.upper() if codec.startswith("utf") else codec
        advice = "pass --encoding latin-1 (or another)" if codec == "utf-8" else "pass another --encoding"
        if not isinstance(error, UnicodeDecodeError):
            return self._refusal(source, f"this is not {encoding} ({error})", advice)
        # error.object is the end of the bytes read so far: those that the decoder had kept, and the last block.
        offset = position - len(error.object) + error.start
        known = describe_binary(next(source.blocks(), b""))
        if known and (offset == 0 or not is_wide(codec)):
            return self._refusal(source, *known)
        line, byte = source.line_at(offset, codec), error.object[error.start]
        return self._refusal(source, f"byte 0x{byte:02X} at offset {offset} (line {line}) is not {encoding}", advice)

    def _refusal(self, source: Source, what: str, advice: str) -> str:
        if self._offer_bytes:
            advice += ", or --bytes" if advice.startswith("pass") else ", or pass --bytes"
        return f"{source.name}: {what}; {advice}"


def _some(names: list[str]) -> str:
    """Names for a sentence: all if they are at most three, else their number and the first."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names):,} files, first {names[0]}"
