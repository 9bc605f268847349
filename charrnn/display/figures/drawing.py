"""A drawing: a size, a background and shapes; later shapes cover earlier ones.

Lengths are CSS pixels (96 to the inch), y goes down, colours are (red, green, blue) from 0 to 255.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from charrnn.display.palette import PAPER, RGB

INK: RGB = (24, 24, 27)
FAINT_INK: RGB = (92, 92, 100)
ADVANCE = 0.602  # width of a monospaced letter, relative to its size


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle with its upper left corner at x, y."""

    x: float
    y: float
    width: float
    height: float
    fill: RGB


@dataclass(frozen=True)
class Circle:
    """A filled disc with its centre at x, y; ``opacity`` 0 to 1."""

    x: float
    y: float
    radius: float
    fill: RGB
    opacity: float = 1.0


@dataclass(frozen=True)
class Line:
    """A line through ``points`` (x, y); ``dashes`` are lengths of strokes and gaps in turn."""

    points: Sequence[tuple[float, float]]
    stroke: RGB
    width: float = 1.0
    dashes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Label:
    """A monospaced text with its baseline at y.

    ``anchor`` is the part of the text at x: start, middle or end. ``turned`` writes upwards. ``grid`` is the distance
    in pixels from letter to letter; without it, the font of the viewer decides.
    """

    x: float
    y: float
    text: str
    size: float = 12.0
    fill: RGB = INK
    anchor: str = "start"
    bold: bool = False
    turned: bool = False
    grid: float | None = None


Shape = Rectangle | Circle | Line | Label


@dataclass
class Drawing:
    """Shapes on a sheet of ``width`` times ``height``; screen readers read the ``title``."""

    width: float
    height: float
    title: str = ""
    background: RGB = PAPER
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Add ``shapes`` on top of the others."""
        self.shapes += shapes
