"""How help looks: as wide as the terminal, and in colour on a terminal that has colours."""

import os
import re
import shutil
from collections.abc import Iterable

import click

_PROSE = 100  # columns: longer lines of running text are hard to read
_NARROWEST = 20  # columns
_OPTION = re.compile(r"(?<!\S)--?\w[\w-]*")


class Formatter(click.HelpFormatter):
    """Writes help. Lists take all of ``width``, paragraphs at most 100 columns of it.

    Args:
        width: columns of a line.
        styled: whether headings are bold and the names of options and commands cyan.
    """

    def __init__(self, width: int, styled: bool):
        super().__init__(width=width)
        self._styled = styled

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write how the command is called."""
        super().write_usage(prog, args, self._style(prefix or "Usage:", bold=True) + " ")

    def write_heading(self, heading: str) -> None:
        """Write the title of a section."""
        self.write(" " * self.current_indent + self._style(f"{heading}:", bold=True) + "\n")

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        width, self.width = self.width, min(self.width, _PROSE)
        super().write_text(text)
        self.width = width

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of options or of commands, with what each does beside it."""
        named = [(self._named(term), about) for term, about in rows]
        super().write_dl(named, min(col_max, self.width // 3), col_spacing)

    def _named(self, term: str) -> str:
        """A command, or an option with its values, of which the name is in colour."""
        if not term.startswith("-"):
            return self._style(term, fg="cyan")
        return _OPTION.sub(lambda name: self._style(name[0], fg="cyan"), term)

    def _style(self, text: str, **style) -> str:
        return click.style(text, **style) if self._styled else text


class Context(click.Context):
    """A context whose help is written by :class:`Formatter`, and in colour where stdout has colours."""

    def __init__(self, *arguments, **attributes):
        super().__init__(*arguments, **attributes)
        if self.color is None:
            self.color = _has_colours()

    def make_formatter(self) -> Formatter:
        """A formatter for this terminal, or for ``terminal_width`` columns."""
        width = self.terminal_width or max(shutil.get_terminal_size().columns - 2, _NARROWEST)
        return Formatter(width, styled=self.color is not False)


def _has_colours() -> bool | None:
    """Whether the environment wants colours; None where it does not say: click then drops them off a terminal."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    return True if os.environ.get("FORCE_COLOR") else None
