"""A run's folder: ``last``, ``previous`` and ``best.safetensors``, and ``metrics.jsonl``.

The order of writing makes a kill harmless at any moment.  The log is on the disk before a checkpoint that says how far
the run is; the best checkpoint before the last one that knows of it.  What a dead run wrote after its last checkpoint
is written again by the one that goes on from there.
"""

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.snapshots import Snapshots
from charrnn.errors import CheckpointError
from charrnn.records import Record
from charrnn.system.files import flush_file, lock_file, remove_temporaries, write_durably

LAST, PREVIOUS, BEST = "last.safetensors", "previous.safetensors", "best.safetensors"
METRICS, LOCK = "metrics.jsonl", ".lock"

Warn = Callable[[str], None]


class RunFolder:
    """Where a run keeps its checkpoints and its log.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path):
        self.path = path
        self._last_is_good = False  # read or written by this run, and so worth a place as the previous one

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.path / LAST

    @property
    def previous(self) -> Path:
        """The one before, for when the last is damaged."""
        return self.path / PREVIOUS

    @property
    def best(self) -> Path:
        """The weights with the best validation loss."""
        return self.path / BEST

    @property
    def snapshots(self) -> Snapshots:
        """Weights along the way."""
        return Snapshots(self.path)

    @property
    def log(self) -> Path:
        """Every record of the run."""
        return self.path / METRICS

    def exists(self) -> bool:
        """Whether a model is there already; a run that was stopped before it saved one is none."""
        return any((self.path / name).exists() for name in (LAST, PREVIOUS, BEST))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out of the folder, and clear away what dead ones left half written.

        The lock dies with the process that holds it.

        Raises:
            CheckpointError: another run has it.
        """
        with self._writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / LOCK).open("ab")
        with file:
            try:
                lock_file(file)
            except OSError:
                raise CheckpointError(f"{self.path}: another run is writing there; choose another --name") from None
            with self._writing(self.path):
                for place in (self.path, self.snapshots.folder):
                    if place.is_dir():
                        remove_temporaries(place)
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

    @contextlib.contextmanager
    def _writing(self, path: Path) -> Iterator[None]:
        """Say what could not be written."""
        try:
            yield
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from None

    # ---- a run's life ---------------------------------------------------------------------------------

    def begin(self, checkpoint: Checkpoint) -> None:
        """Make the folder that of a new run, which ``checkpoint`` can start.

        An older run there is replaced in one moment, by the new last checkpoint; what else it left is then removed.

        Raises:
            CheckpointError: the folder cannot be made or written.
        """
        with self._writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._remove(self.previous)
        self.save_last(checkpoint)
        self.rewind(checkpoint)

    def load_last(self, warn: Warn) -> tuple[Path, Checkpoint]:
        """The checkpoint to resume from and where it was: the last one, or if that is damaged or lost the one before.

        Raises:
            CheckpointError: there is none that is whole.
        """
        if not self.last.is_file() and not self.previous.is_file():
            advice = "leave --resume out to start the run"
            if self.best.is_file():
                advice = f"{BEST} has weights only: start a run of another --name from them with --init-from"
            raise CheckpointError(f"{self.last}: nothing to resume; {advice}")
        path, checkpoint = _first_whole([self.last, self.previous], warn)
        self._last_is_good = path == self.last
        return path, checkpoint

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Have nothing in the folder from after ``checkpoint``, so that the run that goes on has every step once.

        Raises:
            CheckpointError: the log cannot be written.
        """
        if checkpoint.counters["best_step"] is None:
            self._remove(self.best)
        step = checkpoint.counters["step"]
        self.snapshots.rewind(step)
        with self._writing(self.log):
            lines = self.log.read_bytes().splitlines() if step and self.log.exists() else []
            kept = [line for line in lines if _recorded_step(line) <= step]
            write_durably(self.log, b"".join(line + b"\n" for line in kept))

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint, which becomes the previous one.

        Raises:
            CheckpointError: the disk refuses; both are as they were.
        """
        with self._writing(self.log):
            flush_file(self.log)
        checkpoint.save(self.last, self.previous if self._last_is_good else None)
        self._last_is_good = True

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Replace the best checkpoint.

        Raises:
            CheckpointError: the disk refuses; it is as it was.
        """
        checkpoint.save(self.best)

    def record(self, record: Record) -> None:
        """Append one record to the log.

        Raises:
            CheckpointError: the log cannot be written.
        """
        line = json.dumps(record.to_dict(), ensure_ascii=True, allow_nan=False)
        with self._writing(self.log), self.log.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be removed ({error.strerror or error})") from None


def _recorded_step(line: bytes) -> float:
    """The step of a line of the log; a line cut short by a crash counts as after everything."""
    try:
        record = json.loads(line)
        return float("inf") if record["event"] == "finished" else float(record["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return float("inf")


# ---- checkpoints by a path that a user gave -----------------------------------------------------------


def open_checkpoint(path: Path, prefer: str = BEST, warn: Warn = warnings.warn) -> tuple[Path, Checkpoint]:
    """The checkpoint meant by ``path`` and where it was; if that is damaged another of the run, which ``warn`` is told.

    Raises:
        CheckpointError: there is none that is whole.
    """
    return _first_whole(_meant(path, prefer), warn)


def load_checkpoint(path: Path, prefer: str = BEST, warn: Warn = warnings.warn) -> Checkpoint:
    """The checkpoint of :func:`open_checkpoint`."""
    return open_checkpoint(path, prefer, warn)[1]


def _meant(path: Path, prefer: str) -> list[Path]:
    """The files that ``path`` can mean, at least one, the one to take first."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such checkpoint{_runs_in(path.parent)}")
    names = dict.fromkeys((prefer, *((BEST, LAST, PREVIOUS) if prefer == BEST else (LAST, PREVIOUS, BEST))))
    places = [path / name for name in names if (path / name).is_file()]
    if not places:
        raise CheckpointError(f"{path}: no checkpoint in this folder{_runs_in(path)}")
    return places


def _first_whole(places: list[Path], warn: Warn) -> tuple[Path, Checkpoint]:
    """The first of ``places`` that can be read, with a warning if it is not the very first.

    Raises:
        CheckpointError: none can; what is wrong with the first.
    """
    failures = []
    for place in places:
        try:
            checkpoint = Checkpoint.load(place)
        except CheckpointError as error:
            failures.append(error)
            continue
        if failures:
            step = checkpoint.counters.get("step")
            warn(f"{failures[0]}; {place.name}{'' if step is None else f', of step {step:,},'} is taken instead")
        return place, checkpoint
    raise failures[0]


def _runs_in(folder: Path) -> str:
    """A hint at the runs that a folder holds."""
    try:
        runs = sorted(child.name for child in folder.iterdir() if (child / LAST).is_file())
    except OSError:
        runs = []
    if not runs:
        return "; give the folder of a run, like checkpoints/NAME, or a checkpoint file"
    return f"; {folder} has the run{'s' * (len(runs) > 1)} {', '.join(runs[:8])}"
