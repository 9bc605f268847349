"""Where a run keeps its checkpoints and its records: in a folder, or in memory."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.description import Description
from charrnn.checkpoints.snapshots import Snapshots
from charrnn.errors import CheckpointError
from charrnn.records import Record

Warn = Callable[[str], None]
"""Called with one line for the user."""


class RunStore:
    """What training asks of a place for a run. This place keeps nothing; a class that inherits keeps what it can.

    The places are :class:`charrnn.checkpoints.run_folder.RunFolder` and
    :class:`charrnn.checkpoints.run_in_memory.RunInMemory`. Each method raises CheckpointError if what it reads is not
    there or damaged, or if something cannot be written.

    Attributes:
        path: the folder, or None in memory, as the others.
        last: the file of the last checkpoint.
        best: the file of the best checkpoint.
        snapshots: weights along the run.
    """

    path: Path | None = None
    last: Path | None = None
    best: Path | None = None
    snapshots: Snapshots | None = None

    def exists(self) -> bool:
        """Whether there is a model."""
        return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out during the block."""
        yield

    def begin(self, checkpoint: Checkpoint) -> None:
        """Keep the first checkpoint of a new run, and forget an older run."""

    def to_resume(self, warn: Warn) -> Checkpoint | None:
        """The checkpoint to resume the run from, or None if there is none."""

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Forget everything from after ``checkpoint``, from which the run is resumed."""

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint."""

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Replace the best checkpoint."""

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep a whole checkpoint along the run, from which a part of it can be trained again."""

    def last_kept(self) -> Description | None:
        """What the latest kept checkpoint says, or None if there is none."""

    def load(self, warn: Warn) -> Checkpoint:
        """The best checkpoint, or else the last one."""
        return self.load_best()

    def load_best(self) -> Checkpoint:
        """The best checkpoint."""
        raise CheckpointError("the run has no best checkpoint yet")

    def record(self, record: Record) -> None:
        """Keep a record, if records are kept."""

    def teacher(self, number: int) -> "RunStore":
        """Where the run of a teacher, counted from 1, is kept."""
        return RunStore()

    def bind_teacher(self, number: int) -> None:
        """Note in the log which model the teacher is, if there is a log."""

    def remove_teachers(self) -> None:
        """Remove the models of all teachers."""
