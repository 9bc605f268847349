"""Text that is coloured while the model writes it."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from rich.console import Group
from rich.live import Live
from rich.text import Text

from charrnn.display.reports.stacked import stacked_rows, text_room
from charrnn.display.terminal.colours import DIVERGING, Scale
from charrnn.display.terminal.console import Terminal
from charrnn.display.terminal.heatmap import heat_text, row_ends


class Follower:
    """Shows characters as they come: it redraws the row that is being written, and leaves the rows above it.

    One cell colours the text itself; several cells or signals have a row each under the text, with their ``names`` and
    ``scales`` (all diverging without them). Where stdout cannot redraw, a row is shown once it is complete.
    """

    def __init__(self, terminal: Terminal, names: Sequence[str], scales: Sequence[Scale] = ()) -> None:
        self._terminal, self._names = terminal, list(names)
        self._scales = list(scales) or [DIVERGING] * len(self._names)
        self._text, self._values = "", np.zeros((0, len(self._names)))
        self._live: Live | None = None
        if terminal.stdout_is_terminal and not terminal.out.is_dumb_terminal:
            plain = {"redirect_stdout": False, "redirect_stderr": False}
            self._live = Live(console=terminal.out, auto_refresh=False, transient=True, **plain)

    def write(self, text: str, values: np.ndarray) -> None:
        """Show ``text`` of n characters with ``values`` (n, K) at each, a column for each name."""
        self._text += text
        self._values = np.concatenate([self._values, values])
        blocks, ends = self._blocks()
        complete = len(blocks) - (not self._text.endswith("\n"))
        for block in blocks[:complete]:
            self._terminal.show(*block)
        done = ends[complete - 1] if complete else 0
        self._text, self._values = self._text[done:], self._values[done:]
        if self._live is not None:
            self._live.update(Group(*(line for block in blocks[complete:] for line in block)), refresh=True)

    def _blocks(self) -> tuple[list[list[Text]], list[int]]:
        """The lines to show for each row of the text not yet shown for good, and the position after each row."""
        look = self._terminal.look(self._scales[0])
        if len(self._names) > 1:
            blocks = stacked_rows(self._text, self._names, self._values, look, self._scales)
            return [[*block, Text()] for block in blocks], row_ends(self._text, text_room(self._names, look.width))
        lines, ends = heat_text(self._text, self._values[:, 0], look), row_ends(self._text, look.width)
        each = len(lines) // max(len(ends), 1)
        return [lines[each * k : each * (k + 1)] for k in range(len(ends))], ends

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.update(Group(), refresh=True)
            self._live.stop()
        for block in self._blocks()[0]:  # the unfinished row stays on the screen, too
            self._terminal.show(*block)
