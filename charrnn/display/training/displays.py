"""Displays of a training run: live on a terminal, plain lines off it, JSON lines for programs, or nothing.

    with training_display(terminal) as display:
        for record in train(...):
            display.handle(record)

The caller uses all four in the same way. The live display is in ``live``.
"""

from collections.abc import Sequence
from typing import Self

from charrnn.display.terminal import numbers
from charrnn.display.terminal.console import Terminal
from charrnn.display.terminal.text_width import plain
from charrnn.display.training import diagnosis, run_state
from charrnn.records import Diagnosed, Evaluated, Finished, Record, RolledBack, Sampled, Saved, Started, Step, bits

_SECONDS_BETWEEN_LINES = 15.0
_LOG_WIDTH = 100


def training_display(terminal: Terminal, earlier: Sequence[run_state.Point] = ()) -> "Display":
    """The display for ``terminal``: its options --json and --quiet decide first, then whether stderr can redraw.

    ``earlier`` are the losses of a run before its resume, for the curve of the live display.
    """
    if terminal.wants_json:
        return JsonDisplay(terminal)
    if terminal.quiet:
        return Display()
    if terminal.is_live:
        from charrnn.display.training.live import LiveDisplay

        return LiveDisplay(terminal, earlier=earlier)
    return PlainDisplay(terminal)


class Display:
    """Shows the records of a run. This base class is the display of a quiet run: it shows nothing."""

    def handle(self, record: Record) -> None:
        """Show one record."""

    def stop(self) -> None:
        """Restore the terminal, whether the run has ended or failed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


class JsonDisplay(Display):
    """Every record as one JSON object a line, on stdout."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def handle(self, record: Record) -> None:
        """Write ``record``."""
        self._terminal.json(record.to_dict())


class PlainDisplay(Display):
    """Lines for a log file, without escape codes: a step every few seconds, and every other event."""

    def __init__(self, terminal: Terminal) -> None:
        self._say = terminal.note
        # A file that is read later is as wide as its reader's screen.
        self._width = terminal.err.width if terminal.err.is_terminal else _LOG_WIDTH
        self._run = run_state.RunState()
        self._last_line_s: float | None = None

    def handle(self, record: Record) -> None:
        """Write the lines for ``record``, if any."""
        self._run.observe(record)
        match record:
            case Started():
                phrases = [run_state.model(record), run_state.parameters(record), *run_state.description(record)]
                self._say(f"{run_state.name(record.path)}: {', '.join(phrases)}")
                for note in record.notes:
                    self._say(note)
            case Step():
                # Use the clock of the run, so that the records alone determine the log.
                if self._last_line_s is None or record.elapsed_s - self._last_line_s >= _SECONDS_BETWEEN_LINES:
                    self._last_line_s = record.elapsed_s
                    self._say(self._step(record))
            case Evaluated():
                self._say(
                    f"step {numbers.count(record.step)}  epoch {record.epoch:.2f}  "
                    f"validation {numbers.loss(record.val_loss)} ({numbers.bpc(record.val_bpc)} bits/char)  "
                    f"{'best' if record.improved else f'best was {numbers.loss(record.best_val_loss)}'}  "
                    f"{numbers.duration(record.elapsed_s)}"
                )
            case RolledBack():
                self._say(run_state.rollback(record))
            case Diagnosed():
                for line in diagnosis.diagnosis_lines(record, self._width):
                    self._say(line.plain)
            case Saved() if record.reason in ("interrupted", "finished"):
                self._say(f"saved {plain(record.path)}")
            case Sampled():
                self._say(f"{run_state.sample_title(record)}:")
                for line in plain(record.text, "\n\t").split("\n"):
                    self._say(f"    {line}".rstrip())
            case Finished():
                self._say(run_state.headline(record))
                for name, value in run_state.facts(record, self._run):
                    self._say(f"    {name:<14}{value}")
                self._say("next: " + "  or  ".join(run_state.next_commands(record)))

    def _step(self, record: Step) -> str:
        loss = self._run.shown_loss
        parts = [
            f"step {numbers.count(record.step)}",
            f"epoch {record.epoch:.2f}",
            f"loss {numbers.loss(loss)} ({numbers.bpc(bits(loss))} bits/char)",
            f"lr {numbers.learning_rate(record.lr)}",
            f"grad {record.grad_norm:.3g}",
            f"{numbers.short(record.chars_per_s)} chars/s",
            numbers.percent(record.progress),
        ]
        if record.eta_s is not None:
            parts.append(f"{numbers.clock(record.eta_s)} left")
        return "  ".join(parts)
