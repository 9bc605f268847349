"""Several model cells, one row each, over the same stretch of text."""

from collections.abc import Sequence

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import DIVERGING, Depth, Scale
from charrnn.display.terminal.heatmap import labelled_rows, room_beside

LABEL = 15  # terminal columns left of the text


def stretch_width(width: int) -> int:
    """How many characters of text a row has in a terminal ``width`` columns wide."""
    return room_beside(LABEL, width)


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
    """A line of ``head`` and ``title``, then for each cell its name, score, and ``text`` in its colours.

    ``text`` has n characters, and ``values`` an array (n,) for each cell.
    """
    rows = [
        (f"{name:>7} {score:.3f}", "" if number else "bold", scale, of_cell)
        for number, (name, score, of_cell) in enumerate(zip(names, scores, values, strict=True))
    ]
    return labelled_rows(text, title, head, rows, LABEL, width=width, depth=depth)
