"""How a run learnt: its losses, the samples in its log, and its cells at each snapshot."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.reports.gallery import gallery_rows
from charrnn.display.reports.names import STRUCTURE
from charrnn.display.terminal import numbers
from charrnn.display.terminal.colours import BLUE, Look
from charrnn.display.terminal.columns import quoted_lines
from charrnn.display.terminal.curve import Curve
from charrnn.display.terminal.heatmap import legend
from charrnn.display.terminal.text_width import wrap

_CURVE_ROWS = 8
_SAMPLE_LINES = 4
_MARGIN = 14  # terminal columns right of the curve, for the names of its lines
_WIDE = 60


def loss_lines(training: np.ndarray, validation: np.ndarray, width: int) -> list[Text]:
    """The curve of the losses of a run: (n, 2) of steps and nats per character, for training and for validation."""
    steps = np.concatenate([training[:, 0], validation[:, 0]])
    if not len(steps):
        return []
    curve, last = Curve(), steps.max()
    points = [(step, 0, loss) for step, loss in training] + [(step, 1, loss) for step, loss in validation]
    for step, is_validation, loss in sorted(points):
        if is_validation:
            curve.add_validation(loss)
        else:
            curve.add(step / last, loss)
    title = f"losses in nats per character over {numbers.count(int(last))} steps"
    return [Text(title, style="dim"), *curve.lines(width, _CURVE_ROWS, _MARGIN if width >= _WIDE else 0), Text()]


def log_sample_lines(record: Mapping[str, Any], width: int) -> list[Text]:
    """A sample of the log: its step, its losses, and the first lines of its text."""
    head = Text(f"step {numbers.count(record['step'])}", style=f"bold {BLUE}")
    if record["epoch"] is not None:
        head.append(f"   epoch {record['epoch']:.2f}", style="not bold dim")
    for name, value in (("training", record["loss"]), ("validation", record["val_loss"])):
        head.append(f"   {name} ", style="not bold dim").append(numbers.loss(value), style="not bold")
    return [head, *quoted_lines(record["sample"], width, _SAMPLE_LINES), Text()]


def snapshot_lines(
    text: str,
    place: int,
    names: Sequence[str],
    snapshots: Sequence[tuple[int, np.ndarray, np.ndarray]],
    meaning: str,
    look: Look,
) -> Iterator[Text]:
    """For each of C cells a row for every snapshot, over the same stretch of ``text``, which begins at ``place``.

    A snapshot has its step, values (C, n) and scores (C,).
    """
    yield Text(f"what cells do with the same text, step by step: {meaning}", style="dim")
    yield legend(look)
    steps = [numbers.count(step) if step < 100_000 else numbers.short(step) for step, *_ in snapshots]
    for number, name in enumerate(names):
        values = [values[number] for _, values, _ in snapshots]
        scores = [scores[number] for *_, scores in snapshots]
        yield from (Text(), Text(f"cell {name}", style="bold"))
        yield from gallery_rows(text, f"from character {place:,}", steps, scores, values, look, " step   score")
    yield Text()
    yield from (Text(line, style="dim") for line in wrap(STRUCTURE, look.width))
