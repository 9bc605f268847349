"""Colour arithmetic, and the colours of values on a dark and on a light ground.

The diverging scale runs to blue for negative and to orange for positive values. People with red–green blindness
(protanopia, deuteranopia) see the blue–yellow axis undiminished. Both ends have the same luminance and colours are
mixed *in linear light*, so +v and -v have the same luminance, and luminance changes monotonically with the distance
from zero: the scale can be read in grey. Equal steps of the value look equal, because the mixture is linear in
lightness (the cube root of luminance).
"""

from collections.abc import Sequence

import numpy as np

RGB = tuple[int, int, int]

NEUTRAL: RGB = (26, 26, 29)
BLUE: RGB = (80, 176, 255)
ORANGE: RGB = (255, 140, 40)
PAPER: RGB = (255, 255, 255)
PAPER_BLUE: RGB = (70, 152, 255)
PAPER_ORANGE: RGB = (242, 118, 0)

# Accents of equal luminance, halfway between black and white: legible on dark and on light grounds.
ACCENTS: tuple[RGB, ...] = (
    *((61, 143, 224), (217, 112, 31), (47, 158, 95)),  # blue, orange, green
    *((178, 114, 216), (227, 92, 158), (152, 142, 26)),  # violet, pink, olive
)

# Anchors of the sequential scale, from zero to one, on a dark and on a light ground.
_DARK: tuple[RGB, ...] = (NEUTRAL, (92, 20, 118), (182, 40, 122), (246, 108, 92), (254, 178, 110), (255, 236, 184))
_LIGHT: tuple[RGB, ...] = (PAPER, (255, 232, 186), (253, 186, 128), (238, 124, 112), (186, 62, 128), (96, 24, 116))

_BLACK: RGB = (0, 0, 0)
_WHITE: RGB = (255, 255, 255)
_SOFT: RGB = (208, 208, 208)
_FAINT: RGB = (138, 138, 138)


def linear_light(rgb: Sequence[float] | np.ndarray) -> np.ndarray:
    """sRGB channels (0 to 255) as amounts of light (0 to 1)."""
    channel = np.asarray(rgb, dtype=np.float64) / 255
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)


def luminance(rgb: Sequence[float] | np.ndarray) -> np.ndarray:
    """Relative luminance of sRGB colours (..., 3), as WCAG defines it: 0 black, 1 white."""
    return linear_light(rgb) @ np.array([0.2126, 0.7152, 0.0722])


def lightness(rgb: Sequence[float] | np.ndarray) -> np.ndarray:
    """Lightness of sRGB colours (..., 3) as people see it, the cube root of luminance: 0 black, 1 white."""
    return np.cbrt(luminance(rgb))


def contrast(first: Sequence[float], second: Sequence[float]) -> float:
    """Contrast ratio of two sRGB colours, as WCAG defines it: 1 to 21."""
    dark, light = sorted((float(luminance(first)), float(luminance(second))))
    return (light + 0.05) / (dark + 0.05)


def foreground(background: RGB, faint: bool = False) -> RGB:
    """A colour for text on ``background``: a contrast of at least 4.5, and as soft as that allows."""
    if faint and contrast(_FAINT, background) >= 4.5:
        return _FAINT
    if contrast(_SOFT, background) >= 7:
        return _SOFT
    return max(_BLACK, _WHITE, key=lambda colour: contrast(colour, background))


def diverging(steps: int, dark: bool = True) -> tuple[RGB, ...]:
    """2 · ``steps`` - 1 colours from blue (-1) to orange (+1), with the ground's own colour for 0 in the middle."""
    neutral, low, high = (NEUTRAL, BLUE, ORANGE) if dark else (PAPER, PAPER_BLUE, PAPER_ORANGE)
    start, end = luminance(neutral), luminance([low, high]).mean()
    levels = np.linspace(np.cbrt(start), np.cbrt(end), steps)
    parts = np.clip((levels**3 - start) / (end - start), 0, 1)
    below, above = _mix(neutral, low, parts), _mix(neutral, high, parts)
    return tuple(map(tuple, np.concatenate([below[:0:-1], above]).tolist()))


def sequential(steps: int, dark: bool = True) -> tuple[RGB, ...]:
    """``steps`` colours from 0 to 1; the first is the ground's own colour.

    The anchors are interpolated in the square root of light, which is nearly lightness.
    """
    roots = np.sqrt(linear_light(_DARK if dark else _LIGHT))
    place = np.linspace(0, len(roots) - 1, steps)
    channels = [np.interp(place, range(len(roots)), channel) ** 2 for channel in roots.T]
    return tuple(map(tuple, _srgb(np.stack(channels, axis=1)).tolist()))


def _srgb(light: np.ndarray) -> np.ndarray:
    channel = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(channel * 255).astype(int)


def _mix(first: RGB, last: RGB, parts: np.ndarray) -> np.ndarray:
    """Colours (n, 3) with ``parts`` (n,) of the light of ``last``, the rest of ``first``."""
    return _srgb(linear_light(first) * (1 - parts[:, None]) + linear_light(last) * parts[:, None])
