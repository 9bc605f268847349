"""``charrnn inspect history``: losses, samples and the growth of cells over the steps of a run."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from charrnn.commands import compiled
from charrnn.commands.help import section
from charrnn.commands.inspect.cells import cell_option, cells_option, signal_option
from charrnn.commands.inspect.hypothesis import hypothesis_options
from charrnn.commands.inspect.inspection import Inspection, inspecting, pager_option, stretch_options
from charrnn.commands.inspect.naming import names_option
from charrnn.commands.options import run_argument


@inspecting(
    section(
        "What is shown",
        cell_option("The cell to show, or several.  [default: those with the most structure at the end]"),
        cells_option(3, "Cells to show where --cell names none."),
        signal_option,
        names_option,
        pager_option,
    ),
    hypothesis_options("Cells that keep track of something", "Show the cells that track this best at the end:"),
    stretch_options(4000),
    checkpoint=run_argument,
)
def history(work: Inspection) -> None:
    """Show how the run in the folder RUN learnt: its losses, its samples, and, if it was trained with `train
    --snapshots`, what cells did with TEXT at each snapshot.

    \b
    charrnn train fables --snapshots
    charrnn inspect history fables
    charrnn inspect history fables --cell 1:37

    \f

    --json writes an object with event "moment" for each sample: step, epoch, loss, val_loss, temperature, sample; and
    one with event "snapshot" for each snapshot: step, text, cells (layer, unit, score, values, tracks: hypothesis,
    measure and value, or null).
    """
    from charrnn.checkpoints.run_names import require_run
    from charrnn.errors import ConfigError
    from charrnn.inspection.history import logged_samples

    work.require_one_text()
    work.load(compiled.naming)
    signal, run = work.signal.name, work.options["checkpoint"]
    require_run(run)
    samples = logged_samples(run)
    if not samples:
        raise ConfigError(f"{run}: the run wrote no sample that could be shown; train with --sample-every above 0")
    reading, growth = _growth(work, run, signal)
    tracked = work.tracked if growth else {}
    work.show(_records(work, samples, reading, growth), _lines(work, samples, reading, growth, tracked))
    if reading is None and not work.terminal.wants_json:
        work.terminal.note(
            "no snapshots: `charrnn train --snapshots` keeps weights along the way, and then cells show here"
        )


def _growth(work: Inspection, run: Path, signal: str):
    """The reading of the text, and the values of cells at every snapshot; (None, []) if the run kept none."""
    from charrnn.checkpoints.snapshots import Snapshots
    from charrnn.inspection.history import cells_at_snapshots

    if not Snapshots(run).steps():
        return None, []
    ids, options = work.read_text(), work.options
    cells, count, offset = options["cell"], options["cells"], options["offset"]
    if options["hypothesis"]:
        cells = list(dict.fromkeys([*cells, *work.tracking(ids, count)]))
    ids = ids[offset:][: options["length"]]
    with work.bar("Reading with every snapshot") as progress:
        return cells_at_snapshots(run, ids, cells, count, signal, options["threads"], progress)


def _lines(work: Inspection, samples, reading, growth, tracked) -> Iterator:
    import numpy as np

    from charrnn.display.reports.gallery import stretch_width
    from charrnn.display.reports.history import log_sample_lines, loss_lines, snapshot_lines
    from charrnn.display.reports.names import listed
    from charrnn.inspection.gallery import liveliest_stretch
    from charrnn.inspection.history import losses

    width = work.terminal.width
    training, validation = losses(work.options["checkpoint"])
    yield from loss_lines(training, validation, width)
    for sample in samples:
        before = validation[validation[:, 0] <= sample.step, 0]
        validated = int(before.max()) if len(before) and sample.val_loss is not None else None
        yield from log_sample_lines(asdict(sample), validated, width)
    if reading is None:
        return
    start, stop = liveliest_stretch(reading.text, growth[-1].values.T.astype(np.float64), stretch_width(width))
    rows = [(each.step, each.values[:, start:stop], each.scores) for each in growth]
    text, place = reading.text[start:stop], work.options["offset"] + start
    labels = [listed([cell], tracked) for cell in growth[-1].cells]
    yield from snapshot_lines(text, place, labels, rows, work.signal.meaning, work.look)


def _records(work: Inspection, samples, reading, growth) -> Iterator[dict[str, Any]]:
    """A JSON object for each sample, then one for each snapshot."""
    for sample in samples:
        yield {"event": "moment", **asdict(sample)}
    for each in growth:
        cells = [
            {"layer": layer, "unit": unit, "score": score, "values": values, "tracks": work.tracks((layer, unit))}
            for (layer, unit), values, score in zip(each.cells, each.values, each.scores, strict=True)
        ]
        yield {"event": "snapshot", "step": each.step, "text": reading.text, "cells": cells}
