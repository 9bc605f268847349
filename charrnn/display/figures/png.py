"""Drawings as PNG, by matplotlib, whose own monospaced font makes the picture the same on every machine."""

import io
import itertools
import math
import warnings
from functools import lru_cache

from charrnn.display.figures.drawing import ADVANCE, Circle, Drawing, Label, Rectangle, Shape
from charrnn.errors import ConfigError
from charrnn.sanitise import visible
from charrnn.system.libraries import require

SCALE = 2  # pixels of the file for one pixel of the drawing, so that print is sharp
LARGEST = 32_000  # pixels of a side; the rasteriser fails above 65,536


def require_matplotlib() -> None:
    """Look whether PNG can be written, before the work for it begins.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    require("matplotlib", "PNG", "SVG needs nothing")


def to_png(drawing: Drawing, scale: float = SCALE) -> bytes:
    """The bytes of the file. A letter that the font (DejaVu Sans Mono) lacks is shown as a box.

    Raises:
        ConfigError: matplotlib is not installed, or the picture would be too large.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if max(drawing.width, drawing.height) * scale > LARGEST:
        raise ConfigError(f"a PNG may have {LARGEST:,} pixels a side: show less (--length), or write SVG")
    pixels = 72 / 96  # matplotlib counts in points
    figure = Figure((drawing.width / 96, drawing.height / 96), dpi=96 * scale, facecolor=_rgb(drawing.background))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    for order, patch in enumerate(_patches(drawing, pixels)):
        patch.set_zorder(order)
        axes.add_artist(patch)
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None, "Title": visible(drawing.title, "") or None})
    return stream.getvalue()


def _patches(drawing: Drawing, pixels: float):
    """matplotlib's shapes. Labels of one colour in a row become one shape; otherwise a long text would take minutes."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    def kind(shape):
        return shape.fill if isinstance(shape, Label) else None

    for ink, group in itertools.groupby(drawing.shapes, kind):
        if ink is None:
            yield from (_patch(shape, pixels) for shape in group)
        elif letters := [outline for label in group for outline in _outlines(label)]:
            yield PathPatch(Path.make_compound_path(*letters), facecolor=_rgb(ink), linewidth=0)


def _patch(shape: Shape, pixels: float):
    from matplotlib import lines, patches

    if isinstance(shape, Rectangle):
        corner = (shape.x, shape.y)
        return patches.Rectangle(corner, shape.width, shape.height, facecolor=_rgb(shape.fill), linewidth=0, aa=False)
    if isinstance(shape, Circle):
        look = {"facecolor": _rgb(shape.fill), "alpha": shape.opacity, "linewidth": 0}
        return patches.Circle((shape.x, shape.y), shape.radius, **look)
    # matplotlib measures dashes in line widths.
    style = (0, [length / shape.width for length in shape.dashes]) if shape.dashes else "-"
    points = zip(*shape.points, strict=True)
    return lines.Line2D(*points, color=_rgb(shape.stroke), linewidth=shape.width * pixels, linestyle=style)


def _outlines(label: Label) -> list:
    """The outlines of the letters of a label, in their places."""
    from matplotlib.transforms import Affine2D

    text = visible(label.text, "")
    step = label.grid or label.size * ADVANCE
    before = {"start": 0.0, "middle": 0.5, "end": 1.0}[label.anchor] * step * len(text)
    outlines = []
    for place, letter in enumerate(text):
        if not letter.isspace():
            move = Affine2D().scale(label.size / 100, -label.size / 100).translate(place * step - before, 0)
            move = move.rotate(-math.pi / 2) if label.turned else move
            outlines.append(_outline(letter, label.bold).transformed(move.translate(label.x, label.y)))
    return outlines


@lru_cache(maxsize=4096)
def _outline(letter: str, bold: bool):
    """The outline of a letter of size 100."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family=["DejaVu Sans Mono", "DejaVu Sans"], weight="bold" if bold else "normal")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # matplotlib draws a box
        return TextPath((0, 0), letter, size=100, prop=font, usetex=False)


def _rgb(colour) -> tuple[float, ...]:
    return tuple(channel / 255 for channel in colour)
