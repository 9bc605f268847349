"""The training loop: step after step, and after each step whatever is due.

A step is a function of the settings, the text and the number of the step. So a run that is stopped and resumed gives
the same bits as a run in one go. A run under a time budget is the exception: its learning rate follows the clock.
"""

import json
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from charrnn.checkpoints.checkpoint import is_within
from charrnn.checkpoints.fingerprint import fingerprint
from charrnn.checkpoints.run_store import RunStore
from charrnn.checkpoints.snapshots import PER_DOUBLING, most_snapshots
from charrnn.config import SAMPLE_TEMPERATURE
from charrnn.records import (
    Diagnosed,
    Finished,
    Mixed,
    ProgressCallback,
    Record,
    RolledBack,
    Sampled,
    Saved,
    Started,
    bits,
    no_progress,
)
from charrnn.training import validation
from charrnn.training.diagnosis import diagnose
from charrnn.training.distillation import LAST_TARGETS, targets_of_ngrams
from charrnn.training.mixing import StoppedError, lacks_ngrams, mix, mixing_s
from charrnn.training.plan import EARLY_SAMPLES, Clock, Readings
from charrnn.training.run import VALIDATION_LIMIT, Run
from charrnn.training.step import diverged_error, has_diverged, roll_back, train_step
from charrnn.training.verdict import verdict


class Trainer:
    """Trains one run and reports it as records.

    ``subject`` is the run; ``network``, ``parts``, ``optimizer`` and ``counters`` are its.

    Args:
        run: what is trained.
        folder: where checkpoints are saved. Snapshots need a folder on the disk.
        notes: sentences for the user, reported with :class:`Started`.
        diagnose: whether to report with each evaluation how the network is learning. It changes no bit of the run.
    """

    def __init__(self, run: Run, folder: RunStore, notes: tuple[str, ...] = (), diagnose: bool = False):
        self.subject, self.folder = run, folder
        self.network, self.parts, self.optimizer, self.counters = run.network, run.parts, run.optimizer, run.counters
        self.notes = (*notes, *_text_notes(run), *_snapshot_notes(run), *_kept_notes(run))
        self._clock = Clock(
            run.plan,
            run.counters.elapsed_s,
            (1 + run.is_averaged) * len(run.validation),
            lambda evaluation_s: mixing_s(run, evaluation_s / (1 + run.is_averaged)),
        )
        self._before_update = np.empty_like(run.network.parameters.flat) if diagnose else None
        self._ranks = run.ranks
        self._problem: str | None = None  # of the last step

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to train or to mix."""
        is_trained = self._clock.done(self.counters.step) >= 1 or self.is_out_of_patience
        return is_trained and not lacks_ngrams(self.subject, self.folder)

    @property
    def facts(self) -> dict[str, str]:
        """What all ranks of a run must have alike, by name."""
        run = self.subject
        settings = [run.network.config.to_dict(), run.config.to_dict(), run.counters.step]
        return {
            "text": str(run.corpus.get("sha256")),
            "program": json.dumps(fingerprint()),
            "set of options": json.dumps(settings),
        }

    @property
    def is_out_of_patience(self) -> bool:
        """Whether ``config.patience`` evaluations have passed since the best one."""
        return self.subject.is_out_of_patience

    def stop(self) -> None:
        """Ask the loop to save and end after the current step. A signal handler may call it."""
        self._ranks.stop()

    def learn_from_ngrams(self, progress: ProgressCallback = no_progress) -> None:
        """Have n-grams of the text give it soft targets, if the run has them and they are not there yet.

        :meth:`run` does it too. ``progress`` is called with what is done and what there is; :meth:`stop` ends it early.

        Raises:
            ConfigError: this machine has not enough memory for them.
        """
        run = self.subject

        def go_on(done: int, total: int) -> None:
            progress(done, total)
            if self._ranks.stops:
                raise StoppedError

        if run.learns_from_ngrams and run.soft_targets is None and not self._ranks.stops:
            # What n-grams know helps a network that knows little.  What is left of it at the end keeps the network from
            # memorising, and so it is proportional to the dropout.
            first, team, vocabulary = run.config.ngram_targets, run.network.team, len(run.vocabulary)
            weights = first, min(first, LAST_TARGETS * run.config.dropout)
            with suppress(StoppedError):
                run.soft_targets = targets_of_ngrams(run.parts.train, vocabulary, weights, team, progress=go_on)

    def run(self) -> Iterator[Record]:
        """Train until the run is complete or :meth:`stop` is called, and yield what happens.

        Raises:
            DivergedError: the third rollback in a row; the best checkpoint is on the disk.
            CheckpointError: a checkpoint cannot be written.
        """
        if self.subject.resumed_from is None:
            self.folder.begin(self.subject.full_checkpoint())
        else:
            self.folder.rewind(self.subject.resumed_from)
        if self._ranks.from_first(self._begins_otherwise):
            self.folder.keep(self.subject.full_checkpoint())
        self._clock.start()
        if self._ranks.size > 1:
            self._clock.agree(Readings(*self._ranks.from_first(self._clock.readings)))
        # What the log says of the progress is what the run goes by, so that a part can be trained again from the log,
        # under a time budget, too.
        done = self._clock.done(self.counters.step)
        yield self._started(done)
        self.learn_from_ngrams()
        self._clock.start()
        while done < 1 and not self._ranks.stops and not self.is_out_of_patience:
            before = done
            done = yield from self._step(before)
            yield from self._after_step(before, done)
        if self.subject.resumed_from is None or self.counters.step > self.subject.resumed_from.counters["step"]:
            yield from self._save("interrupted" if self._ranks.stops else "finished")
        mixed = None
        is_done = done >= 1 or self.is_out_of_patience
        may_mix = self._ranks.is_first and not self._ranks.is_asked_to_stop
        if is_done and may_mix and lacks_ngrams(self.subject, self.folder):
            mixed = mix(self.subject, self.folder, lambda: self._ranks.is_asked_to_stop)
            if mixed is not None:
                yield mixed
        self._ranks.finish()
        yield self._finished(mixed)

    def _begins_otherwise(self) -> bool:
        """Whether to keep a checkpoint where the run begins or is resumed: the latest one is not enough to go on from.

        It is not if settings, text or program have changed since, or if a clock tells how far the run is.
        """
        run = self.subject
        if not run.config.keep_checkpoints:
            return False
        last = None if run.resumed_from is None else self.folder.last_kept()
        if last is None or run.config.time_budget is not None:
            return True
        was, now = (last.training, last.program, last.corpus), (run.config, fingerprint(), run.corpus)
        return was != now

    def _step(self, done: float) -> Generator[Record, None, float]:
        """Make one step; roll back if something went wrong. Returns the fraction of the run that is done."""
        if self._before_update is not None:
            self._before_update[:] = self.network.parameters.flat
        record, self._problem = train_step(self.subject, self._clock, done)
        yield record
        if self._problem:
            yield self._roll_back(self._problem)
        return record.progress

    def _roll_back(self, problem: str) -> RolledBack:
        """Return to the last good weights.

        Raises:
            DivergedError: this was done too often in a row.
        """
        run = self.subject
        record = roll_back(run, problem)
        if has_diverged(run):
            run.counters.setbacks = run.counters.unscored = 0  # a resumed run counts from 0 again
            self._write("interrupted")
            raise diverged_error(run, problem, has_folder=self.folder.path is not None)
        return record

    def _after_step(self, before: float, after: float) -> Iterator[Record]:
        """Do what is due after a step that took the run from the fraction ``before`` to ``after``.

        The save comes last, so that a run resumed from it has nothing left to do for this step.
        """
        run, clock = self.subject, self._clock
        now = run.counters.step, before, after
        if run.plan.evaluation_is_due(*now, clock.now.evaluation_s):
            yield from self._evaluate()
        if run.plan.sample_is_due(*now, clock.now.evaluation_s):
            snapshots = self.folder.snapshots if run.config.snapshots else None
            if snapshots is not None and snapshots.is_due(run.counters.step):
                snapshots.save(run.counters.step, run.checkpoint())
            if self._ranks.is_first:
                yield Sampled(run.counters.step, SAMPLE_TEMPERATURE, validation.sample(run))
        ends = after >= 1 or self.is_out_of_patience  # then the run saves anyway
        if not ends and run.plan.keep_is_due(before, after):
            yield from self._check()
            self.folder.keep(run.full_checkpoint(with_kept=False))
        if not ends and run.plan.save_is_due(*now, clock.now.evaluation_s, clock.now.since_save_s):
            yield from self._save("periodic")

    def _evaluate(self) -> Iterator[Record]:
        yield from self._check()
        if len(self.subject.validation) >= 2:
            found = validation.validate(self.subject, self._clock)
            if found is None:
                yield self._roll_back("the validation loss is no longer a number")
                return
            record, best = found
            yield record
            if best is not None:
                self.folder.save_best(best)
                yield Saved(record.step, _written(self.folder.best), "best")
        if self._before_update is not None and not self._problem and self._ranks.is_first:
            yield self._diagnose()

    def _diagnose(self) -> Diagnosed:
        windows, parts = self.subject.windows, self.parts
        text = parts.validation if len(parts.validation) > 2 * windows.steps else parts.train
        return diagnose(self.network, text, windows.batch, windows.steps, self._before_update, self.counters.step)

    def _check(self) -> Iterator[RolledBack]:
        """Roll back if a checkpoint with the current weights could not be read."""
        problem = self.subject.rollback.problem_of_weights()
        # The weights are the same on all ranks, but each has the state of its own batch rows.
        if problem is None and self._ranks.any(not all(map(is_within, self.subject.state.arrays.values()))):
            problem = "the state is no longer numbers, or too large"
        if problem is not None:
            yield self._roll_back(problem)

    def _save(self, reason: str) -> Iterator[Record]:
        yield from self._check()
        yield self._write(reason)

    def _write(self, reason: str) -> Saved:
        """Save the last checkpoint."""
        begun = time.monotonic()
        self.counters.elapsed_s = self._clock.now.elapsed_s
        self.folder.save_last(self.subject.full_checkpoint())
        self._clock.saved(time.monotonic() - begun)
        return Saved(self.counters.step, _written(self.folder.last), reason)

    def _started(self, done: float) -> Started:
        run, model = self.subject, self.network.cell.completed(self.network.config)
        return Started(
            path=_written(self.folder.path),
            step=run.counters.step,
            total_steps=run.plan.total_steps,
            time_budget_s=run.config.time_budget,
            epochs=run.plan.epochs,
            parameters=self.network.parameters.size,
            vocabulary=model.vocabulary,
            train_characters=len(run.parts.train),
            validation_characters=len(run.parts.validation),
            test_characters=len(run.parts.test),
            hidden=model.hidden,
            layers=model.layers,
            embedding=model.embedding,
            batch_size=run.windows.batch,
            seq_len=run.windows.steps,
            threads=self.network.team.threads,
            resumed=run.resumed_from is not None,
            notes=self.notes,
            cell=self.network.cell.title,
            heads=model.heads,
            context=model.context,
            progress=done,
        )

    def _verdict(self, mixed: Mixed | None) -> str | None:
        counters, vocabulary = self.counters, self.network.config.vocabulary
        return verdict(counters.history, counters.best_step, counters.best_val_loss, vocabulary, mixed)

    def _finished(self, mixed: Mixed | None) -> Finished:
        run, counters = self.subject, self.counters
        reason = "completed" if run.config.time_budget is None else "budget"
        if self.is_out_of_patience:
            reason = "patience"
        if self._ranks.is_asked_to_stop:
            reason = "interrupted"
        return Finished(
            step=counters.step,
            epoch=run.epoch,
            characters=counters.characters,
            reason=reason,
            path=_written(self.folder.path),
            loss=counters.loss,
            val_loss=counters.val_loss,
            val_bpc=None if counters.val_loss is None else bits(counters.val_loss),
            best_val_loss=counters.best_val_loss,
            elapsed_s=self._clock.now.elapsed_s,
            verdict=None if self._ranks.is_asked_to_stop else self._verdict(mixed),
            mixed_val_loss=None if mixed is None else mixed.mixed_val_loss,
        )


def _written(path: Path | None) -> str:
    """A path as records have it."""
    return "" if path is None else str(path)


def _text_notes(run: Run) -> list[str]:
    """Notes about windows and a validation part that differ from what was asked for."""
    notes, config, batch, steps = [], run.config, run.windows.batch, run.windows.steps
    if (of_ranks := run.ranks.note(run.network.team.threads)) is not None:
        notes.append(of_ranks)
    if (batch, steps) != (config.rows, config.seq_len):
        notes.append(
            f"the training part has only {len(run.parts.train):,} characters: {batch} batch row{'s' * (batch > 1)} of "
            f"{steps} steps instead of {config.rows} of {config.seq_len}"
        )
    if len(run.parts.validation) < 2:
        notes.append("no validation part: the best model is the last one")
        if run.is_averaged:
            notes.append("--ema without a validation part: nothing scores the averaged weights, the raw ones are used")
    elif len(run.parts.validation) > VALIDATION_LIMIT:
        notes.append(f"the first {VALIDATION_LIMIT:,} characters of the validation part are scored while training")
    return notes


def _snapshot_notes(run: Run) -> list[str]:
    """A note about the disk space that snapshots will take."""
    if not run.config.snapshots:
        return []
    each, total = 4 * run.network.parameters.size / 1e6, run.plan.total_steps  # MB
    if total is None:
        return [f"keeps up to {PER_DOUBLING} snapshots for each doubling of the steps, of {each:,.1f} MB each"]
    count = most_snapshots(run.config.sample_every or EARLY_SAMPLES[0], total)
    return [f"keeps up to {count} snapshots of {each:,.1f} MB, {count * each:,.0f} MB in all"]


def _kept_notes(run: Run) -> list[str]:
    """A note about the disk space that kept checkpoints will take."""
    count = run.config.keep_checkpoints
    if not count:
        return []
    floats = run.network.parameters.size * (1 + len(run.optimizer.slots))
    floats += sum(array.size for array in run.state.arrays.values()) * run.ranks.size
    each, total = 4 * floats / 1e6, run.plan.total_steps  # MB
    if total is not None:
        count = min(count, total)
    return [f"keeps {count:,} checkpoints of {each:,.1f} MB, {count * each:,.0f} MB in all, for charrnn verify"]
