"""What the cells of a model track, by the built-in hypotheses: their names, as in 1:173 column, ρ -0.79.

Every hypothesis is tested on every cell, as ``inspect find`` does it. A cell is named by the hypothesis that it tracks
best, if the test is significant for all cells and hypotheses together and the cell knows enough of it. In a long text
the test alone would name nearly every cell, many of them by a hypothesis that explains little of their values.
"""

from typing import NamedTuple

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.clamping import Cell
from charrnn.inspection.hypotheses import HYPOTHESES
from charrnn.inspection.search import SIGNIFICANT, Finding, find
from charrnn.model import Model
from charrnn.records import ProgressCallback, no_progress

LONGEST, LARGEST = 50_000, 2**25  # characters that are read, and values of cells: a few seconds on two cores
LEAST = 0.4  # |2 AUC - 1| or |ρ|: an AUC of 0.7 or more, on or off


class Tracked(NamedTuple):
    """What a cell tracks: the name of a hypothesis, the ``measure`` (auc or spearman), and its ``value``.

    An AUC below 1/2 belongs to a cell that is low where the hypothesis holds.
    """

    hypothesis: str
    measure: str
    value: float


def name_cells(model: Model, ids: np.ndarray, progress: ProgressCallback = no_progress) -> dict[Cell, Tracked]:
    """What cells (layer, unit) track while ``model`` reads the beginning of ids (N,). Other cells have no name.

    No cell has a name if the text is too short for a test, or the same for every hypothesis throughout.
    """
    config = model.network.config
    longest = min(LONGEST, LARGEST // (config.layers * config.hidden))
    try:
        found = find(model, ids[:longest], HYPOTHESES, with_probe=False, progress=progress).found
    except ConfigError:  # it says which of the two it is, to users who asked for a test
        return {}
    strengths = np.stack([np.where(each.p_of_all <= SIGNIFICANT, each.strengths, 0) for each in found])
    best = strengths.argmax(axis=0)
    named = np.argwhere(strengths.max(axis=0) >= LEAST).tolist()
    return {(layer, unit): _tracked(found[best[layer, unit]], (layer, unit)) for layer, unit in named}


def _tracked(finding: Finding, cell: Cell) -> Tracked:
    return Tracked(finding.name, finding.measure, float(finding.scores[cell]))
