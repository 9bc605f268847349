"""The stages of a run with teachers: each teacher, then the run itself."""

from collections.abc import Iterator

from charrnn.checkpoints.run_store import Warn
from charrnn.records import ProgressCallback, no_progress
from charrnn.training.teachers import Teachers
from charrnn.training.trainer import Trainer


class Stages:
    """The stages of a run, which can be stopped in any of them.

    Args:
        trainer: of the run.
        warn: called with a line about a damaged checkpoint of a teacher.

    Attributes:
        teachers: how many there are.
    """

    def __init__(self, trainer: Trainer, warn: Warn):
        self._trainer, self._teachers = trainer, Teachers(trainer.subject, trainer.folder, warn)
        self.teachers = self._teachers.count
        self._current = trainer
        self._stopped = False

    def stop(self) -> None:
        """Have the current stage save and end after its step. No further stage begins."""
        self._stopped = True
        self._current.stop()
        self._trainer.stop()

    def to_train(self) -> Iterator[tuple[int, Trainer]]:
        """The number and the trainer of each teacher that is not complete. Train it before asking for the next one.

        Raises:
            CharRNNError: a checkpoint cannot be read or written.
        """
        for number, teacher in self._teachers.trainers():
            self._current = teacher
            if self._stopped:  # while the teacher was made
                return
            yield number, teacher
            if self._stopped:
                return
        self._current = self._trainer

    def teach(self, progress: ProgressCallback = no_progress) -> None:
        """Have the run learn from its teachers, unless it is complete or was stopped.

        Raises:
            CheckpointError: a teacher is not there any more, or damaged.
        """
        if self.teachers and not self._stopped and not self._trainer.is_complete:
            self._teachers.teach(progress)
