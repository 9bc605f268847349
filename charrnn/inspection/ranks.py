"""Scores that depend on ranks alone: AUC if the label is a mask, Spearman's correlation if it is a number.

Legend: C cells; a cell's values fall into BINS bins, n_b values into bin b; N = Σ n_b. The mid-rank of bin b, as a part
of N, is r_b = (Σ_{a<b} n_a + n_b / 2) / N. Its mean over all values is 1/2.
"""

import numpy as np


def measure(is_mask: bool) -> str:
    """The name of the score of a cell: ``auc`` if the label is a mask, ``spearman`` if it is a number."""
    return "auc" if is_mask else "spearman"


def mid_ranks(counts: np.ndarray) -> np.ndarray:
    """The mid-ranks r_b (..., BINS), from 0 to 1, of bins with ``counts`` (..., BINS)."""
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return (np.cumsum(counts, axis=-1) - counts / 2) / total


def auc(counts: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """AUC (C,) from counts (C, BINS) of all values and ``positives`` (C, BINS), of the values where the label holds.

    AUC is the probability that a value where the label holds is larger than one where it does not; ties count half.
    AUC = 1/2 + (mean of r where the label holds - 1/2) / (1 - p), if it holds with frequency p: the statistic of Mann &
    Whitney (1947) as an area (Hanley & McNeil 1982). NaN where p is 0 or 1.
    """
    positive, total = positives.sum(axis=-1), counts.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        above = (mid_ranks(counts) * positives).sum(axis=-1) / positive - 0.5
        return 0.5 + above / (1 - positive / total)


def spearman(counts: np.ndarray, sums: np.ndarray, squares: float) -> np.ndarray:
    """Spearman's ρ (C,) from counts (C, BINS) and sums (C, BINS) of the label's centred ranks g; ``squares`` is Σ g².

    ρ = Σ (r - 1/2) g / sqrt(Σ (r - 1/2)² Σ g²), which is Pearson's correlation of mid-ranks. NaN where the cell or the
    label is constant.
    """
    centred = mid_ranks(counts) - 0.5
    spread = (counts * centred**2).sum(axis=-1) * squares
    with np.errstate(invalid="ignore", divide="ignore"):
        return (centred * sums).sum(axis=-1) / np.sqrt(spread)


class Ranks:
    """Centred mid-ranks, from -1/2 to 1/2, of numbers among reference values (M,).

    They are exact for numbers that are among the reference values, and interpolated for others.
    """

    def __init__(self, reference: np.ndarray):
        self._values, counts = np.unique(reference, return_counts=True)
        self._ranks = mid_ranks(counts) - 0.5
        self.is_constant = len(self._values) < 2

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The ranks (N,) float32 of values (N,)."""
        return np.interp(values, self._values, self._ranks).astype(np.float32)


def rank_score(prediction: np.ndarray, label: np.ndarray, is_mask: bool) -> float:
    """The AUC of predictions (N,) for a ``label`` (N,) bool if ``is_mask``, else Spearman's ρ for its centred ranks."""
    values, place, counts = np.unique(prediction, return_inverse=True, return_counts=True)
    sums = np.bincount(place, weights=label, minlength=len(values))
    if is_mask:
        return float(auc(counts, sums))
    return float(spearman(counts, sums, float((label.astype(np.float64) ** 2).sum())))
