"""Text that is coloured while it is being written."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.text import Text

from charrnn.display.reports.stacked import stacked_rows, text_room
from charrnn.display.terminal.colours import DIVERGING, Depth, Scale
from charrnn.display.terminal.console import Terminal
from charrnn.display.terminal.heatmap import breaks, heat_text


class Follower:
    """Shows characters as they come: the line that is being written is drawn anew, those before it stay.

    With one cell the text has its colours; with several, a row for each stands under the line. On a stdout that cannot
    redraw, lines are shown when they are complete.
    """

    def __init__(self, terminal: Terminal, names: Sequence[str], scale: Scale = DIVERGING) -> None:
        self._terminal, self._names, self._scale = terminal, list(names), scale
        self._text, self._values = "", np.zeros((0, len(self._names)))
        redraws = terminal.stdout_is_terminal and not terminal.out.is_dumb_terminal
        console = terminal.out
        self._live = (
            Live(console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False, transient=True)
            if redraws
            else None
        )

    def write(self, text: str, values: np.ndarray) -> None:
        """Show ``text`` of n characters with the cells' ``values`` (n, K) at each."""
        self._text += text
        self._values = np.concatenate([self._values, values])
        blocks, stops = self._blocks()
        complete = len(blocks) - (not self._text.endswith("\n"))
        for block in blocks[:complete]:
            self._terminal.show(*block)
        done = stops[complete - 1] if complete else 0
        self._text, self._values = self._text[done:], self._values[done:]
        if self._live is not None:
            self._live.update(Group(*(line for block in blocks[complete:] for line in block)), refresh=True)

    def _blocks(self) -> tuple[list[list[Text]], list[int]]:
        """Lines of the terminal for every line of the text that is kept, and where these end."""
        look = {"scale": self._scale, "depth": self._terminal.depth}
        width = self._terminal.width
        if len(self._names) > 1:
            blocks = stacked_rows(self._text, self._names, self._values, width=width, **look)
            return [[*block, Text()] for block in blocks], breaks(self._text, text_room(self._names, width))
        rows = heat_text(self._text, self._values[:, 0], width=width, **look)
        each = 2 if self._terminal.depth == Depth.NONE else 1
        return [rows[k : k + each] for k in range(0, len(rows), each)], breaks(self._text, width)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.update(Group(), refresh=True)
            self._live.stop()
        blocks, _ = self._blocks()  # the line that was not finished stays, too
        for block in blocks:
            self._terminal.show(*block)
