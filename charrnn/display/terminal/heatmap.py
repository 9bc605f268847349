"""A text coloured by one number for each of its characters.

Where there are colours, each character stands on its colour. Where there are none, a line of symbols follows each line
of the text, one symbol under each character, and the legend explains the symbols.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from rich.style import Style
from rich.text import Text

from charrnn.display.terminal.colours import DEFAULT_LOOK, Depth, Look, Scale
from charrnn.display.terminal.tables import paragraph
from charrnn.display.terminal.text_width import TAB, Cluster, clusters, text_width

LEAST = 16  # columns of text beside a margin, even in a narrower terminal

T = TypeVar("T")
Place = tuple[Cluster, int, int]
"""A cluster of characters, its column, and the number of columns that it fills."""


def heat_text(text: str, values: np.ndarray | Sequence[float], look: Look = DEFAULT_LOOK) -> list[Text]:
    """Lines of ``text``, each character on the colour of its value in ``values`` (n,).

    Line feeds are shown as ↵ and end the line; tabs are shown as → up to the next tab stop. A combining mark joins the
    character before it, and their place takes the value furthest from zero.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(text),):
        raise ValueError(f"{len(text)} characters need values of shape ({len(text)},), not {values.shape}")
    return [line for row in text_rows(text, look.width) for line in heat_row(row, values, look)]


def heat_row(row: Sequence[Place], values: np.ndarray, look: Look) -> list[Text]:
    """One row of a text in the colours of ``values``, one for each character of the whole text.

    Without colours there are two lines: the text, and the symbols.
    """
    strongest = [_strongest(values[cluster.start : cluster.stop]) for cluster, _, _ in row]
    glyphs = [cluster.glyph + " " * (size - cluster.width) for cluster, _, size in row]
    if look.depth != Depth.NONE:
        return [coloured(glyphs, look.styles(strongest))]
    symbols = look.scale.symbols_for(strongest)
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
    """How many columns remain for text beside a margin, in a terminal ``width`` columns wide: at least ``LEAST``."""
    return max(width - margin, LEAST)


def labelled_rows(
    text: str,
    title: str,
    head: str,
    rows: Sequence[tuple[str, str, Scale, np.ndarray]],
    margin: int,
    look: Look,
) -> list[Text]:
    """``head`` and ``title`` in one line; then for each of ``rows`` a label, and ``text`` in the colours of its values.

    Head and labels take ``margin`` columns; where they leave too little room, they stand above the rows. A row is its
    label, the style of the label, a scale, and values (n,) for the n characters of ``text``. Line feeds and tabs take
    one column. Without colours the text stands once, above the symbols of all rows.
    """
    flat = text.replace("\n", "↵").replace("\t", "→")
    beside = look.width - margin >= LEAST
    if beside and text_width(title) <= look.width - margin:
        lines = [Text(f"{head:<{margin}}{title}", style="dim")]
    else:
        lines = [*paragraph(title, look.width, "dim"), *paragraph(head.strip(), look.width, "dim")]
    indent = margin if beside else 2
    for number, (label, style, scale, values) in enumerate(rows):
        row = heat_text(flat, values, replace(look, width=room_beside(indent, look.width), scale=scale))
        if look.depth == Depth.NONE and not number:
            lines.append(Text.assemble(" " * indent, row[0]))
        if not beside:
            lines += paragraph(label.strip(), look.width, style)
        shown = (label.ljust(margin), style) if beside else " " * indent
        lines.append(Text.assemble(shown, row[look.depth == Depth.NONE]))
    return lines


def legend(look: Look = DEFAULT_LOOK, low: str = "", high: str = "", width: int = 24) -> Text:
    """The scale in one line between the meanings of its ends, its colours in ``width`` columns: ``-1 [colours] +1``.

    It is shorter in a terminal that has no room for it.
    """
    scale = look.scale
    low, high = low or f"{scale.low:+g}".replace("+0", "0"), high or ("+1" if scale.low < 0 else "1")
    room = look.width - text_width(f"{low}    {high}")
    if look.depth == Depth.NONE:
        gap = min(max((room - len(scale.symbols)) // (len(scale.symbols) - 1), 0), 2)
        middle = Text((" " * gap).join(scale.symbols))
    else:
        width = min(width, max(room, len(scale.basic)))
        steps = len(scale.basic) if look.depth == Depth.ANSI16 else width
        middle = coloured([" " * max(width // steps, 1)] * steps, look.styles(scale.ramp(steps)))
    return Text.assemble((f"{low}  ", "dim"), middle, (f"  {high}", "dim"))


def coloured(glyphs: Sequence[str], styles: Sequence[Style | str]) -> Text:
    """``glyphs`` in their ``styles``; neighbours of one style share a span, so a long text has few escape codes."""
    text = Text()
    for style, same in itertools.groupby(zip(glyphs, styles, strict=True), key=lambda pair: pair[1]):
        text.append("".join(glyph for glyph, _ in same), style=style)
    return text


def _strongest(values: np.ndarray) -> float:
    filled = np.nan_to_num(values)
    return float(filled[np.argmax(np.abs(filled))])
