"""A head's attention as a picture: a square for each pair of characters, the text along both sides."""

from collections.abc import Sequence

import numpy as np

from charrnn.display.figures.drawing import ADVANCE, FAINT_INK, INK, Drawing, Label, Rectangle
from charrnn.display.figures.heat_map import FAINT_LIGHT, MARGIN, STEPS, TITLE, TITLE_LINE, heading
from charrnn.display.palette import NEUTRAL, PAPER, sequential
from charrnn.display.terminal.text_width import glyph, wrap

CELL, SIZE = 13.0, 11.0  # a square, and the letters
HEAD, LEAST = 58.0, 300.0


def attention_map(text: str, weights: np.ndarray, title: str, most: float, dark: bool = False) -> Drawing:
    """Draw the ``weights`` (n, 1 + n) of the n characters of ``text``, each row a character that looks.

    Column 0 is what lies before the text. The weight ``most``, and any above it, has the strongest colour.
    """
    colours = sequential(STEPS, dark)
    ground, ink, faint = (NEUTRAL, PAPER, FAINT_LIGHT) if dark else (PAPER, INK, FAINT_INK)
    count = len(text)
    width = max(2 * MARGIN + (count + 2) * CELL, LEAST)
    lines = wrap(title, int((width - 2 * MARGIN) / (TITLE * ADVANCE)))
    top = HEAD + (len(lines) - 1) * TITLE_LINE + CELL
    sheet = Drawing(width, top + count * CELL + MARGIN, title, ground)
    heading(sheet, lines, [("0", f"{most:g} or more", colours)], MARGIN + 12, ink, faint)
    left = MARGIN + CELL
    _letters(sheet, ["«", *text], lambda place: (left + (place + 0.5) * CELL, top - 4), ink)
    _letters(sheet, list(text), lambda place: (MARGIN + 0.5 * CELL, top + (place + 1) * CELL - 3), ink)
    levels = np.rint(np.clip(weights / most, 0, 1) * (STEPS - 1)).astype(int)
    for row in range(count):
        for column in np.flatnonzero(levels[row]):
            place = left + float(column) * CELL, top + row * CELL
            sheet.add(Rectangle(*place, CELL - 1, CELL - 1, colours[levels[row, column]]))
    return sheet


def _letters(sheet: Drawing, text: Sequence[str], at, ink) -> None:
    for place, character in enumerate(text):
        shown = glyph(character, "␣")
        sheet.add(Label(*at(place), shown, SIZE, ink, anchor="middle"))
