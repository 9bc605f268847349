"""The heat map of a text: the text on the colours of one cell, or above a row of colours for each of several cells."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.display.figures.drawing import ADVANCE, FAINT_INK, INK, Drawing, Label, Rectangle
from charrnn.display.palette import NEUTRAL, PAPER, RGB, diverging, foreground, sequential
from charrnn.display.terminal.heatmap import Place, text_rows
from charrnn.display.terminal.text_width import text_width

COLUMNS = 80
SIZE, LINE = 13.0, 20.0  # of the letters, and from line to line
STRIP, GAP = 12.0, 8.0  # the height of a cell's row of colours, and the gap below the last one
MARGIN, NAMES, HEAD = 16.0, 56.0, 52.0
STEPS = 33
FAINT_LIGHT: RGB = (160, 160, 168)

_LETTER = SIZE * ADVANCE  # width of a letter


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
    """Draw ``text`` of N characters with ``values`` (N, K) from ``low`` (-1 or 0) to 1, a column for each of ``names``.

    One column of values colours the background of the text; each of several has a row under each line of the text. NaN
    counts as 0. ``ends`` are written at the ends of the legend. Lines break after ``columns`` letters.
    """
    half = STEPS // 2 + 1
    colours = diverging(half, dark) if low < 0 else sequential(STEPS, dark)
    ground, ink, faint = (NEUTRAL, PAPER, FAINT_LIGHT) if dark else (PAPER, INK, FAINT_INK)
    rows, stacked = text_rows(text, columns), len(names) > 1
    each = LINE + (len(names) * STRIP + GAP if stacked else 0)
    left = MARGIN + (NAMES if stacked else 0)
    longest = max((row[-1][1] + row[-1][2] for row in rows), default=0)
    width = MARGIN + max(left + longest * _LETTER, MARGIN + text_width(title) * 12 * ADVANCE, 260)
    sheet = Drawing(width, HEAD + each * len(rows) + MARGIN, title, ground)
    _head(sheet, title, ends, colours, ink, faint)
    unit = (np.clip(np.nan_to_num(values), low, 1) - low) / (1 - low)
    levels = np.rint(unit * (STEPS - 1)).astype(int)
    letters: list[Label] = []
    for number, row in enumerate(rows):
        top = HEAD + each * number
        if stacked:
            letters += _letters(row, [ink] * len(row), left, top)
            for k, name in enumerate(names):
                y = top + LINE + k * STRIP
                letters.append(Label(MARGIN, y + STRIP - 3, name, 9.5, faint))
                _paint(sheet, row, _strongest(row, levels[:, k]), colours, left, y, STRIP - 1)
        else:
            strongest = _strongest(row, levels[:, 0])
            _paint(sheet, row, strongest, colours, left, top, LINE - 1)
            letters += _letters(row, [foreground(colours[level]) for level in strongest], left, top)
    # Letters come after all backgrounds, so that they lie on top, and sorted by colour, which makes a PNG fast to draw.
    sheet.add(*sorted(letters, key=lambda label: label.fill))
    return sheet


def _strongest(row: Sequence[Place], levels: np.ndarray) -> list[int]:
    """The level of each place: among the levels of its characters, the one furthest from the middle."""
    middle = STEPS // 2
    return [int(max(levels[c.start : c.stop], key=lambda level: abs(level - middle))) for c, _, _ in row]


def _paint(
    sheet: Drawing,
    row: Sequence[Place],
    levels: Sequence[int],
    colours: Sequence[RGB],
    left: float,
    y: float,
    height: float,
) -> None:
    """Add the background of a row; neighbours of one colour share a rectangle."""
    for level, same in itertools.groupby(zip(levels, row, strict=True), lambda pair: pair[0]):
        places = [place for _, place in same]
        start, stop = places[0][1], places[-1][1] + places[-1][2]
        if colours[level] != sheet.background:
            sheet.add(Rectangle(left + start * _LETTER, y, (stop - start) * _LETTER, height, colours[level]))


def _letters(row: Sequence[Place], inks: Sequence[RGB], left: float, top: float) -> Iterator[Label]:
    """Labels of a row. Neighbours of one ink share a label; a wide or composed letter has a label of its own."""

    def kind(pair: tuple[Place, RGB]) -> tuple[RGB, bool | int]:
        (cluster, column, size), ink = pair
        simple = size == 1 and len(cluster.glyph) == 1
        return ink, simple or column

    for (ink, _), same in itertools.groupby(zip(row, inks, strict=True), kind):
        places = [place for place, _ in same]
        text = "".join(cluster.glyph for cluster, _, _ in places)
        if not text.isspace():
            x = left + places[0][1] * _LETTER
            yield Label(x, top + 14, text, SIZE, ink, grid=_LETTER if len(text) == len(places) else None)


def _head(sheet: Drawing, title: str, ends: tuple[str, str], colours: Sequence[RGB], ink: RGB, faint: RGB) -> None:
    """Add the title and the legend."""
    sheet.add(Label(MARGIN, 20, title, 12, ink, bold=True))
    x = MARGIN + text_width(ends[0]) * 10 * ADVANCE + 6
    sheet.add(Label(MARGIN, 38, ends[0], 10, faint))
    for step, colour in enumerate(colours):
        sheet.add(Rectangle(x + 4 * step, 30, 4, 9, colour))
    sheet.add(Label(x + 4 * len(colours) + 6, 38, ends[1], 10, faint))
