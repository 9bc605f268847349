"""The cells of a page, a picture, an array or a history: those that are named, that track best, or of the gallery."""

from typing import Any

from charrnn.commands.inspect.cells import Cell

_SAMPLE = 8_000_000  # values that the gallery is chosen by


def tracking(terminal, model, ids, wish, signal: str, count: int) -> dict[Cell, str]:
    """The ``count`` cells that track the hypothesis best over ids (N,), with their scores in words."""
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.search import find

    # Cells are ordered by their scores. No p-value is needed, and so no permutation.
    with progress_bar(terminal, "Reading") as progress:
        hypotheses = (wish.hypothesis(len(ids)),)
        (finding,) = find(
            model, ids, hypotheses, signal=signal, permutations=0, with_probe=False, seed=0, progress=progress
        ).found
    return {cell: _in_words(float(finding.scores[cell]), finding.is_mask) for cell in finding.ranked(count)}


def _in_words(score: float, is_mask: bool) -> str:
    if not is_mask:
        return f"ρ {score:+.3f}"
    return f"AUC on {score:.3f}" if score >= 0.5 else f"AUC off {1 - score:.3f}"


def with_scores(terminal, model, ids, options: dict[str, Any], count: int) -> dict[Cell, str]:
    """The cells of --cell, then ``count`` that track the hypothesis or else of the gallery, with their scores."""
    from charrnn.inspection.clamping import require_cells

    require_cells(model.network, options["cell"])
    if options["hypothesis"]:
        found = tracking(terminal, model, ids, options["hypothesis"], options["signal"], count)
    else:
        found = _gallery(model, ids, options, count)
    return {cell: found.get(cell, "") for cell in [*options["cell"], *found]}


def chosen(terminal, model, ids, options: dict[str, Any], count: int) -> list[Cell]:
    """The same without scores. The gallery is asked only where neither --cell nor a hypothesis names cells."""
    from charrnn.inspection.clamping import require_cells

    if options["cell"] and not options["hypothesis"]:
        require_cells(model.network, options["cell"])
        return options["cell"]
    return list(with_scores(terminal, model, ids, options, count))


def _gallery(model, ids, options: dict[str, Any], count: int) -> dict[Cell, str]:
    from charrnn.inspection.gallery import gallery
    from charrnn.inspection.reading import read_all

    config = model.network.config
    sample = min(options["length"], max(_SAMPLE // (config.layers * config.hidden), 1000))
    reading = read_all(model, ids, options["signal"], options["offset"], sample)
    return {(find.layer, find.unit): f"{find.score:.3f}" for find in gallery(reading, count)}
