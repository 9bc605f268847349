"""Scores that depend on ranks alone: AUC for a yes or no, Spearman's correlation for numbers.

Legend: C cells, BINS bins of a cell's values with n_b values each, N = Σ n_b.  The mid-rank of bin b, as a part of all,
is r_b = (Σ_{a<b} n_a + n_b / 2) / N; its mean over all values is 1/2.
"""

import numpy as np


def mid_ranks(counts: np.ndarray) -> np.ndarray:
    """r_b of bins (..., BINS), 0 to 1."""
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return (np.cumsum(counts, axis=-1) - counts / 2) / total


def auc(counts: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """How likely a value where the label holds is above one where it does not, ties half: (C,) from (C, BINS) each.

    AUC = 1/2 + (mean of r where it holds - 1/2) / (1 - p), for a label that holds with frequency p: the statistic of
    Mann & Whitney (1947) as an area (Hanley & McNeil 1982).  NaN where p is 0 or 1.
    """
    held, total = positives.sum(axis=-1), counts.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        above = (mid_ranks(counts) * positives).sum(axis=-1) / held - 0.5
        return 0.5 + above / (1 - held / total)


def spearman(counts: np.ndarray, sums: np.ndarray, squares: float) -> np.ndarray:
    """Spearman's ρ (C,) from counts (C, BINS) and sums (C, BINS) of the label's centred ranks g; ``squares`` is Σ g².

    ρ = Σ (r - 1/2) g / sqrt(Σ (r - 1/2)² Σ g²): Pearson's correlation of mid-ranks.  NaN where either is constant.
    """
    centred = mid_ranks(counts) - 0.5
    spread = (counts * centred**2).sum(axis=-1) * squares
    with np.errstate(invalid="ignore", divide="ignore"):
        return (centred * sums).sum(axis=-1) / np.sqrt(spread)


class Ranks:
    """Centred mid-ranks, -1/2 to 1/2, of numbers among reference values (M,); exact if all values are among these."""

    def __init__(self, reference: np.ndarray):
        self._values, counts = np.unique(reference, return_counts=True)
        self._ranks = mid_ranks(counts) - 0.5
        self.is_constant = len(self._values) < 2

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The ranks (N,) float32 of values (N,)."""
        return np.interp(values, self._values, self._ranks).astype(np.float32)


def rank_score(prediction: np.ndarray, label: np.ndarray, is_mask: bool) -> float:
    """AUC or Spearman's ρ of predictions (N,) against a label (N,): bool, or centred ranks."""
    values, place, counts = np.unique(prediction, return_inverse=True, return_counts=True)
    sums = np.bincount(place, weights=label, minlength=len(values))
    if is_mask:
        return float(auc(counts, sums))
    return float(spearman(counts, sums, float((label.astype(np.float64) ** 2).sum())))
