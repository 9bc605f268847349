"""Long output, a screen at a time."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence

from rich.text import Text

from charrnn.terminal.console import Terminal


def page(terminal: Terminal, lines: Sequence[Text | str], *, paged: bool = True) -> None:
    """Show ``lines``: through PAGER, or ``less``, if stdout is a terminal and they are more than fit it."""
    command = _pager() if paged and terminal.stdout_is_terminal and len(lines) >= terminal.out.height else None
    if command is None:
        terminal.show(*lines)
        return
    with terminal.out.capture() as captured:
        terminal.show(*lines)
    environment = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
    try:
        subprocess.run(command, input=captured.get(), text=True, encoding="utf-8", env=environment, check=False)
    except OSError:
        # No pager after all: the lines themselves are what was asked for.
        terminal.show(*lines)


def _pager() -> list[str] | None:
    """The command of the user's pager, if there is one."""
    chosen = os.environ.get("PAGER", "less")
    try:
        words = shlex.split(chosen)
    except ValueError:  # an open quotation: not a command
        return None
    return words if words and shutil.which(words[0]) else None
