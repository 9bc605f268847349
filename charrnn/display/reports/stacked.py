"""A text, and under each of its lines a row for every cell: what several cells do at once."""

from collections.abc import Sequence

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import DIVERGING, Depth, Scale
from charrnn.display.terminal.heatmap import breaks, heat_text

_GAP = 2
_LEAST = 20  # cells of the terminal for text, however narrow it is


def text_room(names: Sequence[str], width: int) -> int:
    """How many cells of the terminal are left for text beside the names of cells."""
    return max(width - _margin(names), _LEAST)


def stacked_rows(
    text: str,
    names: Sequence[str],
    values: np.ndarray,
    *,
    width: int = 80,
    scale: Scale = DIVERGING,
    depth: Depth = Depth.TRUECOLOUR,
) -> list[list[Text]]:
    """Blocks of lines, one for each line of the text as it breaks: the text, then a row for each cell.

    ``values`` (n, K) are those of the cells ``names`` at each of the n characters. A row repeats the text in the
    colours of its cell, so that a character is read where it is judged; without colour it has symbols instead.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(text), len(names)):
        raise ValueError(f"{len(text)} characters of {len(names)} cells need values of that shape, not {values.shape}")
    room, margin = text_room(names, width), _margin(names)
    look = {"scale": scale, "width": room, "depth": depth}
    blocks, start = [], 0
    for stop in breaks(text, room):
        rows = [heat_text(text[start:stop], column, **look) for column in values[start:stop].T]
        labels = [name.rjust(margin - _GAP).ljust(margin) for name in names]
        block = [Text.assemble(" " * margin, (rows[0][0].plain, "bold"))]
        block += [Text.assemble((label, "dim"), row[-1]) for label, row in zip(labels, rows, strict=True)]
        blocks.append(block)
        start = stop
    return blocks


def _margin(names: Sequence[str]) -> int:
    return max(map(len, names), default=0) + _GAP
