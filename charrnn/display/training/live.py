"""The live display of a run: an area that is redrawn in place, and above it evaluations and samples that stay."""

import threading
import time
from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from charrnn.display.terminal.console import Terminal
from charrnn.display.training.diagnosis import diagnosis_lines
from charrnn.display.training.displays import Display
from charrnn.display.training.live_area import LiveArea
from charrnn.display.training.run_state import Point, RunState
from charrnn.records import Diagnosed, Evaluated, Finished, Record, RolledBack, Sampled, Started, Step

_REFRESH_PER_SECOND = 4
_KEPT_SAMPLE_LINES = 4


class LiveDisplay(Display):
    """Redraws a run on stderr, four times a second, in a thread of its own, so that the clock goes on."""

    def __init__(
        self, terminal: Terminal, clock: Callable[[], float] = time.monotonic, earlier: Sequence[Point] = ()
    ) -> None:
        self._terminal = terminal
        self._console = terminal.err
        self._clock = clock
        self._lock = threading.Lock()
        self._run = RunState(earlier)
        self._area = LiveArea(self._run)
        self._unprinted: Sampled | None = None
        self._live = Live(
            get_renderable=lambda: self,
            console=self._console,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
            # Otherwise rich would send stdout, which may be a pipe, to the terminal.
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            # One column less than the terminal has, because a full line would wrap on some terminals.
            lines = self._area.lines(options.max_width - 1, options.size.height - 2, self._clock())
        for line in lines:
            line.no_wrap, line.overflow = True, "crop"
            yield line

    def handle(self, record: Record) -> None:
        """Take in ``record``; print the lines that shall stay above the live area."""
        with self._lock:
            self._run.observe(record)
            if isinstance(record, Step):
                self._area.seen_at = self._clock()
        width = self._console.width - 1
        match record:
            case Started():
                for note in record.notes:
                    self._terminal.note(note)
                self._live.start(refresh=True)
            case Evaluated():
                self._print_sample()
                self._print(*self._area.evaluation(record, width))
            case RolledBack():
                self._print_sample()
                self._print(*self._area.rollback(record, width))
            case Diagnosed():
                self._print(*diagnosis_lines(record, width), Text())
            case Sampled():
                # The live area shows it now; print it above the area when the next event comes.
                self._print_sample()
                self._unprinted = record
            case Finished():
                self.stop()
                self._print(*self._area.summary(record, width))

    def stop(self) -> None:
        """Remove the live area; the lines printed above it stay."""
        try:
            self._print_sample()
        finally:
            self._live.stop()

    def _print_sample(self) -> None:
        if self._unprinted is not None:
            sampled, self._unprinted = self._unprinted, None
            self._print(*self._area.sample(sampled, self._console.width - 1, _KEPT_SAMPLE_LINES), Text())

    def _print(self, *lines: Text) -> None:
        for line in lines:
            self._console.print(line, soft_wrap=True)
