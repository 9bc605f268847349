"""What a text is made of: sizes, lines, characters, and what may be wrong with it."""

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

RARE = 10  # a character seen fewer times than this can hardly be learned

_NEWLINE = 10
_CODE_POINTS = 0x110000
_BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True)
class BadByte:
    """The first byte of a file that is not in the encoding.

    ``offset`` counts from 0, ``line`` from 1; ``count`` is the number of bad bytes in the whole file.
    """

    offset: int
    line: int
    byte: int
    count: int


@dataclass(frozen=True)
class TextStatistics:
    """What ``text_statistics`` found in a file.

    A byte-order mark at the start is not counted among the characters.  A line ends with a newline, which its
    length does not count, or with the text.

    Attributes:
        bytes: size of the file.
        characters: its length in characters.
        distinct: how many different ones there are.
        lines: how many lines.
        longest_line: length in characters and number, from 1, of the first of the longest lines.
        counts: how often each character occurs.
        rare: the characters that occur fewer than ``RARE`` times, the rarest first.
        crlf_lines: lines that end with CRLF.
        has_bom: whether the file begins with a byte-order mark.
        controls: how often each control character occurs, newline, CR and tab apart; bidi controls included.
        encoding: the encoding's canonical name.
        problem: the first bad byte, or None; bad bytes count as U+FFFD everywhere here.
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
    """Read a text once, in blocks, and describe it. Bad bytes are described too, not refused.

    Args:
        path: the file, or a source that is open already.
        encoding: how to decode it.

    Raises:
        CorpusError: the file cannot be read, is not in that encoding at all, or there is no such encoding.
    """
    codec = check_encoding(encoding)
    source = path if isinstance(path, Source) else Source.from_path(Path(path))
    tally = _Tally()
    token = _BAD_BYTES.set(tally)
    try:
        decoder = codecs.getincrementaldecoder(codec)("charrnn.tally")
        for data in itertools.chain(source.blocks(), [b""]):
            tally.position += len(data)
            tally.add(decoder.decode(data, final=not data))
    except UnicodeError as error:  # of no one byte: the mark that UTF-16 and UTF-32 begin with is missing
        raise CorpusError(f"{source.name}: this is not {codec} ({error}); pass another --encoding") from None
    finally:
        _BAD_BYTES.reset(token)
    return tally.result(source, codec)


class _Tally:
    """Running totals over the blocks of a text."""

    def __init__(self) -> None:
        self.position = 0  # bytes given to the decoder so far
        self.bad = 0
        self.first_bad: tuple[int, int] | None = None  # offset, byte
        self.totals = np.zeros(_CODE_POINTS, np.int64)
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
        self.totals[: len(counts)] += counts
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
        used = np.flatnonzero(self.totals)
        counts = Counter(dict(zip(map(chr, used.tolist()), self.totals[used].tolist(), strict=True)))
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


_BAD_BYTES: ContextVar[_Tally] = ContextVar("_BAD_BYTES")


def _replace_and_count(error: UnicodeError) -> tuple[str, int]:
    """An error handler for decoders: U+FFFD for what is bad, and a note of it in the tally of the caller."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    tally = _BAD_BYTES.get()
    if tally.first_bad is None:
        # As in a corpus: the index is into bytes that end where the reading does.
        tally.first_bad = (tally.position - len(error.object) + error.start, error.object[error.start])
    tally.bad += error.end - error.start
    return REPLACEMENT, error.end


codecs.register_error("charrnn.tally", _replace_and_count)


def _is_control(character: str) -> bool:
    if character in "\n\r\t":
        return False
    return unicodedata.category(character) == "Cc" or character in _BIDI_CONTROLS
