"""The errors of a model and the remedies for them, as a table with bars."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from charrnn.display.reports.scores import PARTS
from charrnn.display.terminal.colours import BLUE, ORANGE
from charrnn.display.terminal.tables import key_values, paragraph, table

_EIGHTHS = " ▏▎▍▌▋▊▉"
_NARROWEST, _WIDEST = 8, 40  # terminal columns of the longest bar
_BESIDE = 63  # terminal columns of the table before the bars


def errors_lines(report: Mapping[str, Any], width: int) -> list[Text]:
    """The object that ``inspect errors --json`` writes: totals, then each oracle with its share of them."""
    characters = f"{report['characters']:,} ({PARTS[report['part']]}), {report['loss']:.4f} nats each"
    meaning = "the right character had a probability below 1/2"
    errors = f"{report['errors']:,} ({_percent(report['share'])} of them): {meaning}"
    loss = f"{_percent(report['loss_share'])} of all loss"
    lines = key_values([("characters", characters), ("errors", errors), ("their loss", loss)], width)
    most = max((oracle["share"] for oracle in report["oracles"]), default=0) or 1
    room = min(width - _BESIDE, _WIDEST)
    rows, group = [], None
    for oracle in report["oracles"]:
        rows.append(
            (
                oracle["group"] if oracle["group"] != group else "",
                oracle["name"] if oracle["name"] != oracle["group"] else "",
                oracle["errors"],
                f"{_percent(oracle['share']):>6}",
                f"{_percent(oracle['loss_share']):>6}",
                _bar(oracle["share"] / most, max(room, 0), ORANGE if oracle["group"] == "the rest" else BLUE),
            )
        )
        group = oracle["group"]
    columns = ("would be fixed by", "", "errors", "of all", "of loss", "")
    if room < _NARROWEST:  # a bar would stand on a line of its own
        rows, columns = [row[:-1] for row in rows], columns[:-1]
    note = "counted in this order; each error is counted once"
    return [*lines, Text(), *table(columns, rows, width), *paragraph(note, width, "dim")]


def _bar(part: float, width: int, style: str) -> Text:
    """A bar that fills ``part`` (0 to 1) of ``width`` terminal columns, to an eighth of a column."""
    eighths = round(part * width * 8)
    text = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return Text(text or ("▏" if part > 0 else ""), style=style)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
