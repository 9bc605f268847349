"""Axes of a plot: a frame, ticks with their labels, and the positions of values on the sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.display.figures.drawing import ADVANCE, FAINT_INK, Drawing, Label, Line
from charrnn.display.palette import RGB
from charrnn.display.terminal.text_width import wrap

RULE: RGB = (170, 170, 178)
GRID: RGB = (232, 232, 236)
SMALL, TITLE = 10.0, 12.0


@dataclass(frozen=True)
class Axes:
    """A plot with its upper left corner at ``left``, ``top``.

    Values go from 0 to ``across``, and upwards from ``low`` to ``high``.
    """

    left: float
    top: float
    width: float
    height: float
    across: float = 1.0
    high: float = 1.0
    low: float = 0.0

    def x(self, value: float) -> float:
        """The horizontal position of a value, in pixels."""
        return self.left + value / self.across * self.width

    def y(self, value: float) -> float:
        """The vertical position of a value, in pixels from the top."""
        return self.top + (1 - (value - self.low) / (self.high - self.low)) * self.height

    def draw(
        self, sheet: Drawing, title: str, ticks_x: Sequence[tuple[float, str]], ticks_y: Sequence[tuple[float, str]]
    ) -> None:
        """Add the frame, with ``title`` above it. A tick is a value and its label."""
        right, bottom = self.left + self.width, self.top + self.height
        for value, text in ticks_y:
            place = self.y(value)
            sheet.add(Line([(self.left, place), (right, place)], GRID))
            sheet.add(Label(self.left - 6, place + 3.5, text, SMALL, FAINT_INK, "end"))
        for value, text in ticks_x:
            place = self.x(value)
            sheet.add(Line([(place, bottom), (place, bottom + 4)], RULE))
            sheet.add(Label(place, bottom + 16, text, SMALL, FAINT_INK, "middle"))
        sheet.add(Line([(self.left, self.top), (self.left, bottom), (right, bottom)], RULE))
        lines = wrap(title, int(self.width / (TITLE * ADVANCE)))
        for above, line in enumerate(reversed(lines)):
            sheet.add(Label(self.left, self.top - 8 - above * TITLE, line, TITLE, bold=True))
