"""Model cells ranked against a hypothesis, over an example of text; and the best cell for every hypothesis.

The reports lay out the objects that ``inspect find --json`` writes; docs/INSPECTION_METHODS.md explains them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.reports.names import MEASURES, explained, p_words
from charrnn.display.terminal.colours import DIVERGING, SEQUENTIAL, Look
from charrnn.display.terminal.heatmap import LEAST, labelled_rows, room_beside
from charrnn.display.terminal.tables import copyable, paragraph, table
from charrnn.display.terminal.text_width import plain
from charrnn.inspection.search import SIGNIFICANT

_COLUMNS = "probe: the same score for all cells together, in a linear sum; holds: at how many of the characters."
_LABEL, _NARROW = 29, 24  # terminal columns left of the text; where there are few, "n.s." stands in place of a p


def stretch_width(width: int) -> int:
    """How many characters of the example a row has in a terminal ``width`` columns wide."""
    return room_beside(_label(width), width)


def _label(width: int) -> int:
    return _LABEL if width - _LABEL >= LEAST else _NARROW


def finding_lines(
    record: Mapping[str, Any],
    start: int,
    text: str,
    label: np.ndarray,
    values: Mapping[str, np.ndarray],
    look: Look,
    closer: Sequence[str] = (),
) -> list[Text]:
    """The hypothesis, the size of the test, then ``label`` (n,) and the cells over ``text`` (n,), and the verdict.

    ``text`` begins at character ``start``. ``values`` has the values (n,) of each cell by its name, as in 1:37.
    ``closer`` are commands that look closer at the best cell.
    """
    score, holds = MEASURES[record["score"]], f"holds at {_share(record['base'])} of "
    counted = f"{holds if record['score'] == 'auc' else 'over '}{record['characters']:,} characters"
    if record["block"] is not None:
        counted += f", worth about {record['effective']:,.0f} independent ones"
    tested = (counted, _how_tested(record))
    title = f"from character {start:,}"
    rows, margin = [("the label itself", "dim", SEQUENTIAL, label)], _label(look.width)
    for cell in record["cells"]:
        p = p_words(cell["p"]) if margin == _LABEL else p_words(cell["p"]).split()[-1]
        found = f"{_name(cell):>7} {_score(cell['score'], record):>9} {p:>5}"
        rows.append((found, "bold" if cell["p"] <= SIGNIFICANT else "dim", DIVERGING, values[_name(cell)]))
    return [
        *paragraph(f"{record['hypothesis']}: {record['summary']}", look.width, "bold"),
        *(line for sentence in tested for line in paragraph(sentence, look.width, "dim")),
        Text(),
        *labelled_rows(text, title, f"   cell {score:>9} p", rows, margin, look),
        Text(),
        *_explanation([record], [p_words(cell["p"]) for cell in record["cells"]], look.width),
        *(line for sentence in verdict(record) for line in paragraph(sentence, look.width)),
        *(copyable("Look closer, and prove it:", closer, look.width) if closer and _is_tracked(record) else []),
    ]


def verdict(record: Mapping[str, Any]) -> list[str]:
    """In plain words: whether a cell tracks the hypothesis, and whether one cell or many know it."""
    best, found = record["cells"][0], []
    if record["block"] is None:
        return [
            "So nobody can tell whether a cell tracks this: give a longer text, or one in which it changes more often."
        ]
    if best["p"] > SIGNIFICANT:
        return [f"No cell is sure to track this: by chance the best is as good for {best['p']:.0%} of shuffled labels."]
    probe = record["probe"]
    if probe is not None and not np.isnan(probe["score"]):
        share = _strength(probe["cell"], record) / max(_strength(probe["score"], record), 1e-9)
        if share >= 0.9:
            where = "nearly all of what the state knows of it is in one cell"
        else:
            where = "most of it is in one cell" if share >= 0.6 else "it is spread over many cells"
        found.append(
            f"On {probe['places']:,} places held back, {_name(best)} has {_known(probe['cell'], record)}, "
            f"a linear probe over the whole state {_known(probe['score'], record)}: {where}."
        )
    return found


def _is_tracked(record: Mapping[str, Any]) -> bool:
    return record["block"] is not None and record["cells"][0]["p"] <= SIGNIFICANT


def all_lines(records: Sequence[Mapping[str, Any]], width: int, closer: Sequence[str] = ()) -> list[Text]:
    """A table of the best cell for each hypothesis; its p accounts for all cells and all hypotheses.

    ``closer`` are commands that look closer at one of them.
    """
    rows, ps = [], [p_words(record["cells"][0]["p_of_all"]) for record in records]
    for record, p in zip(records, ps, strict=True):
        best, probe = record["cells"][0], record["probe"]
        row = (
            record["hypothesis"],
            _name(best),
            f"{MEASURES[record['score']]:<3} {_score(best['score'], record):>9}",
            p,
            "–" if probe is None else _known(probe["score"], record),
            _share(record["base"]),
            record["summary"],
        )
        style = "" if best["p_of_all"] <= SIGNIFICANT else "dim"
        rows.append([Text(plain(value), style=style) for value in row])
    first = records[0]
    title = (
        f"{first['characters']:,} characters, {first['cells_tried']:,} cells; "
        f"p of {first['permutations']} permutations, for all cells and hypotheses"
    )
    columns = ("hypothesis", "best cell", "score", "p", "probe", "holds", "")
    reasons = [f"No p for {each['hypothesis']}: {each['why_no_p']}." for each in records if each["block"] is None]
    why = [line for reason in reasons for line in paragraph(reason, width)]
    titles, meaning = paragraph(title, width, "dim"), _explanation(records, ps, width)
    meaning += paragraph(_COLUMNS, width, "dim")
    look_closer = copyable("Look closer at one of them:", closer, width) if closer else []
    return [*titles, *table(columns, rows, width), Text(), *why, *meaning, *look_closer]


def _explanation(records: Sequence[Mapping[str, Any]], ps: Sequence[str], width: int) -> list[Text]:
    """What the scores of ``records`` and the mark in ``ps`` mean."""
    sentences = explained([*(MEASURES[record["score"]] for record in records), *ps])
    return [line for sentence in sentences for line in paragraph(sentence, width, "dim")]


def _how_tested(record: Mapping[str, Any]) -> str:
    """What the permutations of a label were, or why there are none."""
    block, characters = record["block"], record["characters"]
    if block is None:
        return f"no p: {record['why_no_p']}"
    permutations = f"{record['permutations']} permutations of blocks of {block:,}"
    if block == characters:
        permutations = f"{record['permutations']} rotations of the label, which in part changes slowly"
    return f"p: {permutations}, for all {record['cells_tried']:,} cells tried"


def _name(cell: Mapping[str, Any]) -> str:
    return f"{cell['layer']}:{cell['unit']}"


def _strength(score: float, record: Mapping[str, Any]) -> float:
    """How far a score is from chance, 0 to 1."""
    return abs(2 * score - 1 if record["score"] == "auc" else score)


def _score(score: float, record: Mapping[str, Any]) -> str:
    """A correlation with its sign; an AUC with "on" if the cell is high where the label holds, else "off"."""
    if record["score"] == "spearman":
        return f"{score:+.3f}"
    return f"on  {score:.3f}" if score >= 0.5 else f"off {1 - score:.3f}"


def _known(score: float, record: Mapping[str, Any]) -> str:
    """The score without its sign."""
    if np.isnan(score):
        return "–"
    return f"{max(score, 1 - score) if record['score'] == 'auc' else abs(score):.3f}"


def _share(base: float) -> str:
    return "–" if np.isnan(base) else f"{100 * base:.2g} %"
