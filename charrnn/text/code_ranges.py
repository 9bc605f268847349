"""Sets of code points as sorted ranges, as regular expressions name them: ``[a-z]``, ``\\w``, ``.``.

A set is a tuple of pairs (first, last), both included, which neither overlap nor touch.
"""

import functools
import re
import sys
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Ranges = tuple[tuple[int, int], ...]

LARGEST = sys.maxunicode
SURROGATES = (0xD800, 0xDFFF)  # numbers that no character has


def united(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The set of all code points in ``ranges``, which may overlap."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return tuple(found)


def complement(ranges: Ranges) -> Ranges:
    """All other code points."""
    ends = [-1, *(end for pair in ranges for end in pair), LARGEST + 1]
    gaps = zip(ends[::2], ends[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in gaps if after - before > 1)


def of_characters(characters: Iterable[str]) -> Ranges:
    """The set of these characters."""
    return united((ord(each), ord(each)) for each in characters)


@functools.cache
def category(letter: str) -> Ranges:
    """The set that Python's ``re`` takes for ``\\d``, ``\\D``, ``\\s``, ``\\S``, ``\\w`` or ``\\W``, by its letter."""
    if letter.isupper():
        return complement(category(letter.lower()))
    first, last = SURROGATES
    points = np.delete(np.arange(LARGEST + 1, dtype="<u4"), slice(first, last + 1))
    text, jump = points.tobytes().decode("utf-32-le"), last + 1 - first
    # No match goes on from below the surrogates to above them: the characters beside them are of no category.
    found = (match.span() for match in re.finditer(rf"\{letter}+", text))
    return tuple((begin + jump * (begin >= first), end - 1 + jump * (end > first)) for begin, end in found)


def contains(ranges: Ranges, points: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which of some code points (N,) are in the set: (N,) bool."""
    if not ranges:
        return np.zeros(len(points), bool)
    firsts, lasts = np.array(ranges, np.int64).T
    at = np.searchsorted(firsts, points, "right") - 1
    return (at >= 0) & (points <= lasts[np.maximum(at, 0)])
