"""Losses at closing signs by the distance to the opening ones: for each kind a table and a chart."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.reports.scores import PARTS
from charrnn.display.terminal.curve import BLUE, LABELS, ORANGE, draw_line, row_of, ticks_of
from charrnn.display.terminal.tables import key_values, table

_ROWS = 9
_WIDEST = 9  # cells for a bin
_NAMES = {"newline": "line ends, by the distance to the one before", '""': 'closing "'}


def distance_lines(report: Mapping[str, Any], width: int) -> list[Text]:
    """What ``inspect distance --json`` writes."""
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
        return [*lines, Text(), Text("No sign of those that are looked for closes in this text.")]
    for kind, bins in report["kinds"].items():
        name = _NAMES.get(kind) or f"closing {kind[-1]}"
        rows = [
            (
                _range(each),
                each["count"],
                _with_error(each["loss"], each["loss_error"]),
                _with_error(each["baseline"], each["baseline_error"]),
                _with_error(each["gain"], each["gain_error"]),
            )
            for each in bins
        ]
        columns = ("distance", "count", "the model, nats", f"{order}-gram", "gain")
        lines += [Text(), Text(name, style="bold"), *table(columns, rows)]
        if len(bins) > 1:
            lines += [Text(), *_chart(bins, order, width)]
    return [*lines, Text("± standard error, as if all were independent", style="dim")]


def _range(each: Mapping[str, Any]) -> str:
    last = each["stop"] - 1
    return f"{each['start']:,}" if last == each["start"] else f"{each['start']:,} to {last:,}"


def _with_error(value: float, error: float | None) -> str:
    return f"{value:7.3f}" + (f" ± {error:.3f}" if error is not None else "")


def _chart(bins: Sequence[Mapping[str, Any]], order: int, width: int) -> list[Text]:
    """Both losses over the bins; one cell in each stretch of ``size`` cells is a bin's own."""
    size = min(max((width - LABELS) // len(bins), 2), _WIDEST)
    series = {
        "baseline": ("○", ORANGE, np.array([each["baseline"] for each in bins])),
        "loss": ("●", BLUE, np.array([each["loss"] for each in bins])),
    }
    high = max(values.max() for _, _, values in series.values()) * 1.05 + 0.02
    cells = np.full((_ROWS, size * len(bins)), " ", object)
    styles = np.full(cells.shape, "", object)
    centres = np.arange(len(bins)) * size + size // 2
    for _, style, values in series.values():
        across = np.arange(cells.shape[1] * 2)
        line = np.interp(across, centres * 2, values, left=np.nan, right=np.nan)
        drawn = draw_line(line, 0.0, high, _ROWS)
        cells[drawn != " "], styles[drawn != " "] = drawn[drawn != " "], style
    for mark, style, values in series.values():
        for centre, value in zip(centres, values, strict=True):
            row = row_of(value, 0.0, high, _ROWS)
            cells[min(row, _ROWS - 1), centre], styles[min(row, _ROWS - 1), centre] = mark, style
    ticks = ticks_of(0.0, high, _ROWS)
    lines = []
    for row in range(_ROWS):
        line = Text.assemble((f"{ticks.get(row, ''):>{LABELS - 2}} {'┤' if row in ticks else '│'}", "dim"))
        for cell, style in zip(cells[row], styles[row], strict=True):
            line.append(cell, style=style or None)
        lines.append(line)
    labels = "".join(f"{_short(each['start']):^{size}}"[:size] for each in bins)
    lines.append(Text(" " * (LABELS - 1) + "└" + "─" * cells.shape[1], style="dim"))
    lines.append(Text(" " * LABELS + labels, style="dim"))
    legend = Text(" " * LABELS).append("● the model", BLUE).append("   ").append(f"○ {order}-gram", ORANGE)
    return [*lines, legend.append("   nats, over the distance in characters", "dim")]


def _short(number: int) -> str:
    return str(number) if number < 1000 else f"{number / 1024:g}k"
