"""The figure of ``compare``: validation losses of several runs. It draws the objects that ``--json`` writes."""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from charrnn.display.figures.axes import Axes
from charrnn.display.figures.drawing import INK, Circle, Drawing, Label, Line
from charrnn.display.palette import ACCENTS
from charrnn.display.terminal import numbers
from charrnn.display.terminal.curve import span
from charrnn.display.terminal.curves import end_of
from charrnn.display.terminal.text_width import clip

_WIDTH, _HEIGHT, _LEFT, _TOP, _NAMES, _ROW = 460.0, 280.0, 70.0, 46.0, 240.0, 20.0
_LONGEST_NAME = 24  # letters
# Lines can be told apart without colours, too.
_DASHES = ((), (7, 3), (2, 2), (9, 3, 2, 3), (5, 2, 1, 2, 1, 2), (12, 4), (1, 3))


def curves_figure(
    records: Sequence[Mapping[str, Any]], curves: Sequence[np.ndarray], against: str, label: Callable[[float], str]
) -> Drawing:
    """A line for each run: its ``curves`` (n, 2) of what ``against`` names, from 0, and nats per character.

    ``label`` writes a value of the horizontal axis. A run without a point is in the list of names only.
    """
    drawn = [each for each in curves if len(each)]
    end = end_of(drawn)
    low, high = span(*(each[:, 1] for each in drawn))
    height = max(_HEIGHT, _ROW * len(records))
    sheet = Drawing(_LEFT + _WIDTH + _NAMES, _TOP + height + 52, f"validation loss against {against}")
    axes = Axes(_LEFT, _TOP, _WIDTH, height, end, high, low)
    levels = numbers.ticks(low, high, 6)
    digits = max(len(f"{value:.10g}".partition(".")[2]) for value in levels) if levels else 0
    axes.draw(
        sheet,
        "validation loss in nats per character",
        [(value, label(value)) for value in numbers.ticks(0.0, end, 6)],
        [(value, f"{value:.{digits}f}") for value in levels],
    )
    sheet.add(Label(_LEFT + _WIDTH / 2, _TOP + height + 38, against, 11, INK, "middle"))
    for row, (each, points, ink, dashes) in enumerate(
        zip(records, curves, cycle(ACCENTS), cycle(_DASHES), strict=False)
    ):
        # A loss above the axis is drawn at its upper end.
        places = [(axes.x(x), axes.y(min(value, high))) for x, value in points]
        if len(places) > 1:
            sheet.add(Line(places, ink, 1.8, dashes))
        if places:
            sheet.add(Circle(*places[-1], 3.2, ink), Label(places[-1][0] + 6, places[-1][1] + 4, each["mark"], 11, ink))
        right, middle = _LEFT + _WIDTH + 32, _TOP + 8 + row * _ROW
        sheet.add(Line([(right, middle), (right + 26, middle)], ink, 1.8, dashes))
        name = f"{each['mark']} {clip(each['name'], _LONGEST_NAME)}"
        sheet.add(Label(right + 34, middle + 4, name, 11))
    return sheet
