"""``charrnn inspect find``: all cells ranked against a hypothesis, or the best cell for every hypothesis."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, option, section
from charrnn.commands.inspect.cells import cells_option, name, signal_option
from charrnn.commands.inspect.hypothesis import ALL, Wish, hypothesis_options
from charrnn.commands.inspect.reading import opened, text_options
from charrnn.commands.options import checkpoint_argument, general_options, seed_option
from charrnn.commands.types import Whole

_EVERY = Wish("--track", ALL)
_EXAMPLE = 200_000  # characters in which an example is looked for


@click.command(cls=Command)
@checkpoint_argument
@hypothesis_options(
    "What cells may keep track of",
    "Rank all cells by how well they keep track of this. The default, all, shows the best cell for each of:",
)
@section(
    "The search",
    cells_option(10, "Cells to list."),
    signal_option,
    option(
        "--permutations", type=Whole(19, 100_000), default=199, show_default=True,
        help="How often the label is put in another order: p is at least 1 over this and one.",
    ),
    option("--probe/--no-probe", default=True, help="Fit a linear probe over the whole state, beside the cells."),
    seed_option("0"),
)  # fmt: skip
@text_options
@general_options
def find(checkpoint: Path, **options: Any) -> None:
    """Find the cells of the model in CHECKPOINT that keep track of something while it reads TEXT, and say how sure that
    is: with a permutation test over all cells, and beside a linear probe over the whole state.

    \b
    charrnn inspect find checkpoints/fables
    charrnn inspect find checkpoints/fables corpora/fables.txt --track quotes
    charrnn inspect find checkpoints/fables --where '[A-Z]\\w+'

    \f

    --json writes an object for each hypothesis: hypothesis, summary, score (auc or spearman), characters, base,
    effective, cells_tried, hypotheses_tried, permutations, block, probe (score, cell, places) or null, and cells
    (layer, unit, score, p, p_of_all).
    """
    from charrnn.display.reports.findings import all_lines, finding_lines
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.hypotheses import HYPOTHESES
    from charrnn.inspection.search import find as search

    terminal, model, ids = opened(checkpoint, options)
    wish = options["hypothesis"] or _EVERY
    hypotheses = HYPOTHESES if wish == _EVERY else (wish.hypothesis(len(ids)),)
    with progress_bar(terminal, "Reading") as progress:
        found = search(
            model, ids, hypotheses, signal=options["signal"], permutations=options["permutations"],
            with_probe=options["probe"], seed=options["seed"] or 0, progress=progress,
        )  # fmt: skip
    records = [_record(found, each, options["cells"]) for each in found.found]
    if found.absent and len(hypotheses) > 1:
        terminal.note(f"nowhere or everywhere in this text: {', '.join(found.absent)}")
    if options["as_json"]:
        for record in records:
            terminal.json(record)
    elif len(hypotheses) > 1:
        terminal.show(*all_lines(records, terminal.width))
    else:
        example = _example(terminal, model, ids, hypotheses[0], found.found[0], options)
        terminal.show(*finding_lines(records[0], *example, width=terminal.width, depth=terminal.depth))


def _record(found, finding, count: int) -> dict[str, Any]:
    """A finding as a JSON object."""
    probe = finding.probe
    return {
        "hypothesis": finding.name,
        "summary": finding.summary,
        "score": "auc" if finding.is_mask else "spearman",
        "characters": found.characters,
        "base": finding.base,
        "effective": finding.effective,
        "cells_tried": finding.scores.size,
        "hypotheses_tried": len(found.found),
        "permutations": found.permutations,
        "block": found.block,
        "probe": None if probe is None else {"score": probe.score, "cell": probe.cell, "places": probe.places},
        "cells": [
            {
                "layer": layer,
                "unit": unit,
                "score": finding.scores[layer, unit],
                "p": finding.p[layer, unit],
                "p_of_all": finding.p_of_all[layer, unit],
            }
            for layer, unit in finding.ranked(count)
        ],
    }


def _example(terminal, model, ids, hypothesis, finding, options: dict[str, Any]):
    """A stretch of the text in which the label changes: its beginning, its text, the label and the cells' values."""
    import numpy as np

    from charrnn.display.reports.findings import stretch_width
    from charrnn.inspection.gallery import line_bounds, most_varied
    from charrnn.inspection.passage import EncodedText
    from charrnn.inspection.reading import read

    encoded, width = EncodedText(model.vocabulary, ids), stretch_width(terminal.width)
    limit = min(len(ids), _EXAMPLE)
    label = encoded.label(hypothesis.label, 0, limit).astype(float)
    label = (label - label.min()) / max(float(np.ptp(label)), 1e-12)
    begins = [begin for begin in line_bounds(encoded.passage(0, limit).string) if begin + width <= limit] or [0]
    start, stop = most_varied(label[:, None], [(begin, min(begin + width, limit)) for begin in begins])
    reading = read(model, ids, options["signal"], start, stop - start)
    values = {name(cell): reading.cell(*cell) for cell in finding.ranked(options["cells"])}
    return start, reading.text, label[start:stop], values
