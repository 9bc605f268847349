"""What a cell tracks, in words, what the words and the scores of cells mean, and what texts are called."""

import math
from collections.abc import Iterable, Mapping, Sequence

from charrnn.inspection.clamping import Cell
from charrnn.inspection.naming import Tracked
from charrnn.inspection.search import SIGNIFICANT

MEASURES = {"auc": "AUC", "spearman": "ρ"}
NOT_SIGNIFICANT, UNKNOWN = "n.s.", "–"
STRUCTURE = "score, 0 to 1: high if a cell moves much, keeps its value, and depends on more than the last character."
TRACKS = f"tracks: what the cell keeps track of in the run's own text; {UNKNOWN} if it is not known."
_SIGNS = {
    "AUC": "AUC, 0.5 (chance) to 1: how surely the cell is higher (on) or lower (off) inside than outside.",
    "ρ": "ρ, -1 to 1: rank correlation of the cell with the number; 0 is chance.",
    NOT_SIGNIFICANT: f"{NOT_SIGNIFICANT}: not significant, p is above {SIGNIFICANT}.",
}


def measured(measure: str, score: float, digits: int = 2) -> str:
    """A score as in "ρ -0.79" or "AUC off 0.92". An AUC below 1/2 is 1 minus it, with the word off."""
    if measure == "spearman":
        return f"ρ {score:+.{digits}f}"
    return f"AUC on {score:.{digits}f}" if score >= 0.5 else f"AUC off {1 - score:.{digits}f}"


def p_words(p: float) -> str:
    """A p to three digits, marked if it is not significant; a dash if there is none."""
    if math.isnan(p):
        return UNKNOWN
    return f"{p:.3f}" if p <= SIGNIFICANT else f"{p:.3f} {NOT_SIGNIFICANT}"


def tracks(found: Tracked) -> str:
    """What a cell tracks, as in "column, ρ -0.79"."""
    return f"{found.hypothesis}, {measured(found.measure, found.value)}"


def listed(cells: Sequence[Cell], tracked: Mapping[Cell, Tracked]) -> str:
    """Cells (layer, unit) by number, and by what they track where that is known: "1:37 column, ρ -0.79; 0:4"."""
    words = [f"{layer}:{unit}" for layer, unit in cells]
    known = [f" {tracks(tracked[cell])}" if cell in tracked else "" for cell in cells]
    return ("; " if any(known) else ", ").join(map("".join, zip(words, known, strict=True)))


def sources(names: Iterable[str]) -> str:
    """The texts of a run by their names; ``-`` is standard input."""
    return ", ".join("standard input" if name == "-" else name for name in names)


def explained(texts: Iterable[str]) -> list[str]:
    """A sentence for each sign that occurs in ``texts``: AUC, ρ, n.s."""
    texts = list(texts)
    return [meaning for sign, meaning in _SIGNS.items() if any(sign in text for text in texts)]
