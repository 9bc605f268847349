"""The two streams of a command: data on stdout, everything else on stderr.

No string is ever read as rich markup, emoji code or link, and `sanitise.visible` makes each one harmless before it
reaches a terminal. Where stdout is not a terminal, data are written exactly as they are.
"""

import codecs
import io
import json
import os
import sys
from collections.abc import Mapping
from typing import Any, NoReturn, TextIO

from rich.console import COLOR_SYSTEMS, Console
from rich.style import Style
from rich.text import Text

from charrnn.display.terminal.colours import DIVERGING, Depth, Look, Scale
from charrnn.display.terminal.streams import ClosedStream, ExactStream, FallbackStream
from charrnn.sanitise import escaped, visible

_DEPTHS = {
    "standard": Depth.ANSI16,
    "windows": Depth.ANSI16,
    "256": Depth.ANSI256,
    "truecolor": Depth.TRUECOLOUR,
}
_OFF_TERMINAL_WIDTH = 100


class Terminal:
    """The streams that a command writes to. ``quiet`` and ``json`` are the options of the same names.

    ``quiet`` drops notes and spinners, never warnings and errors. ``json`` changes nothing here: it is kept as
    ``wants_json``, which tells callers that stdout must carry JSON lines and nothing else.
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
        # Keep both streams now, because rich replaces sys.stderr during a live display. A closed stream is None.
        stdout, stderr = stdout or sys.stdout or ClosedStream(), stderr or sys.stderr or io.StringIO()
        self.stdout_is_terminal = _is_terminal(stdout)
        self.out = _console(FallbackStream(stdout) if self.stdout_is_terminal else ExactStream(stdout))
        self.err = _console(FallbackStream(stderr))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    # Abilities of the two streams

    @property
    def is_live(self) -> bool:
        """Whether stderr can redraw: it is a terminal that moves its cursor, and TERM is not dumb."""
        # rich's is_terminal is not enough: FORCE_COLOR makes it true for a file, and a file cannot redraw.
        return _is_terminal(self.err.file) and self.err.is_interactive and not self.err.is_dumb_terminal

    @property
    def depth(self) -> Depth:
        """How many colours stdout has, according to TERM, COLORTERM, NO_COLOR and FORCE_COLOR."""
        return Depth.NONE if self.out.no_color else _DEPTHS.get(self.out.color_system, Depth.NONE)

    @property
    def width(self) -> int:
        """Columns in a line of stdout; if stdout is no terminal, COLUMNS or 100."""
        if self.stdout_is_terminal or self.out.is_terminal:
            return self.out.width
        return int(os.environ["COLUMNS"]) if _is_size("COLUMNS") else _OFF_TERMINAL_WIDTH

    def look(self, scale: Scale = DIVERGING) -> Look:
        """How stdout shows a text whose values are on ``scale``."""
        return Look(self.width, self.depth, scale)

    # Messages for the user, on stderr

    def note(self, sentence: str) -> None:
        """Say something useful. Dropped when quiet."""
        if not self.quiet:
            self._say("", "", sentence)

    def prompt(self, command: str) -> None:
        """Show a command as if it were typed, after an empty line. Dropped when quiet."""
        if not self.quiet:
            self._say("\n$ ", "bold", command)

    def warn(self, sentence: str) -> None:
        """Say that something may be wrong. Shown even when quiet."""
        self._say("Warning: ", "yellow", sentence)

    def error(self, sentence: str) -> None:
        """Say in one line what failed."""
        self._say("Error: ", "bold red", sentence)

    def _say(self, label: str, style: str, sentence: str) -> None:
        # Soft-wrapped, because a path or a command that rich breaks into lines cannot be copied.
        self.err.print(Text.assemble((label, style), visible(sentence, "")), soft_wrap=True)

    # Data, on stdout

    def write(self, text: str, style: str | Style = "") -> None:
        """Stream untrusted text: harmless on a terminal, exact elsewhere. ``style`` applies where there are colours."""
        if self.stdout_is_terminal:
            text = visible(self._decoder.decode(b"", final=True) + text)
            if style and self.depth != Depth.NONE and not self.out.legacy_windows:
                text = _styled(text, self.out.get_style(style), self.out)
        self.out.file.write(text)
        self.out.file.flush()

    def write_bytes(self, data: bytes) -> None:
        """Stream untrusted bytes: as harmless text on a terminal, exact elsewhere."""
        if self.stdout_is_terminal:
            # The data may end within a character: the decoder keeps its first bytes for the next call.
            self.out.file.write(visible(self._decoder.decode(data)))
        else:
            self.out.file.write_bytes(data)
        self.out.file.flush()

    def json(self, value: Mapping[str, Any]) -> None:
        """Write one JSON object in one line: UTF-8, null for NaN, controls escaped and so harmless on a terminal."""
        text = json.dumps(value, ensure_ascii=False, default=lambda number_or_array: number_or_array.tolist())
        value = json.loads(text, parse_constant=lambda name: None)  # NaN and infinities
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        self.write(escaped(line) + "\n")

    def show(self, *lines: Text | str) -> None:
        """Print laid-out lines (heat maps, tables). Strings are made harmless; no line is wrapped."""
        for line in lines:
            text = line if isinstance(line, Text) else Text(visible(line, ""))
            self.out.print(text, soft_wrap=True)


class _Console(Console):
    """A rich console that leaves a broken pipe to the caller."""

    def on_broken_pipe(self) -> NoReturn:
        # rich calls this while it handles the BrokenPipeError; its own version would exit with status 1.
        raise


def _console(stream: ExactStream | FallbackStream) -> Console:
    # rich shows nothing in 0 columns, and fails at digits that int() does not take.
    unusable = [name for name in ("COLUMNS", "LINES") if not _is_size(name)]
    environment = {name: value for name, value in os.environ.items() if name not in unusable}
    return _Console(file=stream, markup=False, emoji=False, highlight=False, _environ=environment)


def _is_size(name: str) -> bool:
    """Whether a variable of the environment is a number of columns or lines, from 1 to 99,999."""
    value = os.environ.get(name, "")
    return value.isdecimal() and len(value) < 6 and int(value) > 0


def _is_terminal(stream: Any) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # the stream is closed
        return False


def _styled(text: str, style: Style, console: Console) -> str:
    """``text`` in ``style``, line by line, because a background must not continue beyond the end of a line."""
    system = COLOR_SYSTEMS[console.color_system]
    return "\n".join(style.render(line, color_system=system) for line in text.split("\n"))
