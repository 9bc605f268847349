"""A list of the runs in a folder, and of the models in files there.

It comes from the headers of the checkpoints and from the ends of the logs.  No tensor is read, so a list of many large
runs is fast, and a checkpoint whose weights are damaged is not noticed.
"""

from dataclasses import dataclass
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.description import Description
from charrnn.checkpoints.model_set import is_model_set
from charrnn.checkpoints.run_folder import LOCK, candidates
from charrnn.checkpoints.run_log import last_record
from charrnn.checkpoints.run_names import BEST, LAST, SUFFIX, places
from charrnn.errors import CheckpointError, os_errors_as
from charrnn.system.files import is_locked


@dataclass(frozen=True)
class Run:
    """A run in a folder, or a model in a file.

    Attributes:
        path: the run's folder, or the file.
        changed_at: when its checkpoint was written, in seconds since 1970.
        description: what its last checkpoint says, or its best one if there is no last one; None if neither can be
            read.
        problem: why it cannot be read, or "".
        is_training: whether a process trains it now.
        is_set: whether it is a set of several models in a file, which only ``charrnn identify`` reads.
        ending: the reason for which the run ended, as in :class:`charrnn.records.Finished`; "" if it has not ended, or
            was killed.
        mixed_val_loss: the validation loss with n-grams, if the run has mixed them in.
    """

    path: Path
    changed_at: float
    description: Description | None = None
    problem: str = ""
    ending: str = ""
    mixed_val_loss: float | None = None
    is_training: bool = False
    is_set: bool = False

    @property
    def name(self) -> str:
        """The name by which commands find it."""
        return self.path.stem if self.is_file else self.path.name

    @property
    def is_file(self) -> bool:
        """Whether it is a model in a file, such as ``charrnn export`` writes."""
        return self.path.suffix == SUFFIX and not self.path.is_dir()

    @property
    def is_resumable(self) -> bool:
        """Whether ``train --resume`` has something left to do: the run was interrupted or killed."""
        has_ended = self.ending not in ("", "interrupted")
        return not (has_ended or self.is_training) and self.description is not None and (self.path / LAST).is_file()


def list_runs(folder: Path) -> list[Run]:
    """The runs in a folder, and the models in files there, the latest first; empty if there is no such folder."""
    return sorted(map(_read, places(folder)), key=lambda run: run.changed_at, reverse=True)


def open_run(path: Path) -> Run:
    """The run in the folder ``path``, or the model in this file, whose description can be read.

    Raises:
        CheckpointError: there is none, or its header is damaged.
    """
    file = candidates(path, LAST)[0]
    description = Checkpoint.describe(file)
    with os_errors_as(CheckpointError, f"{file}: cannot be read"):
        changed_at = file.stat().st_mtime
    return _described(path, changed_at, description)


def _read(path: Path) -> Run:
    """The run in the folder ``path``, or the model in this file."""
    file, changed_at = path, 0.0
    if path.is_dir():
        file = next((path / name for name in (LAST, BEST) if (path / name).is_file()), path / BEST)
    try:
        changed_at = file.stat().st_mtime
        description = Checkpoint.describe(file)
    except (CheckpointError, OSError) as error:
        return Run(path, changed_at, problem=str(error), is_set=is_model_set(file))
    return _described(path, changed_at, description)


def _described(path: Path, changed_at: float, description: Description) -> Run:
    """The run at ``path``; its log says why it ended, and its lock whether a process trains it."""
    return Run(path, changed_at, description, "", *_ending(path), is_locked(path / LOCK))


def _ending(run: Path) -> tuple[str, float | None]:
    """Why a run ended, and its loss with n-grams: from the last record, if that is the one of an end."""
    event, record = last_record(run) or ("", {})
    reason, loss = record.get("reason"), record.get("mixed_val_loss")
    if event != "finished" or not isinstance(reason, str):
        return "", None
    return reason, loss if isinstance(loss, float) else None
