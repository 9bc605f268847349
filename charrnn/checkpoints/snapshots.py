"""Checkpoints along a run: snapshots in ``steps/00000100.safetensors`` in its folder, kept checkpoints in ``kept/``.

Snapshots are weights, for people who want to see how a network learnt.  Kept checkpoints are whole ones, from which any
part of the run can be trained again; the run's plan says where they are due.

Snapshots are taken where samples are drawn, at most two for every doubling of the steps, because a network changes most
in its first steps.  Whether a step is kept depends on the steps before it alone, so a resumed run has the same
snapshots.
"""

import re
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CheckpointError, os_errors_as

FOLDER, KEPT = "steps", "kept"
PER_DOUBLING = 2  # snapshots for every doubling of the steps


class Snapshots:
    """The snapshots of the run in the folder ``run``, or, in the folder :data:`KEPT`, its kept checkpoints."""

    def __init__(self, run: Path, name: str = FOLDER):
        self.folder = run / name

    def steps(self) -> list[int]:
        """The steps that have a snapshot, in order.

        Raises:
            CheckpointError: the folder cannot be read.
        """
        with os_errors_as(CheckpointError, f"{self.folder}: cannot be read"):
            names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(int(found[1]) for name in names if (found := re.fullmatch(r"(\d{8,18})\.safetensors", name)))

    def path(self, step: int) -> Path:
        """The file of a step's snapshot, whether it exists or not."""
        return self.folder / f"{step:08}.safetensors"

    def is_due(self, step: int) -> bool:
        """Whether ``step`` is the first one in its half of a doubling."""
        return all(_half_doubling(step) != _half_doubling(other) for other in self.steps())

    def save(self, step: int, checkpoint: Checkpoint) -> str:
        """Save the snapshot of a step; returns the SHA-256 of the file.

        Raises:
            CheckpointError: the disk refuses.
        """
        with os_errors_as(CheckpointError, f"{self.folder}: cannot be made"):
            self.folder.mkdir(exist_ok=True)
        return checkpoint.save(self.path(step))

    def load(self, step: int) -> Checkpoint:
        """Load the snapshot of a step.

        Raises:
            CheckpointError: it does not exist, or is damaged.
        """
        return Checkpoint.load(self.path(step))

    def rewind(self, step: int) -> None:
        """Remove the snapshots from after ``step``; with step 0, remove all.

        Raises:
            CheckpointError: one cannot be removed.
        """
        for later in self.steps():
            if later > step or not step:
                with os_errors_as(CheckpointError, f"{self.path(later)}: cannot be removed"):
                    self.path(later).unlink(missing_ok=True)


def most_snapshots(first: int, last: int) -> int:
    """The largest possible number of snapshots from step ``first`` to step ``last``."""
    return _half_doubling(last) - _half_doubling(first) + 1 if last >= first else 0


def _half_doubling(step: int) -> int:
    """The number of the half doubling that a step is in: floor(2 log2(step)), computed exactly, with integers."""
    return (step**PER_DOUBLING).bit_length() - 1
