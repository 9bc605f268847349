"""How surprising the words of a line are, compared with earlier words in the same place."""

import math
import re
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

UNKNOWN_BITS = 20.0  # what a character that the model does not know costs: about one of all characters of Unicode
MOST = 100_000  # contexts that are remembered
_LONGEST = 64  # characters of a word that are compared
_ADDED = 3.0  # bits that are added to a mean, so that a little surprise stays little where there is usually none
_FIRST_MEAN, _FIRST_COUNT = 2.0, 3  # the mean peak in bits before there is any, and how many peaks it counts as
_WORD = re.compile(r"\s*\S+\s*|\s+")
_WORD_OF_BYTES = re.compile(rb"\s*\S+\s*|\s+")

_Context = tuple[int, str | bytes]  # how many places before a word another one stands, and which one


class WordPeaks:
    """For each line of a stream a number: how surprising its words are, compared with earlier words in the same place.

    The peak x of a word is the bits of its least expected character; white space belongs to the word before it.  The
    place of a word is given by the word before it, and by the one two places before; "" stands before the first word.
    m is the mean of two lists of peaks together: those of earlier words with the same word before them, and those of
    earlier words with the same word two places before them.  The mean of all peaks counts as three peaks more.  The
    number of a line is

        sqrt(sum over its words of (x / (m + 3))²)

    so a line of more words has a larger one.  An unknown character is usual nowhere: it counts as one more word, with
    m = 0.

    In a log of packages a new name counts little behind ``install``, because new names usually follow this word.  A
    wrong state counts much behind ``status``, because the model is seldom surprised by a state.

    Args:
        most: how many contexts are remembered; the oldest are forgotten first.
    """

    def __init__(self, most: int = MOST):
        self._most = most
        self._sums: OrderedDict[_Context, tuple[int, float]] = OrderedDict()  # how many peaks, and their sum
        self._count, self._sum = _FIRST_COUNT, _FIRST_MEAN * _FIRST_COUNT

    def add(self, line: str | bytes, bits: npt.NDArray[np.floating], unknown: int = 0) -> float:
        """The number of the next line.

        Args:
            line: without its line end.
            bits: (M,), those of its characters, and of its line end if that counts.
            unknown: how many characters the model does not know.
        """
        spans = _WORD.finditer(line + "\n") if isinstance(line, str) else _WORD_OF_BYTES.finditer(line + b"\n")
        found = [(match.group().strip()[:_LONGEST], match.start()) for match in spans if match.start() < len(bits)]
        if not found:
            return 0.0
        peaks = np.maximum.reduceat(bits, [start for _, start in found]).tolist()
        contexts = _contexts([word for word, _ in found])
        total = unknown * (UNKNOWN_BITS / _ADDED) ** 2
        for peak, of_word in zip(peaks, contexts, strict=True):
            total += (peak / (self._usual(of_word) + _ADDED)) ** 2
        for peak, of_word in zip(peaks, contexts, strict=True):
            self._learn(of_word, peak)
        return math.sqrt(total)

    def _usual(self, contexts: list[_Context]) -> float:
        """m, the mean of the peaks in these contexts."""
        count, total = _FIRST_COUNT, _FIRST_COUNT * self._sum / self._count
        for context in contexts:
            more, their_sum = self._sums.get(context, (0, 0.0))
            count, total = count + more, total + their_sum
        return total / count

    def _learn(self, contexts: list[_Context], peak: float) -> None:
        if not math.isfinite(peak):  # of a model with enormous weights; it would be in every mean from then on
            return
        for context in contexts:
            count, total = self._sums.pop(context, (0, 0.0))
            self._sums[context] = count + 1, total + peak
        while len(self._sums) > self._most:
            self._sums.popitem(last=False)
        self._count, self._sum = self._count + 1, self._sum + peak


def _contexts(words: list[str | bytes]) -> list[list[_Context]]:
    """For each word the word before it and the one two places before; the first word has "" before it and no other."""
    before: list[str | bytes] = ["", *words]
    return [[(1, before[k]), *([(2, before[k - 1])] if k else [])] for k in range(len(words))]
