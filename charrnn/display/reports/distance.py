"""Losses at closing signs by the distance to the opening sign: for each kind of sign a table and a chart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.reports.scores import PARTS
from charrnn.display.terminal.colours import BLUE, ORANGE
from charrnn.display.terminal.curve import LABELS, draw_line, plot_rows, row_of, ticks_of
from charrnn.display.terminal.tables import key_values, paragraph, phrases, table

_ROWS = 9
_ROOM_FOR_LEGEND = 46  # terminal columns
_WIDEST = 9  # terminal columns for a bin
_NAMES = {"newline": "line ends, by the distance to the one before", '""': 'closing "'}


def distance_lines(report: Mapping[str, Any], width: int) -> list[Text]:
    """The object that ``inspect distance --json`` writes."""
    order = report["order"]
    lines = key_values(
        [
            ("characters", f"{report['characters']:,} ({PARTS[report['part']]})"),
            ("the model", f"{report['loss']:.4f} nats over all characters"),
            (f"{order}-gram", f"{report['baseline']:.4f}, modified Kneser-Ney on the training text"),
        ],
        width,
    )
    if not report["kinds"]:
        return [*lines, Text(), *paragraph("This text has no closing quotation mark or bracket to measure.", width)]
    columns = ("distance", "count", "the model, nats", f"{order}-gram", "gain")
    for kind, bins in report["kinds"].items():
        name = _NAMES.get(kind) or f"closing {kind[-1]}"
        scored = ("loss", "baseline", "gain")
        rows = [(_range(each), each["count"], *(_with_error(each, score) for score in scored)) for each in bins]
        lines += [Text(), *paragraph(name, width, "bold"), *table(columns, rows, width)]
        if len(bins) > 1:
            lines += [Text(), *_chart(bins, order, width)]
    return [*lines, *paragraph("± standard error, as if all were independent", width, "dim")]


def _range(each: Mapping[str, Any]) -> str:
    last = each["stop"] - 1
    return f"{each['start']:,}" if last == each["start"] else f"{each['start']:,} to {last:,}"


def _with_error(each: Mapping[str, Any], score: str) -> str:
    error = each[f"{score}_error"]
    return f"{each[score]:7.3f}" + (f" ± {error:.3f}" if error is not None else "")


def _chart(bins: Sequence[Mapping[str, Any]], order: int, width: int) -> list[Text]:
    """Both losses over the bins. A bin is ``size`` terminal columns wide, and its marks stand in the middle one."""
    size = min(max((width - LABELS) // len(bins), 2), _WIDEST)
    baseline, loss = (np.array([each[name] for each in bins]) for name in ("baseline", "loss"))
    series = (("○", ORANGE, baseline), ("●", BLUE, loss))
    high = max(baseline.max(), loss.max()) * 1.05 + 0.02
    glyphs = np.full((_ROWS, size * len(bins)), " ", object)
    styles = np.full(glyphs.shape, "", object)
    centres = np.arange(len(bins)) * size + size // 2
    for _, style, values in series:
        line = np.interp(np.arange(glyphs.shape[1] * 2), centres * 2, values, left=np.nan, right=np.nan)
        drawn = draw_line(line, 0.0, high, _ROWS)
        glyphs[drawn != " "], styles[drawn != " "] = drawn[drawn != " "], style
    for mark, style, values in series:
        for centre, value in zip(centres, values, strict=True):
            row = min(row_of(value, 0.0, high, _ROWS), _ROWS - 1)
            glyphs[row, centre], styles[row, centre] = mark, style
    labels = "".join(f"{_short(each['start']):^{size}}"[:size] for each in bins)
    legend = [Text("● the model", BLUE), Text(f"○ {order}-gram", ORANGE)]
    legend.append(Text("nats, over the distance in characters", "dim"))
    indent = " " * (LABELS if width >= _ROOM_FOR_LEGEND else 1)
    return [
        *plot_rows(glyphs, styles, ticks_of(0.0, high, _ROWS)),
        Text(" " * (LABELS - 1) + "└" + "─" * glyphs.shape[1], style="dim"),
        Text(" " * LABELS + labels, style="dim"),
        *phrases(legend, width, indent),
    ]


def _short(number: int) -> str:
    return str(number) if number < 1000 else f"{number / 1024:g}k"
