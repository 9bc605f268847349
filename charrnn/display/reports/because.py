"""Why a model predicts a character: the text before it in the colours of the contributions, and tables.

The report lays out the object that ``inspect because --json`` writes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import Look
from charrnn.display.terminal.heatmap import heat_text, legend
from charrnn.display.terminal.tables import paragraph, table
from charrnn.display.terminal.text_width import glyph

STRONGEST = 10  # characters in the table
_OF_A_CELL = 3  # characters
_OF_A_WORD = 12  # characters, before one of it
_SPACE = "␣"


def because_lines(found: Mapping[str, Any], look: Look) -> Iterator[Text]:
    """What contributed to the prediction of ``found``."""
    width, text, contributions = look.width, found["text"], np.array(found["contributions"])
    after = glyph(found["next"], _SPACE)
    guesses = ", ".join(f"{glyph(each['character'], _SPACE)} {each['probability']:.3f}" for each in found["likeliest"])
    yield from paragraph(
        f"prediction of {after}: p = {found['probability']:.3f} (the likeliest: {guesses})", width, "bold"
    )
    yield Text()
    strongest = float(np.abs(contributions).max()) or 1.0
    yield from heat_text(text, contributions / strongest, look)
    yield Text()
    yield legend(replace(look, width=width), f"against, {-strongest:.2f}", f"for, +{strongest:.2f}")
    yield Text()
    order = np.argsort(-np.abs(contributions), kind="stable")[:STRONGEST]
    rest = contributions.sum() - contributions[order].sum()
    rows = [
        [
            int(place) - len(text),
            _place(text, int(place)),
            f"{contributions[place]:+.4f}",
            _bar(contributions[place], strongest),
        ]
        for place in order
    ]
    if len(contributions) > len(order):
        rows.append([None, f"{len(contributions) - len(order):,} others", f"{rest:+.4f}", ""])
    yield from table(["place", "character", "contribution", ""], rows, width)
    yield Text()
    yield from paragraph(
        f"a text that says nothing {found['score_of_nothing']:+.4f}, and all contributions {contributions.sum():+.4f}: "
        f"the score of {after} is {found['score']:+.4f}, its logit minus the mean of all logits",
        width,
        "dim",
    )
    if found["cells"]:
        yield Text()
        rows = []
        for cell in found["cells"]:
            parts = np.array(cell["contributions"])
            most = np.argsort(-np.abs(parts), kind="stable")[:_OF_A_CELL]
            through = ", ".join(f"{_place(text, int(place))} {parts[place]:+.2f}" for place in most)
            rows.append([cell["cell"], f"{cell['contribution']:+.4f}", Text(through)])
        yield from table(["cell", "contribution", "most of it comes from"], rows, width)


def _place(text: str, place: int) -> str:
    """A character in brackets, after the beginning of its word."""
    begin = place
    while text[place].isalnum() and begin > 0 and text[begin - 1].isalnum() and place - begin < _OF_A_WORD:
        begin -= 1
    before = "".join(glyph(each, _SPACE) for each in text[begin:place])
    return f"{before}[{glyph(text[place], _SPACE)}]"


def _bar(value: float, strongest: float) -> str:
    return ("█" if value > 0 else "░") * max(1, round(12 * abs(value) / strongest))
