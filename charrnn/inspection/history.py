"""How a run learnt: its log at the moments when it wrote a sample, and what cells did then, if it kept snapshots."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints.run_folder import METRICS
from charrnn.checkpoints.snapshots import Snapshots
from charrnn.errors import CheckpointError
from charrnn.inspection.gallery import gallery, scores
from charrnn.inspection.reading import Reading, read
from charrnn.model import Model
from charrnn.system import strict_json

_SMOOTHING_STEPS = 50


@dataclass(frozen=True)
class Moment:
    """A step at which the run wrote ``sample``; ``epoch`` passes over the text before.

    ``loss`` is the training loss, averaged over some fifty steps, ``val_loss`` that of the latest evaluation; None
    where there was none.
    """

    step: int
    epoch: float | None
    loss: float | None
    val_loss: float | None
    temperature: float
    sample: str


@dataclass(frozen=True, eq=False)
class Growth:
    """What ``cells`` did at a snapshot, after ``step`` steps: ``values`` (C, N) after each character.

    ``scores`` (C,) are those of :mod:`charrnn.inspection.gallery`.
    """

    step: int
    cells: tuple[tuple[int, int], ...]
    values: np.ndarray
    scores: np.ndarray


def moments(run: Path) -> list[Moment]:
    """The moments in the log of the run in the folder ``run``.

    Raises:
        CheckpointError: there is no log, or it is not one.
    """
    found: dict[int, Moment] = {}
    epoch = loss = val_loss = None
    steps = 0
    for event, record in _records(run / METRICS):
        if event == "step":
            epoch = record["epoch"]
            if record["loss"] is not None:
                steps += 1
                # A window that grows to its full length with the run does not drag the first losses along.
                weight = max(1 / _SMOOTHING_STEPS, 1 / (1 + steps / 5))
                loss = record["loss"] if loss is None else loss + weight * (record["loss"] - loss)
        elif event == "evaluated":
            val_loss = record["val_loss"]
        elif event == "sampled":
            text = record["text"]
            found[record["step"]] = Moment(record["step"], epoch, loss, val_loss, record["temperature"], text)
    return list(found.values())


def losses(run: Path) -> tuple[np.ndarray, np.ndarray]:
    """Training losses (S, 2) and validation losses (E, 2) of the log: steps and nats per character.

    Raises:
        CheckpointError: there is no log, or it is not one.
    """
    points: dict[str, list[tuple[int, float]]] = {"step": [], "evaluated": []}
    names = {"step": "loss", "evaluated": "val_loss"}
    for event, record in _records(run / METRICS):
        if event in names and record[names[event]] is not None:
            points[event].append((record["step"], record[names[event]]))
    training, validation = (np.array(points[event], float).reshape(-1, 2) for event in names)
    return training, validation


_NUMBER = (int, float, type(None))
_LARGEST = 1e38  # a run computes in float32; the log may be anybody's
_FIELDS = {
    "step": {"step": (int,), "epoch": _NUMBER, "loss": _NUMBER},
    "evaluated": {"step": (int,), "val_loss": _NUMBER},
    "sampled": {"step": (int,), "temperature": (int, float), "text": (str,)},
}


def _records(log: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        lines = log.read_bytes().splitlines()
    except OSError as error:
        raise CheckpointError(f"{log}: no log of a run ({error.strerror or error})") from None
    for number, line in enumerate(lines, 1):
        try:
            record = strict_json.parse(line)
            event = record["event"]
            fields = {name: (record[name], kinds) for name, kinds in _FIELDS.get(event, {}).items()}
            if any(type(value) not in kinds for value, kinds in fields.values()):
                raise ValueError("a field of another kind")
            if any(isinstance(value, int | float) and abs(value) > _LARGEST for value, _ in fields.values()):
                raise ValueError("a number too large to be one of a run")
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):  # cut short by a crash
                return
            raise CheckpointError(f"{log}: line {number:,} is no record ({error})") from None
        yield event, record


def growth(
    run: Path,
    ids: np.ndarray,
    cells: Sequence[tuple[int, int]] = (),
    count: int = 3,
    signal: str = "c",
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Reading | None, list[Growth]]:
    """What some cells did at each snapshot of ``run`` while the model of that step reads ids (N,).

    Args:
        run: the folder of a run.
        ids: a text of some thousand characters; every signal of every cell is held in memory.
        cells: (layer, unit); with none the ``count`` best of the gallery at the last snapshot.
        count: see ``cells``.
        signal: what is looked at, one of :data:`charrnn.inspection.reading.SIGNALS`.
        threads: as for :func:`charrnn.load`.
        progress: called with the snapshots done and their number.

    Returns:
        The reading of the last snapshot, None if there are no snapshots, and the growth, in the order of steps.

    Raises:
        CheckpointError: a snapshot is damaged.
        ConfigError: there is no such cell, or nothing to read.
    """
    snapshots, found, last = Snapshots(run), [], None
    steps = snapshots.steps()
    for done, step in enumerate(reversed(steps), 1):
        reading = read(Model.from_checkpoint(snapshots.load(step), threads), ids, signal)
        if last is None:
            last = reading
            cells = tuple(cells) or tuple((find.layer, find.unit) for find in gallery(reading, count))
        values = np.stack([reading.cell(*cell) for cell in cells])
        ranked = scores(reading)
        found.append(Growth(step, tuple(cells), values, np.array([ranked[cell] for cell in cells])))
        if progress is not None:
            progress(done, len(steps))
    return last, found[::-1]
