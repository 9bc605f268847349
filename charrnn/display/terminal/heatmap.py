"""A text on a background coloured by one number for each of its characters.

Where there is colour, a text is coloured. Where there is none, each of its lines is followed by a line of
symbols, one under each character, and the legend says what they stand for.
"""

from collections.abc import Sequence

import numpy as np
from rich.style import Style
from rich.text import Text

from charrnn.display.terminal.colours import DIVERGING, Depth, Scale, ramp, runs
from charrnn.display.terminal.text_width import TAB, Cluster, clusters


def heat_text(
    text: str,
    values: np.ndarray | Sequence[float],
    scale: Scale = DIVERGING,
    *,
    width: int = 80,
    depth: Depth = Depth.TRUECOLOUR,
) -> list[Text]:
    """Lines of ``text``, every character on the colour of its value in ``values`` (n,).

    Line feeds are shown as ↵ and end the line, tabs as → up to the next tab stop; a combining mark joins the
    character before it, and the place takes the value that is furthest from zero. Lines break at ``width``.
    """
    values = _checked(text, values)
    lines = []
    for row in _rows(text, width):
        strongest = [_strongest(values[cluster.start : cluster.stop]) for cluster, _ in row]
        glyphs = [cluster.glyph + " " * (size - cluster.cells) for cluster, size in row]
        if depth == Depth.NONE:
            symbols = scale.symbols_for(strongest)
            beneath = "".join(symbol * size for symbol, (_, size) in zip(symbols, row, strict=True))
            lines += [Text("".join(glyphs)), Text(beneath.rstrip())]
        else:
            lines.append(_coloured(glyphs, scale, strongest, depth))
    return lines


def breaks(text: str, width: int) -> list[int]:
    """Where the lines of :func:`heat_text` end: a position after each, the last is the length of the text."""
    return [row[-1][0].stop for row in _rows(text, width)]


def legend(
    scale: Scale = DIVERGING,
    low: str = "",
    high: str = "",
    *,
    depth: Depth = Depth.TRUECOLOUR,
    width: int = 24,
) -> Text:
    """The scale in one line between what its ends stand for: ``-1 [colours] +1``."""
    low, high = low or f"{scale.low:+g}".replace("+0", "0"), high or ("+1" if scale.low < 0 else "1")
    if depth == Depth.NONE:
        middle = Text("  ".join(scale.symbols))
    elif depth == Depth.TRUECOLOUR:
        middle = _coloured([" "] * width, scale, ramp(scale, width), depth)
    else:
        steps = len(scale.cube if depth == Depth.ANSI256 else scale.basic)
        each = max(width // steps, 1)
        middle = _coloured([" " * each] * steps, scale, ramp(scale, steps), depth)
    return Text.assemble((f"{low}  ", "dim"), middle, (f"  {high}", "dim"))


def strip(
    values: np.ndarray | Sequence[float],
    width: int,
    scale: Scale = DIVERGING,
    *,
    depth: Depth = Depth.TRUECOLOUR,
) -> Text:
    """A row of ``values`` (n,) in ``width`` cells: two values to a cell where colours allow, else one.

    Of values that share a place the one furthest from zero is shown: a cell that fires rarely is not averaged
    away.
    """
    values = np.nan_to_num(np.asarray(values, dtype=np.float64).ravel())
    halves = depth >= Depth.ANSI256
    places = min(width * (2 if halves else 1), max(len(values), 1) * (2 if halves else 1))
    shown = _resample(values, places)
    if depth == Depth.NONE:
        return Text(scale.symbols_for(shown))
    if not halves:
        return _coloured([" "] * len(shown), scale, shown, depth)
    if len(shown) % 2:
        shown = np.append(shown, shown[-1])
    styles = scale.styles(shown, depth)
    text = Text()
    for left, right in zip(styles[::2], styles[1::2], strict=True):
        text.append("▌", style=Style(color=left.bgcolor, bgcolor=right.bgcolor))
    return text


def _checked(text: str, values: np.ndarray | Sequence[float]) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(text),):
        raise ValueError(f"{len(text)} characters need values of shape ({len(text)},), not {values.shape}")
    return values


def _rows(text: str, width: int) -> list[list[tuple[Cluster, int]]]:
    """The text in rows of clusters with the cells that each fills."""
    rows: list[list[tuple[Cluster, int]]] = []
    row: list[tuple[Cluster, int]] = []
    used = 0
    for cluster in clusters(text):
        size = cluster.cells
        if text[cluster.start] == "\t":
            size = min(TAB - used % TAB, max(width - used, 1))
        if row and used + size > width:
            rows.append(row)
            row, used = [], 0
        row.append((cluster, size))
        used += size
        if cluster.ends_line:
            rows.append(row)
            row, used = [], 0
    return [*rows, row] if row else rows


def _strongest(values: np.ndarray) -> float:
    filled = np.nan_to_num(values)
    return float(filled[np.argmax(np.abs(filled))])


def _coloured(glyphs: Sequence[str], scale: Scale, values: Sequence[float] | np.ndarray, depth: Depth) -> Text:
    text = Text()
    place = 0
    for style, length in runs(scale.styles(values, depth)):
        text.append("".join(glyphs[place : place + length]), style=style)
        place += length
    return text


def _resample(values: np.ndarray, places: int) -> np.ndarray:
    if len(values) == 0 or places < 1:
        return np.zeros(0)
    edges = np.linspace(0, len(values), places + 1)
    first = np.floor(edges[:-1] + 1e-9).astype(int)
    last = np.maximum(np.floor(edges[1:] + 1e-9).astype(int), first + 1)
    return np.array([_strongest(values[a:b]) for a, b in zip(first, last, strict=True)])
