"""A bar for work of known length: reading a large text, a download, an evaluation."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from charrnn.display.terminal.console import Terminal
from charrnn.display.terminal.numbers import clock
from charrnn.sanitise import visible

_PATIENCE = 0.7  # seconds; shorter work needs no bar
_BETWEEN_LINES = 15.0  # seconds
_FEW = 5  # pieces of work: from fewer the time that is left is not told


@contextmanager
def progress_bar(terminal: Terminal, message: str) -> Iterator[Callable[[int, int], None]]:
    """Yield ``report(done, total)``: a bar on a terminal, a line every few seconds elsewhere, nothing when quiet."""
    message = visible(message, "")
    begun = time.monotonic()
    if terminal.quiet:
        yield lambda done, total: None
    elif not terminal.is_live:
        last = begun

        def say(done: int, total: int) -> None:
            nonlocal last
            if total and time.monotonic() - last > _BETWEEN_LINES:
                last = time.monotonic()
                says = done >= min(total, _FEW)
                left = f", {clock((last - begun) * (total - done) / done)} left" if says else ""
                terminal.note(f"{message}: {100 * done // total} %{left}")

        yield say
    else:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        columns = TextColumn(message, markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        bar = Progress(*columns, console=terminal.err, transient=True, redirect_stdout=False, refresh_per_second=4)
        task = bar.add_task(message, total=None)
        started = False

        def report(done: int, total: int) -> None:
            nonlocal started
            if not started and time.monotonic() - begun > _PATIENCE:
                bar.start()
                started = True
            bar.update(task, completed=done, total=total or None)

        try:
            yield report
        finally:
            if started:
                bar.stop()
