"""Text as arrays of code points, so that labels are computed for every character at once."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn.text.vocabulary import Vocabulary, code_points

CONTEXT = 4096  # characters before and after a part of a text that are given to the function that labels it
PART = 1 << 20  # characters of a long text that are labelled at a time


@dataclass(frozen=True, eq=False)
class Passage:
    """Code points ``codes`` (N,) uint32 of N characters; the first is number ``start`` of its text, from 0.

    For a model of bytes, a byte is the character with its number.
    """

    codes: np.ndarray
    start: int = 0

    @classmethod
    def from_string(cls, text: str, start: int = 0) -> "Passage":
        """The passage of the characters of ``text``."""
        return cls(code_points(text).astype(np.uint32), start)

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def string(self) -> str:
        """The passage as a string of N characters."""
        return self.codes.tobytes().decode("utf-32-le", "surrogatepass")

    def among(self, characters: str) -> np.ndarray:
        """Where one of ``characters`` stands (N,) bool."""
        return np.isin(self.codes, [ord(character) for character in characters])

    def where(self, condition: Callable[[str], bool]) -> np.ndarray:
        """Where ``condition(character)`` is true (N,) bool; it is called once for each distinct character."""
        table = np.zeros(int(self.codes.max(initial=0)) + 1, bool)
        table[self.codes] = True
        for code in np.flatnonzero(table):
            table[code] = condition(chr(code))
        return table[self.codes]

    @cached_property
    def newline(self) -> np.ndarray:
        """Where lines end (N,) bool."""
        return self.codes == ord("\n")

    @cached_property
    def line_start(self) -> np.ndarray:
        """For every character the place of the last newline up to it (N,), -1 before the first."""
        return latest(self.newline)

    @cached_property
    def paragraph_start(self) -> np.ndarray:
        """For every character the place of the last empty line up to it (N,), -1 before the first.

        An empty line is a newline after a newline; carriage returns do not count.
        """
        written = self.codes[self.codes != ord("\r")]
        empty = np.zeros(len(written), bool)
        empty[1:] = (written[1:] == ord("\n")) & (written[:-1] == ord("\n"))
        found = np.zeros(len(self), bool)
        found[self.codes != ord("\r")] = empty
        return latest(found)


def latest(marks: np.ndarray) -> np.ndarray:
    """For every place the last place up to it that ``marks`` (N,) marks: (N,), -1 before the first."""
    return np.maximum.accumulate(np.where(marks, np.arange(len(marks)), -1))


class EncodedText:
    """A text of ids (N,) that is decoded passage by passage: a long text is never decoded all at once."""

    def __init__(self, vocabulary: Vocabulary, ids: np.ndarray):
        self.ids = ids
        self._codes = vocabulary.points.astype(np.uint32)

    def __len__(self) -> int:
        return len(self.ids)

    def passage(self, start: int, stop: int) -> Passage:
        """Characters ``start`` to ``stop`` - 1."""
        return Passage(self._codes[self.ids[start:stop]], start)

    def parts(self, size: int = PART) -> Iterator[tuple[int, int]]:
        """Cut the text into parts (start, stop) of about ``size`` characters, at most one and a half times as many."""
        count = max(1, round(len(self) / size))
        return itertools.pairwise(len(self) * part // count for part in range(count + 1))

    def label(self, function: Callable[[Passage], np.ndarray], start: int, stop: int) -> np.ndarray:
        """The labels of characters ``start`` to ``stop`` - 1, computed by ``function`` from a longer passage.

        The passage has up to ``CONTEXT`` more characters on both sides. It begins with a paragraph, or else with a
        line, so that it is unlikely to begin inside a quotation.
        """
        begin = max(start - CONTEXT, 0)
        if begin:
            before = self.passage(begin, start)
            for line_breaks in (before.paragraph_start, before.line_start):
                found = line_breaks[line_breaks > 0]
                if len(found):
                    begin += int(found[0]) + 1
                    break
        labels = function(self.passage(begin, min(stop + CONTEXT, len(self))))
        return labels[start - begin : stop - begin]
