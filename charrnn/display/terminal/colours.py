"""Colour scales for numbers, on terminals with any number of colours.

Both scales begin near black, so a value far from zero is bright. A style sets background and foreground, so it looks
the same on dark and on light terminals. Each of the four depths has its own table of colours: the coarse tables are
chosen by hand, because rounding the fine one would not keep the order of luminance. :mod:`charrnn.display.palette`
mixes the colours.

The table of 256 colours is a cube of 6 x 6 x 6 colours and 24 greys. Its colours near the fine scale are few, and
fewest where the scale is dark. Neighbouring steps differ clearly in lightness. A value gets the step whose lightness is
nearest to the lightness of the value's colour in the fine scale.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from rich.color import Color
from rich.style import Style

from charrnn.display.palette import ACCENTS, RGB, diverging, foreground, lightness, sequential

ACCENT_STYLES = tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in ACCENTS)
BLUE, ORANGE, GREEN = ACCENT_STYLES[:3]


class Depth(enum.IntEnum):
    """How many colours a terminal has; with NONE, symbols stand for the values."""

    NONE = 0
    ANSI16 = 16
    ANSI256 = 256
    TRUECOLOUR = 1 << 24


@dataclass(frozen=True, eq=False)
class Scale:
    """Colours and symbols for values from ``low`` (-1 or 0) to 1.

    ``colours`` are backgrounds for true colour. ``cube`` has for each of them a background from the table of 256
    colours; neighbours share one. ``basic`` are pairs of background and foreground for 16 colours; None means the
    terminal's own colours. ``symbols`` stand for the values where there is no colour. Each has an odd number of steps,
    so that zero of a diverging scale has a step.
    """

    low: float
    colours: tuple[RGB, ...]
    cube: tuple[int, ...]
    basic: tuple[tuple[int, int] | None, ...]
    symbols: str

    def levels(self, values: Sequence[float] | np.ndarray, steps: int) -> np.ndarray:
        """The step of each value, 0 to ``steps`` - 1. Values out of range are clipped; NaN counts as 0."""
        filled = np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0, posinf=1.0, neginf=self.low)
        unit = (np.clip(filled, self.low, 1.0) - self.low) / (1.0 - self.low)
        # Round half away from zero, not half to even: +v and -v then lie equally far from the middle step.
        centre = (steps - 1) / 2 if self.low < 0 else 0.0
        offset = unit * (steps - 1) - centre
        return (centre + np.sign(offset) * np.floor(np.abs(offset) + 0.5)).astype(int)

    def styles(self, values: Sequence[float] | np.ndarray, depth: Depth, faint: bool = False) -> list[Style]:
        """A style for each value. With ``faint`` the text has the lowest contrast that is still readable."""
        steps = {Depth.NONE: 1, Depth.ANSI16: len(self.basic), Depth.ANSI256: len(self.cube)}
        levels = self.levels(values, steps.get(depth, len(self.colours)))
        return [_style(self, depth, int(level), faint) for level in levels.ravel()]

    def symbols_for(self, values: Sequence[float] | np.ndarray) -> str:
        """A symbol for each value."""
        return "".join(self.symbols[level] for level in self.levels(values, len(self.symbols)).ravel())

    def ramp(self, steps: int) -> np.ndarray:
        """Values (steps,) from one end of the scale to the other, for a legend."""
        return np.linspace(self.low, 1.0, steps)


@lru_cache(maxsize=1024)
def _style(scale: Scale, depth: Depth, level: int, faint: bool) -> Style:
    if depth == Depth.TRUECOLOUR:
        background = scale.colours[level]
        return Style(color=Color.from_rgb(*foreground(background, faint)), bgcolor=Color.from_rgb(*background))
    if depth == Depth.ANSI256:
        number = scale.cube[level]
        text = foreground(cube_rgb(number), faint)
        return Style(color=Color.from_ansi(_nearest_grey(text)), bgcolor=Color.from_ansi(number))
    pair = scale.basic[level] if depth == Depth.ANSI16 else None
    if pair is None:
        return Style(dim=True) if faint else Style()
    return Style(color=Color.from_ansi(pair[1]), bgcolor=Color.from_ansi(pair[0]))


def cube_rgb(number: int) -> RGB:
    """The colour of ``number``, 16 to 255, in the table of 256 colours. Colours 0 to 15 depend on the user's theme."""
    return tuple(Color.from_ansi(number).get_truecolor())


def _nearest_grey(grey: RGB) -> int:
    return min((16, 231, *range(232, 256)), key=lambda number: abs(cube_rgb(number)[0] - grey[0]))


def _of_lightness(colours: Sequence[RGB], *ramps: Sequence[int]) -> list[tuple[int, ...]]:
    """For each of ``colours`` the place of ``ramps`` whose lightness is nearest: the numbers that stand there.

    The ramps are parallel: their colours at one place have nearly the same lightness, and their mean counts.
    """
    places = np.mean([lightness([cube_rgb(number) for number in ramp]) for ramp in ramps], axis=0)
    nearest = np.abs(lightness(colours)[:, None] - places).argmin(axis=1)
    return [tuple(ramp[place] for ramp in ramps) for place in nearest]


def _diverging_cube(colours: Sequence[RGB], blues: Sequence[int], oranges: Sequence[int]) -> tuple[int, ...]:
    """For each of ``colours``, from blue to orange, a number of the table; both ramps begin at zero."""
    half = _of_lightness(colours[len(colours) // 2 :], blues, oranges)
    return (*(blue for blue, _ in half[:0:-1]), *(orange for _, orange in half))


_GREY = 234  # of the table of 256 colours; nearly the palette's NEUTRAL
_FINE, _FINE_SEQUENTIAL = diverging(33), sequential(65)

DIVERGING = Scale(
    low=-1.0,
    colours=_FINE,
    cube=_diverging_cube(_FINE, (_GREY, 18, 19, 24, 25, 27, 32, 69, 75), (_GREY, 52, 88, 124, 94, 130, 166, 202, 208)),
    basic=((4, 15), (14, 0), None, (11, 0), (1, 15)),
    # Low dots and minus signs are negative, high ticks and plus signs positive; more ink is further from zero.
    symbols="=-:. '\"+#",
)
SEQUENTIAL = Scale(
    low=0.0,
    colours=_FINE_SEQUENTIAL,
    cube=tuple(
        number
        for (number,) in _of_lightness(_FINE_SEQUENTIAL, (_GREY, 53, 54, 90, 126, 161, 132, 167, 203, 209, 215, 223))
    ),
    basic=(None, (5, 15), (13, 0), (11, 0), (15, 0)),
    symbols=" .:-=+*#@",
)


def scale_from(low: float) -> Scale:
    """The scale for values from ``low`` to 1."""
    return DIVERGING if low < 0 else SEQUENTIAL


@dataclass(frozen=True)
class Look:
    """How a text is shown: in lines of ``width`` columns, with the colours of ``depth`` for values on a ``scale``."""

    width: int = 80
    depth: Depth = Depth.TRUECOLOUR
    scale: Scale = DIVERGING

    def styles(self, values: Sequence[float] | np.ndarray) -> list[Style]:
        """A style for each value."""
        return self.scale.styles(values, self.depth)


DEFAULT_LOOK = Look()
