"""How often gates are nearly closed or open: a table and scatter plots.

The report lays out the objects that ``inspect saturation --json`` writes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.figures.analyses import GateLike, unit_gates
from charrnn.display.terminal.colours import BLUE
from charrnn.display.terminal.curve import braille, plot_rows
from charrnn.display.terminal.tables import paragraph, table
from charrnn.display.terminal.text_width import pad, wrap

NEARLY_ALWAYS = 0.9

_COLUMNS = ("layer", "", "", " mean", " quartiles", "> 90", " most")
_ROWS = 9
_LEAST_COLUMNS, _MOST_COLUMNS = 18, 36  # of a scatter plot
_MARGIN = 4


def saturation_lines(layers: Sequence[Mapping[str, Any]], gates: Sequence[GateLike], width: int) -> list[Text]:
    """A table of all layers, and below it for each layer and gate from 0 to 1 a scatter plot of its units."""
    title = f"percent of the time at the ends ({layers[0]['characters']:,} characters), over the units of a layer"
    lines = [
        *paragraph(title, width, "dim"),
        *table(_COLUMNS, [row for layer in layers for row in _rows(layer, gates)], width),
    ]
    unit = unit_gates(gates)
    beside = max(1, min((width - 1) // _LEAST_COLUMNS, len(unit)))
    columns = max(min((width - 1) // beside, _MOST_COLUMNS), _LEAST_COLUMNS)
    for layer in layers:
        for first in range(0, len(unit), beside):
            gates_beside = unit[first : first + beside]
            titles = [wrap(f"layer {layer['layer']}, {gate.title}", columns - _MARGIN - 1) for gate in gates_beside]
            most = max(map(len, titles))
            panels = [
                _panel(layer, gate, [*[""] * (most - len(title)), *title], columns)
                for gate, title in zip(gates_beside, titles, strict=True)
            ]
            lines += [Text(), *(Text.assemble(*parts) for parts in zip(*panels, strict=True))]
    right, up = "right: time over 0.9", "up: time under 0.1"
    legend = wrap(f"a dot is a unit; {right}, {up}", width - _MARGIN)
    return [*lines, *(Text(f"{' ' * _MARGIN}{line}", style="dim") for line in legend)]


def _rows(layer: Mapping[str, Any], gates: Sequence[GateLike]) -> Iterator[tuple]:
    number = int(layer["layer"])
    for gate in gates:
        for side, end in (("low", "< 0.1" if gate.low == 0 else "< -0.9"), ("high", "> 0.9")):
            shares = np.asarray(layer[side][gate.name], float)
            quartiles = " ".join(map(_percent, np.quantile(shares, (0.25, 0.5, 0.75))))
            most = int(shares.argmax())
            above = int((shares > NEARLY_ALWAYS).sum())
            highest = f"{_percent(shares[most])} in {number}:{most}"
            yield number, gate.title, end, _percent(shares.mean()), quartiles, above, highest


def _percent(share: float) -> str:
    return f"{100 * share:5.1f}"


def _panel(layer: Mapping[str, Any], gate: GateLike, title: Sequence[str], width: int) -> list[Text]:
    """A scatter plot (x: share over 0.9, y: share under 0.1) of ``_ROWS`` rows, under the lines of its title."""
    columns = width - _MARGIN - 2
    high, low = (np.asarray(layer[side][gate.name], float) for side in ("high", "low"))
    dots = np.zeros((_ROWS * 4, columns * 2), bool)
    across = np.minimum((high * dots.shape[1]).astype(int), dots.shape[1] - 1)
    down = np.minimum(((1 - low) * dots.shape[0]).astype(int), dots.shape[0] - 1)
    dots[down, across] = True
    lines = [Text(pad(" " * _MARGIN + line, width)) for line in title]
    glyphs = braille(dots)
    for line in plot_rows(glyphs, np.where(glyphs == " ", "", BLUE), {0: "1", _ROWS - 1: "0"}, _MARGIN):
        lines.append(line.append(" " * (width - _MARGIN - columns)))
    axis = Text(pad(f"{' ' * (_MARGIN - 1)}└{'─' * (columns - 1)}┴", width), style="dim")
    ends = Text(pad(f"{' ' * _MARGIN}0{'1':>{columns - 1}}", width), style="dim")
    return [*lines, axis, ends]
