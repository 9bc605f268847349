"""A run's folder: ``last.safetensors``, ``best.safetensors`` and ``metrics.jsonl``."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from charrnn.checkpoint import Checkpoint
from charrnn.errors import CheckpointError
from charrnn.files import lock_file, write_durably
from charrnn.records import Record

LAST, BEST, METRICS, LOCK = "last.safetensors", "best.safetensors", "metrics.jsonl", ".lock"


class RunFolder:
    """Where a run keeps its checkpoints and its log.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path):
        self.path = path

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / LAST

    @property
    def best(self) -> Path:
        """The weights with the best validation loss."""
        return self.path / BEST

    def exists(self) -> bool:
        """Whether a model is there already; a run that was stopped before it saved one is none."""
        return any((self.path / name).exists() for name in (LAST, BEST))

    def create(self) -> None:
        """Make the folder and start its log anew; an older run's checkpoints stay until they are replaced.

        Raises:
            CheckpointError: it cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_durably(self.path / METRICS, b"")
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot be written ({error.strerror or error})") from None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder. The lock dies with the process that holds it.

        Raises:
            CheckpointError: another run has it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / LOCK).open("a")
        except OSError as error:
            raise CheckpointError(f"{self.path}: cannot be written ({error.strerror or error})") from None
        with file:
            try:
                lock_file(file)
            except OSError:
                raise CheckpointError(f"{self.path}: another run is writing there; choose another --name") from None
            try:
                yield
            finally:
                self._leave_nothing()

    def _leave_nothing(self) -> None:
        """Remove the folder if nothing but the lock came to be in it."""
        with contextlib.suppress(OSError):
            if [path.name for path in self.path.iterdir()] == [LOCK]:
                (self.path / LOCK).unlink()
                self.path.rmdir()

    def forget_best(self) -> None:
        """Remove the best checkpoint of a run that this one has replaced."""
        try:
            self.best.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(f"{self.best}: cannot be removed ({error.strerror or error})") from None

    def rewind(self, step: int) -> None:
        """Drop from the log what was recorded after ``step``, so that a resumed run has every step once.

        Raises:
            CheckpointError: the log cannot be written.
        """
        log = self.path / METRICS
        try:
            lines = log.read_text("utf-8").splitlines() if log.exists() else []
            kept = [line for line in lines if _recorded_step(line) <= step]
            write_durably(log, "".join(f"{line}\n" for line in kept).encode())
        except OSError as error:
            raise CheckpointError(f"{log}: cannot be rewritten ({error.strerror or error})") from None

    def record(self, record: Record) -> None:
        """Append one record to the log.

        Raises:
            CheckpointError: the log cannot be written.
        """
        line = json.dumps(record.to_dict(), ensure_ascii=True, allow_nan=False)
        try:
            with (self.path / METRICS).open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")
        except OSError as error:
            raise CheckpointError(f"{self.path / METRICS}: cannot be written ({error.strerror or error})") from None


def _recorded_step(line: str) -> float:
    """The step of a line of the log; a line cut short by a crash counts as after everything."""
    try:
        record = json.loads(line)
        return float("inf") if record["event"] == "finished" else record["step"]
    except (ValueError, KeyError, TypeError):
        return float("inf")


def find_checkpoint(path: Path, prefer: str = BEST) -> Path:
    """The file meant by ``path``: itself, or in a run's folder the preferred checkpoint, or the other one.

    Raises:
        CheckpointError: there is none, with what is there instead.
    """
    if path.is_file():
        return path
    if path.is_dir():
        for name in (prefer, LAST, BEST):
            if (path / name).is_file():
                return path / name
        raise CheckpointError(f"{path}: no checkpoint in this folder{_runs_in(path)}")
    raise CheckpointError(f"{path}: no such checkpoint{_runs_in(path.parent)}")


def _runs_in(folder: Path) -> str:
    """A hint at the runs that a folder holds."""
    try:
        runs = sorted(child.name for child in folder.iterdir() if (child / LAST).is_file())
    except OSError:
        return ""
    return f"; {folder} has the run{'s' * (len(runs) > 1)} {', '.join(runs[:8])}" if runs else ""


def load_checkpoint(path: Path, prefer: str = BEST) -> Checkpoint:
    """:func:`find_checkpoint`, read."""
    return Checkpoint.load(find_checkpoint(path, prefer))
