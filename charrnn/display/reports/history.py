"""How a run learnt: its losses, what it wrote at which step, and what cells did then."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from charrnn.display.reports.gallery import gallery_rows
from charrnn.display.terminal import numbers, text_width
from charrnn.display.terminal.colours import Depth, Scale
from charrnn.display.terminal.curve import BLUE, ORANGE, Curve
from charrnn.display.terminal.heatmap import legend

_CURVE_ROWS = 8
_SAMPLE_LINES = 4
_MARGIN = 14  # cells right of the curve for the names of its lines
_WIDE = 60


def loss_lines(training: np.ndarray, validation: np.ndarray, width: int) -> list[Text]:
    """The curve of losses (n, 2), steps and nats, of a whole run."""
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


def moment_lines(moment: Mapping[str, Any], width: int) -> list[Text]:
    """One moment: its step, its losses, and the first lines that were written."""
    head = Text(f"step {numbers.count(moment['step'])}", style=f"bold {BLUE}")
    if moment["epoch"] is not None:
        head.append(f"   epoch {moment['epoch']:.2f}", style="not bold dim")
    for name, value in (("training", moment["loss"]), ("validation", moment["val_loss"])):
        head.append(f"   {name} ", style="not bold dim").append(numbers.loss(value), style="not bold")
    written = text_width.wrap(moment["sample"].strip("\n"), width - 3)
    if len(written) > _SAMPLE_LINES:
        cut = written[_SAMPLE_LINES - 1]
        written[_SAMPLE_LINES - 1 :] = [text_width.clip(f"{cut} …" if cut else "…", width - 3)]
    return [head, *(Text.assemble((" ▏ ", ORANGE), line) for line in written), Text()]


def growth_lines(
    text: str,
    place: int,
    names: Sequence[str],
    growth: Sequence[tuple[int, np.ndarray, np.ndarray]],
    *,
    meaning: str,
    scale: Scale,
    width: int,
    depth: Depth,
) -> Iterator[Text]:
    """For each cell a row for every snapshot over the same stretch of ``text``, which begins at ``place``.

    ``growth`` has steps, values (C, n) and scores (C,).
    """
    yield Text(f"what cells do with the same text, step by step: {meaning}", style="dim")
    yield legend(scale, depth=depth)
    look = {"scale": scale, "width": width, "depth": depth, "head": " step   score"}
    for number, name in enumerate(names):
        steps = [numbers.count(step) if step < 100_000 else numbers.short(step) for step, *_ in growth]
        scores, values = [scores[number] for *_, scores in growth], [values[number] for _, values, _ in growth]
        yield Text()
        yield Text(f"cell {name}", style="bold")
        yield from gallery_rows(text, f"from character {place:,}", steps, scores, values, **look)
