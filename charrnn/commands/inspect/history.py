"""``charrnn inspect history``: losses, samples and the growth of cells over the steps of a run."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, section
from charrnn.commands.inspect.cells import cell_option, cells_option, name, scale_of, signal_of, signal_option
from charrnn.commands.inspect.choosing import tracking
from charrnn.commands.inspect.hypothesis import hypothesis_options
from charrnn.commands.inspect.reading import check_one_text, pager_option, stretch_options, text_ids, text_options
from charrnn.commands.options import general_options
from charrnn.commands.types import CheckpointPath


@click.command(cls=Command)
@click.argument("run", type=CheckpointPath())
@section(
    "What is shown",
    cell_option("The cell to show, or several.  [default: those with the most structure at the end]"),
    cells_option(3, "Cells to show where --cell names none."),
    signal_option,
    pager_option,
)
@hypothesis_options("Cells that keep track of something", "Show the cells that track this best at the end:")
@stretch_options(4000)
@text_options
@general_options
def history(run: Path, **options: Any) -> None:
    """Show how the run in the folder RUN learnt: its losses, its samples, and, if it was trained with `train
    --snapshots`, what cells did with TEXT at each snapshot.

    \b
    charrnn inspect history checkpoints/fables
    charrnn inspect history checkpoints/fables --cell 1:37

    \f

    --json writes an object with event "moment" for each sample: step, epoch, loss, val_loss, temperature, sample; and
    one with event "snapshot" for each snapshot: step, text, cells (layer, unit, score, values).
    """
    from charrnn.commands.loading import load_model
    from charrnn.display.terminal.console import Terminal
    from charrnn.display.terminal.pager import show_paged
    from charrnn.errors import ConfigError
    from charrnn.inspection.history import logged_samples

    check_one_text(options)
    terminal = Terminal(options["quiet"], options["as_json"])
    model = load_model(run, options["threads"], terminal)
    signal = signal_of(model, options["signal"])
    if not run.is_dir():
        raise ConfigError(f"{run}: not the folder of a run; give the folder, which has the run's log")
    found = logged_samples(run)
    if not found:
        raise ConfigError(f"{run}: the run wrote no sample that could be shown; train with --sample-every above 0")
    reading, growth = _growth(terminal, model, run, options)
    if options["as_json"]:
        for value in _numbers(found, reading, growth):
            terminal.json(value)
        return
    show_paged(terminal, _lines(terminal, run, found, reading, growth, signal, options), paged=options["pager"])
    if reading is None:
        terminal.note("no snapshots: `charrnn train --snapshots` keeps weights along the way, and then cells show here")


def _growth(terminal, model, run: Path, options: dict[str, Any]):
    """The reading of the text, and the values of cells at every snapshot; (None, []) if the run kept none."""
    from charrnn.checkpoints.snapshots import Snapshots
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.history import cells_at_snapshots

    if not Snapshots(run).steps():
        return None, []
    ids = text_ids(model, options, terminal)
    cells, count, signal, threads = (options[each] for each in ("cell", "cells", "signal", "threads"))
    if options["hypothesis"]:
        cells = list(dict.fromkeys([*cells, *tracking(terminal, model, ids, options["hypothesis"], signal, count)]))
    ids = ids[options["offset"] :][: options["length"]]
    with progress_bar(terminal, "Reading with every snapshot") as progress:
        return cells_at_snapshots(run, ids, cells, count, signal, threads, progress)


def _lines(terminal, run, found, reading, growth, signal, options: dict[str, Any]) -> Iterator:
    import numpy as np

    from charrnn.display.reports.gallery import stretch_width
    from charrnn.display.reports.history import log_sample_lines, loss_lines, snapshot_lines
    from charrnn.inspection.gallery import line_bounds, most_varied
    from charrnn.inspection.history import losses

    yield from loss_lines(*losses(run), terminal.width)
    for moment in found:
        yield from log_sample_lines(asdict(moment), terminal.width)
    if reading is None:
        return
    # Show a stretch that begins with a line, where the values of the last snapshot vary most.
    width, length = stretch_width(terminal.width), len(reading.text)
    stretches = [(start, start + width) for start in line_bounds(reading.text) if start + width <= length]
    start, stop = most_varied(growth[-1].values.T.astype(np.float64), stretches or [(0, min(width, length))])
    rows = [(each.step, each.values[:, start:stop], each.scores) for each in growth]
    yield from snapshot_lines(
        reading.text[start:stop],
        options["offset"] + start,
        [name(cell) for cell in growth[-1].cells],
        rows,
        meaning=signal.meaning,
        scale=scale_of(signal),
        width=terminal.width,
        depth=terminal.depth,
    )


def _numbers(found, reading, growth) -> Iterator[dict[str, Any]]:
    """An object for each moment, then one for each snapshot."""
    for moment in found:
        yield {"event": "moment", **asdict(moment)}
    for each in growth:
        named = zip(each.cells, each.values, each.scores, strict=True)
        yield {
            "event": "snapshot",
            "step": each.step,
            "text": reading.text,
            "cells": [
                {"layer": cell[0], "unit": cell[1], "score": score, "values": values} for cell, values, score in named
            ],
        }
