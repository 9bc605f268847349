"""What the live display shows: numbers, a curve and the model's own words.

Every part is lines made from the run's state and a size, nothing else: no clock, no screen.
"""

from rich.text import Text

from charrnn.display.terminal import numbers, text_width
from charrnn.display.terminal.curve import BLUE, LABELS, ORANGE
from charrnn.display.training import run_state
from charrnn.records import Evaluated, Finished, RolledBack, Sampled, bits

GREEN = "#2f9e5f"

_CURVE_ROWS = 8
_SAMPLE_LINES = 8
_WIDE = 84
_TIMES = 26
# What is left out first where there is no room for all numbers.
_DISPENSABLE = ("saved at", "grad", "lr", "best", "bits/char", "step", "chars/s", "epoch")


class Area:
    """Lays the state of a run out in lines that fit a width and a height."""

    def __init__(self, state: run_state.Run) -> None:
        self._run = state
        self.seen_at = 0.0

    def lines(self, width: int, height: int, now: float) -> list[Text]:
        """The whole live area. What matters less gives way first where there is little room."""
        if self._run.started is None or height < 1 or width < 8:
            return []
        bar = self._progress(width, now)
        if self._run.step is None:
            return self._stack([self._title(width), self._describe(width), bar], height)

        numbers = self._numbers(width, max(height // 6, 1))
        left = height - 1 - len(bar) - len(numbers)
        curve_rows = min(max(left - 1, 0), 4)
        left -= curve_rows + 1 if curve_rows else 0
        wanted = self._sample_size(width)
        sample_lines = min(wanted, 2 if left >= 3 else 0)
        left -= sample_lines + 1 if sample_lines else 0
        describe = self._describe(width)
        if len(describe) > left:
            describe = []
        left -= len(describe)
        # What remains goes to the curve, to the sample, and to air between the parts.
        more = min(_CURVE_ROWS - curve_rows, left) if curve_rows else 0
        curve_rows, left = curve_rows + more, left - more
        more = min(wanted - sample_lines, left) if sample_lines else 0
        sample_lines, left = sample_lines + more, left - more

        parts = [self._title(width) + describe, bar, numbers]
        if curve_rows >= 2:
            parts.append(self._curve(width, curve_rows))
        if sample_lines:
            parts.append(self.sample(self._run.sampled, width, sample_lines))
        return self._stack(parts, height)

    @staticmethod
    def _stack(parts: list[list[Text]], height: int) -> list[Text]:
        """The parts below each other, with empty lines between them, then above, as far as there is room."""
        spare = height - sum(map(len, parts))
        lines: list[Text] = []
        for part in parts:
            if lines and part and spare > 0:
                lines.append(Text())
                spare -= 1
            lines += part
        return ([Text()] if spare > 0 else []) + lines[:height]

    def _title(self, width: int) -> list[Text]:
        started = self._run.started
        model = run_state.model(started)
        if width >= _WIDE:
            model += f", {run_state.parameters(started)}"
        name = text_width.clip(run_state.name(started.path), max(width - len(model) - 12, 8))
        line = Text.assemble(("── ", "dim"), (name, f"bold {BLUE}"), " ")
        fill = width - line.cell_len - len(model) - 4
        if fill < 2:
            line.append("─" * max(width - line.cell_len, 0), style="dim")
        else:
            line.append("─" * fill, style="dim").append(f" {model} ").append("──", style="dim")
        return [line]

    def _describe(self, width: int) -> list[Text]:
        lines: list[str] = []
        phrases = run_state.description(self._run.started)
        for phrase in phrases if width >= _WIDE else [run_state.parameters(self._run.started), *phrases]:
            if lines and len(lines[-1]) + len(phrase) + 3 <= width:
                lines[-1] += " · " + phrase
            else:
                lines.append("   " + phrase)
        return [Text(line, style="dim") for line in lines]

    def _progress(self, width: int, now: float) -> list[Text]:
        step = self._run.step
        progress = step.progress if step else 0.0
        times = self._times(now)
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

    def _times(self, now: float) -> str:
        step = self._run.step
        if step is None:
            return "starting"
        waited = max(now - self.seen_at, 0.0)
        text = numbers.clock(step.elapsed_s + waited)
        if step.eta_s is not None:
            text += f" · {numbers.clock(step.eta_s - waited)} left"
        return text

    def _numbers(self, width: int, most: int) -> list[Text]:
        """A band of labels over a band of values, or as many of them as the width asks for, but ``most``."""
        columns = self._columns()
        for label in _DISPENSABLE:
            if len(_bands(columns, width)) <= most:
                break
            columns = [column for column in columns if column[0] != label]
        lines = []
        for band in _bands(columns, width):
            labels, values = Text(" ", style="dim"), Text(" ")
            for label, value, style, size in band:
                labels.append(text_width.pad(label, size, right=True) + "  ")
                values.append(text_width.pad(value, size, right=True) + "  ", style=style or None)
            labels.rstrip()
            values.rstrip()
            lines += [labels, values]
        return lines

    def _columns(self) -> list[tuple[str, str, str, int]]:
        """Label, value, style and size of each number. Sizes are constant, so that nothing jumps."""
        step, evaluated = self._run.step, self._run.evaluated
        diverged = step.loss != step.loss
        loss = step.loss if diverged or self._run.loss is None else self._run.loss
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
        margin = _TIMES if width >= _WIDE else 0
        return self._run.curve.lines(width, rows, margin)

    def _sample_size(self, width: int) -> int:
        if self._run.sampled is None:
            return 0
        return min(len(_sample_lines(self._run.sampled, width)), _SAMPLE_LINES)

    def sample(self, sampled: Sampled, width: int, limit: int) -> list[Text]:
        """A sample's title and at most ``limit`` of its lines."""
        lines = _sample_lines(sampled, width)
        if len(lines) > limit:
            cut = lines[limit - 1]
            lines[limit - 1 :] = [text_width.clip(f"{cut} …" if cut else "…", width - 3)]
        return [
            Text(" " + text_width.clip(run_state.sample_title(sampled), width - 1), style="dim"),
            *(Text.assemble((" ▏ ", ORANGE), line) for line in lines),
        ]

    def evaluation(self, evaluated: Evaluated, width: int) -> Text:
        """The line that stays in the scrollback."""
        line = Text(f" epoch {evaluated.epoch:6.2f}")
        if width >= 60:
            line.append(f"   step {numbers.count(evaluated.step):>8}")
        if width >= 96 and self._run.loss is not None:
            line.append("   training ").append(numbers.loss(self._run.loss), style=BLUE)
        line.append("   validation " if width >= 50 else "  val ")
        line.append(numbers.loss(evaluated.val_loss), style=f"bold {ORANGE}")
        if width >= 70:
            line.append(f" ({numbers.bpc(evaluated.val_bpc)} bpc)")
        line.append("   ★ best" if evaluated.improved else " " * 9, style=GREEN)
        if width >= 50:
            line.append(f"   {numbers.duration(evaluated.elapsed_s)}", style="dim")
        return line

    def setback(self, record: RolledBack, width: int) -> list[Text]:
        """The lines on a step in trouble that stay in the scrollback."""
        return [Text(f" {line}", style=ORANGE) for line in text_width.wrap(f"▲ {run_state.setback(record)}", width - 1)]

    def summary(self, finished: Finished, width: int) -> list[Text]:
        """What remains on the screen: the curve, the results, and what to do next."""
        lines: list[Text] = []
        if self._run.started is not None:
            lines += [*self._title(width), *self._describe(width), Text()]
        if self._run.step is not None:
            lines += [*self._curve(width, _CURVE_ROWS), Text()]
        ok = finished.reason != "interrupted"
        mark = "✓" if ok else "■"
        lines.append(Text(f" {mark} {run_state.headline(finished)}", style=f"bold {GREEN if ok else ORANGE}"))
        for name, value in run_state.facts(finished, self._run):
            first, *others = text_width.wrap(value, width - 15)
            lines.append(Text.assemble((f"   {name:<12}", "dim"), first))
            lines += [Text(" " * 15 + other) for other in others]
        # Commands are never broken into lines: they are there to be copied.
        lines += [Text(), Text("   next", style="dim")]
        lines += [Text(f"   {command}", style=BLUE) for command in run_state.next_commands(finished)]
        return lines


def _sample_lines(sampled: Sampled, width: int) -> list[str]:
    return text_width.wrap(sampled.text.strip("\n"), width - 3)


def _bands(columns: list[tuple[str, str, str, int]], width: int) -> list[list[tuple[str, str, str, int]]]:
    """The columns in as few bands as fit the width, of nearly the same number of columns each."""
    for count in range(1, len(columns) + 1):
        each = -(-len(columns) // count)
        bands = [columns[first : first + each] for first in range(0, len(columns), each)]
        if all(1 + sum(size + 2 for *_, size in band) <= width + 2 for band in bands):
            return bands
    return [[column] for column in columns]
