"""The contents of the live display: numbers, a curve, and a sample of the model.

Every part is made of lines, from the state of the run and a size alone: no clock and no screen.
"""

from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.colours import BLUE, GREEN, ORANGE
from charrnn.display.terminal.columns import quoted_lines
from charrnn.display.terminal.curve import LABELS
from charrnn.display.terminal.tables import hanging, paragraph, phrases
from charrnn.display.terminal.text_width import pad, wrap
from charrnn.display.training import run_state
from charrnn.records import Evaluated, Finished, RolledBack, Sampled, bits

_CURVE_ROWS = 8
_SAMPLE_LINES = 8
_WIDE = 84  # terminal columns
_WIDEST = 96  # terminal columns for a line with the training loss
_NAME_LINES = 2  # of a name that does not fit beside the model
_TIMES = 26  # terminal columns for the times beside the progress bar
# Numbers in the order in which they are left out where there is no room for all.
_DISPENSABLE = ("saved at", "grad", "lr", "best", "bits/char", "step", "chars/s", "epoch")

_Number = tuple[str, str, str, int]
"""Label, value, style of the value, and width of one number. Widths are constant, so that numbers do not move."""


class LiveArea:
    """Lays out the state of a run in lines that fit a width and a height, in terminal columns and rows.

    ``seen_at`` is the time in seconds, by the caller's clock, at which the latest step arrived.
    """

    def __init__(self, state: run_state.RunState) -> None:
        self._run = state
        self.seen_at = 0.0

    def lines(self, width: int, height: int, now: float) -> list[Text]:
        """The live area at the time ``now``. Where there is little room, the least important parts are left out."""
        if self._run.started is None or height < 1 or width < 8:
            return []
        title, about, bar = self._title(width), self._description(width), self._progress(width, now)
        if self._run.step is None:
            return _stack([title, about, bar], height)

        band = self._numbers(width, max(height // 6, 1))
        sampled = self._run.sampled
        wanted = len(self.sample(sampled, width, _SAMPLE_LINES)) - 1 if sampled is not None else 0
        # First the least that the curve and the sample need, with an empty line above each, then the description …
        left = height - len(title) - len(bar) - len(band)
        curve_rows = min(max(left - 1, 0), 4)
        left -= curve_rows + 1 if curve_rows else 0
        sample_lines = min(wanted, 2) if left >= 3 else 0
        left -= sample_lines + 1 if sample_lines else 0
        if len(about) > left:
            about = []
        left -= len(about)
        # … and the rest for more of the curve, more of the sample, and empty lines between the parts.
        more = min(_CURVE_ROWS - curve_rows, left) if curve_rows else 0
        curve_rows, left = curve_rows + more, left - more
        sample_lines += min(wanted - sample_lines, left) if sample_lines else 0

        parts = [title + about, bar, band]
        if curve_rows >= 2:
            parts.append(self._curve(width, curve_rows))
        if sample_lines:
            parts.append(self.sample(sampled, width, sample_lines))
        return _stack(parts, height)

    def _title(self, width: int) -> list[Text]:
        started = self._run.started
        model = run_state.model(started)
        if width >= _WIDE:
            model += f", {run_state.parameters(started)}"
        name = run_state.name(started.path)
        line = Text.assemble(("── ", "dim"), (name, f"bold {BLUE}"), " ")
        fill = width - line.cell_len - len(model) - 4
        if fill >= 2:
            return [line.append("─" * fill, style="dim").append(f" {model} ").append("──", style="dim")]
        names = [Text(part, style=f"bold {BLUE}") for part in wrap(name, width - 3, _NAME_LINES)]
        return [*hanging("── ", names, "dim"), *hanging("   ", wrap(model, width - 3))]

    def _description(self, width: int) -> list[Text]:
        parts = run_state.description(self._run.started)
        if width < _WIDE:
            parts.insert(0, run_state.parameters(self._run.started))
        return phrases([Text(part, style="dim") for part in parts], width, "   ", " · ")

    def _progress(self, width: int, now: float) -> list[Text]:
        step = self._run.step
        progress = step.progress if step else 0.0
        times = "starting"
        if step is not None:
            waited = max(now - self.seen_at, 0.0)
            times = numbers.clock(step.elapsed_s + waited)
            if step.eta_s is not None:
                times += f" · {numbers.clock(step.eta_s - waited)} left"
        beside = width >= _WIDE
        room = max(width - LABELS - (_TIMES if beside else 0), 4)
        halves = round(min(max(progress, 0.0), 1.0) * room * 2)
        done = "━" * (halves // 2) + "╸" * (halves % 2)
        line = Text.assemble(
            (f"{numbers.percent(progress):>{LABELS - 1}} ", "bold"),
            (done, BLUE),
            ("─" * (room - len(done)), "dim"),
        )
        if beside:
            return [line.append(f" {times}")]
        return [line, Text(" " * LABELS + times, style="dim")]

    def _numbers(self, width: int, most: int) -> list[Text]:
        """Lines of labels, each above a line of values, in at most ``most`` bands; numbers are left out to fit."""
        columns, room = self._columns(), width
        count = len(columns)
        for label in _DISPENSABLE:
            if len(_bands(columns, room)) <= most:
                break
            columns = [column for column in columns if column[0] != label]
            room = width - len("  …")
        lines = []
        for band in _bands(columns, room):
            labels, values = Text(" ", style="dim"), Text(" ")
            for label, value, style, size in band:
                labels.append(pad(label, size, right=True) + "  ")
                values.append(pad(value, size, right=True) + "  ", style=style or None)
            labels.rstrip()
            values.rstrip()
            lines += [labels, values]
        if len(columns) < count:
            more = f"  … {count - len(columns)} more in a larger window"
            lines[-2].append(more if lines[-2].cell_len + len(more) <= width else "  …")
        return lines

    def _columns(self) -> list[_Number]:
        step, evaluated, loss = self._run.step, self._run.evaluated, self._run.shown_loss
        diverged = loss != loss
        columns = [
            ("step", numbers.count(step.step), "", 7),
            ("epoch", f"{step.epoch:.2f}", "", 6),
            ("loss", numbers.loss(loss), "bold red" if diverged else f"bold {BLUE}", 7),
            ("bits/char", numbers.bpc(bits(loss)), "", 9),
        ]
        if evaluated is not None:
            mark = "★ " if evaluated.improved else ""
            columns += [
                ("validation", numbers.loss(evaluated.val_loss), f"bold {ORANGE}", 10),
                ("best", mark + numbers.loss(evaluated.best_val_loss), GREEN if mark else "", 8),
            ]
        columns += [
            ("lr", numbers.learning_rate(step.lr), "", 8),
            ("grad", f"{step.grad_norm:.3g}", "", 6),
            ("chars/s", numbers.short(step.chars_per_s), "", 7),
        ]
        if self._run.saved is not None:
            columns.append(("saved at", numbers.count(self._run.saved.step), "", 8))
        return columns

    def _curve(self, width: int, rows: int) -> list[Text]:
        return self._run.curve.lines(width, rows, _TIMES if width >= _WIDE else 0)

    def sample(self, sampled: Sampled, width: int, limit: int) -> list[Text]:
        """The title of a sample, and at most ``limit`` of its lines."""
        title = hanging(" ", paragraph(run_state.sample_title(sampled), width - 1, "dim"))
        return [*title, *quoted_lines(sampled.text, width, limit)]

    def evaluation(self, evaluated: Evaluated, width: int) -> list[Text]:
        """The lines about an evaluation, which stay in the scrollback."""
        loss = Text.assemble("validation ", (numbers.loss(evaluated.val_loss), f"bold {ORANGE}"))
        loss.append(f" ({numbers.bpc(evaluated.val_bpc)} bits/char)")
        parts = [Text(f"epoch {evaluated.epoch:6.2f}"), Text(f"step {numbers.count(evaluated.step):>8}")]
        is_wide = width >= _WIDEST
        star = "★ best" if is_wide else "★"
        if self._run.loss is not None and is_wide:  # in a narrower terminal only the live area below shows it
            parts.append(Text.assemble("training ", (numbers.loss(self._run.loss), BLUE)))
        parts += [loss, Text(star if evaluated.improved else " " * len(star), style=GREEN)]
        parts.append(Text(numbers.duration(evaluated.elapsed_s), style="dim"))
        return phrases(parts, width, " ", "  ")

    def rollback(self, record: RolledBack, width: int) -> list[Text]:
        """The lines on a rollback, which stay in the scrollback."""
        return [Text(f" {line}", style=ORANGE) for line in wrap(f"▲ {run_state.rollback(record)}", width - 1)]

    def summary(self, finished: Finished, width: int) -> list[Text]:
        """The lines that stay on the screen after the run: the curve, the results, and commands to go on with."""
        lines: list[Text] = []
        if self._run.started is not None:
            lines += [*self._title(width), *self._description(width), Text()]
        if self._run.step is not None:
            lines += [*self._curve(width, _CURVE_ROWS), Text()]
        ok = finished.reason != "interrupted"
        lines.append(
            Text(f" {'✓' if ok else '■'} {run_state.headline(finished)}", style=f"bold {GREEN if ok else ORANGE}")
        )
        for name, value in run_state.facts(finished, self._run):
            lines += hanging(f"   {name:<14}", wrap(value, width - 17), "dim")
        # Never break a command into lines: the user may copy it.
        lines += [Text(), Text("   next", style="dim")]
        lines += [Text(f"   {command}", style=BLUE) for command in run_state.next_commands(finished)]
        return lines


def _stack(parts: list[list[Text]], height: int) -> list[Text]:
    """The parts one below another; as far as there is room, with empty lines between them, then one above all."""
    spare = height - sum(map(len, parts))
    lines: list[Text] = []
    for part in parts:
        if lines and part and spare > 0:
            lines.append(Text())
            spare -= 1
        lines += part
    return ([Text()] if spare > 0 else []) + lines[:height]


def _bands(columns: list[_Number], width: int) -> list[list[_Number]]:
    """The numbers in as few bands as fit the width, with nearly the same number of columns each."""
    for count in range(1, len(columns) + 1):
        each = -(-len(columns) // count)
        bands = [columns[first : first + each] for first in range(0, len(columns), each)]
        if all(1 + sum(size + 2 for *_, size in band) <= width + 2 for band in bands):
            return bands
    return [[column] for column in columns]
