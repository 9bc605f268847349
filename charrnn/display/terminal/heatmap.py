"""A text coloured by one number for each of its characters.

Where there are colours, each character stands on its colour. Where there are none, a line of symbols follows each line
of the text, one symbol under each character, and the legend explains the symbols.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
from rich.style import Style
from rich.text import Text

from charrnn.display.terminal.colours import DIVERGING, Depth, Scale
from charrnn.display.terminal.text_width import TAB, Cluster, clusters

LEAST = 20  # columns of text beside a margin, even in a narrower terminal

T = TypeVar("T")
Place = tuple[Cluster, int, int]
"""A cluster of characters, its column, and the number of columns that it fills."""


def heat_text(
    text: str,
    values: np.ndarray | Sequence[float],
    scale: Scale = DIVERGING,
    *,
    width: int = 80,
    depth: Depth = Depth.TRUECOLOUR,
) -> list[Text]:
    """Lines of ``text``, each character on the colour of its value in ``values`` (n,).

    Line feeds are shown as ↵ and end the line; tabs are shown as → up to the next tab stop. A combining mark joins the
    character before it, and their place takes the value furthest from zero. Lines break at ``width``.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(text),):
        raise ValueError(f"{len(text)} characters need values of shape ({len(text)},), not {values.shape}")
    return [line for row in text_rows(text, width) for line in heat_row(row, values, scale, depth)]


def heat_row(row: Sequence[Place], values: np.ndarray, scale: Scale, depth: Depth) -> list[Text]:
    """One row of a text in the colours of ``values``, one for each character of the whole text.

    Without colours there are two lines: the text, and the symbols.
    """
    strongest = [_strongest(values[cluster.start : cluster.stop]) for cluster, _, _ in row]
    glyphs = [cluster.glyph + " " * (size - cluster.width) for cluster, _, size in row]
    if depth != Depth.NONE:
        return [coloured(glyphs, scale.styles(strongest, depth))]
    symbols = scale.symbols_for(strongest)
    beneath = "".join(symbol * size for symbol, (*_, size) in zip(symbols, row, strict=True))
    return [Text("".join(glyphs)), Text(beneath.rstrip())]


def text_rows(text: str, width: int) -> list[list[Place]]:
    """The text in rows of at most ``width`` columns; a line feed ends a row, a tab goes up to the next tab stop."""

    def size_at(cluster: Cluster, used: int) -> int:
        return min(TAB - used % TAB, max(width - used, 1)) if text[cluster.start] == "\t" else cluster.width

    return folded(clusters(text), width, size_at)


def folded(places: Iterable[T], width: int, size_at: Callable[[T, int], int]) -> list[list[tuple[T, int, int]]]:
    """``places`` in rows of at most ``width`` columns, each place with its column and its number of columns.

    A place that ``ends_line`` ends a row. ``size_at(place, column)`` is the number of its columns.
    """
    rows: list[list[tuple[T, int, int]]] = [[]]
    used = 0
    for place in places:
        size = size_at(place, used)
        if rows[-1] and used + size > width:
            rows.append([])
            used = 0
        rows[-1].append((place, used, size))
        used += size
        if place.ends_line:
            rows.append([])
            used = 0
    return rows if rows[-1] else rows[:-1]


def row_ends(text: str, width: int) -> list[int]:
    """The position in ``text`` after each of its rows; the last one is the length of the text."""
    return [row[-1][0].stop for row in text_rows(text, width)]


def room_beside(margin: int, width: int) -> int:
    """How many columns remain for text beside a margin, in a terminal ``width`` columns wide: at least 20."""
    return max(width - margin, LEAST)


def labelled_rows(
    text: str,
    title: str,
    head: str,
    rows: Sequence[tuple[str, str, Scale, np.ndarray]],
    margin: int,
    *,
    width: int,
    depth: Depth,
) -> list[Text]:
    """``head`` and ``title`` in one line; then for each of ``rows`` a label, and ``text`` in the colours of its values.

    Head and labels take ``margin`` columns. A row is its label, the style of the label, a scale, and values (n,) for
    the n characters of ``text``. Line feeds and tabs take one column. Without colours the text stands once, above the
    symbols of all rows.
    """
    flat = text.replace("\n", "↵").replace("\t", "→")
    lines = [Text(f"{head:<{margin}}{title}", style="dim")]
    for label, style, scale, values in rows:
        row = heat_text(flat, values, scale, width=room_beside(margin, width), depth=depth)
        if depth == Depth.NONE and len(lines) == 1:
            lines.append(Text.assemble(" " * margin, row[0]))
        lines.append(Text.assemble((label.ljust(margin), style), row[depth == Depth.NONE]))
    return lines


def legend(
    scale: Scale = DIVERGING,
    low: str = "",
    high: str = "",
    *,
    depth: Depth = Depth.TRUECOLOUR,
    width: int = 24,
) -> Text:
    """The scale in one line between the meanings of its ends: ``-1 [colours] +1``."""
    low, high = low or f"{scale.low:+g}".replace("+0", "0"), high or ("+1" if scale.low < 0 else "1")
    if depth == Depth.NONE:
        middle = Text("  ".join(scale.symbols))
    else:
        coarse = {Depth.ANSI256: len(scale.cube), Depth.ANSI16: len(scale.basic)}
        steps = coarse.get(depth, width)
        each = max(width // steps, 1)
        middle = coloured([" " * each] * steps, scale.styles(scale.ramp(steps), depth))
    return Text.assemble((f"{low}  ", "dim"), middle, (f"  {high}", "dim"))


def strip(
    values: np.ndarray | Sequence[float],
    width: int,
    scale: Scale = DIVERGING,
    *,
    depth: Depth = Depth.TRUECOLOUR,
) -> Text:
    """A row of ``values`` (n,) in ``width`` columns: two values a column where colours allow, else one.

    Of the values that share a place the one furthest from zero is shown: an average would hide a rare peak.
    """
    values = np.nan_to_num(np.asarray(values, dtype=np.float64).ravel())
    halves = depth >= Depth.ANSI256
    shown = _resample(values, min(width, max(len(values), 1)) * (2 if halves else 1))
    if depth == Depth.NONE:
        return Text(scale.symbols_for(shown))
    styles = scale.styles(shown, depth)
    if not halves:
        return coloured([" "] * len(shown), styles)
    text = Text()
    for left, right in zip(styles[::2], styles[1::2], strict=True):
        text.append("▌", style=Style(color=left.bgcolor, bgcolor=right.bgcolor))
    return text


def coloured(glyphs: Sequence[str], styles: Sequence[Style | str]) -> Text:
    """``glyphs`` in their ``styles``; neighbours of one style share a span, so a long text has few escape codes."""
    text = Text()
    for style, same in itertools.groupby(zip(glyphs, styles, strict=True), key=lambda pair: pair[1]):
        text.append("".join(glyph for glyph, _ in same), style=style)
    return text


def _strongest(values: np.ndarray) -> float:
    filled = np.nan_to_num(values)
    return float(filled[np.argmax(np.abs(filled))])


def _resample(values: np.ndarray, places: int) -> np.ndarray:
    if len(values) == 0 or places < 1:
        return np.zeros(0)
    edges = np.linspace(0, len(values), places + 1)
    first = np.floor(edges[:-1] + 1e-9).astype(int)
    last = np.maximum(np.floor(edges[1:] + 1e-9).astype(int), first + 1)
    return np.array([_strongest(values[a:b]) for a, b in zip(first, last, strict=True)])
