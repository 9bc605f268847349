"""How a run learnt: losses, samples and the growth of cells over its steps."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from charrnn.commands.inspect import find
from charrnn.commands.inspect.cell_names import name
from charrnn.commands.inspect.read import MEANINGS, scale_of
from charrnn.commands.train.new_run import given

READS = False  # only where there are snapshots
HEEDS = ("--find", "--where", "--mask")
IDLE = ("permutations", "probe")

_CELLS = 3  # where none is named

TITLE = "Learning in time"
OPTIONS = (
    click.option(
        "--history", is_flag=True,
        help="How the run in the folder CHECKPOINT learnt: losses, samples, and with `train --snapshots` its cells.",
    ),
)  # fmt: skip


def wanted(options: dict[str, Any]) -> str | None:
    """The option that asks for this view, if it is given."""
    return "--history" if options["history"] else None


def show(terminal, model, ids, options: dict[str, Any]) -> None:
    """Show or print every moment of the run's log, and what cells did at its snapshots."""
    from charrnn.display.terminal.pager import show_paged
    from charrnn.errors import ConfigError
    from charrnn.inspection.history import moments

    run = options["checkpoint"]
    if not run.is_dir():
        raise ConfigError(f"{run}: --history is for the folder of a run, which has its log")
    found = moments(run)
    if not found:
        raise ConfigError(f"{run}: the run wrote no sample (--sample-every) that could be shown")
    reading, growth = _growth(terminal, model, options)
    if options["as_json"]:
        for value in _numbers(found, reading, growth):
            terminal.json(value)
        return
    show_paged(terminal, _lines(terminal, run, found, reading, growth, options), paged=options["pager"])
    if reading is None:
        terminal.note("no snapshots: `charrnn train --snapshots` keeps weights along the way, and then cells show here")


def _growth(terminal, model, options: dict[str, Any]):
    """What cells did at the snapshots; (None, []) if the run kept none."""
    from charrnn.checkpoints.snapshots import Snapshots
    from charrnn.commands.texts import inspected_ids
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.history import growth

    if not Snapshots(options["checkpoint"]).steps():
        return None, []
    ids = inspected_ids(model, options, terminal)
    count = options["cells"] if given(click.get_current_context(), ("cells",)) else _CELLS
    cells, signal, threads = options["cell"], options["signal"], options["threads"]
    if find.wanted(options):
        cells = list(dict.fromkeys([*cells, *find.best(terminal, model, ids, options, count)]))
    ids = ids[options["offset"] :][: options["length"]]
    with progress_bar(terminal, "Reading with every snapshot") as progress:
        return growth(options["checkpoint"], ids, cells, count, signal, threads, progress)


def _lines(terminal, run, found, reading, growth, options: dict[str, Any]) -> Iterator:
    import numpy as np

    from charrnn.display.reports.gallery import stretch_width
    from charrnn.display.reports.history import log_sample_lines, loss_lines, snapshot_lines
    from charrnn.inspection.gallery import lines, liveliest
    from charrnn.inspection.history import losses

    yield from loss_lines(*losses(run), terminal.width)
    for moment in found:
        yield from log_sample_lines(asdict(moment), terminal.width)
    if reading is None:
        return
    # Where the cells, as they have become, are most at work: a stretch that begins with a line.
    width, length = stretch_width(terminal.width), len(reading.text)
    stretches = [(start, start + width) for start in lines(reading.text) if start + width <= length]
    start, stop = liveliest(growth[-1].values.T.astype(np.float64), stretches or [(0, min(width, length))])
    rows = [(each.step, each.values[:, start:stop], each.scores) for each in growth]
    yield from snapshot_lines(
        reading.text[start:stop],
        options["offset"] + start,
        [name(cell) for cell in growth[-1].cells],
        rows,
        meaning=MEANINGS[options["signal"]],
        scale=scale_of(options["signal"]),
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
