"""The live display of a run, redrawn in place; above it, evaluations and samples scroll by for good."""

import threading
import time
from collections.abc import Callable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from charrnn.display.terminal.console import Terminal
from charrnn.display.training import diagnosis, run_state
from charrnn.display.training.area import Area
from charrnn.display.training.display import Display
from charrnn.records import Diagnosed, Evaluated, Finished, Record, RolledBack, Sampled, Started, Step

_REFRESH_PER_SECOND = 4
_KEPT_SAMPLE_LINES = 4


class LiveDisplay(Display):
    """Redraws a run on stderr, at most four times a second, from a thread that also keeps the clock going."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float] = time.monotonic) -> None:
        self._terminal = terminal
        self._console = terminal.err
        self._clock = clock
        self._lock = threading.Lock()
        self._run = run_state.Run()
        self._area = Area(self._run)
        self._unprinted: Sampled | None = None
        self._live = Live(
            get_renderable=lambda: self,
            console=self._console,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
            # stdout may be a pipe; rich would send it to the terminal.
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            # One cell less than the terminal has: a full line would wrap on some.
            lines = self._area.lines(options.max_width - 1, options.size.height - 2, self._clock())
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
            yield line

    def handle(self, record: Record) -> None:
        """Take in ``record``; print what shall stay above the live area."""
        with self._lock:
            self._run.observe(record)
            if isinstance(record, Step):
                self._area.seen_at = self._clock()
        match record:
            case Started():
                for note in record.notes:
                    self._terminal.note(note)
                self._live.start(refresh=True)
            case Evaluated():
                self._print_sample()
                self._print(self._area.evaluation(record, self._width()))
            case RolledBack():
                self._print_sample()
                self._print(*self._area.setback(record, self._width()))
            case Diagnosed():
                self._print(*diagnosis.lines(record, self._width()), Text())
            case Sampled():
                # It stands in the live area until the next event comes, then moves up.
                self._print_sample()
                self._unprinted = record
            case Finished():
                self.stop()
                self._print(*self._area.summary(record, self._width()))

    def stop(self) -> None:
        """Remove the live area; what was printed above it stays."""
        try:
            self._print_sample()
        finally:
            self._live.stop()

    def _width(self) -> int:
        return self._console.width - 1

    def _print_sample(self) -> None:
        if self._unprinted is not None:
            sampled, self._unprinted = self._unprinted, None
            self._print(*self._area.sample(sampled, self._width(), _KEPT_SAMPLE_LINES), Text())

    def _print(self, *lines: Text) -> None:
        for line in lines:
            self._console.print(line, soft_wrap=True)
