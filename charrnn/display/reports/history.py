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
from charrnn.display.terminal.tables import paragraph, phrases

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
    margin = _MARGIN if width >= _WIDE else 0
    return [*paragraph(title, width, "dim"), *curve.lines(width, _CURVE_ROWS, margin), Text()]


def log_sample_lines(record: Mapping[str, Any], validated: int | None, width: int) -> list[Text]:
    """A sample of the log: its step, its losses, and the first lines of its text.

    ``validated`` is the step of its validation loss, None if it has none.
    """
    parts = [Text(f"step {numbers.count(record['step'])}", style=f"bold {BLUE}")]
    if record["epoch"] is not None:
        parts.append(Text(f"epoch {record['epoch']:.2f}", style="dim"))
    for name, value in (("training", record["loss"]), ("validation", record["val_loss"])):
        parts.append(Text.assemble((f"{name} ", "dim"), numbers.loss(value)))
    if validated not in (None, record["step"]):
        parts[-1].append(f" (of step {numbers.count(validated)})", style="dim")
    return [*phrases(parts, width), *quoted_lines(record["sample"], width, _SAMPLE_LINES), Text()]


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
    yield from paragraph(f"what cells do with the same text, step by step: {meaning}", look.width, "dim")
    yield legend(look)
    steps = [numbers.count(step) if step < 100_000 else numbers.short(step) for step, *_ in snapshots]
    for number, name in enumerate(names):
        values = [values[number] for _, values, _ in snapshots]
        scores = [scores[number] for *_, scores in snapshots]
        yield from (Text(), Text(f"cell {name}", style="bold"))
        yield from gallery_rows(text, f"from character {place:,}", steps, scores, values, look, " step   score")
    yield Text()
    yield from paragraph(STRUCTURE, look.width, "dim")
