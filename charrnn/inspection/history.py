"""How a run learnt: the losses and samples in its log, and what cells did at its snapshots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charrnn.checkpoints.run_log import read_log
from charrnn.checkpoints.snapshots import Snapshots
from charrnn.inspection.clamping import Cell
from charrnn.inspection.gallery import gallery
from charrnn.inspection.reading import read
from charrnn.model import Model
from charrnn.model.reading import Reading, scores
from charrnn.records import ProgressCallback, SmoothedLoss, no_progress


@dataclass(frozen=True)
class LoggedSample:
    """A ``sample`` that the run wrote to its log after ``step`` steps and ``epoch`` passes over the text.

    ``loss`` is the training loss, averaged over about fifty steps; ``val_loss`` is from the latest evaluation. Both are
    in nats per character, and None if there was none yet.
    """

    step: int
    epoch: float | None
    loss: float | None
    val_loss: float | None
    temperature: float
    sample: str


def logged_samples(run: Path) -> list[LoggedSample]:
    """The samples in the log of the run in the folder ``run``, one for each step at which it wrote one.

    Raises:
        CheckpointError: there is no log, or it is damaged.
    """
    found: dict[int, LoggedSample] = {}
    epoch, val_loss, loss = None, None, SmoothedLoss()
    for event, record in read_log(run):
        if event == "step":
            epoch = record["epoch"]
            if record["loss"] is not None:
                loss.add(record["loss"])
        elif event == "evaluated":
            val_loss = record["val_loss"]
        elif event == "sampled":
            step, temperature, text = record["step"], record["temperature"], record["text"]
            found[step] = LoggedSample(step, epoch, loss.value, val_loss, temperature, text)
    return list(found.values())


def losses(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Training losses (S, 2) and validation losses (E, 2) in the log: columns step and nats per character.

    Raises:
        CheckpointError: there is no log, or it is damaged.
    """
    names = {"step": "loss", "evaluated": "val_loss"}
    points: dict[str, list[tuple[int, float]]] = {event: [] for event in names}
    for event, record in read_log(run):
        if event in names and record[names[event]] is not None:
            points[event].append((record["step"], record[names[event]]))
    training, validation = (np.array(each, float).reshape(-1, 2) for each in points.values())
    return training, validation


@dataclass(frozen=True, eq=False)
class CellsAtSnapshot:
    """What C ``cells`` did at the snapshot after ``step`` steps: ``values`` (C, N) after each of N characters.

    ``scores`` (C,) are those of :func:`charrnn.model.reading.scores`.
    """

    step: int
    cells: tuple[Cell, ...]
    values: np.ndarray
    scores: np.ndarray


def cells_at_snapshots(
    run: Path,
    ids: np.ndarray,
    cells: Sequence[Cell] = (),
    count: int = 3,
    signal: str | None = None,
    threads: int | None = None,
    progress: ProgressCallback = no_progress,
) -> tuple[Reading | None, list[CellsAtSnapshot]]:
    """Read ids (N,) with the model of each snapshot of ``run``.

    Args:
        run: the folder of a run.
        ids: a text of some thousand characters; the signal of every cell is kept in memory.
        cells: (layer, unit); with none, the ``count`` best cells of the gallery at the last snapshot.
        count: see ``cells``.
        signal: the name of a signal of the model's cell; None for the most telling one.
        threads: as for :func:`charrnn.load`.
        progress: called with the snapshots done and their number.

    Returns:
        The reading of the last snapshot, None if there are no snapshots; and the cells at each snapshot, in the order
        of steps.

    Raises:
        CheckpointError: a snapshot is damaged.
        ConfigError: there is no such cell, or nothing to read.
    """
    snapshots, found, last = Snapshots(run), [], None
    steps = snapshots.steps()
    # The last snapshot comes first, because it chooses the cells.
    for done, step in enumerate(reversed(steps), 1):
        reading = read(Model.from_checkpoint(snapshots.load(step), threads), ids, signal)
        if last is None:
            last = reading
            cells = tuple(cells) or tuple((best.layer, best.unit) for best in gallery(reading, count))
        values = np.stack([reading.cell(*cell) for cell in cells])
        ranked = scores(reading)
        found.append(CellsAtSnapshot(step, tuple(cells), values, np.array([ranked[cell] for cell in cells])))
        progress(done, len(steps))
    return last, found[::-1]
