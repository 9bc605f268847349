"""Counts the characters and lines of a text, and finds what may be wrong with it."""

import codecs
import itertools
import unicodedata
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from charrnn.errors import CorpusError
from charrnn.text.decoding import check_encoding
from charrnn.text.sources import Source
from charrnn.text.vocabulary import REPLACEMENT, code_points

RARE = 10  # a model can hardly learn a character that occurs fewer times

_NEWLINE = 10
_CODE_POINTS = 0x110000
_BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True)
class BadByte:
    """The first byte of a file that cannot be decoded.

    ``offset`` counts from 0, ``line`` from 1; ``count`` is the number of bad bytes in the whole file.
    """

    offset: int
    line: int
    byte: int
    count: int


@dataclass(frozen=True)
class TextStatistics:
    """What ``text_statistics`` found in a file.

    A byte-order mark at the start is not counted as a character.  A line ends with a newline, which does not count for
    its length, or with the end of the text.  A sequence of bad bytes counts as one U+FFFD.

    Attributes:
        bytes: size of the file.
        characters: length of the text.
        distinct: number of distinct characters.
        lines: number of lines.
        longest_line: length in characters, and number from 1, of the first of the longest lines.
        counts: how often each character occurs.
        rare: the characters that occur fewer than ``RARE`` times, the rarest first.
        crlf_lines: number of lines that end with CRLF.
        has_bom: whether the file begins with a byte-order mark.
        controls: how often each control character occurs, with bidirectional controls, without newline, CR and tab.
        encoding: the encoding's canonical name.
        problem: the first bad byte, or None.
    """

    bytes: int
    characters: int
    distinct: int
    lines: int
    longest_line: tuple[int, int]
    counts: Counter[str] = field(repr=False)
    rare: tuple[str, ...]
    crlf_lines: int
    has_bom: bool
    controls: Counter[str]
    encoding: str
    problem: BadByte | None


def text_statistics(path: str | Path | Source, encoding: str = "utf-8") -> TextStatistics:
    """Read a text in blocks and describe it. Bad bytes are counted, not refused.

    Args:
        path: the file, or a source.
        encoding: how to decode it.

    Raises:
        CorpusError: the file cannot be read, has no byte-order mark although the encoding requires one, or there is no
            such encoding.
    """
    codec = check_encoding(encoding)
    source = path if isinstance(path, Source) else Source.from_path(Path(path))
    totals = _Totals()
    token = _BAD_BYTES.set(totals)
    try:
        decoder = codecs.getincrementaldecoder(codec)("charrnn.count")
        for data in itertools.chain(source.blocks(), [b""]):
            totals.position += len(data)
            totals.add(decoder.decode(data, final=not data))
    except UnicodeError as error:  # not about one byte: the byte-order mark of UTF-16 or UTF-32 is missing
        raise CorpusError(f"{source.name}: this is not {codec} ({error}); pass another --encoding") from None
    finally:
        _BAD_BYTES.reset(token)
    return totals.result(source, codec)


class _Totals:
    """Running totals over the blocks of a text."""

    def __init__(self) -> None:
        self.position = 0  # bytes given to the decoder so far
        self.bad = 0
        self.first_bad: tuple[int, int] | None = None  # offset, byte
        self.counts = np.zeros(_CODE_POINTS, np.int64)
        self.characters = 0
        self.newlines = 0
        self.crlf = 0
        self.line_start = 0  # characters before the current line
        self.longest = (0, 1)
        self.last = ""
        self.has_bom = False

    def add(self, text: str) -> None:
        if not text:
            return
        if not self.last and text[0] == "\ufeff":
            self.has_bom = True
            self.last, text = text[0], text[1:]
        points = code_points(text)
        counts = np.bincount(points)
        self.counts[: len(counts)] += counts
        self.crlf += text.count("\r\n") + (self.last == "\r" and text[:1] == "\n")
        ends = np.flatnonzero(points == _NEWLINE) + self.characters
        if len(ends):
            lengths = np.diff(ends, prepend=self.line_start - 1) - 1
            longest = int(lengths.argmax())
            if lengths[longest] > self.longest[0]:
                self.longest = (int(lengths[longest]), self.newlines + longest + 1)
            self.newlines += len(ends)
            self.line_start = int(ends[-1]) + 1
        self.characters += len(text)
        self.last = text[-1:] or self.last

    def result(self, source: Source, codec: str) -> TextStatistics:
        unfinished = self.characters - self.line_start
        if unfinished > self.longest[0]:
            self.longest = (unfinished, self.newlines + 1)
        used = np.flatnonzero(self.counts)
        counts = Counter(dict(zip(map(chr, used.tolist()), self.counts[used].tolist(), strict=True)))
        problem = None
        if self.first_bad is not None:
            offset, byte = self.first_bad
            problem = BadByte(offset, source.line_at(offset, codec), byte, self.bad)
        return TextStatistics(
            bytes=self.position,
            characters=self.characters,
            distinct=len(counts),
            lines=self.newlines + (unfinished > 0),
            longest_line=self.longest,
            counts=counts,
            rare=tuple(sorted((c for c in counts if counts[c] < RARE), key=lambda c: (counts[c], c))),
            crlf_lines=self.crlf,
            has_bom=self.has_bom or next(source.blocks(), b"").startswith(_MARKS),
            controls=Counter({c: count for c, count in counts.items() if _is_control(c)}),
            encoding=codec,
            problem=problem,
        )


_BAD_BYTES: ContextVar[_Totals] = ContextVar("_BAD_BYTES")


def _replace_and_count(error: UnicodeError) -> tuple[str, int]:
    """An error handler for decoders: put U+FFFD in the place of bad bytes, and count them.

    A handler is registered once for the process, so it finds the counts of its caller in a context variable.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    totals = _BAD_BYTES.get()
    if totals.first_bad is None:
        # error.object is the end of the bytes read so far: those that the decoder had kept, and the last block.
        totals.first_bad = (totals.position - len(error.object) + error.start, error.object[error.start])
    totals.bad += error.end - error.start
    return REPLACEMENT, error.end


codecs.register_error("charrnn.count", _replace_and_count)


def _is_control(character: str) -> bool:
    if character in "\n\r\t":
        return False
    return unicodedata.category(character) == "Cc" or character in _BIDI_CONTROLS
