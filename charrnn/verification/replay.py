"""Trains a part of a run again with the trainer that trained it, and compares as it goes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.checkpoints.run_names import BEST, METRICS
from charrnn.checkpoints.run_store import RunStore
from charrnn.config import TrainConfig
from charrnn.errors import CheckpointError
from charrnn.records import Record
from charrnn.training.plan import Plan
from charrnn.training.run import Run
from charrnn.training.step import DivergedError
from charrnn.training.trainer import Trainer
from charrnn.verification.comparing import differing_checkpoint, differing_record, is_compared
from charrnn.verification.history import Entry

_TOLERANCE = 0.02  # of a budget: how far the progress in a log may be from what its times say


class UnverifiableError(CheckpointError):
    """A part of a run cannot be trained again here; the message says why."""


class DifferenceError(CheckpointError):
    """Training again gives something else than what the run has kept; the message says what."""


class RecordedPlan(Plan):
    """A plan that goes by the log where a clock decided.

    That is whether to save each minute; and under a time budget how far the run is, and so the learning rate, the
    evaluations and the samples.

    Args:
        plan: of the run.
        entries: the lines of the log of the part to train again.
        start: the step that it begins with.
        first: the fraction of the run that was done then.
    """

    def __init__(self, plan: Plan, entries: list[Entry], start: int, first: float):
        super().__init__(plan.config, plan.length, plan.windows)
        self._start, self._first = start, first
        self._is_timed = plan.config.time_budget is not None
        self._progress: dict[int, float] = {}
        self._at: dict[str, set[int]] = {}
        for entry in entries:
            record, event = entry.record, entry.record["event"]
            if event == "step":
                self._progress[entry.at.step] = progress_of(record)
            if event != "saved" or record.get("reason") == "periodic":
                self._at.setdefault(event, set()).add(entry.at.step)

    def done(self, step: int, elapsed_s: float, closing_s: float) -> float:
        """The fraction of the run that is done after ``step`` updates."""
        if not self._is_timed:
            return super().done(step, elapsed_s, closing_s)
        return self._first if step == self._start else self._progress.get(step, 1.0)

    def evaluation_is_due(self, step: int, before: float, after: float, evaluation_s: float) -> bool:
        """Whether to evaluate."""
        return self._is_due("evaluated", step, super().evaluation_is_due(step, before, after, evaluation_s))

    def sample_is_due(self, step: int, before: float, after: float, evaluation_s: float) -> bool:
        """Whether to write a sample."""
        return self._is_due("sampled", step, super().sample_is_due(step, before, after, evaluation_s))

    def save_is_due(self, step: int, before: float, after: float, evaluation_s: float, since_save_s: float) -> bool:
        """Whether to save: a save checks the weights, and may return to the last good ones."""
        return step in self._at.get("saved", ())

    def _is_due(self, event: str, step: int, is_planned: bool) -> bool:
        return step in self._at.get(event, ()) if self._is_timed else is_planned


def progress_of(record: dict[str, Any]) -> float:
    """The fraction of the run that is done, as a record has it; 1 if it has none."""
    value = record.get("progress")
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else 1.0


def require_plausible_times(entries: list[Entry], config: TrainConfig) -> None:
    """Compare the progress of a run under a time budget with the times in its log: it must follow from them.

    Raises:
        DifferenceError: it names the line.
    """
    budget, last = config.time_budget, 0.0
    if budget is None:
        return
    for entry in entries:
        if entry.record["event"] != "step":
            continue
        now, done = entry.record.get("elapsed_s"), progress_of(entry.record)
        if not isinstance(now, int | float) or now < last:
            raise DifferenceError(f"{METRICS}: line {entry.at.number:,} goes back in time")
        last = now
        # At most half of a budget is kept for the end of the run: see Plan.done.
        if not now / budget - _TOLERANCE <= done <= now / (budget / 2) + _TOLERANCE and done < 1:
            raise DifferenceError(
                f"{METRICS}: line {entry.at.number:,} has a progress of {done:.3f} after {now:.1f} s of a budget of "
                f"{budget:g} s"
            )


class ReplayStore(RunStore):
    """Where a part that is trained again keeps its checkpoints: in memory, and the best ones are compared at once.

    Records are compared by the caller, and teachers are read from the run's folder.

    Args:
        folder: of the run, whose teachers are read.
        best: the run's best checkpoint, or None.
        same_program: whether this program is the one that trained the run.

    Attributes:
        reached: the last checkpoint that was saved.
        problem: how the best checkpoint differs, in words, or None.
        compared: the steps of best checkpoints that were compared, each with whether its n-grams were.
    """

    def __init__(self, folder: RunFolder, best: Checkpoint | None, same_program: bool):
        self._folder, self._kept_best, self._same_program = folder, best, same_program
        self._best = best and replace(best, ngrams=None, ngram_text=None)
        self.reached: Checkpoint | None = None
        self.problem: str | None = None
        self.compared: set[bool] = set()

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Take the last checkpoint; its arrays are the run's own."""
        self.reached = checkpoint

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Compare ``checkpoint`` with ``best.safetensors`` of the run, if both are of the same step."""
        self._best = replace(
            checkpoint, **{name: _copied(getattr(checkpoint, name)) for name in ("parameters", "optimizer")}
        )
        kept, is_mixed = self._kept_best, checkpoint.ngrams is not None
        if kept is None or kept.counters.get("step") != checkpoint.counters["step"]:
            return
        if not is_mixed:
            kept = replace(kept, ngrams=None, ngram_text=None)
        self.problem = self.problem or differing_checkpoint(BEST, kept, checkpoint, True, self._same_program)
        self.compared.add(is_mixed)

    def load_best(self) -> Checkpoint:
        """The best checkpoint of the part, or the run's, without its n-grams."""
        if self._best is None:
            raise CheckpointError(f"{self._folder.best}: there is none")
        return self._best

    def teacher(self, number: int) -> RunFolder:
        """The folder of a teacher of the run."""
        return self._folder.teacher(number)


def _copied(value: Any) -> Any:
    """A copy of arrays by name, or of several such: the run goes on to change them."""
    return value.copy() if isinstance(value, np.ndarray) else {name: _copied(each) for name, each in value.items()}


def train_again(
    run: Run, store: ReplayStore, entries: list[Entry], last: int, done: float, progress: Callable[[], None]
) -> Checkpoint | None:
    """Train a part of a run again. Returns the checkpoint at the end of the part, or None for the end of the run.

    Args:
        run: at the beginning of the part.
        store: of what it saves.
        entries: the lines of the log of the part.
        last: its last step; the step that it begins with, if it is the end of the run.
        done: the fraction of the run that was done where the part begins, as the log has it.
        progress: called after every step.

    Raises:
        DifferenceError: a record or the best checkpoint differs from the run's.
        UnverifiableError: the run diverged in the part, and was resumed.
    """
    wanted = [entry for entry in entries if is_compared(entry.record)]
    diagnosed = {entry.at.step for entry in wanted if entry.record["event"] == "diagnosed"}
    step = run.counters.step
    require_plausible_times(wanted, run.config)
    run.plan = RecordedPlan(run.plan, entries, step, done)
    trainer = Trainer(run, store, diagnose=bool(diagnosed))
    at = 0
    try:
        for record in trainer.run():
            about = record.to_dict()
            if not is_compared(about) or (record.event == "diagnosed" and about["step"] not in diagnosed):
                continue
            _require_equal(wanted[at] if at < len(wanted) else None, record)
            at += 1
            if record.event == "step":
                progress()
                if about["step"] == last:
                    trainer.stop()
    except DivergedError:
        if run.counters.step < last:
            raise UnverifiableError(f"the run diverged at step {run.counters.step:,}, and was resumed") from None
    if at < len(wanted):
        _require_equal(wanted[at], None)
    if store.problem is not None:
        raise DifferenceError(store.problem)
    reached = store.reached
    if reached is None and step == last:
        return None
    if reached is None or reached.counters["step"] != last:
        raise DifferenceError(f"training again ends at step {run.counters.step:,}, not at {last:,}")
    return reached


def _require_equal(entry: Entry | None, record: Record | None) -> None:
    if (problem := differing_record(entry, record)) is not None:
        raise DifferenceError(problem)
