"""``charrnn inspect find``: all cells ranked against a hypothesis, or the best cell for every hypothesis."""

import math
from collections.abc import Iterator
from typing import Any

from charrnn.commands import compiled
from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import cells_option, name, signal_option
from charrnn.commands.inspect.hypothesis import ALL, HEADS, PATTERNS, Wish, hypothesis_options
from charrnn.commands.inspect.inspection import Inspection, inspecting
from charrnn.commands.options import seed_option
from charrnn.commands.types import Whole
from charrnn.commands.work import picked

_EVERY = Wish("--track", ALL)
_EXAMPLE = 200_000  # characters in which an example is looked for


@inspecting(
    hypothesis_options(
        "What cells may keep track of",
        "Rank all cells by how well they keep track of this. The default, all, shows the best cell for each of:",
        f" Of a Transformer, heads shows the head that looks most at each of: {PATTERNS}; one of them ranks all heads.",
    ),
    section(
        "The search",
        cells_option(10, "Cells or heads to list."),
        signal_option,
        option(
            "--permutations", type=Whole(19, 100_000), default=199,
            help="How often the label is put in another order: p is at least 1 over this and one.",
        ),
        option("--probe/--no-probe", default=True, help="Fit a linear probe over the whole state, beside the cells."),
        seed_option("0"),
    ),
)  # fmt: skip
def find(work: Inspection) -> None:
    """Find the cells of the model in CHECKPOINT that keep track of something while it reads TEXT, and say how sure that
    is: with a permutation test over all cells, and beside a linear probe over the whole state.

    \b
    charrnn inspect find fables
    charrnn inspect find fables --track quotes
    charrnn inspect find fables --where '[A-Z]\\w+'
    charrnn inspect find fables --track heads

    \f

    --json writes an object for each hypothesis: hypothesis, summary, score (auc or spearman), characters, base,
    effective, cells_tried, hypotheses_tried, permutations, block, why_no_p, probe (score, cell, places) or null, and
    cells (layer, unit, score, p, p_of_all, significant: whether p_of_all is at most 0.05). If there is no test, block,
    p, p_of_all and significant are null, and why_no_p says why. For heads it writes an object for each pattern:
    pattern, summary, characters, places, heads_tried, patterns_tried, permutations, block, why_no_p and heads (layer,
    head, weight, expected, p, p_of_all, significant).
    """
    from charrnn.inspection.hypotheses import HYPOTHESES
    from charrnn.inspection.search import find as search

    (model, ids), options = work.open(compiled.searching), work.options
    wish = options["hypothesis"] or _EVERY
    if wish.patterns:
        _find_heads(work, wish.patterns)
        return
    hypotheses = HYPOTHESES if wish == _EVERY else (wish.hypothesis(len(ids)),)
    how = {"signal": work.signal.name, "permutations": options["permutations"]}
    how |= {"with_probe": options["probe"], "seed": options["seed"] or 0}
    with work.bar("Reading") as progress:
        found = search(model, ids, hypotheses, **how, progress=progress)
    if found.absent and len(hypotheses) > 1:
        work.terminal.note(f"nowhere or everywhere in this text: {', '.join(found.absent)}")
    records = [_record(found, each, options["cells"]) for each in found.found]
    work.show(records, _lines(work, hypotheses, found, records))


def _find_heads(work: Inspection, patterns) -> None:
    """Rank the heads by patterns of attention."""
    from charrnn.display.reports.attention import all_pattern_lines, pattern_lines
    from charrnn.inspection.head_search import find_heads

    options, width = work.options, work.terminal.width
    work.require_attention()
    how = {"permutations": options["permutations"], "seed": options["seed"] or 0}
    with work.bar("Reading") as progress:
        found = find_heads(work.model, work.ids, patterns, **how, progress=progress)
    if found.absent and len(patterns) > 1:
        work.terminal.note(f"nowhere in this text: {', '.join(found.absent)}")
    records = [_head_record(found, each, options["cells"]) for each in found.found]
    best = min(records, key=lambda record: (_p_of_all(record["heads"][0]), -record["heads"][0]["weight"]))
    head = name((best["heads"][0]["layer"], best["heads"][0]["head"]))
    if len(patterns) > 1:
        lines = all_pattern_lines(records, width, [work.command("find", "--track", best["pattern"])])
    else:
        proof = work.command("ablate", "--head", head, "--track", best["pattern"])
        lines = pattern_lines(records[0], width, [work.command("attention", "--head", head), proof])
    work.show(records, lines)


def _head_record(found, finding, count: int) -> dict[str, Any]:
    """What heads do with a pattern, as a JSON object."""
    return {
        "pattern": finding.pattern.name,
        "summary": finding.pattern.summary,
        "characters": found.summary.characters,
        "places": finding.places,
        "heads_tried": finding.weights.size,
        "patterns_tried": len(found.found),
        "permutations": found.permutations,
        "block": finding.block,
        "why_no_p": finding.why_no_p,
        "heads": [
            {"layer": head[0], "head": head[1], "weight": finding.weights[head], "expected": finding.expected[head]}
            | {"p": finding.p[head], "p_of_all": finding.p_of_all[head], "significant": finding.is_significant(head)}
            for head in finding.ranked(count)
        ],
    }


def _record(found, finding, count: int) -> dict[str, Any]:
    """A finding as a JSON object."""
    return {
        "hypothesis": finding.name,
        "summary": finding.summary,
        "score": finding.measure,
        "characters": found.characters,
        **picked(finding, "base", "effective"),
        "cells_tried": finding.scores.size,
        "hypotheses_tried": len(found.found),
        "permutations": found.permutations,
        "block": finding.block,
        "why_no_p": finding.why_no_p,
        "probe": finding.probe and picked(finding.probe, "score", "cell", "places"),
        "cells": [
            {"layer": cell[0], "unit": cell[1], "score": finding.scores[cell]}
            | {"p": finding.p[cell], "p_of_all": finding.p_of_all[cell], "significant": finding.is_significant(cell)}
            for cell in finding.ranked(count)
        ],
    }


def _lines(work: Inspection, hypotheses, found, records: list[dict[str, Any]]) -> Iterator:
    """The best cell for each hypothesis; for one hypothesis all its cells, over an example."""
    from charrnn.display.reports.findings import all_lines, finding_lines

    if len(hypotheses) > 1:
        best = min(records, key=lambda record: _p_of_all(record["cells"][0]))
        closer = [work.command("find", "--track", best["hypothesis"])]
        if work.has_attention:
            closer.append(work.command("find", "--track", HEADS))
        yield from all_lines(records, work.terminal.width, closer)
    else:
        example = _example(work, hypotheses[0], found.found[0])
        best, wish = name(found.found[0].ranked(1)[0]), work.options["hypothesis"]
        proof = work.command("ablate", "--cell", best, wish.option, str(wish.value))
        closer = [work.command("show", "--cell", best), proof]
        yield from finding_lines(records[0], *example, work.terminal.look(), closer)


def _p_of_all(cell: dict[str, Any]) -> float:
    """The p of a cell, above all others if there is none."""
    return 2.0 if math.isnan(cell["p_of_all"]) else cell["p_of_all"]


def _example(work: Inspection, hypothesis, finding):
    """A stretch of the text in which the label changes: its beginning, its text, the label and the cells' values."""
    import numpy as np

    from charrnn.display.reports.findings import stretch_width
    from charrnn.inspection.gallery import liveliest_stretch
    from charrnn.inspection.passage import EncodedText
    from charrnn.inspection.reading import read

    encoded, limit = EncodedText(work.model.vocabulary, work.ids), min(len(work.ids), _EXAMPLE)
    label = encoded.label(hypothesis.label, 0, limit).astype(float)
    label = (label - label.min()) / max(float(np.ptp(label)), 1e-12)
    text = encoded.passage(0, limit).string
    start, stop = liveliest_stretch(text, label[:, None], stretch_width(work.terminal.width))
    reading = read(work.model, work.ids, work.signal.name, start, stop - start)
    values = {name(cell): reading.cell(*cell) for cell in finding.ranked(work.options["cells"])}
    return start, reading.text, label[start:stop], values
