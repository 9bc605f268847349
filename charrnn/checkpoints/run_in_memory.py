"""A run that is kept in memory: it writes no file, and cannot be resumed."""

from dataclasses import replace

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_store import RunStore, Warn
from charrnn.errors import CheckpointError


class RunInMemory(RunStore):
    """The best weights of a run, and the last ones, without what only a resume needs.

    There are no files, no log and no checkpoints along the run.
    """

    def __init__(self) -> None:
        self._best: Checkpoint | None = None
        self._last: Checkpoint | None = None
        self._teachers: dict[int, RunInMemory] = {}

    def exists(self) -> bool:
        """Whether there is a model."""
        return self._last is not None

    def begin(self, checkpoint: Checkpoint) -> None:
        """Keep the first checkpoint of a new run."""
        self._best = None
        self.save_last(checkpoint)

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Refuse to resume a run: its best weights are not here.

        Raises:
            CheckpointError: always.
        """
        raise CheckpointError("a run in memory cannot be resumed: keep it in a folder")

    def load(self, warn: Warn) -> Checkpoint:
        """The best checkpoint, or else the last one.

        Raises:
            CheckpointError: there is none.
        """
        found = self._best or self._last
        if found is None:
            raise CheckpointError("the run has no checkpoint yet")
        return found

    def load_best(self) -> Checkpoint:
        """The best checkpoint.

        Raises:
            CheckpointError: there is none.
        """
        return self._best or super().load_best()

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint."""
        self._last = _copied(checkpoint)

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Replace the best checkpoint."""
        self._best = _copied(checkpoint)

    def teacher(self, number: int) -> "RunInMemory":
        """Where the run of a teacher, counted from 1, is kept."""
        return self._teachers.setdefault(number, RunInMemory())

    def remove_teachers(self) -> None:
        """Forget all teachers."""
        self._teachers.clear()


def _copied(checkpoint: Checkpoint) -> Checkpoint:
    """A copy for later: a run goes on to change the arrays and the counters of its checkpoints."""
    parameters = {name: np.array(value) for name, value in checkpoint.parameters.items()}
    return replace(
        checkpoint,
        parameters=parameters,
        counters=dict(checkpoint.counters),
        history=list(checkpoint.history),
        optimizer={},
        state=None,
    )
