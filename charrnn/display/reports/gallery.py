"""Cells above each other over the same stretch of text."""

from collections.abc import Sequence

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import DIVERGING, Depth, Scale
from charrnn.display.terminal.heatmap import heat_text

LABEL = 15  # cells of the terminal left of the text
LEAST = 20  # and right of it, however narrow the terminal


def stretch_width(width: int) -> int:
    """How many characters of text a row has in a terminal ``width`` cells wide."""
    return max(width - LABEL, LEAST)


def gallery_rows(
    text: str,
    title: str,
    names: Sequence[str],
    scores: Sequence[float],
    values: Sequence[np.ndarray],
    *,
    width: int,
    scale: Scale = DIVERGING,
    depth: Depth = Depth.TRUECOLOUR,
    head: str = " cell   score",
) -> list[Text]:
    """A ``head`` with ``title``, and for every cell its name, its score and ``text`` coloured by its ``values`` (n,).

    Line feeds and tabs are shown in one cell of the terminal. Without colour the text stands once above the rows.
    """
    flat = text.replace("\n", "↵").replace("\t", "→")
    lines = [Text(f"{head:<{LABEL}}{title}", style="dim")]
    for number, (name, score, of_cell) in enumerate(zip(names, scores, values, strict=True)):
        row = heat_text(flat, of_cell, scale, width=stretch_width(width), depth=depth)
        if depth == Depth.NONE and number == 0:
            lines.append(Text.assemble(" " * LABEL, row[0]))
        label = f"{name:>7} {score:.3f}".ljust(LABEL)
        lines.append(Text.assemble((label, "bold" if number == 0 else ""), row[depth == Depth.NONE]))
    return lines
