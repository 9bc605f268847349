"""The stages of a run with teachers: each teacher, then the run itself."""

from collections.abc import Callable

from charrnn.commands.work import Work


class Stages:
    """Trains the teachers of a run, if it has some.

    Args:
        trainer: of the run.
        work: the command.
    """

    def __init__(self, trainer, work: Work):
        self._trainer, self._work = trainer, work
        self._current = trainer
        self._stopped = False

    def stop(self) -> None:
        """Ask the stage to save and end after its current step, and all stages after it not to begin."""
        self._stopped = True
        self._current.stop()
        self._trainer.stop()

    def train_teachers(self, show: Callable) -> None:
        """Train those teachers that are not complete, and have the run learn from them; ``show`` goes through a run.

        Raises:
            CharRNNError: a teacher diverged, or one of its files cannot be read or written.
        """
        from charrnn.display.terminal import numbers
        from charrnn.training.teachers import Teachers

        terminal, run = self._work.terminal, self._trainer.subject
        teachers = Teachers(run, self._trainer.folder, terminal.warn)
        for number, trainer in teachers.trainers():
            self._current = trainer
            if self._stopped:  # while the teacher was made
                return
            left = teachers.count + 1 - number
            terminal.note(
                f"Teacher {number} of {teachers.count}; after it {left} more run{'s' * (left > 1)} of this length"
            )
            show(trainer)
            if self._stopped:
                return
            loss = trainer.counters.best_val_loss
            if loss is not None:
                terminal.note(f"Teacher {number} of {teachers.count}: validation {numbers.loss(loss)}")
        self._current = self._trainer
        if teachers.count and not self._trainer.is_complete:
            with self._work.bar("Teachers read") as progress:
                teachers.teach(progress)
