"""Curves in a terminal: the losses of a run, drawn with braille dots (2 x 4 a character) and marks."""

import math
from collections.abc import Mapping

import numpy as np
from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.colours import BLUE, ORANGE
from charrnn.display.terminal.heatmap import coloured

LABELS = 7
"""Terminal columns left of a plot, taken by the vertical axis and its labels."""

_ZOOMS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
# Losses fall fast at first: this part of the line, at its left end, does not count for the range of the vertical axis.
_FIRST_PART = 0.08
# The bit of each dot in the code of a braille character.
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


class Series:
    """Points of a run of any length in bounded memory: when it is full, neighbours are merged in pairs."""

    def __init__(self, capacity: int) -> None:
        self._sums = np.zeros((capacity, 3))  # of progress, of value, and how many points were merged
        self._used, self._each = 0, 1

    def add(self, progress: float, value: float) -> None:
        """Append a point. A point that is not finite is left out."""
        if not (math.isfinite(progress) and math.isfinite(value)):
            return
        if not self._used or self._sums[self._used - 1, 2] >= self._each:
            if self._used == len(self._sums):
                self._used, self._each = self._used // 2, self._each * 2
                self._sums[: self._used] = self._sums[0::2] + self._sums[1::2]
            self._sums[self._used] = 0
            self._used += 1
        self._sums[self._used - 1] += progress, value, 1

    def points(self) -> np.ndarray:
        """The points (n, 2) of progress and value; each is the mean of the points merged into it."""
        return self._sums[: self._used, :2] / self._sums[: self._used, 2:]


class Curve:
    """Training and validation loss against the progress of a run, 0 to 1."""

    def __init__(self, start: float = 0.0) -> None:
        self.start = start
        self.progress = start
        self.training = Series(2048)
        self.validation = Series(256)

    def add(self, progress: float, value: float) -> None:
        """Add a training loss, which the caller has smoothed."""
        self.progress = max(self.progress, progress)
        self.training.add(progress, value)

    def add_validation(self, value: float) -> None:
        """Add a validation loss, at the progress of the last training loss."""
        self.validation.add(self.progress, value)

    def lines(self, width: int, height: int, margin: int = 0) -> list[Text]:
        """``height`` rows of plot and one of axis, ``width`` columns wide with their labels.

        Until half of the run is done, the horizontal axis shows only its first 1/16, 1/8, 1/4 or 1/2 and says where it
        ends. The vertical axis ignores the first losses. In a ``margin`` of that many columns at the right, each series
        is named beside its end.
        """
        done = (self.progress - self.start) / max(1.0 - self.start, 1e-9)
        zoom = next((zoom for zoom in _ZOOMS if done <= zoom), 1.0)
        end = self.start + (1.0 - self.start) * zoom
        columns = max(width - LABELS - margin, 4)
        line = dot_columns(self.training.points(), self.start, end, columns * 2)
        marks = self.validation.points()
        drawn = line[np.isfinite(line)]
        low, high = span(drawn[int(len(drawn) * _FIRST_PART) :], marks[:, 1])

        glyphs = draw_line(line, low, high, height)
        styles = np.full(glyphs.shape, BLUE, dtype=object)
        for progress, value in marks:
            row = row_of(value, low, high, height)
            if row is not None:
                column = math.floor((progress - self.start) / (end - self.start) * columns)
                column = min(max(column, 0), columns - 1)
                glyphs[row, column], styles[row, column] = "●", ORANGE
        rows = plot_rows(glyphs, styles, ticks_of(low, high, height))
        for row, name in (self._names(low, high, height) if margin else {}).items():
            rows[row].append(" ").append(*name)

        label = f" {end * 100:.3g} %" if zoom < 1 else ""
        if label and columns >= 40:
            label += " of the run"
        elif len(label) >= columns:
            label = ""
        axis = " " * (LABELS - 1) + "└" + "─" * (columns - len(label)) + label
        return [*rows, Text(axis, style="dim")]

    def _names(self, low: float, high: float, height: int) -> dict[int, tuple[str, str]]:
        """The name and style of each series by row: beside the end of the series, and no two on one row."""
        names: dict[int, tuple[str, str]] = {}
        for series, name, style in (
            (self.training.points(), "training", BLUE),
            (self.validation.points(), "validation", ORANGE),
        ):
            if len(series):
                value = min(max(series[-1, 1], low), high)
                row = row_of(value, low, high, height) or 0
                # Validation loss is nearly always the higher one, so its name moves up where there is room.
                while row in names:
                    row = row - 1 if row > 0 else height - 1
                names[row] = (name, style)
        return names


def dot_columns(points: np.ndarray, start: float, end: float, count: int) -> np.ndarray:
    """The value (count,) of the line at each column of dots; NaN where there is no line."""
    line = np.full(count, np.nan)
    if len(points):
        place = np.clip((points[:, 0] - start) / (end - start) * count, 0, count - 1).astype(int)
        used, index = np.unique(place, return_inverse=True)
        means = np.bincount(index, points[:, 1]) / np.bincount(index)
        reach = np.arange(used[0], used[-1] + 1)
        line[reach] = np.interp(reach, used, means)
    return line


def span(*series: np.ndarray) -> tuple[float, float]:
    """Lower and upper end of the vertical axis for the values of ``series``. Rare spikes may be above it."""
    # Each series has its own range: a few marks high above a long line would be taken for spikes of it.
    ranges = [_range(values) for values in series if len(values)]
    if not ranges:
        return 0.0, 1.0
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    room = max((high - low) * 0.04, 0.02)
    return low - room, high + room


def _range(values: np.ndarray) -> tuple[float, float]:
    """The lowest value, and the highest one that is no rare spike."""
    low, most, high = (float(value) for value in np.quantile(values, [0.0, 0.9, 1.0]))
    return low, min(high, most + 0.8 * (most - low) + 0.05)


def row_of(value: float, low: float, high: float, height: int) -> int | None:
    """The row, 0 (the highest) to ``height`` - 1, of a value on an axis from ``low`` to ``high``; None off the axis."""
    row = math.floor((high - value) / (high - low) * height)
    return row if 0 <= row < height else None


def ticks_of(low: float, high: float, height: int) -> dict[int, str]:
    """Labels of round numbers by row, at most one for every two rows."""
    step = numbers.round_step((high - low) / max(height / 2, 1))
    digits = next(digits for digits in range(1, 12) if abs(round(step, digits) - step) < step * 1e-6)
    ticks = {}
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        row = row_of(number * step, low, high, height)
        if row is not None:
            label = f"{number * step:.{digits}f}"
            ticks[row] = f"{label} " if len(label) <= LABELS - 2 else f"{number * step:.0e} "
    return ticks


def plot_rows(glyphs: np.ndarray, styles: np.ndarray, ticks: Mapping[int, str], margin: int = LABELS) -> list[Text]:
    """A line for each row of ``glyphs`` (height, columns) in their ``styles``, right of the vertical axis.

    The axis has labels by row, ``ticks``, and takes ``margin`` terminal columns.
    """
    rows = []
    for row, pairs in enumerate(zip(glyphs, styles, strict=True)):
        axis = f"{ticks.get(row, ''):>{margin - 1}}{'┤' if row in ticks else '│'}"
        rows.append(Text.assemble((axis, "dim"), coloured(*pairs)))
    return rows


def draw_line(line: np.ndarray, low: float, high: float, height: int) -> np.ndarray:
    """A line, given by its value (2 columns,) at each column of dots, as characters (height, columns)."""
    down = len(_DOTS)
    dots = np.zeros((height * down, len(line)), dtype=bool)
    level = (high - line) / (high - low) * height * down
    for column in np.flatnonzero(np.isfinite(level)):
        here = level[column]
        after = level[column + 1] if column + 1 < len(level) and np.isfinite(level[column + 1]) else here
        # Fill down or up to the level of the next column, exclusive, so that a steep line has no holes.
        first, last = sorted((math.floor(here), math.floor(after)))
        if first != last:
            first, last = (first, last - 1) if here < after else (first + 1, last)
        dots[max(first, 0) : max(last + 1, 0), column] = True
    return braille(dots)


def braille(dots: np.ndarray) -> np.ndarray:
    """Dots (4 height, 2 width) as characters (height, width), with spaces where there are no dots."""
    down, across = _DOTS.shape
    blocks = dots.reshape(len(dots) // down, down, -1, across)
    codes = np.einsum("rdca,da->rc", blocks, _DOTS)
    return np.array([[chr(0x2800 + code) if code else " " for code in row] for row in codes], dtype=object)
