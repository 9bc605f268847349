"""The loop: step after step, what is due after each, and what there is to say of it."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.checkpoints.snapshots import PER_DOUBLING, most_snapshots
from charrnn.config import TrainConfig
from charrnn.network.network import CharLSTM
from charrnn.records import Diagnosed, Finished, Record, RolledBack, Sampled, Saved, Started, bits
from charrnn.text.corpus import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import validation
from charrnn.training.diagnosis import diagnose
from charrnn.training.plan import EARLY_SAMPLES, Agenda, Clock
from charrnn.training.run import VALIDATION_LIMIT, Run
from charrnn.training.step import diverged, is_beyond_help, roll_back, update
from charrnn.training.verdict import verdict


class Trainer:
    """The training of one run.

    ``network``, ``parts``, ``optimizer`` and ``progress`` are the run's; ``begun``, if it is set before the run, is the
    moment of ``time.monotonic`` from which a time budget counts.

    Args:
        network, config, parts, vocabulary, corpus, resume: see :class:`charrnn.training.run.Run`.
        folder: where checkpoints go.
        notes: sentences for the user, reported with :class:`Started`.
        diagnose: whether to report with each evaluation how the network is learning. It changes no bit of the run.

    Raises:
        CharRNNError: the text is too short to train on, or the checkpoint is not one of such a run.
    """

    def __init__(
        self,
        network: CharLSTM,
        config: TrainConfig,
        parts: Parts,
        vocabulary: Vocabulary,
        folder: RunFolder,
        corpus: dict[str, Any],
        notes: tuple[str, ...] = (),
        resume: Checkpoint | None = None,
        diagnose: bool = False,
    ):
        # Not in the first step: by its time a run under a time budget reckons what the last evaluation will take.
        network.prepare_training()
        self._run = run = Run(network, config, parts, vocabulary, corpus, resume)
        self.network, self.parts, self.optimizer, self.progress = network, parts, run.optimizer, run.progress
        self.folder, self._resume = folder, resume
        self.notes = (*notes, *_shrinking_notes(run), *_snapshot_notes(run))
        self._agenda = Agenda(run.config, run.plan)
        self._clock = Clock(run.plan, run.progress.elapsed_s, (1 + run.is_averaged) * len(run.validation))
        self._before_update = np.empty_like(network.parameters.flat) if diagnose else None
        self.begun: float | None = None
        self._stop = False
        self._trouble: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to do."""
        return self._clock.done(self.progress.step) >= 1 or self.is_out_of_patience

    @property
    def is_out_of_patience(self) -> bool:
        """Whether as many evaluations as the run has patience for have passed without a better one."""
        return self._run.is_out_of_patience

    def stop(self) -> None:
        """Ask the loop to save and end after the step it is in. May be called from a signal handler."""
        self._stop = True

    def run(self) -> Iterator[Record]:
        """Train to the end, or to :meth:`stop`.

        Raises:
            DivergedError: three setbacks in a row; the best checkpoint is on disk.
            CheckpointError: a checkpoint cannot be written.
        """
        self._clock.start(None if self._run.config.time_budget is None else self.begun)
        if self._resume is None:
            self.folder.begin(self._run.whole())
        else:
            self.folder.rewind(self._resume)
        yield self._started()
        done = self._clock.done(self.progress.step)
        while done < 1 and not self._stop and not self.is_out_of_patience:
            before = done
            yield from self._step(before)
            done = self._clock.done(self.progress.step)
            yield from self._what_is_due(before, done)
        yield self._save("interrupted" if self._stop else "finished")
        yield self._finished()

    def _step(self, part: float) -> Iterator[Record]:
        """One step, and the way back from it if something is wrong."""
        run = self._run
        if self._before_update is not None:
            self._before_update[:] = self.network.parameters.flat
        record, self._trouble = update(run, self._clock, part)
        yield record
        if self._trouble:
            yield self._set_back(self._trouble)

    def _set_back(self, trouble: str) -> RolledBack:
        """Back to the last good weights.

        Raises:
            DivergedError: that was done too often in a row.
        """
        run = self._run
        setback = roll_back(run, trouble)
        if is_beyond_help(run):
            run.progress.setbacks = run.progress.unscored = 0  # whoever resumes all the same has as many again
            self._save("interrupted")
            raise diverged(run, trouble)
        return setback

    def _what_is_due(self, before: float, after: float) -> Iterator[Record]:
        """What is to be done after a step; the save last, so that who resumes from it has nothing of it left to do."""
        run, clock = self._run, self._clock
        moment = run.progress.step, before, after
        if self._agenda.evaluation(*moment, clock.evaluation_s):
            yield from self._evaluate()
        if self._agenda.sample(*moment, clock.evaluation_s):
            if run.config.snapshots and self.folder.snapshots.is_due(run.progress.step):
                self.folder.snapshots.save(run.progress.step, run.checkpoint())
            yield Sampled(run.progress.step, validation.SAMPLE_TEMPERATURE, validation.sample(run))
        over = after >= 1 or self.is_out_of_patience
        if not over and self._agenda.save(*moment, clock.evaluation_s, clock.since_save_s):
            yield self._save("periodic")

    def _evaluate(self) -> Iterator[Record]:
        if len(self._run.validation) >= 2:
            scored = validation.score(self._run, self._clock)
            if scored is None:
                yield self._set_back("the validation loss is no longer a number")
                return
            record, best = scored
            yield record
            if best is not None:
                self.folder.save_best(best)
                yield Saved(record.step, str(self.folder.best), "best")
        if self._before_update is not None and not self._trouble:
            yield self._diagnose()

    def _diagnose(self) -> Diagnosed:
        windows, parts = self._run.windows, self.parts
        text = parts.validation if len(parts.validation) > 2 * windows.steps else parts.train
        return diagnose(self.network, text, windows.batch, windows.steps, self._before_update, self.progress.step)

    def _save(self, reason: str) -> Saved:
        begun = time.monotonic()
        self.progress.elapsed_s = self._clock.elapsed_s
        self.folder.save_last(self._run.whole())
        self._clock.saved(time.monotonic() - begun)
        return Saved(self.progress.step, str(self.folder.last), reason)

    def _started(self) -> Started:
        run, model = self._run, self.network.config
        return Started(
            path=str(self.folder.path),
            step=run.progress.step,
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
            resumed=self._resume is not None,
            notes=self.notes,
        )

    def _finished(self) -> Finished:
        run, progress = self._run, self.progress
        reason = "completed" if run.config.time_budget is None else "budget"
        if self.is_out_of_patience:
            reason = "patience"
        if self._stop:
            reason = "interrupted"
        return Finished(
            step=progress.step,
            epoch=run.epoch,
            characters=progress.characters,
            reason=reason,
            path=str(self.folder.path),
            loss=progress.loss,
            val_loss=progress.val_loss,
            val_bpc=None if progress.val_loss is None else bits(progress.val_loss),
            best_val_loss=progress.best_val_loss,
            elapsed_s=progress.elapsed_s,
            verdict=verdict(progress.history, progress.best_step, progress.best_val_loss),
        )


def _shrinking_notes(run: Run) -> list[str]:
    """What of the text is used otherwise than asked for."""
    notes, config, batch, steps = [], run.config, run.windows.batch, run.windows.steps
    if (batch, steps) != (config.batch_size, config.seq_len):
        notes.append(
            f"the training part has only {len(run.parts.train):,} characters: {batch} batch row{'s' * (batch > 1)} of "
            f"{steps} steps instead of {config.batch_size} of {config.seq_len}"
        )
    if len(run.parts.validation) < 2:
        notes.append("no validation part: the best model is the last one")
        if run.is_averaged:
            notes.append("--ema without a validation part: nothing scores the averaged weights, the raw ones are used")
    elif len(run.parts.validation) > VALIDATION_LIMIT:
        notes.append(f"the first {VALIDATION_LIMIT:,} characters of the validation part are scored while training")
    return notes


def _snapshot_notes(run: Run) -> list[str]:
    """What snapshots will take on the disk."""
    if not run.config.snapshots:
        return []
    each, total = 4 * run.network.parameters.size / 1e6, run.plan.total_steps
    if total is None:
        return [f"keeps up to {PER_DOUBLING} snapshots for each doubling of the steps, of {each:,.1f} MB each"]
    count = most_snapshots(run.config.sample_every or EARLY_SAMPLES[0], total)
    return [f"keeps up to {count} snapshots of {each:,.1f} MB, {count * each:,.0f} MB in all"]
