"""A stretch of text as an array of code points, for labels that are computed for every character at once."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charrnn.text.vocabulary import Vocabulary, code_points

CONTEXT = 4096  # characters that a passage has before and behind those that are asked for
PART = 1 << 20  # characters of a long text that are labelled at a time


@dataclass(frozen=True, eq=False)
class Passage:
    """Characters ``codes`` (N,) uint32, the first of them the ``start``-th of its text.

    A byte of a model of bytes is the character of its number.
    """

    codes: np.ndarray
    start: int = 0

    @classmethod
    def of(cls, text: str, start: int = 0) -> "Passage":
        """A passage from a string."""
        return cls(code_points(text).astype(np.uint32), start)

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def string(self) -> str:
        """The same as a string of N characters."""
        return self.codes.tobytes().decode("utf-32-le", "surrogatepass")

    def among(self, characters: str) -> np.ndarray:
        """Where one of ``characters`` stands (N,)."""
        return np.isin(self.codes, [ord(character) for character in characters])

    def where(self, is_so: Callable[[str], bool]) -> np.ndarray:
        """Where a character is so (N,); ``is_so`` is asked once about each that occurs."""
        table = np.zeros(int(self.codes.max(initial=0)) + 1, bool)
        table[self.codes] = True
        for code in np.flatnonzero(table):
            table[code] = is_so(chr(code))
        return table[self.codes]

    @cached_property
    def newline(self) -> np.ndarray:
        """Where lines end (N,)."""
        return self.codes == ord("\n")

    @cached_property
    def line_start(self) -> np.ndarray:
        """For every character the last newline up to it (N,), -1 before the first."""
        return latest(self.newline)

    @cached_property
    def paragraph_start(self) -> np.ndarray:
        """For every character the last empty line up to it (N,), -1 before the first."""
        written = self.codes[self.codes != ord("\r")]
        empty = np.zeros(len(written), bool)
        empty[1:] = (written[1:] == ord("\n")) & (written[:-1] == ord("\n"))
        found = np.zeros(len(self), bool)
        found[self.codes != ord("\r")] = empty
        return latest(found)


def latest(marks: np.ndarray) -> np.ndarray:
    """For every place the last one up to it that is marked (N,), -1 before the first."""
    return np.maximum.accumulate(np.where(marks, np.arange(len(marks)), -1))


class Script:
    """A text of ids (N,) as passages; a long one is never decoded all at once."""

    def __init__(self, vocabulary: Vocabulary, ids: np.ndarray):
        self.ids = ids
        self._codes = np.array(
            [symbol if isinstance(symbol, int) else ord(symbol) for symbol in vocabulary.symbols], np.uint32
        )

    def __len__(self) -> int:
        return len(self.ids)

    def passage(self, start: int, stop: int) -> Passage:
        """Characters ``start`` to ``stop``."""
        return Passage(self._codes[self.ids[start:stop]], start)

    def parts(self, size: int = PART) -> Iterator[tuple[int, int]]:
        """The text in parts (start, stop) of about ``size`` characters, the largest half as long again."""
        count = max(1, round(len(self) / size))
        return itertools.pairwise(len(self) * part // count for part in range(count + 1))

    def labels(self, of: Callable[[Passage], np.ndarray], start: int, stop: int) -> np.ndarray:
        """What ``of`` says of characters ``start`` to ``stop``, shown up to CONTEXT more on both sides.

        It is shown whole paragraphs, or whole lines, so that it does not begin within a quotation.
        """
        begin = max(start - CONTEXT, 0)
        if begin:
            before = self.passage(begin, start)
            ends = [found[found > 0] for found in (before.paragraph_start, before.line_start)]
            begin += next((int(found[0]) + 1 for found in ends if len(found)), 0)
        values = of(self.passage(begin, min(stop + CONTEXT, len(self))))
        return values[start - begin : stop - begin]
