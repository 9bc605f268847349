"""Light checkpoints along a run, the weights alone: ``steps/00000100.safetensors`` in its folder.

They are taken where samples are drawn, at most two for every doubling of the steps: what a network learns early it
learns fast.  Whether a step is kept follows from the steps before it, so a resumed run has the same ones.
"""

import re
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CheckpointError

FOLDER = "steps"
A_DOUBLING = 2  # snapshots for a doubling of the steps


class Snapshots:
    """The snapshots of the run in the folder ``run``."""

    def __init__(self, run: Path):
        self.folder = run / FOLDER

    def steps(self) -> list[int]:
        """The steps that there are, in order.

        Raises:
            CheckpointError: the folder cannot be read.
        """
        try:
            names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        except OSError as error:
            raise CheckpointError(f"{self.folder}: cannot be read ({error.strerror or error})") from None
        return sorted(int(found[1]) for name in names if (found := re.fullmatch(r"(\d{8,18})\.safetensors", name)))

    def path(self, step: int) -> Path:
        """Where the snapshot of a step is, or would be."""
        return self.folder / f"{step:08}.safetensors"

    def is_due(self, step: int) -> bool:
        """Whether ``step`` is the first one of its half of a doubling."""
        return all(_slot(step) != _slot(other) for other in self.steps())

    def save(self, step: int, checkpoint: Checkpoint) -> None:
        """Keep the weights of a step.

        Raises:
            CheckpointError: the disk refuses.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"{self.folder}: cannot be made ({error.strerror or error})") from None
        checkpoint.save(self.path(step))

    def load(self, step: int) -> Checkpoint:
        """The snapshot of a step.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        return Checkpoint.load(self.path(step))

    def rewind(self, step: int) -> None:
        """Remove those from after ``step``; with step 0 that is all.

        Raises:
            CheckpointError: one cannot be removed.
        """
        for later in self.steps():
            if later > step or not step:
                try:
                    self.path(later).unlink(missing_ok=True)
                except OSError as error:
                    raise CheckpointError(f"{self.path(later)}: cannot be removed ({error.strerror})") from None


def most(first: int, last: int) -> int:
    """How many snapshots there can be at most from step ``first`` to ``last``."""
    return _slot(last) - _slot(first) + 1 if last >= first else 0


def _slot(step: int) -> int:
    """Which half of which doubling a step is in: floor(2 log2(step)), from whole numbers alone."""
    return (step**A_DOUBLING).bit_length() - 1
