"""A drawing: a size, a background and shapes, the later over the earlier.

Lengths are pixels of CSS (96 to the inch), y goes down, colours are (red, green, blue) from 0 to 255.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from charrnn.display.palette import PAPER, RGB

INK: RGB = (24, 24, 27)
FAINT_INK: RGB = (92, 92, 100)
ADVANCE = 0.602  # of a monospaced letter, in its size


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle with its corner at x, y."""

    x: float
    y: float
    width: float
    height: float
    fill: RGB


@dataclass(frozen=True)
class Circle:
    """A filled disc around x, y; ``opacity`` 0 to 1."""

    x: float
    y: float
    radius: float
    fill: RGB
    opacity: float = 1.0


@dataclass(frozen=True)
class Line:
    """A line through ``points`` (x, y), ``width`` wide; ``dashes`` are lengths on and off."""

    points: Sequence[tuple[float, float]]
    stroke: RGB
    width: float = 1.0
    dashes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Label:
    """Words set in monospace with the baseline at y.

    ``anchor`` says which part of them is at x: start, middle or end. ``turned`` writes upwards. With ``grid`` there is
    one letter every so many pixels, whatever the font that is found.
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
    """Shapes on a sheet of ``width`` times ``height``; ``title`` is told to those who cannot see it."""

    width: float
    height: float
    title: str = ""
    background: RGB = PAPER
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Put ``shapes`` on top."""
        self.shapes += shapes
