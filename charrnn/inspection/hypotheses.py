"""Hypotheses about what a cell keeps track of: each gives a label to every character of a text.

The label of character n describes the text *after* n was read, because the cell's value n is taken then: after an
opening quotation mark the text is inside a quotation, after the closing mark it is not. A stray mark must not invert
the labels of the rest of the text. So an empty line ends quotations and brackets, and a quotation is at most ``LIMIT``
characters long.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.passage import EncodedText, Passage, latest

LIMIT = 1000
_TAB = 4  # spaces of indentation


@dataclass(frozen=True)
class Hypothesis:
    """``label(passage)`` is (N,) bool if ``is_mask``, else numbers: what holds after each character was read.

    ``label_many(passages)`` gives the same labels for many passages, where that is faster than one by one.
    """

    name: str
    summary: str
    label: Callable[[Passage], np.ndarray]
    is_mask: bool = True
    label_many: Callable[[Sequence[Passage]], list[np.ndarray]] | None = None


def quotes(passage: Passage) -> np.ndarray:
    """Inside “…”, „…“, «…» or "…"."""
    return open_quote(passage) >= 0


def open_quote(passage: Passage) -> np.ndarray:
    """The place of the last quotation mark that is open (N,), -1 outside of quotations."""
    straight = _opened(passage, passage.among('"'), _alternating)
    return np.maximum(straight, _opened(passage, passage.among("“„«”»"), _typographic))


def _opened(passage: Passage, marks: np.ndarray, opening: Callable[..., np.ndarray]) -> np.ndarray:
    """The place of the mark that is open after each character (N,), -1 where none is.

    A quotation lasts from each of the M ``marks`` (N,) that opens to the next mark, or to the end of the quotation.
    ``opening(codes (M,), fresh (M,))`` says which marks open; nothing can be open before a mark that is ``fresh``.
    """
    at = np.flatnonzero(marks)
    if not len(at):
        return np.full(len(passage), -1)
    fresh = np.ones(len(at), bool)
    fresh[1:] = (passage.paragraph_start[at[1:]] > at[:-1]) | (np.diff(at) > LIMIT)
    opens = opening(passage.codes[at], fresh)
    last = np.cumsum(marks) - 1
    since = np.arange(len(passage)) - at[last]
    is_open = (last >= 0) & opens[last] & (since < LIMIT) & (passage.paragraph_start < at[last])
    return np.where(is_open, at[last], -1)


def _alternating(codes: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    return (np.arange(len(codes)) - latest(fresh)) % 2 == 0


def _typographic(codes: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    german = np.zeros(len(codes), bool)  # “ closes what „ has opened
    german[1:] = (codes[1:] == ord("“")) & (codes[:-1] == ord("„")) & ~fresh[1:]
    return np.isin(codes, [ord(mark) for mark in "“„«"]) & ~german


def brackets(passage: Passage) -> np.ndarray:
    """How many of ( [ { are open (N,)."""
    change = passage.among("([{").astype(np.int64) - passage.among(")]}")
    depth = np.cumsum(change)
    start = passage.paragraph_start
    depth -= np.where(start >= 0, depth[start], 0)
    # A closing bracket without an open one does not count: the depth is measured from the lowest depth so far in the
    # paragraph. Each paragraph is lowered by 2 N, so that one running minimum serves all paragraphs.
    paragraph = np.cumsum(start == np.arange(len(passage))) * (2 * len(passage))
    lowest = np.minimum.accumulate(np.minimum(depth, 0) - paragraph) + paragraph
    return depth - lowest


def column(passage: Passage) -> np.ndarray:
    """Characters since the newline."""
    return np.arange(len(passage)) - passage.line_start


def line(passage: Passage) -> np.ndarray:
    """The part of the line that has been read, from 0 to 1."""
    count = len(passage)
    ends = np.append(np.flatnonzero(passage.newline), count)
    line_end = ends[np.searchsorted(ends, np.arange(count), side="right").clip(max=len(ends) - 1)]
    return column(passage) / np.maximum(line_end - passage.line_start, 1)


def indent(passage: Passage) -> np.ndarray:
    """The width of the white space at the beginning of the line, as far as it has been read; a tab counts as four."""
    white = passage.among(" \t")
    leading = white & (latest(~white) == passage.line_start)
    width = np.cumsum(np.where(leading, np.where(passage.codes == ord("\t"), _TAB, 1), 0))
    return width - np.where(passage.line_start >= 0, width[passage.line_start], 0)


def word(passage: Passage) -> np.ndarray:
    """After a letter, a digit, an underscore, or an apostrophe between letters."""
    of_word = passage.where(lambda character: character.isalnum() or character == "_")
    between = np.zeros(len(passage), bool)
    between[1:-1] = of_word[:-2] & of_word[2:]
    return of_word | (between & passage.among("'’"))


def word_position(passage: Passage) -> np.ndarray:
    """How many characters of the word have been read; 0 outside of words."""
    return np.arange(len(passage)) - latest(~word(passage))


def sentence_end(passage: Passage) -> np.ndarray:
    """After . ! ? … and after the closing signs and white space that follow it, up to the next sentence."""
    ends = passage.among(".!?…")
    between = passage.among(" \t\r\n\"'”’»)]}")
    return latest(ends) > latest(~(ends | between))


def _matches(pattern: str, closed: bool = False, flags: int = 0) -> Callable[[Passage], np.ndarray]:
    """Labels: inside a match of a pattern that needs linear time. If ``closed``, its last character is outside."""
    compiled = re.compile(pattern, flags)

    def label(passage: Passage) -> np.ndarray:
        inside = np.zeros(len(passage), bool)
        for match in compiled.finditer(passage.string):
            inside[match.start() : match.end() - closed] = True
        return inside

    return label


_COMMENT = (
    r"(?<!\S)\#[^\n]* | (?<!:)//[^\n]* | /\*(?:(?!\*/)[\s\S]){0,2000}(?:\*/)? | <!--(?:(?!-->)[\s\S]){0,2000}(?:-->)?"
)
_URL = r"(?:https?|ftp)://[^\s<>\"'”’»]+ | \bwww\.[^\s<>\"'”’»]+"

HYPOTHESES = (
    Hypothesis("quotes", "inside quotation marks", quotes),
    Hypothesis("brackets", "how many brackets are open", brackets, False),
    Hypothesis("column", "characters since the newline", column, False),
    Hypothesis("line", "the part of the line that has been read", line, False),
    Hypothesis("indent", "width of the line's indentation", indent, False),
    Hypothesis("comment", "inside a comment (#, //, /* */, <!-- -->)", _matches(_COMMENT, flags=re.VERBOSE)),
    Hypothesis("word", "inside a word", word),
    Hypothesis("word-position", "characters of the word that have been read", word_position, False),
    Hypothesis("upper", "after an upper-case letter", lambda passage: passage.where(str.isupper)),
    Hypothesis("digit", "after a digit", lambda passage: passage.where(str.isdigit)),
    Hypothesis("sentence-end", "between the end of a sentence and the next", sentence_end),
    Hypothesis("url", "inside a URL", _matches(_URL, flags=re.VERBOSE)),
    Hypothesis("tag", "inside an XML or HTML tag", _matches(r"<[A-Za-z/!?][^<>]{0,500}>", closed=True)),
)
BY_NAME = {each.name: each for each in HYPOTHESES}
NAMES = tuple(BY_NAME)


def hypothesis(name: str, others: Sequence[str] = ()) -> Hypothesis:
    """The built-in hypothesis called ``name``; ``others`` are further names that the user could have meant.

    Raises:
        ConfigError: there is none.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    near = difflib.get_close_matches(name, (*NAMES, *others), 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join((*NAMES, *others))}"
    raise ConfigError(f"there is no hypothesis {name!r}: {hint}")


def label_passages(passages: Sequence[Passage], hypothesis: Hypothesis) -> list[np.ndarray]:
    """The labels (N,) of each of many short texts, which have nothing to do with each other."""
    if hypothesis.label_many is not None:
        return hypothesis.label_many(passages)
    return [hypothesis.label(passage) for passage in passages]


def label_text(text: EncodedText, hypothesis: Hypothesis) -> np.ndarray:
    """The labels (N,) of a whole text: bool, or float32 if they are numbers."""
    labels = np.zeros(len(text), bool if hypothesis.is_mask else np.float32)
    for start, stop in text.parts():
        labels[start:stop] = text.label(hypothesis.label, start, stop)
    return labels
