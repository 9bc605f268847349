"""The heat map of a text: the text on the colours of a cell, or above rows of colours for several cells or signals."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from charrnn.display.figures.drawing import ADVANCE, FAINT_INK, INK, Drawing, Label, Rectangle
from charrnn.display.palette import NEUTRAL, PAPER, RGB, diverging, foreground, sequential
from charrnn.display.terminal.heatmap import Place, text_rows
from charrnn.display.terminal.text_width import text_width, wrap

COLUMNS = 80
SIZE, LINE = 13.0, 20.0  # of the letters, and from line to line
STRIP, GAP = 12.0, 8.0  # the height of a cell's row of colours, and the gap below the last one
MARGIN, NAMES, HEAD = 16.0, 56.0, 52.0  # HEAD is of a title in one line and one legend
TITLE, TITLE_LINE, LEGEND_LINE = 12.0, 16.0, 14.0
LEAST = 260.0  # width
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
    signals: Mapping[str, float] | None = None,
) -> Drawing:
    """Draw ``text`` of N characters with ``values`` (N, K) from ``low`` (-1 or 0) to 1, a column for each of ``names``.

    One column of values colours the background of the text; each of several has a row under each line of the text. NaN
    counts as 0. ``ends`` are written at the ends of the legend. Lines break after ``columns`` letters. ``signals`` have
    names and the least values, in place of ``low``: the columns belong to them in turn, and each scale has a legend.
    """
    lows = [*signals.values()] if signals else [low]
    scales = {each: diverging(STEPS // 2 + 1, dark) if each < 0 else sequential(STEPS, dark) for each in lows}
    legends = [(*_ends(each, signals or {}, ends), colours) for each, colours in scales.items()]
    ground, ink, faint = (NEUTRAL, PAPER, FAINT_LIGHT) if dark else (PAPER, INK, FAINT_INK)
    rows, stacked = text_rows(text, columns), len(names) > 1
    each = LINE + (len(names) * STRIP + GAP if stacked else 0)
    left = MARGIN + (NAMES if stacked else 0)
    longest = max((row[-1][1] + row[-1][2] for row in rows), default=0)
    width = MARGIN + max(left + longest * _LETTER, LEAST)
    lines = wrap(title, int((width - 2 * MARGIN) / (TITLE * ADVANCE)))
    head = HEAD + (len(lines) - 1) * TITLE_LINE + (len(scales) - 1) * LEGEND_LINE
    sheet = Drawing(width, head + each * len(rows) + MARGIN, title, ground)
    longest_end = max(text_width(first) for first, _, _ in legends)
    heading(sheet, lines, legends, MARGIN + longest_end * 10 * ADVANCE + 6, ink, faint)
    low_of = np.array([lows[k % len(lows)] for k in range(len(names))])
    unit = (np.clip(np.nan_to_num(values), low_of, 1) - low_of) / (1 - low_of)
    levels = np.rint(unit * (STEPS - 1)).astype(int)
    own = [scales[each] for each in low_of]
    letters: list[Label] = []
    for number, row in enumerate(rows):
        top = head + each * number
        if stacked:
            letters += _letters(row, [ink] * len(row), left, top)
            for k, name in enumerate(names):
                y = top + LINE + k * STRIP
                letters.append(Label(MARGIN, y + STRIP - 3, name, 9.5, faint))
                _paint(sheet, row, _strongest(row, levels[:, k]), own[k], left, y, STRIP - 1)
        else:
            strongest = _strongest(row, levels[:, 0])
            _paint(sheet, row, strongest, own[0], left, top, LINE - 1)
            letters += _letters(row, [foreground(own[0][level]) for level in strongest], left, top)
    # Letters come after all backgrounds, so that they lie on top, and sorted by colour, which makes a PNG fast to draw.
    sheet.add(*sorted(letters, key=lambda label: label.fill))
    return sheet


def _ends(low: float, signals: Mapping[str, float], ends: tuple[str, str]) -> tuple[str, str]:
    """What stands at the ends of the legend for values from ``low`` to 1: ``ends``, if no ``signals`` are named."""
    if not signals:
        return ends
    first, last = ("-1", "+1") if low < 0 else ("0", "1")
    of_scale = [name for name, least in signals.items() if least == low]
    return first if len(of_scale) == len(signals) else f"{', '.join(of_scale)}   {first}", last


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


def heading(
    sheet: Drawing,
    title: Sequence[str],
    legends: Sequence[tuple[str, str, Sequence[RGB]]],
    x: float,
    ink: RGB,
    faint: RGB,
) -> None:
    """Add the lines of the title and the legends: what stands at the left and at the right, and the colours from x."""
    for number, line in enumerate(title):
        sheet.add(Label(MARGIN, 20 + number * TITLE_LINE, line, TITLE, ink, bold=True))
    for number, (first, last, colours) in enumerate(legends):
        y = 38 + (len(title) - 1) * TITLE_LINE + number * LEGEND_LINE
        sheet.add(Label(MARGIN, y, first, 10, faint))
        for step, colour in enumerate(colours):
            sheet.add(Rectangle(x + 4 * step, y - 8, 4, 9, colour))
        sheet.add(Label(x + 4 * len(colours) + 6, y, last, 10, faint))
