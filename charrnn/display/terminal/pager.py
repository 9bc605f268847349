"""Long output through a pager, a screen at a time."""

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


def show_paged(terminal: Terminal, lines: Iterable[Text | str], *, paged: bool = True) -> None:
    """Show ``lines``, through PAGER or ``less`` if stdout is a terminal and they are more than fit on it.

    Lazy ``lines`` are made no faster than the pager takes them.
    """
    lines = iter(lines)
    command = _pager() if paged and terminal.stdout_is_terminal else None
    first = list(itertools.islice(lines, terminal.out.height)) if command else []
    lines = itertools.chain(first, lines)
    if len(first) < terminal.out.height:
        _show(terminal, lines)
        return
    environment = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
    # Ctrl-C reaches the pager too. The pager controls the terminal and usually goes on, so ignore the signal here.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    except OSError:  # the pager cannot be run: show the lines without it
        signal.signal(signal.SIGINT, before)
        _show(terminal, lines)
        return
    try:
        _feed(process, terminal, lines)
    finally:
        signal.signal(signal.SIGINT, before)


def _show(terminal: Terminal, lines: Iterable[Text | str]) -> None:
    for line in lines:  # one by one: they may be made only when they are asked for
        terminal.show(line)


def _feed(process: subprocess.Popen, terminal: Terminal, lines: Iterable[Text | str]) -> None:
    """Write lines to a pager and wait for its end."""
    try:
        for line in lines:
            with terminal.out.capture() as captured:
                terminal.show(line)
            try:
                process.stdin.write(captured.get().encode("utf-8", "replace"))
            except BrokenPipeError:  # the reader has quit the pager
                break
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
    except BaseException:
        # Do not kill the pager: only the pager itself can restore the terminal.
        process.terminate()
        process.wait()
        raise


def _pager() -> list[str] | None:
    """The command line of the user's pager, or None if it cannot be found."""
    try:
        words = shlex.split(os.environ.get("PAGER", "less"))
    except ValueError:  # an unclosed quotation mark
        return None
    return words if words and shutil.which(words[0]) else None
