"""How often gates are at their ends: a table and scatters, from the objects of ``inspect saturation --json``."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.terminal.curve import BLUE, braille
from charrnn.display.terminal.tables import table
from charrnn.display.terminal.text_width import pad

GATES = {"i": "input gate", "f": "forget gate", "o": "output gate"}
NEARLY_ALWAYS = 0.9

_NAMES = {**GATES, "g": "candidate g", "tanh_c": "tanh(c)"}
_ROWS = 9
_MOST_COLUMNS = 36
_MARGIN = 4


def saturation_lines(layers: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """The table of all layers, and below it for each layer and gate a scatter of its units."""
    title = f"percent of the time at the ends ({layers[0]['characters']:,} characters), over the units of a layer"
    lines = [Text(title, style="dim"), *table(_COLUMNS, [row for layer in layers for row in _rows(layer)], width)]
    for layer in layers:
        panels = [_panel(layer, gate, min((width - 1) // len(GATES), _MOST_COLUMNS)) for gate in GATES]
        lines += [Text(), *(Text.assemble(*parts) for parts in zip(*panels, strict=True))]
    right, up = "right: time over 0.9", "up: time under 0.1"
    return [*lines, Text(f"{' ' * _MARGIN}a dot is a unit; {right}, {up}", style="dim")]


_COLUMNS = ("layer", "", "", " mean", " quartiles", "> 90", " most")


def _rows(layer: Mapping[str, Any]):
    for name, title in _NAMES.items():
        for side, sign in (("low", "<"), ("high", ">")):
            shares = np.asarray(layer[side][name], float)
            end = {"low": "0.1" if name in GATES else "-0.9", "high": "0.9"}[side]
            first, middle, third = np.quantile(shares, (0.25, 0.5, 0.75))
            quartiles = " ".join(_percent(share) for share in (first, middle, third))
            most = int(shares.argmax())
            yield (
                *(int(layer["layer"]), title, f"{sign} {end}", _percent(shares.mean()), quartiles),
                *(int((shares > NEARLY_ALWAYS).sum()), f"{_percent(shares[most])} in {layer['layer']}:{most}"),
            )


def _percent(share: float) -> str:
    return f"{100 * share:5.1f}"


def _panel(layer: Mapping[str, Any], gate: str, width: int) -> list[Text]:
    """A scatter (x: share over 0.9, y: share under 0.1) of ``_ROWS`` rows, with its title and axes."""
    columns = width - _MARGIN - 2
    high, low = (np.asarray(layer[side][gate], float) for side in ("high", "low"))
    dots = np.zeros((_ROWS * 4, columns * 2), bool)
    across = np.minimum((high * dots.shape[1]).astype(int), dots.shape[1] - 1)
    down = np.minimum(((1 - low) * dots.shape[0]).astype(int), dots.shape[0] - 1)
    dots[down, across] = True
    lines = [Text(pad(f"{' ' * _MARGIN}layer {layer['layer']}, {GATES[gate]}"[:width], width))]
    for number, row in enumerate(braille(dots)):
        label = {0: "1", _ROWS - 1: "0"}.get(number, "")
        line = Text.assemble((f"{label:>{_MARGIN - 1}}{'┤' if label else '│'}", "dim"))
        for shown, group in itertools.groupby(row, key=lambda sign: sign != " "):
            line.append("".join(group), style=BLUE if shown else None)
        lines.append(line.append(" " * (width - _MARGIN - columns)))
    axis = Text(pad(f"{' ' * (_MARGIN - 1)}└{'─' * (columns - 1)}┴", width), style="dim")
    ends = Text(pad(f"{' ' * _MARGIN}0{'1':>{columns - 1}}", width), style="dim")
    return [*lines, axis, ends]
