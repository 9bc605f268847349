"""Which cells keep track of something: all of them ranked against a hypothesis, or the best for every hypothesis."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.inspect.cell_names import name
from charrnn.commands.options import Whole

# A test compares these with the hypotheses: help imports no numpy.
NAMES = (
    "quotes, brackets, column, line, indent, comment, word, word-position, upper, digit, sentence-end, url, tag"
)  # fmt: skip
_EXAMPLE = 200_000  # characters in which an example is looked for

TITLE = "Cells that keep track of something"
OPTIONS = (
    click.option(
        "--find", metavar="NAME",
        help=f"Rank all cells by how well they keep track of this, with confidence: {NAMES}; or all, for a table of "
        "the best cell for each.",
    ),
    click.option("--where", metavar="REGEX", help="As --find, for being inside a match of a regular expression."),
    click.option(
        "--mask", type=click.Path(path_type=Path), metavar="FILE",
        help="As --find, for numbers of your own, one a character of the text: a .npy, or text with 0 and 1.",
    ),
    click.option(
        "--permutations", type=Whole(19, 100_000), default=199, show_default=True,
        help="How often --find puts the label in another order: p is 1 over this and one at the least.",
    ),
    click.option("--probe/--no-probe", default=True, help="Fit a linear probe over the whole state, beside the cells."),
)  # fmt: skip
OWN, FOR = ("permutations", "probe"), "--find, --where or --mask"
IDLE = ("cell", "offset", "length")


def wanted(options: dict[str, Any]) -> str | None:
    """The option that asks for this view, if it is given."""
    return next((f"--{each}" for each in ("find", "where", "mask") if options[each] is not None), None)


def show(terminal, model, ids, options: dict[str, Any]) -> None:
    """Rank the cells over all of ids (N,), and show the best."""
    from charrnn.display.reports.findings import all_lines, finding_lines

    hypotheses = asked_hypotheses(options, len(ids))
    found = _found(terminal, model, ids, hypotheses, options, options["permutations"], options["probe"])
    records = [_record(found, each, options["cells"]) for each in found.found]
    if found.absent and len(hypotheses) > 1:
        terminal.note(f"nowhere or everywhere in this text: {', '.join(found.absent)}")
    if options["as_json"]:
        for record in records:
            terminal.json(record)
    elif len(hypotheses) > 1:
        terminal.show(*all_lines(records, terminal.width))
    else:
        of = next(each for each in hypotheses if each.name == found.found[0].name)
        example = _example(terminal, model, ids, of, found.found[0], options)
        terminal.show(*finding_lines(records[0], *example, width=terminal.width, depth=terminal.depth))


def best(terminal, model, ids, options: dict[str, Any], count: int) -> dict[tuple[int, int], str]:
    """The ``count`` cells (layer, unit) that track best over ids (N,) what the options name, with their scores."""
    hypothesis = the_hypothesis(options, len(ids))
    # The order is that of the scores: no p is asked for.
    (finding,) = _found(terminal, model, ids, (hypothesis,), options, permutations=0, with_probe=False).found
    return {cell: _worded(float(finding.scores[cell]), finding.is_mask) for cell in finding.ranked(count)}


def _worded(score: float, is_mask: bool) -> str:
    if not is_mask:
        return f"ρ {score:+.3f}"
    return f"AUC on {score:.3f}" if score >= 0.5 else f"AUC off {1 - score:.3f}"


def _found(terminal, model, ids, hypotheses, options: dict[str, Any], permutations: int, with_probe: bool):
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.search import find

    with progress_bar(terminal, "Reading") as progress:
        return find(
            model, ids, hypotheses, signal=options["signal"], permutations=permutations,
            with_probe=with_probe, seed=options["seed"] or 0, progress=progress,
        )  # fmt: skip


def the_hypothesis(options: dict[str, Any], characters: int):
    """The one that the options name; a usage error for all of them."""
    if options["find"] == "all":
        raise click.UsageError("This wants one hypothesis: --find NAME, not all of them.")
    (hypothesis,) = asked_hypotheses(options, characters)
    return hypothesis


def asked_hypotheses(options: dict[str, Any], characters: int):
    """What the options name; two of them at once are refused."""
    from charrnn.inspection.hypotheses import HYPOTHESES, hypothesis
    from charrnn.inspection.masks import read_mask
    from charrnn.inspection.patterns import inside_match

    given = [each for each in ("find", "where", "mask") if options[each] is not None]
    if len(given) > 1:
        raise click.UsageError(f"--{given[0]} and --{given[1]} exclude each other.")
    if options["find"] is not None:
        return HYPOTHESES if options["find"] == "all" else (hypothesis(options["find"]),)
    return (
        (inside_match(options["where"]),) if options["where"] is not None else (read_mask(options["mask"], characters),)
    )


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


def _example(terminal, model, ids, of, finding, options: dict[str, Any]):
    """A stretch of the text in which the label changes: where it begins, its text, the label and the cells' values."""
    import numpy as np

    from charrnn.display.reports.findings import stretch_width
    from charrnn.inspection.gallery import line_bounds, most_varied
    from charrnn.inspection.passage import EncodedText
    from charrnn.inspection.reading import read

    encoded, width = EncodedText(model.vocabulary, ids), stretch_width(terminal.width)
    limit = min(len(ids), _EXAMPLE)
    label = encoded.label(of.label, 0, limit).astype(float)
    label = (label - label.min()) / max(float(np.ptp(label)), 1e-12)
    begins = [begin for begin in line_bounds(encoded.passage(0, limit).string) if begin + width <= limit] or [0]
    start, stop = most_varied(label[:, None], [(begin, min(begin + width, limit)) for begin in begins])
    reading = read(model, ids, options["signal"], start, stop - start)
    values = {name(cell): reading.cell(*cell) for cell in finding.ranked(options["cells"])}
    return start, reading.text, label[start:stop], values
