"""The heat map of a reading: a text on the colours of a cell, or over rows of several cells."""

import itertools
from collections.abc import Sequence

import numpy as np

from charrnn.display.figures.drawing import ADVANCE, FAINT_INK, INK, Drawing, Label, Rectangle
from charrnn.display.palette import (
    NEUTRAL,
    PAPER,
    PAPER_BLUE,
    PAPER_ORANGE,
    PAPER_TO_PLUM,
    RGB,
    diverging,
    foreground,
    sequential,
)
from charrnn.display.terminal.text_width import TAB, Cluster, clusters, text_width

COLUMNS = 80
SIZE, LINE = 13.0, 20.0  # of the letters, and from line to line
STRIP, GAP = 12.0, 8.0  # a cell's row under the text, and what is left after a line with its rows
MARGIN, NAMES, HEAD = 16.0, 56.0, 52.0
STEPS = 33
FAINT_LIGHT: RGB = (160, 160, 168)

Place = tuple[Cluster, int, int]  # what stands there, in which column, how many it takes


def heat_map(
    text: str,
    names: Sequence[str],
    values: np.ndarray,
    title: str,
    ends: tuple[str, str] = ("-1", "+1"),
    low: float = -1.0,
    dark: bool = False,
    columns: int = COLUMNS,
) -> Drawing:
    """``text`` of N characters and ``values`` (N, K) of what ``names`` (K,) say, from ``low`` (-1 or 0) to 1; NaN is 0.

    One row of values is the background of the text, several stand under each of its lines. ``ends`` stand at the ends
    of the legend. Lines break after ``columns`` letters.
    """
    colours = _scale(low, dark)
    ground, ink, faint = (NEUTRAL, PAPER, FAINT_LIGHT) if dark else (PAPER, INK, FAINT_INK)
    letter, rows, stacked = SIZE * ADVANCE, _rows(text, columns), len(names) > 1
    each = LINE + (len(names) * STRIP + GAP if stacked else 0)
    left = MARGIN + (NAMES if stacked else 0)
    longest = max((row[-1][1] + row[-1][2] for row in rows), default=0)
    width = MARGIN + max(left + longest * letter, MARGIN + text_width(title) * 12 * ADVANCE, 260)
    sheet = Drawing(width, HEAD + each * len(rows) + MARGIN, title, ground)
    _head(sheet, title, ends, colours, ink, faint)
    levels = _levels(values, low)
    letters: list[Label] = []
    for number, row in enumerate(rows):
        top = HEAD + each * number
        if stacked:
            letters += _letters(row, [ink] * len(row), left, top, letter)
            for k, name in enumerate(names):
                y = top + LINE + k * STRIP
                letters.append(Label(MARGIN, y + STRIP - 3, name, 9.5, faint))
                _paint(sheet, row, levels[:, k], colours, left, y, STRIP - 1, letter)
        else:
            _paint(sheet, row, levels[:, 0], colours, left, top, LINE - 1, letter)
            inks = [foreground(colours[level]) for level in _strongest(row, levels[:, 0])]
            letters += _letters(row, inks, left, top, letter)
    # Together by colour: a PNG is drawn faster, and letters lie over all backgrounds.
    sheet.add(*sorted(letters, key=lambda label: label.fill))
    return sheet


def _scale(low: float, dark: bool) -> tuple[RGB, ...]:
    if low < 0:
        return diverging(STEPS // 2 + 1) if dark else diverging(STEPS // 2 + 1, PAPER, PAPER_BLUE, PAPER_ORANGE)
    return sequential(STEPS) if dark else sequential(STEPS, PAPER_TO_PLUM)


def _levels(values: np.ndarray, low: float) -> np.ndarray:
    unit = (np.clip(np.nan_to_num(values), low, 1) - low) / (1 - low)
    return np.rint(unit * (STEPS - 1)).astype(int)


def _rows(text: str, columns: int) -> list[list[Place]]:
    rows: list[list[Place]] = [[]]
    used = 0
    for cluster in clusters(text):
        size = TAB - used % TAB if text[cluster.start] == "\t" else cluster.cells
        if used + size > columns and rows[-1]:
            rows.append([])
            used, size = 0, cluster.cells
        rows[-1].append((cluster, used, size))
        used += size
        if cluster.ends_line:
            rows.append([])
            used = 0
    return rows if rows[-1] else rows[:-1]


def _strongest(row: Sequence[Place], levels: np.ndarray) -> list[int]:
    """The level of each place: of several characters in one, that which is furthest from the middle."""
    middle = STEPS // 2
    return [int(max(levels[c.start : c.stop], key=lambda level: abs(level - middle))) for c, _, _ in row]


def _paint(sheet, row, levels, colours, left, y, height, letter) -> None:
    """Rectangles under a row; neighbours of one colour are one."""
    places = zip(_strongest(row, levels), row, strict=True)
    for level, same in itertools.groupby(places, lambda place: place[0]):
        members = [place for _, place in same]
        start, stop = members[0][1], members[-1][1] + members[-1][2]
        if colours[level] != sheet.background:
            sheet.add(Rectangle(left + start * letter, y, (stop - start) * letter, height, colours[level]))


def _letters(row, inks, left, top, letter):
    """Labels of a row: letters of one ink that follow each other are one, what is wide or composed stands alone."""

    def kind(place):
        (cluster, column, size), ink = place
        simple = size == 1 and len(cluster.glyph) == 1
        return ink, simple or column

    for (ink, _), same in itertools.groupby(zip(row, inks, strict=True), kind):
        members = [place for place, _ in same]
        text = "".join(cluster.glyph for cluster, _, _ in members)
        if not text.isspace():
            x = left + members[0][1] * letter
            yield Label(x, top + 14, text, SIZE, ink, grid=letter if len(text) == len(members) else None)


def _head(sheet, title, ends, colours, ink, faint) -> None:
    sheet.add(Label(MARGIN, 20, title, 12, ink, bold=True))
    x = MARGIN + text_width(ends[0]) * 10 * ADVANCE + 6
    sheet.add(Label(MARGIN, 38, ends[0], 10, faint))
    for step, colour in enumerate(colours):
        sheet.add(Rectangle(x + 4 * step, 30, 4, 9, colour))
    sheet.add(Label(x + 4 * len(colours) + 6, 38, ends[1], 10, faint))
