"""A command's two streams: data on stdout, everything else on stderr.

No string that passes here is ever read as rich markup, emoji code or link, and none reaches a terminal before
`sanitise.visible` has seen it. Where stdout is not a terminal, data leave exactly as they are.
"""

import codecs
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

import numpy as np
from rich.console import COLOR_SYSTEMS, Console
from rich.live import Live
from rich.spinner import Spinner
from rich.style import Style
from rich.text import Text

from charrnn.display.sanitise import escaped, visible
from charrnn.display.terminal.colours import Depth
from charrnn.display.terminal.streams import Degrading, Exact

_DEPTHS = {
    "standard": Depth.ANSI16,
    "windows": Depth.ANSI16,
    "256": Depth.ANSI256,
    "truecolor": Depth.TRUECOLOUR,
}
_OFF_TERMINAL_WIDTH = 100
_SPINNER_REFRESH = 8


class Terminal:
    """What a command writes to. Made once; ``quiet`` and ``json`` are the options of the same names.

    ``quiet`` drops notes and spinners, never warnings and errors. ``json`` is kept here for those who ask:
    ``wants_json`` means that stdout carries JSON lines and nothing else.
    """

    def __init__(
        self,
        quiet: bool = False,
        json: bool = False,
        *,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        self.quiet = quiet
        self.wants_json = json
        # Kept, because rich replaces sys.stderr while a live display is on.
        # A closed one is None.
        stdout, stderr = (stream or io.StringIO() for stream in (stdout or sys.stdout, stderr or sys.stderr))
        self.stdout_is_terminal = _is_terminal(stdout)
        self.out = _console(Degrading(stdout) if self.stdout_is_terminal else Exact(stdout))
        self.err = _console(Degrading(stderr))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    # What the two sides can do

    @property
    def is_live(self) -> bool:
        """Whether stderr can redraw: a terminal that moves its cursor and not TERM=dumb."""
        # Not rich's is_terminal alone: FORCE_COLOR makes that true for a file, and a file cannot redraw.
        return _is_terminal(self.err.file) and self.err.is_interactive and not self.err.is_dumb_terminal

    @property
    def depth(self) -> Depth:
        """How many colours stdout has. NO_COLOR and FORCE_COLOR are heeded."""
        return _depth(self.out)

    @property
    def width(self) -> int:
        """Cells in a line of stdout; off a terminal COLUMNS or 100."""
        if self.stdout_is_terminal or self.out.is_terminal:
            return self.out.width
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if columns.isdecimal() and int(columns) else _OFF_TERMINAL_WIDTH

    # Words for the user, on stderr

    def note(self, sentence: str) -> None:
        """Something worth knowing. Dropped when quiet."""
        if not self.quiet:
            self._say("", "", sentence)

    def warn(self, sentence: str) -> None:
        """Something that may be wrong. Shown even when quiet."""
        self._say("Warning: ", "yellow", sentence)

    def error(self, sentence: str) -> None:
        """What went wrong, in one line."""
        self._say("Error: ", "bold red", sentence)

    def _say(self, label: str, style: str, sentence: str) -> None:
        line = Text.assemble((label, style), visible(sentence, ""))
        # Soft-wrapped: a path or a command that rich breaks into lines cannot be copied.
        self.err.print(line, soft_wrap=True)

    @contextmanager
    def spinner(self, message: str) -> Iterator[None]:
        """Show ``message`` while something takes time: turning on a terminal, one plain line elsewhere."""
        message = visible(message, "")
        if self.quiet or not self.is_live:
            self.note(message)
            yield
            return
        name = "dots" if can_show(self.err, "⠋") else "line"
        spinner = Spinner(name, text=Text(message, style="dim"), style="cyan")
        # rich would send sys.stdout to stderr meanwhile, even into a pipe.
        with Live(
            spinner,
            console=self.err,
            refresh_per_second=_SPINNER_REFRESH,
            transient=True,
            redirect_stdout=False,
        ):
            yield

    # Data, on stdout

    def write(self, text: str, style: str | Style = "") -> None:
        """Stream untrusted text: harmless on a terminal, exact elsewhere. ``style`` needs colours."""
        if self.stdout_is_terminal:
            text = visible(self._decoder.decode(b"", final=True) + text)
            if style and self.depth != Depth.NONE and not self.out.legacy_windows:
                text = _styled(text, self.out.get_style(style), self.out)
        self.out.file.write(text)
        self.out.file.flush()

    def write_bytes(self, data: bytes) -> None:
        """Stream untrusted bytes: exact, except on a terminal, which gets them as harmless text."""
        if self.stdout_is_terminal:
            # A character may be cut in two by the stream; its first half waits for the second.
            self.out.file.write(visible(self._decoder.decode(data)))
            self.out.file.flush()
        else:
            self.out.file.write_bytes(data)
            self.out.file.flush()

    def json(self, value: Mapping[str, Any]) -> None:
        """One JSON object in one line: UTF-8, no NaN, harmless on a terminal since controls stay escaped."""
        line = json.dumps(_json_ready(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self.write(escaped(line) + "\n")

    def show(self, *lines: Text | str) -> None:
        """Print laid-out lines (heat maps, tables). Strings are made harmless, no line is wrapped."""
        for line in lines:
            text = line if isinstance(line, Text) else Text(visible(line, ""))
            self.out.print(text, soft_wrap=True)


def can_show(console: Console, characters: str) -> bool:
    """Whether the stream's encoding has ``characters``."""
    try:
        characters.encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True


class _Console(Console):
    """A rich console that leaves a broken pipe to the program's top level."""

    def on_broken_pipe(self) -> NoReturn:
        # Called while the BrokenPipeError is handled; rich itself would exit with status 1.
        raise


def _console(stream: Exact | Degrading) -> Console:
    return _Console(file=stream, markup=False, emoji=False, highlight=False)


def _is_terminal(stream: Any) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _depth(console: Console) -> Depth:
    return Depth.NONE if console.no_color else _DEPTHS.get(console.color_system, Depth.NONE)


def _styled(text: str, style: Style, console: Console) -> str:
    """``text`` in ``style``, line by line: a background must not spill over a line's end."""
    system = COLOR_SYSTEMS[console.color_system]
    return "\n".join(style.render(line, color_system=system) for line in text.split("\n"))


def _json_ready(value: Any) -> Any:
    """Arrays as lists, NumPy numbers as numbers, what is not finite as None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(item) for item in value]
    return value
