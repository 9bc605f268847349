"""Axes of a panel: a frame, ticks with their numbers, and the way from values to places on the sheet."""

from collections.abc import Sequence
from dataclasses import dataclass

from charrnn.display.figures.drawing import FAINT_INK, Drawing, Label, Line
from charrnn.display.palette import RGB

RULE: RGB = (170, 170, 178)
GRID: RGB = (232, 232, 236)
SMALL = 10.0


@dataclass(frozen=True)
class Axes:
    """A panel with its upper left corner at ``left``, ``top``; values go from 0 to ``across`` and 0 to ``high``."""

    left: float
    top: float
    width: float
    height: float
    across: float = 1.0
    high: float = 1.0

    def x(self, value: float) -> float:
        """Where a value stands from left to right."""
        return self.left + value / self.across * self.width

    def y(self, value: float) -> float:
        """Where a value stands, the higher the larger."""
        return self.top + (1 - value / self.high) * self.height

    def draw(
        self, sheet: Drawing, title: str, ticks_x: Sequence[tuple[float, str]], ticks_y: Sequence[tuple[float, str]]
    ) -> None:
        """The frame with ``title`` above it; a tick is a value and what is written there."""
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
        sheet.add(Label(self.left, self.top - 8, title, 12, bold=True))
