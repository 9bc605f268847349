"""A figure of several curves, drawn with charrnn's own shapes: SVG without another library."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from charrnn.display.figures import save
from charrnn.display.figures.axes import Axes
from charrnn.display.figures.drawing import INK, Circle, Drawing, Label, Line

COLOURS = ((59, 130, 196), (217, 115, 26), (63, 155, 87), (160, 79, 181), (107, 107, 107), (196, 59, 76))
LEFT, TOP, WIDTH, HEIGHT = 70.0, 34.0, 460.0, 250.0
BROKEN = (5, 3)  # strokes and gaps
FEW = 20  # points that are drawn as dots too
LETTER = 7.0  # pixels of a letter of the legend

Points = Sequence[tuple[float, float]]


def draw(
    path: Path,
    title: str,
    curves: Mapping[str, Points],
    across: str,
    up: str,
    log_across: bool = False,
    log_up: bool = False,
    lowest: float = 0.0,
) -> None:
    """Draw ``curves`` of points (x, y) by name into the file ``path``, which ends in ``.svg`` or ``.png``.

    Points that are not finite are left out; on a logarithmic axis those that are not above 0, or below ``lowest``, too.
    A name that ends in ``*`` is a broken curve, in the colour of the curve whose name is the same without the star.
    """
    shown = {name: _placed(points, log_across, log_up, lowest) for name, points in curves.items()}
    places = [place for points in shown.values() for place in points]
    low_x, high_x, marks_x = _scale([x for x, _ in places], log_across, base=2)
    low_y, high_y, marks_y = _scale([y for _, y in places], log_up, base=10)
    sheet = Drawing(LEFT + WIDTH + 50 + LETTER * max(map(len, shown), default=0), TOP + HEIGHT + 50, title)
    axes = Axes(LEFT, TOP, WIDTH, HEIGHT, high_x - low_x, high_y - low_y)
    ticks = [[(at - low, text) for at, text in marks] for low, marks in ((low_x, marks_x), (low_y, marks_y))]
    axes.draw(sheet, title, *ticks)
    inks: dict[str, tuple[int, int, int]] = {}
    for name, points in shown.items():
        ink = inks.setdefault(name.rstrip("*"), COLOURS[len(inks) % len(COLOURS)])
        line = [(axes.x(x - low_x), axes.y(y - low_y)) for x, y in points]
        if line:
            sheet.add(Line(line, ink, 1.6, BROKEN if name.endswith("*") else ()))
        if len(line) <= FEW:
            sheet.add(*(Circle(x, y, 2.4, ink) for x, y in line))
    for row, (name, ink) in enumerate(inks.items()):
        height, right = TOP + 10 + 18 * row, LEFT + WIDTH + 12
        sheet.add(Line([(right, height), (right + 18, height)], ink, 1.6), Label(right + 24, height + 4, name, 11))
    sheet.add(Label(LEFT + WIDTH / 2, TOP + HEIGHT + 36, across, 11, INK, "middle"))
    sheet.add(Label(16, TOP + HEIGHT / 2, up, 11, INK, "middle", turned=True))
    save(sheet, path)


def _placed(points: Points, log_across: bool, log_up: bool, lowest: float) -> list[tuple[float, float]]:
    """The points on the axes' scales: log2 across and log10 up, where the axes are logarithmic."""
    found = []
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)) or (log_across and x <= 0) or (log_up and y <= lowest):
            continue
        found.append((math.log2(x) if log_across else x, math.log10(y) if log_up else y))
    return found


def _scale(values: list[float], log: bool, base: int) -> tuple[float, float, list[tuple[float, str]]]:
    """The ends of an axis and its ticks (place, label) for values on its scale."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if log:
        low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
        every = max(1, (high - low) // 8)
        return low, high, [(at, f"{float(base) ** at:g}") for at in range(low, high + 1, every)]
    spread = high - low or 1.0
    power = 10.0 ** math.floor(math.log10(spread / 5))
    step = next(power * times for times in (1, 2, 5, 10) if spread / (power * times) <= 7)
    first, last = math.floor(low / step), math.ceil(high / step)
    return first * step, last * step, [(step * k, f"{step * k:.6g}") for k in range(first, last + 1)]
