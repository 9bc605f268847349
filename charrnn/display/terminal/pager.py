"""Long output, a screen at a time."""

import contextlib
import itertools
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterable

from rich.text import Text

from charrnn.display.terminal.console import Terminal


def page(terminal: Terminal, lines: Iterable[Text | str], *, paged: bool = True) -> None:
    """Show ``lines``: through PAGER, or ``less``, if stdout is a terminal and they are more than fit it.

    Lines that are made as they are asked for are made no faster than the pager takes them.
    """
    lines = iter(lines)
    command = _pager() if paged and terminal.stdout_is_terminal else None
    first = list(itertools.islice(lines, terminal.out.height)) if command else []
    if len(first) < terminal.out.height:
        _show(terminal, itertools.chain(first, lines))
        return
    environment = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
    # Ctrl-C goes to the pager too, which has the terminal in its hands and most often goes on.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    except OSError:
        # No pager after all: the lines themselves are what was asked for.
        signal.signal(signal.SIGINT, before)
        _show(terminal, itertools.chain(first, lines))
        return
    try:
        _feed(process, terminal, itertools.chain(first, lines))
    finally:
        signal.signal(signal.SIGINT, before)


def _show(terminal: Terminal, lines: Iterable[Text | str]) -> None:
    for line in lines:
        terminal.show(line)


def _feed(process: subprocess.Popen, terminal: Terminal, lines: Iterable[Text | str]) -> None:
    """Give a pager its lines and wait for its end."""
    try:
        for line in lines:
            with terminal.out.capture() as captured:
                terminal.show(line)
            try:
                process.stdin.write(captured.get().encode("utf-8", "replace"))
            except BrokenPipeError:  # the reader has seen enough
                break
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
    except BaseException:
        # Not killed: only the pager itself can give the terminal back as it was.
        process.terminate()
        process.wait()
        raise


def _pager() -> list[str] | None:
    """The command of the user's pager, if there is one."""
    chosen = os.environ.get("PAGER", "less")
    try:
        words = shlex.split(chosen)
    except ValueError:  # an open quotation: not a command
        return None
    return words if words and shutil.which(words[0]) else None
