"""The errors of a model and what would have fixed them, as a table with bars."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from charrnn.display.reports.scores import PARTS
from charrnn.display.terminal.curve import BLUE, ORANGE
from charrnn.display.terminal.tables import key_values, table

_EIGHTHS = " ▏▎▍▌▋▊▉"
_WIDEST = 40
_BESIDE = 63  # cells that the columns before the bar take


def mistakes_lines(report: Mapping[str, Any], width: int) -> list[Text]:
    """What ``inspect errors --json`` writes: the whole, then each oracle with its part of it."""
    characters, errors = report["characters"], report["errors"]
    lines = key_values(
        [
            ("characters", f"{characters:,} ({PARTS[report['part']]}), {report['loss']:.4f} nats each"),
            ("errors", f"{errors:,} ({_percent(report['share'])} of them): the right one had less than 1/2"),
            ("their loss", f"{_percent(report['loss_share'])} of all loss"),
        ],
        width,
    )
    most = max((share["share"] for share in report["oracles"]), default=0) or 1
    room = min(max(width - _BESIDE, 8), _WIDEST)
    rows, group = [], None
    for share in report["oracles"]:
        rows.append(
            (
                share["group"] if share["group"] != group else "",
                share["name"] if share["name"] != share["group"] else "",
                share["errors"],
                f"{_percent(share['share']):>6}",
                f"{_percent(share['loss_share']):>6}",
                bar(share["share"] / most, room, ORANGE if share["group"] == "the rest" else BLUE),
            )
        )
        group = share["group"]
    columns = ("would be fixed by", "", "errors", "of all", "of loss", "")
    note = "in this order: what one removes is not there for the next"
    return [*lines, Text(), *table(columns, rows), Text(note, style="dim")]


def bar(part: float, cells: int, style: str) -> Text:
    """A bar that fills ``part`` (0 to 1) of ``cells`` cells, to an eighth of one."""
    eighths = round(part * cells * 8)
    text = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return Text(text or ("▏" if part > 0 else ""), style=style)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
