"""A text with a row for each of several model cells under each of its lines."""

from collections.abc import Sequence

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import DEFAULT_LOOK, Look
from charrnn.display.terminal.heatmap import heat_row, room_beside, text_rows

_GAP = 2


def text_room(names: Sequence[str], width: int) -> int:
    """How many terminal columns remain for text beside the names of cells."""
    return room_beside(_margin(names), width)


def stacked_rows(text: str, names: Sequence[str], values: np.ndarray, look: Look = DEFAULT_LOOK) -> list[list[Text]]:
    """A block of lines for each row of the text as it wraps: the text, then a line for each cell.

    ``values`` (n, K) has a column for each of the K cells in ``names``. The line of a cell repeats the text in its
    colours, so a character and its value are read in one place; without colours it has symbols instead.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(text), len(names)):
        raise ValueError(f"{len(text)} characters of {len(names)} cells need values of that shape, not {values.shape}")
    margin = _margin(names)
    blocks = []
    for row in text_rows(text, text_room(names, look.width)):
        cells = [heat_row(row, column, look) for column in values.T]
        block = [Text.assemble(" " * margin, (cells[0][0].plain, "bold"))]
        for name, lines in zip(names, cells, strict=True):
            block.append(Text.assemble((name.rjust(margin - _GAP).ljust(margin), "dim"), lines[-1]))
        blocks.append(block)
    return blocks


def _margin(names: Sequence[str]) -> int:
    return max(map(len, names), default=0) + _GAP
