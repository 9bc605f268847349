"""A linear probe: how much the whole state knows about a label that no cell alone may know (Alain & Bengio 2016).

Ridge regression (least squares with a penalty, Hoerl & Kennard 1970) predicts the label from the state of all cells:
an LSTM's h and tanh(c). It is fitted on every other block of the text and scored on the blocks between. The best cell
is scored on those same blocks.
"""

from dataclasses import dataclass

import numpy as np

from charrnn.inspection.block_sums import ProductSums
from charrnn.inspection.ranks import rank_score
from charrnn.network.packed_weights import as_panels
from charrnn.system.threads import Team

PENALTY = 0.01  # for each place and standardised feature; ten times more or less changes little
_ROWS = 2048  # places that are multiplied at a time


@dataclass(frozen=True)
class Probe:
    """AUC or Spearman's ρ of the probe (``score``) and of the best ``cell``, on the same held-back ``places``.

    Both are NaN if the label never changes in the blocks for fitting or in the held-back blocks.
    """

    score: float
    cell: float
    places: int


def probe(
    team: Team, states: np.ndarray, labels: np.ndarray, masks: list[bool], cells: np.ndarray, block: int
) -> list[Probe]:
    """Fit and score a probe for each of K labels.

    Args:
        team: threads for the products.
        states: (S, F), F features at S places in the order of the text.
        labels: (S, K), 0 and 1 for masks, else centred ranks.
        masks: (K,) which labels are masks.
        cells: (S, K) the values of each label's best cell.
        block: how many places a block has.
    """
    held_back = np.arange(len(states)) // max(block, 1) % 2 == 1
    fitted, scored = np.flatnonzero(~held_back), np.flatnonzero(held_back)
    predict = _fit(team, states, labels, fitted)
    predicted = np.concatenate([predict(states[scored[k : k + _ROWS]]) for k in range(0, len(scored), _ROWS)])
    found = []
    for k, is_mask in enumerate(masks):
        truth = labels[scored, k]
        if np.ptp(truth) == 0 or np.ptp(labels[fitted, k]) == 0:
            found.append(Probe(np.nan, np.nan, len(scored)))
            continue
        of_cell = rank_score(cells[scored, k], truth, is_mask)
        found.append(Probe(rank_score(predicted[:, k], truth, is_mask), of_cell, len(scored)))
    return found


def _fit(team: Team, states: np.ndarray, labels: np.ndarray, places: np.ndarray):
    """A function from states (n, F) to predictions (n, K), fitted on ``places``."""
    features, count = states.shape[1], len(places)
    mean = states[places].mean(axis=0, dtype=np.float64)
    sums = ProductSums(team, features, features + labels.shape[1])
    centre = labels[places].mean(axis=0, dtype=np.float64)
    for k in range(0, count, _ROWS):
        at = places[k : k + _ROWS]
        x = states[at] - mean
        y = np.concatenate([x, labels[at] - centre], axis=1)
        sums.add(as_panels(x), as_panels(y))
    gram, products = sums.total[:, :features], sums.total[:, features:]
    # Multiplying the penalty by a feature's variance has the same effect as standardising the feature.
    spread = np.maximum(np.diag(gram) / count, 1e-9)
    weights = np.linalg.solve(gram + np.diag(PENALTY * count * spread), products)
    return lambda some: (some - mean) @ weights
