"""The folder of a run: ``last``, ``previous`` and ``best.safetensors``, ``metrics.jsonl``, snapshots, kept checkpoints.

The order of writing makes a kill harmless at any moment.  The log is on the disk before a checkpoint that counts its
steps; the best checkpoint is on the disk before a last checkpoint that knows of it.  Records that a killed run wrote
after its last checkpoint are removed when the run resumes from there, and written again.

The log has the digests of the files: see :mod:`charrnn.checkpoints.seals`.
"""

import contextlib
import hashlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.description import Description
from charrnn.checkpoints.run_names import BEST, LAST, METRICS, PREVIOUS, SHARED, known_runs, located
from charrnn.checkpoints.run_store import RunStore, Warn
from charrnn.checkpoints.seals import Sealing, digest_of, is_seal, names_in
from charrnn.checkpoints.snapshots import KEPT, Snapshots
from charrnn.errors import CheckpointError, os_errors_as
from charrnn.records import Record
from charrnn.system.files import flush_file, lock_file, open_regular, read_regular, remove_temporaries, write_durably

LOCK = ".lock"
LONGEST_LOG = 2**31  # bytes: some million steps
_OF_OTHERS = (".pt", ".pth", ".t7")  # endings of files of PyTorch and Torch 7


class RunFolder(RunStore):
    """The folder in which a run keeps its checkpoints and its log.

    Attributes:
        path: the folder.
        last: the checkpoint to resume from.
        previous: the last checkpoint before it, for the case that ``last`` is damaged.
        best: the weights with the best validation loss.
        log: every record of the run, one JSON object a line.
        snapshots: weights along the run.
        kept: whole checkpoints along the run.
    """

    def __init__(self, path: Path):
        self.path = path
        self.last, self.previous, self.best = path / LAST, path / PREVIOUS, path / BEST
        self.log = path / METRICS
        self.snapshots, self.kept = Snapshots(path), Snapshots(path, KEPT)
        self._sealing = Sealing()
        self._last_is_good = False  # this run has read or written it, so it may become the previous one

    def exists(self) -> bool:
        """Whether the folder has a model. A run that was stopped before it saved one does not count."""
        return any(path.exists() for path in (self.last, self.previous, self.best))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder against other runs, and remove the temporary files of killed ones.

        The lock ends with the block, or with the process.

        Raises:
            CheckpointError: another run has locked the folder, or it cannot be written.
        """
        was_there = self.path.is_dir()
        with self._writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            file = open_regular(self.path / LOCK, "ab")
        with file:
            try:
                lock_file(file)
            except OSError:
                raise CheckpointError(
                    f"{self.path}: a process trains it now; wait for its end, or choose another --name for a new run"
                ) from None
            with self._writing(self.path):
                for folder in (self.path, self.snapshots.folder, self.kept.folder):
                    if folder.is_dir():
                        remove_temporaries(folder)
            try:
                yield
            finally:
                self._clear_up(keeps_folder=was_there)

    def _clear_up(self, keeps_folder: bool) -> None:
        """Remove the lock if nothing else is in the folder, and then also the folder unless it is the user's."""
        with contextlib.suppress(OSError):
            if [path.name for path in self.path.iterdir()] == [LOCK]:
                (self.path / LOCK).unlink()
                if not keeps_folder:
                    self.path.rmdir()

    def _writing(self, path: Path) -> contextlib.AbstractContextManager[None]:
        return os_errors_as(CheckpointError, f"{path}: cannot be written")

    # ---- a run's life ---------------------------------------------------------------------------------

    def begin(self, checkpoint: Checkpoint) -> None:
        """Save the first checkpoint of a new run, and remove an older run from the folder.

        The new last checkpoint replaces the older run in one moment. Its previous one is removed before, its other
        files after that.

        Raises:
            CheckpointError: the folder cannot be made or written, or something in it is in the way; an older run is
                then as it was.
        """
        self._require_files()
        with self._writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._remove(self.previous)
        self.save_last(checkpoint)
        self.rewind(checkpoint)

    def load_last(self, warn: Warn) -> tuple[Path, Checkpoint]:
        """The path and the checkpoint to resume from: the last one, or the previous one if the last is damaged or lost.

        Raises:
            CheckpointError: both are damaged or lost, or something in the folder is in the way of the run.
        """
        self._require_files()
        if not self.last.is_file() and not self.previous.is_file():
            known = known_runs(self.path.parent, self.path.name)
            advice = f"to start a run, name a text and leave --resume out; {known}"
            if self.best.is_file():
                advice = f"{BEST} has weights only: start a run of another --name from them with --init-from"
            raise CheckpointError(f"{self.last}: nothing to resume; {advice}")
        path, checkpoint = _first_readable([self.last, self.previous], warn)
        self._last_is_good = path == self.last
        return path, checkpoint

    def to_resume(self, warn: Warn) -> Checkpoint | None:
        """The checkpoint of :meth:`load_last`, or None if the folder has no model."""
        return self.load_last(warn)[1] if self.exists() else None

    def _require_files(self) -> None:
        """Refuse pipes, devices and folders where the run will write its files.

        Raises:
            CheckpointError: it names the first of them.
        """
        along = [each.path(step) for each in (self.snapshots, self.kept) for step in each.steps()]
        for path in (self.last, self.previous, self.best, self.log, *along):
            if path.exists() and not path.is_file():
                raise CheckpointError(f"{path}: it is not a regular file: move it away")
        for folder in (self.snapshots.folder, self.kept.folder):
            if folder.exists() and not folder.is_dir():
                raise CheckpointError(f"{folder}: it is not a folder: move it away")

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Remove everything from after ``checkpoint``, so that a run that resumes from it records every step once.

        Raises:
            CheckpointError: the log cannot be written, or a file cannot be removed.
        """
        if checkpoint.counters["best_step"] is None:
            self._remove(self.best)
        step = checkpoint.counters["step"]
        self.snapshots.rewind(step)
        self.kept.rewind(step)
        with self._writing(self.log):
            lines = read_regular(self.log, LONGEST_LOG).splitlines() if step and self.log.exists() else []
            kept = _up_to(step, lines)
            data = b"".join(line + b"\n" for line in kept)
            self._sealing.begin(data)
            if step:
                self._seal_unsealed(names_in(iter(kept)))
            best = self._without_ngrams() if step else None
            if best is not None:
                # The log first, so that it has the digest of the new file even if the process is killed in between.
                self._sealing.add(BEST, hashlib.sha256(best).hexdigest())
                data += self._sealing.sealed(b"", step)
            write_durably(self.log, data)
        if best is not None:
            with self._writing(self.best):
                write_durably(self.best, best)

    def _without_ngrams(self) -> bytes | None:
        """The best checkpoint without its n-grams, which belong to an end of the run that is none any more.

        Returns None if the checkpoint has no n-grams. A missing or damaged checkpoint gives None, too: the command that
        needs it says so.
        """
        try:
            best = self.load_best()
        except CheckpointError:
            return None
        return None if best.ngrams is None else replace(best, ngrams=None, ngram_text=None).to_bytes()

    def _seal_unsealed(self, sealed: dict[str, str]) -> None:
        """Have the log name the files that a killed run has written without a digest in the log.

        Raises:
            CheckpointError: one cannot be read.
        """
        for kept in map(self.kept.path, self.kept.steps()):
            name = f"{KEPT}/{kept.name}"
            if name not in sealed:
                self._sealing.add(name, digest_of(kept))
        if self.last.is_file() and (digest := digest_of(self.last)) != sealed.get(LAST):
            self._sealing.add(LAST, digest)

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Replace the last checkpoint, which becomes the previous one.

        Raises:
            CheckpointError: the disk refuses; both files are unchanged.
        """
        with self._writing(self.log):
            flush_file(self.log)
        self._sealing.add(LAST, checkpoint.save(self.last, self.previous if self._last_is_good else None))
        self._last_is_good = True

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint along the run.

        Raises:
            CheckpointError: the disk refuses.
        """
        step = checkpoint.counters["step"]
        self._sealing.add(f"{KEPT}/{self.kept.path(step).name}", self.kept.save(step, checkpoint))

    def last_kept(self) -> Description | None:
        """What the latest kept checkpoint says, or None if none is kept or the latest is damaged."""
        steps = self.kept.steps()
        try:
            return Checkpoint.describe(self.kept.path(steps[-1])) if steps else None
        except CheckpointError:
            return None

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Replace the best checkpoint.

        Raises:
            CheckpointError: the disk refuses; the file is unchanged.
        """
        self._sealing.add(BEST, checkpoint.save(self.best))

    def load(self, warn: Warn) -> Checkpoint:
        """The best checkpoint, or else the last one: see :func:`load_checkpoint`."""
        return load_checkpoint(self.path, warn=warn)

    def load_best(self) -> Checkpoint:
        """The best checkpoint.

        Raises:
            CheckpointError: there is none, or it is damaged.
        """
        return Checkpoint.load(self.best)

    def teacher(self, number: int) -> "RunFolder":
        """The folder of a teacher, counted from 1."""
        return RunFolder(self.path / f"teacher-{number}")

    def bind_teacher(self, number: int) -> None:
        """Have the log name the digest of the model of a teacher, which the run learns from.

        Raises:
            CheckpointError: it cannot be read.
        """
        folder = self.teacher(number).path
        name = BEST if (folder / BEST).is_file() else LAST
        self._sealing.add(f"{folder.name}/{name}", digest_of(folder / name))

    def remove_teachers(self) -> None:
        """Remove the models of all teachers.

        Raises:
            CheckpointError: one cannot be removed.
        """
        for file in self.path.glob("teacher-*/*.safetensors"):
            self._remove(file)

    def record(self, record: Record) -> None:
        """Append one record to the log, and behind it the digests of the files that were written before it.

        Raises:
            CheckpointError: the log cannot be written.
        """
        about = record.to_dict()
        line = json.dumps(about, ensure_ascii=True, allow_nan=False)
        with self._writing(self.log):
            if not self._sealing.has_begun:
                self._sealing.begin(read_regular(self.log, LONGEST_LOG) if self.log.exists() else b"")
            with open_regular(self.log, "ab") as log:
                log.write(self._sealing.sealed(f"{line}\n".encode(), about["step"]))

    def _remove(self, path: Path) -> None:
        with os_errors_as(CheckpointError, f"{path}: cannot be removed"):
            path.unlink(missing_ok=True)


class ReadOnlyRun(RunFolder):
    """The folder of a run for a process that trains with others: another one of them writes it."""

    def __init__(self, path: Path):
        super().__init__(path)
        self.snapshots = None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """As of a folder; the process that writes keeps other runs out."""
        yield

    def _require_files(self) -> None:
        """The process that writes looks what is in the way."""

    def _left_to_the_other(self, what: object) -> None:
        """The process that writes does it."""

    begin = rewind = save_last = save_best = keep = bind_teacher = record = _left_to_the_other


def _up_to(step: int, lines: list[bytes]) -> list[bytes]:
    """The lines of a log up to ``step``. Behind a line that is left out, digests are too: they would be false."""
    kept: list[bytes] = []
    for number, line in enumerate(lines):
        if _recorded_step(line) <= step and not (is_seal(line) and len(kept) < number):
            kept.append(line)
    return kept


def _recorded_step(line: bytes) -> float:
    """The step of a line of the log. It is infinite for the lines of the end, and for a line that a crash cut short."""
    try:
        record = json.loads(line)
        return float("inf") if record["event"] in ("mixed", "finished") else float(record["step"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return float("inf")


# ---- checkpoints by a path that a user gave -----------------------------------------------------------


def open_checkpoint(path: Path, prefer: str = BEST, warn: Warn = warnings.warn) -> tuple[Path, Checkpoint]:
    """Load the checkpoint that a path names.

    Args:
        path: a checkpoint file, the folder of a run, a folder that was exported for Hugging Face, or the name of a run.
        prefer: in a folder, the file to take.  If it is missing or damaged, another one of the run is taken.
        warn: called if a damaged file is passed over.

    Returns:
        The path of the file, and the checkpoint.

    Raises:
        CheckpointError: there is no checkpoint, or all are damaged.
    """
    return _first_readable(candidates(located(path), prefer), warn)


def load_checkpoint(path: Path, warn: Warn = warnings.warn) -> Checkpoint:
    """The checkpoint of :func:`open_checkpoint`, the best one of a folder, without its path."""
    return open_checkpoint(path, BEST, warn)[1]


def candidates(path: Path, prefer: str) -> list[Path]:
    """The files that ``path`` can mean, at least one, in the order in which to try them: ``prefer`` first in a folder.

    Raises:
        CheckpointError: there is no file.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such checkpoint; {known_runs(path.parent, path.name)}")
    names = dict.fromkeys((prefer, *((BEST, LAST, PREVIOUS) if prefer == BEST else (LAST, PREVIOUS, BEST))))
    found = [path / name for name in (*names, SHARED) if (path / name).is_file()]
    if not found:
        raise CheckpointError(f"{path}: no checkpoint in this folder; {known_runs(path)}")
    return found


def _first_readable(paths: list[Path], warn: Warn) -> tuple[Path, Checkpoint]:
    """The first of ``paths`` that can be read, and its checkpoint, with a warning if others before it cannot.

    Raises:
        CheckpointError: none can be read; the message is about the first.
    """
    failures = []
    for path in paths:
        try:
            checkpoint = Checkpoint.load(path)
        except CheckpointError as error:
            failures.append(error)
            continue
        if failures:
            step = checkpoint.counters.get("step")
            warn(f"{failures[0]}; {path.name}{'' if step is None else f', of step {step:,},'} is taken instead")
        return path, checkpoint
    if paths[0].suffix.lower() in _OF_OTHERS:
        raise CheckpointError(f"{failures[0]}; charrnn import makes a checkpoint of another program's model")
    raise failures[0]
