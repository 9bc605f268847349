"""How likely a check of some segments is to miss an edit."""

import math


def missed(segments: int, checked: int, edited: int) -> float:
    """The probability that none of ``edited`` segments is among ``checked`` ones, drawn at random from ``segments``.

    It is C(n - m, k) / C(n, k) for n segments, k checked and m edited ones.
    """
    if checked + edited > segments:
        return 0.0
    return math.comb(segments - edited, checked) / math.comb(segments, checked)


def examples(segments: int) -> list[int]:
    """Numbers of edited segments to tell the probability for: one, a tenth, and half of all."""
    return sorted({1, max(1, round(segments / 10)), max(1, segments // 2)})
