"""Where a run keeps its checkpoints and its records: in a folder, or in memory."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.description import Description
from charrnn.checkpoints.run_folder import Warn
from charrnn.checkpoints.snapshots import Snapshots
from charrnn.records import Record


class RunStore(Protocol):
    """What training asks of a place for a run.

    The places are :class:`charrnn.checkpoints.run_folder.RunFolder` and
    :class:`charrnn.checkpoints.run_in_memory.RunInMemory`. Each method raises CheckpointError if what it reads is not
    there or damaged, or if something cannot be written.
    """

    @property
    def path(self) -> Path | None:
        """The folder, or None in memory."""

    @property
    def last(self) -> Path | None:
        """The file of the last checkpoint, or None in memory."""

    @property
    def best(self) -> Path | None:
        """The file of the best checkpoint, or None in memory."""

    @property
    def snapshots(self) -> Snapshots | None:
        """Weights along the run, or None in memory, where none are kept."""

    def exists(self) -> bool:
        """Whether there is a model."""

    def locked(self) -> AbstractContextManager[None]:
        """Keep other runs out during the block."""

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

    def load_best(self) -> Checkpoint:
        """The best checkpoint."""

    def record(self, record: Record) -> None:
        """Keep a record, if records are kept."""

    def teacher(self, number: int) -> "RunStore":
        """Where the run of a teacher, counted from 1, is kept."""

    def bind_teacher(self, number: int) -> None:
        """Note in the log which model the teacher is, if there is a log."""

    def remove_teachers(self) -> None:
        """Remove the models of all teachers."""
