"""A text with a row for each of several model cells, or signals of a cell, under each of its lines."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import DEFAULT_LOOK, Look, Scale, scale_from
from charrnn.display.terminal.heatmap import heat_row, legend, room_beside, text_rows
from charrnn.display.terminal.text_width import text_width

_GAP = 2


class SignalLike(Protocol):
    """A signal of a cell: its name, and the least value that is shown, 0 or -1."""

    name: str
    low: float


def row_scales(signals: Sequence[SignalLike], cells: int) -> list[Scale]:
    """The scale of each row, where each of so many ``cells`` has a row for each of ``signals``."""
    return [scale_from(signal.low) for signal in signals] * cells


def signal_legends(signals: Sequence[SignalLike], look: Look) -> list[Text]:
    """A legend for each scale that ``signals`` are shown on; with two scales it says which signals are on it."""
    scales = dict.fromkeys(row_scales(signals, 1))
    if len(scales) == 1:
        return [legend(look)]
    named = {scale: ", ".join(each.name for each in signals if scale_from(each.low) == scale) for scale in scales}
    margin = max(map(len, named.values())) + _GAP
    return [
        Text.assemble((on_it.ljust(margin), "dim"), legend(replace(look, scale=scale, width=look.width - margin)))
        for scale, on_it in named.items()
    ]


def text_room(names: Sequence[str], width: int) -> int:
    """How many terminal columns remain for text beside the names of cells."""
    return room_beside(_margin(names), width)


def stacked_rows(
    text: str,
    names: Sequence[str],
    values: np.ndarray,
    look: Look = DEFAULT_LOOK,
    scales: Sequence[Scale] | None = None,
) -> list[list[Text]]:
    """A block of lines for each row of the text as it wraps: the text, then a line for each name.

    ``values`` (n, K) has a column for each of the K ``names`` of cells or signals. The line of a name repeats the text
    in its colours, so a character and its value are read in one place; without colours it has symbols instead. Each
    line has its own scale of ``scales``; without them all have the scale of ``look``.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(text), len(names)):
        raise ValueError(f"{len(text)} characters of {len(names)} cells need values of that shape, not {values.shape}")
    margin, blocks = _margin(names), []
    looks = [replace(look, scale=scale) for scale in scales or [look.scale] * len(names)]
    for row in text_rows(text, text_room(names, look.width)):
        cells = [heat_row(row, column, own) for column, own in zip(values.T, looks, strict=True)]
        block = [Text.assemble(" " * margin, (cells[0][0].plain, "bold"))]
        for name, lines in zip(names, cells, strict=True):
            block.append(Text.assemble((name.rjust(margin - _GAP).ljust(margin), "dim"), lines[-1]))
        blocks.append(block)
    return blocks


def _margin(names: Sequence[str]) -> int:
    return max(map(text_width, names), default=0) + _GAP
