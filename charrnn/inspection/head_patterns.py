"""Patterns of attention: for every character of a text the one earlier character that a head may look at.

A pattern says how many places back this character is, or that there is none.  The patterns that name an opening sign
close quotations and brackets as :mod:`charrnn.inspection.hypotheses` does.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.inspection.hypotheses import Hypothesis, open_quote, word
from charrnn.inspection.passage import Passage, latest

_OPENS = dict(zip(")]}", "([{", strict=True))


@dataclass(frozen=True)
class HeadPattern:
    """``back(passage)`` is (N,) int64: how many places back the character is, -1 where there is none.

    ``distance`` is this number if it is the same everywhere, else None.
    """

    name: str
    summary: str
    back: Callable[[Passage], np.ndarray]
    distance: int | None = None

    def applies(self, context: int) -> Hypothesis:
        """The hypothesis that holds where the pattern names one of the last ``context`` characters."""

        def label(passage: Passage) -> np.ndarray:
            back = self.back(passage)
            return (back >= 0) & (back < context)

        return Hypothesis(self.name, f"where a head can look at {self.summary}", label)


def _always(distance: int) -> Callable[[Passage], np.ndarray]:
    def back(passage: Passage) -> np.ndarray:
        places = np.arange(len(passage))
        return np.where(places + passage.start >= distance, distance, -1)

    return back


def _from(targets: np.ndarray) -> np.ndarray:
    """Distances from the places (N,) that are named, -1 for no place; a character does not name itself."""
    back = np.arange(len(targets)) - targets
    return np.where((targets >= 0) & (back > 0), back, -1)


def _before(targets: np.ndarray) -> np.ndarray:
    """The places (N,) that were named for the character before."""
    return np.append(-1, targets)[: len(targets)]


def _last_like(passage: Passage, length: int) -> np.ndarray:
    """For each character the last earlier place where the same ``length`` characters end: (N,), -1 if there is none."""
    count = len(passage)
    _, kinds = np.unique(passage.codes, return_inverse=True)
    kinds = alike = kinds.ravel().astype(np.int64)
    for shift in range(1, length):
        # The number of a string: of its last characters, and of the character before these.
        before = np.append(np.full(min(shift, count), -1), kinds[: max(count - shift, 0)])
        _, alike = np.unique(alike * (count + 1) + before + 1, return_inverse=True)
        alike = alike.ravel()
    order = np.argsort(alike, kind="stable")
    found = np.full(count, -1)
    same = alike[order[1:]] == alike[order[:-1]]
    found[order[1:][same]] = order[:-1][same]
    found[: length - 1] = -1
    return found


def _after_last_like(length: int) -> Callable[[Passage], np.ndarray]:
    def back(passage: Passage) -> np.ndarray:
        last = _last_like(passage, length)
        return _from(np.where(last >= 0, last + 1, -1))

    return back


def same_character(passage: Passage) -> np.ndarray:
    """To the last earlier place of the same character."""
    return _from(_last_like(passage, 1))


def line_start(passage: Passage) -> np.ndarray:
    """To the newline that the line follows; a newline belongs to the line that it ends."""
    return _from(_before(passage.line_start))


def word_start(passage: Passage) -> np.ndarray:
    """Within a word, to its first character."""
    inside = word(passage)
    return np.where(inside, _from(latest(~inside) + 1), -1)


def opening(passage: Passage) -> np.ndarray:
    """To the innermost quotation mark or bracket that is open; a closing sign names the one that it closes."""
    return _from(_before(np.maximum(open_quote(passage), _open_bracket(passage))))


def _open_bracket(passage: Passage) -> np.ndarray:
    """The place of the innermost open bracket (N,), -1 if there is none.

    A closing bracket closes the last open bracket of its kind, and those inside of it.  An empty line closes all.
    """
    marks = passage.among("([{)]}")
    at, found = np.flatnonzero(marks), np.full(len(passage), -1)
    stack: list[tuple[str, int]] = []
    innermost = []
    for place, start in zip(at.tolist(), passage.paragraph_start[at].tolist(), strict=True):
        sign = chr(passage.codes[place])
        stack = [each for each in stack if each[1] > start]
        if sign in _OPENS:
            same = [depth for depth, (kind, _) in enumerate(stack) if kind == _OPENS[sign]]
            stack = stack[: same[-1]] if same else stack
        else:
            stack.append((sign, place))
        innermost.append(stack[-1][1] if stack else -1)
    if innermost:
        last = np.cumsum(marks) - 1
        found = np.where(last >= 0, np.array(innermost)[last], -1)
    return np.where(found > passage.paragraph_start, found, -1)


PATTERNS = (
    HeadPattern("itself", "the character itself", _always(0), 0),
    HeadPattern("previous", "the character before", _always(1), 1),
    HeadPattern("previous-2", "the character two places back", _always(2), 2),
    HeadPattern("same-character", "the last earlier place of the same character", same_character),
    HeadPattern("induction", "what followed the same character's last place", _after_last_like(1)),
    HeadPattern("induction-3", "what followed the last place of the same three characters", _after_last_like(3)),
    HeadPattern("line-start", "the newline before the line", line_start),
    HeadPattern("word-start", "the first character of the word", word_start),
    HeadPattern("opening", "the quotation mark or bracket that was open", opening),
)
BY_NAME = {each.name: each for each in PATTERNS}
NAMES = tuple(BY_NAME)
