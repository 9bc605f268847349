"""What a run has kept of itself: its checkpoints, its log, and the segments between them that can be trained again."""

import bisect
import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from charrnn.checkpoints import tensor_file
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.description import Description
from charrnn.checkpoints.run_folder import LOCK, RunFolder
from charrnn.checkpoints.run_log import Position, parsed
from charrnn.checkpoints.run_names import BEST, LAST
from charrnn.checkpoints.seals import SealedLog
from charrnn.errors import CheckpointError, os_errors_as
from charrnn.system.files import is_locked, open_regular

STARTED, FINISHED = "started", "finished"
ENDING = ("mixed", FINISHED)  # events after the last step


class Segment(NamedTuple):
    """The steps after ``first`` up to ``last``; ``to_last`` if they end at the run's last checkpoint.

    A segment without steps is the end of the run, behind its last checkpoint: the mixing with n-grams.
    """

    first: int
    last: int
    to_last: bool = False

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return self.last - self.first

    @property
    def is_end(self) -> bool:
        """Whether it is the end of the run."""
        return self.to_last and not self.steps

    def __str__(self) -> str:
        return "the end" if self.is_end else f"steps {self.first:,}-{self.last:,}"


class Entry(NamedTuple):
    """A line of the log: its place, and its record."""

    at: Position
    record: dict[str, Any]


class History:
    """The checkpoints and the log of a run.

    Args:
        path: the folder of the run.
        prefix: a digest that may have been published, see :meth:`charrnn.checkpoints.seals.SealedLog.read`.

    Attributes:
        folder: the folder.
        is_running: whether a process trains the run now; then its last and best checkpoints change, and do not count.
        log: the log, with its digests.
        kept: what each kept checkpoint says, by step.
        last: what the last checkpoint says, or None if there is none, or the run is being trained.
        best: the same of the best checkpoint.
        digests: SHA-256 of files by name, filled by :mod:`charrnn.verification.digests`.

    Raises:
        CheckpointError: there is no log, or a file is damaged; it names the first.
    """

    def __init__(self, path: Path, prefix: str | None = None):
        self.folder = RunFolder(path)
        self.is_running = is_locked(path / LOCK)
        self.log = SealedLog.read(self.folder.log, prefix)
        self.kept = {step: Checkpoint.describe(self.folder.kept.path(step)) for step in self.folder.kept.steps()}
        self.last, self.best = (
            Checkpoint.describe(path / name) if not self.is_running and (path / name).is_file() else None
            for name in (LAST, BEST)
        )
        self.digests: dict[str, str] = {}
        self._with_last_good: dict[int, bool] = {}

    @property
    def end(self) -> int:
        """The last step that a checkpoint holds."""
        own = () if self.last is None else (self.last.counters.get("step", 0),)
        return max([*self.kept, *own], default=0)

    @property
    def is_finished(self) -> bool:
        """Whether the log ends with the record of an end."""
        return bool(self.log.positions) and self.log.positions[-1].event == FINISHED

    @property
    def is_interrupted(self) -> bool:
        """Whether the run was stopped by a signal or by Ctrl-C: it may be resumed."""
        last = self.read(self.log.positions[-1:])
        return bool(last) and last[0].record.get("reason") == "interrupted"

    def has_last_good_after(self, segment: Segment) -> bool:
        """Whether training the last segment again gives the weights that a rollback returns to at its end."""
        if self.last is None or segment.first not in self.kept:
            return True
        return self.last.counters["kept_step"] >= segment.first or self.has_last_good(segment.first)

    def has_last_good_of_last(self, segment: Segment) -> bool:
        """Whether the last checkpoint has weights to return to that come from a segment before the last one."""
        if self.last is None or segment.to_last or not self.last.counters:
            return False
        return segment.first <= self.last.counters["kept_step"] < segment.last

    def has_last_good(self, step: int) -> bool:
        """Whether a kept checkpoint has the weights that a rollback returns to, if they are not its own."""
        if step not in self._with_last_good:
            path = self.folder.kept.path(step)
            self._with_last_good[step] = self.kept[step].counters["kept_step"] == step or "kept" in _slots(path)
        return self._with_last_good[step]

    @property
    def begins_at_zero(self) -> bool:
        """Whether the checkpoint of step 0 was kept."""
        return 0 in self.kept

    def segments(self) -> list[Segment]:
        """The parts of the run that can be trained again, each from a kept checkpoint to the next one; and its end."""
        steps = sorted(self.kept)
        found = [Segment(first, last) for first, last in itertools.pairwise(steps)]
        if steps and self.last is not None and self.last.counters.get("step", 0) > steps[-1]:
            found.append(Segment(steps[-1], self.last.counters["step"], True))
        return [*found, *self.end_of_run()] if found else []

    def end_of_run(self) -> list[Segment]:
        """The end of the run as a segment, if the run has come to its end."""
        if self.last is None or not self.is_finished or self.is_interrupted:
            return []
        return [Segment(self.end, self.end, True)]

    def whole(self) -> Segment | None:
        """The run as one segment, from its first weights; None if that cannot be trained again."""
        if self.last is None or not self.last.counters.get("step") or self.last.training is None:
            return None
        return Segment(0, self.last.counters["step"], True)

    def start(self, segment: Segment) -> Description:
        """What the checkpoint says that a segment begins with; of the whole run, what its last one says."""
        found = self.kept.get(segment.first, self.last)
        if found is None:
            raise CheckpointError(f"{self.folder.path}: there is no checkpoint of step {segment.first:,}")
        return found

    def has_best(self, segment: Segment) -> bool:
        """Whether the weights of the best checkpoint come from a segment."""
        return self.best is not None and segment.first < (self.best.counters.get("step") or 0) <= segment.last

    # ---- the log ------------------------------------------------------------------------------------

    def entries(self, first: int, last: int) -> list[Entry]:
        """The lines of the log of the steps after ``first`` up to ``last``; from the beginning if ``first`` is 0.

        If both are the same, those of the end, which else are left out.
        """
        if first == last:
            return self.read(at for at in self.log.positions if at.event in ENDING)
        wanted = [at for at in self.log.positions if (first < at.step or not first) and at.step <= last]
        return self.read(at for at in wanted if at.event not in ENDING)

    def read(self, positions: Iterable[Position]) -> list[Entry]:
        """The lines at these places of the log."""
        found, path = [], self.folder.log
        with os_errors_as(CheckpointError, f"{path}: cannot be read"), open_regular(path) as file:
            for at in positions:
                file.seek(at.start)
                try:
                    found.append(Entry(at, parsed(file.read(at.stop - at.start))[1]))
                except (ValueError, KeyError, TypeError):
                    raise CheckpointError(f"{path}: it has changed while it was read") from None
        return found

    def starts(self, step: int) -> list[Entry]:
        """The records of the starts of the run at ``step``, in order."""
        return self.read(at for at in self.log.positions if at.event == STARTED and at.step == step)

    # ---- what is known of a segment -------------------------------------------------------------------

    def identities(self, segments: list[Segment], *more: str) -> dict[Segment, str]:
        """For each segment a hash of everything that is compared in it, and of ``more``.

        Any edit of its two checkpoints, of its lines in the log, or of a best checkpoint that comes from it changes it.

        Raises:
            CheckpointError: the log cannot be read.
        """
        bounds = [segment.last for segment in segments]
        hashes = [hashlib.sha256("\n".join(more).encode()) for _ in segments]
        for segment, digest in zip(segments, hashes, strict=True):
            names = [self._name(segment.first), LAST if segment.to_last else self._name(segment.last)]
            names += [BEST] * (self.has_best(segment) or segment.is_end)
            names += [LAST] * self.has_last_good_of_last(segment)
            digest.update("\n".join(["", *(self.digests.get(name, "") for name in names)]).encode())
        path = self.folder.log
        with os_errors_as(CheckpointError, f"{path}: cannot be read"), open_regular(path) as file:
            for at in self.log.positions:
                number = bisect.bisect_left(bounds, at.step)
                if at.event in ENDING and segments[-1].is_end:
                    number = len(segments) - 1
                line = file.read(at.stop - at.start)
                if number < len(hashes):
                    hashes[number].update(line)
        return {segment: digest.hexdigest() for segment, digest in zip(segments, hashes, strict=True)}

    def _name(self, step: int) -> str:
        return f"{self.folder.kept.folder.name}/{self.folder.kept.path(step).name}"


def _slots(path: Path) -> set[str]:
    """The names of the optimiser's buffers in a checkpoint."""
    with os_errors_as(CheckpointError, f"{path}: cannot be read"), open_regular(path) as file:
        names = tensor_file.read_header(file).tensors
    return {name.split(".")[1] for name in names if name.startswith("optimizer.")}
