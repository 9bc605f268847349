"""Several series in one plot, which can be told apart without colours: each has a letter as its mark."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.curve import LABELS, dot_columns, draw_line, plot_rows, row_of, span, ticks_of
from charrnn.display.terminal.text_width import clip, text_width

_LEAST_END = 1e-9  # of the horizontal axis
_APART = 8  # columns between two marks of a series
_NAMES = 60  # columns from which on the names of series stand beside the ends of their lines
_LONGEST_NAME = 16  # columns
_FIRST_PART = 0.2  # of the points of a series: these, which are high, do not count for the range of the vertical axis
_TICK = 10  # columns that a tick of the horizontal axis needs


@dataclass(frozen=True)
class Marked:
    """A series: its mark (one column), its untrusted name, its points (n, 2) of x >= 0 and value, and its style."""

    mark: str
    name: str
    points: np.ndarray
    style: str = ""


def curves_lines(series: Sequence[Marked], width: int, height: int, label: Callable[[float], str]) -> list[Text]:
    """``height`` rows of plot, then the horizontal axis, which begins at 0, and its labels by ``label``.

    A line goes through the points of each series, in their order, with its mark at some of them and at the last. Where
    there is room, the mark and the name stand beside the end of the line. Empty if there are no points.
    """
    drawn = [each for each in series if len(each.points)]
    if not drawn:
        return []
    end = end_of([each.points for each in drawn])
    low, high = span(*(each.points[int(len(each.points) * _FIRST_PART) :, 1] for each in drawn))
    names = {each.mark: f"{each.mark} {clip(each.name, _LONGEST_NAME)}".rstrip() for each in drawn}
    margin = max(map(text_width, names.values())) + 1 if width >= _NAMES else 0
    columns = max(width - LABELS - margin, 4)

    glyphs = np.full((height, columns), " ", dtype=object)
    styles = np.full(glyphs.shape, "", dtype=object)
    for each in drawn:
        line = draw_line(dot_columns(each.points, 0.0, end, columns * 2), low, high, height)
        places = np.nonzero(line != " ")
        glyphs[places] = [_both(*pair) for pair in zip(glyphs[places], line[places], strict=True)]
        styles[places] = each.style
    for each in drawn:
        for column, value in _marked(each.points, end, columns):
            row = row_of(value, low, high, height)
            if row is not None:
                glyphs[row, column], styles[row, column] = each.mark, each.style
    rows = plot_rows(glyphs, styles, ticks_of(low, high, height))
    for row, each in (_rows_of_names(drawn, low, high, height) if margin else {}).items():
        rows[row].append(" ").append(names[each.mark], style=each.style)
    return [*rows, *_axis(end, columns, label)]


def end_of(curves: Sequence[np.ndarray]) -> float:
    """Where a horizontal axis ends that begins at 0, for ``curves`` (n, 2) in the order of their first column."""
    return max([_LEAST_END, *(float(each[-1, 0]) for each in curves if len(each))])


def _both(first: str, second: str) -> str:
    """The braille dots of two characters; the first may be a space."""
    return second if first == " " else chr(ord(first) | ord(second))


def _marked(points: np.ndarray, end: float, columns: int) -> list[tuple[int, float]]:
    """Column and value of those points that get a mark: the last one, and before it some that are apart."""
    found: list[tuple[int, float]] = []
    for x, value in points[::-1]:
        column = min(math.floor(x / end * columns), columns - 1)
        if not found or found[-1][0] - column >= _APART:
            found.append((column, float(value)))
    return found


def _rows_of_names(drawn: Sequence[Marked], low: float, high: float, height: int) -> dict[int, Marked]:
    """By row the series whose name stands there: in the order of their ends, each near its end, none over another.

    Of more series than rows, those that end lowest are named.
    """
    last = sorted(drawn, key=lambda each: -each.points[-1, 1])[-height:]
    found: dict[int, Marked] = {}
    free = 0
    for number, each in enumerate(last):
        row = row_of(min(max(each.points[-1, 1], low), high), low, high, height) or 0
        row = min(max(row, free), height - len(last) + number)
        found[row], free = each, row + 1
    return found


def _axis(end: float, columns: int, label: Callable[[float], str]) -> list[Text]:
    """The axis with its ticks, and the labels below them."""
    line, below = ["─"] * columns, ""
    for value in numbers.ticks(0.0, end, max(columns // _TICK, 1)):
        column = min(math.floor(value / end * columns), columns - 1)
        text = label(value)
        start = LABELS + column - text_width(text) // 2
        if start > len(below) and start + text_width(text) <= LABELS + columns:
            line[column] = "┬"
            below = below.ljust(start) + text
    return [Text(" " * (LABELS - 1) + "└" + "".join(line), style="dim"), Text(below, style="dim")]
