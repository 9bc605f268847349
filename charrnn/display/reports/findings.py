"""Cells ranked against a hypothesis, over an example of text; and the best cell for every hypothesis.

What is laid out here are the objects that ``inspect find --json`` writes; docs/INSPECTION_METHODS.md explains them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import DIVERGING, SEQUENTIAL, Depth
from charrnn.display.terminal.heatmap import heat_text
from charrnn.display.terminal.tables import table
from charrnn.display.terminal.text_width import clip, plain, wrap

SURE = 0.05
_LABEL = 24  # cells of the terminal left of the text
_LEAST = 20
_BEFORE_SUMMARY, _LEAST_SUMMARY = 65, 12  # cells of a table's line
_NAMES = {"auc": "AUC", "spearman": "ρ"}


def stretch_width(width: int) -> int:
    """How many characters of the example a row has in a terminal ``width`` cells wide."""
    return max(width - _LABEL, _LEAST)


def finding_lines(
    record: Mapping[str, Any],
    start: int,
    text: str,
    label: np.ndarray,
    values: Mapping[str, np.ndarray],
    *,
    width: int,
    depth: Depth = Depth.TRUECOLOUR,
) -> list[Text]:
    """What was asked and of how much, then the label and each cell over ``text`` (n,) from character ``start`` on."""
    flat = text.replace("\n", "↵").replace("\t", "→")
    score = _NAMES[record["score"]]
    lines = [Text(plain(f"{record['hypothesis']}: {record['summary']}"), style="bold"), *_told(record, width), Text()]
    lines.append(Text(f"{f'   cell {score:>9} p':<{_LABEL}}from character {start:,}", style="dim"))
    rows = [("the label itself", label, SEQUENTIAL, "dim")]
    for cell in record["cells"]:
        named = f"{cell['layer']}:{cell['unit']}"
        title = f"{named:>7} {_score(cell['score'], record):>9} {_p(cell['p'])}"
        rows.append((title, values[named], DIVERGING, "bold" if cell["p"] <= SURE else ""))
    for number, (title, of_row, scale, style) in enumerate(rows):
        heat = heat_text(flat, of_row, scale, width=stretch_width(width), depth=depth)
        if depth == Depth.NONE and number == 0:
            lines.append(Text.assemble(" " * _LABEL, heat[0]))
        lines.append(Text.assemble((f"{title:<{_LABEL}}", style), heat[depth == Depth.NONE]))
    return [*lines, Text(), *(Text(line) for sentence in verdict(record) for line in wrap(sentence, width))]


def verdict(record: Mapping[str, Any]) -> list[str]:
    """In plain words: whether a cell tracks it, and whether the knowledge is in one cell or spread."""
    best, found = record["cells"][0], []
    if best["p"] > SURE:
        return [
            f"No cell is sure to track this: by accident the best of so many is as good in {best['p']:.0%} of texts."
        ]
    probe, named = record["probe"], f"{best['layer']}:{best['unit']}"
    if probe is not None and not np.isnan(probe["score"]):
        share = _strength(probe["cell"], record) / max(_strength(probe["score"], record), 1e-9)
        if share >= 0.9:
            where = "nearly all of what the state knows of it is in one cell"
        else:
            where = "most of it is in one cell" if share >= 0.6 else "it is spread over many cells"
        found.append(
            f"On {probe['places']:,} places held back, {named} has {_known(probe['cell'], record)}, "
            f"a linear probe over the whole state {_known(probe['score'], record)}: {where}."
        )
    return [*found, f"Look closer with inspect --cell {named}, prove it with inspect ablate --cell {named}."]


def all_lines(records: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """A table of the best cell for each hypothesis; p accounts for all cells and all hypotheses."""
    rows = []
    for record in records:
        best, probe = record["cells"][0], record["probe"]
        rows.append(
            (
                record["hypothesis"],
                f"{best['layer']}:{best['unit']}",
                f"{_NAMES[record['score']]:<3} {_score(best['score'], record):>9}",
                _p(best["p_of_all"]),
                None if probe is None else _known(probe["score"], record),
                _share(record["base"]),
                clip(plain(record["summary"]), max(width - _BEFORE_SUMMARY, _LEAST_SUMMARY)),
            )
        )
    first = records[0]
    title = (
        f"{first['characters']:,} characters, {first['cells_tried']:,} cells; "
        f"p of {first['permutations']} permutations of blocks of {first['block']:,}, for all cells and hypotheses"
    )
    columns = ("hypothesis", "best cell", "score", "p", "probe", "holds", "")
    titles = [Text(line, style="dim") for line in wrap(title, width)]
    return [*titles, *table(columns, rows), Text(), Text("Look closer with --track NAME.")]


def _told(record: Mapping[str, Any], width: int) -> list[Text]:
    holds = f"holds at {_share(record['base']).strip()} of " if record["score"] == "auc" else "over "
    sentences = (
        f"{holds}{record['characters']:,} characters, worth about {record['effective']:,.0f} independent ones",
        f"p: {record['permutations']} permutations of blocks of {record['block']:,}, for all "
        f"{record['cells_tried']:,} cells tried",
    )
    return [Text(clip(sentence, width), style="dim") for sentence in sentences]


def _strength(score: float, record: Mapping[str, Any]) -> float:
    return abs(2 * score - 1 if record["score"] == "auc" else score)


def _score(score: float, record: Mapping[str, Any]) -> str:
    """A correlation with its sign; an AUC with whether the cell is on where the label holds, or off."""
    if record["score"] == "spearman":
        return f"{score:+.3f}"
    return f"on  {score:.3f}" if score >= 0.5 else f"off {1 - score:.3f}"


def _known(score: float, record: Mapping[str, Any]) -> str:
    """The same without the sign: how much is known, whichever way."""
    if np.isnan(score):
        return "–"
    return f"{max(score, 1 - score) if record['score'] == 'auc' else abs(score):.3f}"


def _p(p: float) -> str:
    return f"{p:.3f}"


def _share(base: float) -> str:
    return "–" if np.isnan(base) else f"{100 * base:.2g} %"
