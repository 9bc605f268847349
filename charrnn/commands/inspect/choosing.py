"""The cells of a page, a picture, an array or a history: those that are named, that track best, or of the gallery."""

from charrnn.commands.inspect.cells import Cell
from charrnn.commands.inspect.reading import Inspection

_SAMPLE = 8_000_000  # values that the gallery is chosen by


def tracking(work: Inspection, ids, count: int) -> dict[Cell, str]:
    """The ``count`` cells that track the hypothesis best over ids (N,), with their scores in words."""
    from charrnn.inspection.search import find

    # Cells are ordered by their scores. No p-value is needed, and so no permutation.
    how = {"signal": work.options["signal"], "permutations": 0, "with_probe": False, "seed": 0}
    with work.bar("Reading") as progress:
        hypotheses = (work.options["hypothesis"].hypothesis(len(ids)),)
        (finding,) = find(work.model, ids, hypotheses, **how, progress=progress).found
    return {cell: _in_words(float(finding.scores[cell]), finding.is_mask) for cell in finding.ranked(count)}


def _in_words(score: float, is_mask: bool) -> str:
    if not is_mask:
        return f"ρ {score:+.3f}"
    return f"AUC on {score:.3f}" if score >= 0.5 else f"AUC off {1 - score:.3f}"


def with_scores(work: Inspection, count: int) -> dict[Cell, str]:
    """The cells of --cell, then ``count`` that track the hypothesis or else of the gallery, with their scores."""
    work.require_cells()
    found = tracking(work, work.ids, count) if work.options["hypothesis"] else _gallery(work, count)
    return {cell: found.get(cell, "") for cell in [*work.options["cell"], *found]}


def chosen(work: Inspection, count: int) -> list[Cell]:
    """The same without scores. The gallery is asked only where neither --cell nor a hypothesis names cells."""
    if work.options["cell"] and not work.options["hypothesis"]:
        work.require_cells()
        return work.options["cell"]
    return list(with_scores(work, count))


def _gallery(work: Inspection, count: int) -> dict[Cell, str]:
    from charrnn.inspection.gallery import gallery
    from charrnn.inspection.reading import read_all

    config, (signal, offset, length) = work.model.network.config, work.stretch
    sample = min(length, max(_SAMPLE // (config.layers * config.hidden), 1000))
    reading = read_all(work.model, work.ids, signal, offset, sample)
    return {(find.layer, find.unit): f"{find.score:.3f}" for find in gallery(reading, count)}
