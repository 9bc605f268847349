"""The training loop: a generator of records.  It knows no screen and no file format.

Everything a step does is a function of the configuration, the text and the step's number, so a run that is
stopped and resumed goes through the same bits as one that is not.  (A run under a time budget is the exception: its
learning rate follows the clock.)
"""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from charrnn.checkpoint import Checkpoint
from charrnn.config import TrainConfig
from charrnn.diagnosis import diagnose
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.evaluation import evaluate
from charrnn.guard import IN_A_ROW, SNAPSHOT_STEPS, Guard
from charrnn.network import CharLSTM, LSTMState
from charrnn.optimizer import Optimizer
from charrnn.parameters import Parameters
from charrnn.plan import Plan
from charrnn.progress import Progress
from charrnn.records import Diagnosed, Evaluated, Finished, Record, RolledBack, Sampled, Saved, Started, Step, bits
from charrnn.regularisation import Regularisation
from charrnn.runs import RunFolder
from charrnn.sampling import Choice, Sampler
from charrnn.schedule import learning_rate
from charrnn.text.batches import Batches, fitting_lanes
from charrnn.text.parts import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.verdict import verdict

VALIDATION_LIMIT = 250_000  # characters scored while training
SAVE_SECONDS = 60.0
FIRST_SAVING_S = 0.1  # that a save takes, until there was one
PROCESS_S = 0.3  # of a time budget for what stands around a run: the interpreter's start and end
SAMPLE_TEMPERATURE = 0.8
EARLY_SAMPLES = (10, 30, 100, 300, 1000, 3000)


class DivergedError(CharRNNError):
    """The loss or the gradient is no longer a number."""


class Trainer:
    """One run.

    Args:
        network: the model to train, with its starting values.
        config: how.
        parts: the text.
        vocabulary: its symbols.
        folder: where checkpoints go; the loop only calls its paths and hands them to ``Checkpoint.save``.
        corpus: facts on the text that go into checkpoints.
        notes: sentences for the user, reported with :class:`Started`.
        resume: the checkpoint to go on from.
        diagnose: whether to report with each evaluation how the network is learning. It changes no bit of the run.

    Raises:
        CharRNNError: the text is too short to train on.
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
        if len(parts.train) < 2:
            raise CharRNNError("the training part has fewer than 2 characters: there is nothing to predict")
        if config.schedule == "plateau" and len(parts.validation) < 2:
            raise CharRNNError("--schedule plateau needs a validation part: give one with --split, or another schedule")
        self.network, self.config, self.parts = network, config, parts
        self.vocabulary, self.folder, self.corpus = vocabulary, folder, corpus
        lanes, steps = fitting_lanes(len(parts.train), config.batch_size, config.seq_len)
        self.batches = Batches(parts.train, lanes, steps, config.seed)
        self.plan = Plan(config, len(parts.train), self.batches.windows)
        if config.dropout is None:
            dropout = self.plan.dropout(network.parameters.size)
            self.config = self.plan.config = replace(config, dropout=dropout)
        self.notes = (*notes, *self._shrinking_notes(lanes, steps))
        self.optimizer = Optimizer(config, network.parameters, network.team)
        self.state = network.initial_state(lanes)
        self._before_update = np.empty_like(network.parameters.flat) if diagnose else None
        self.progress = Progress()
        self.resumed = resume
        if resume is not None:
            self._restore(resume)
        self.guard = Guard(network, self.optimizer)
        self.guard.keep(self.progress.step)
        self.begun: float | None = None
        self._stop = False
        self._started_at = time.monotonic()
        self._earlier_s = self.progress.elapsed_s
        self._evaluation_s: float | None = None
        self._saving_s = FIRST_SAVING_S
        self._rate: float | None = None
        self._saved_at = self._started_at

    def _shrinking_notes(self, lanes: int, steps: int) -> list[str]:
        notes = []
        if (lanes, steps) != (self.config.batch_size, self.config.seq_len):
            notes.append(
                f"the training part has only {len(self.parts.train):,} characters: "
                f"{lanes} lane{'s' * (lanes > 1)} of {steps} steps instead of "
                f"{self.config.batch_size} of {self.config.seq_len}"
            )
        if len(self.parts.validation) < 2:
            notes.append("no validation part: the best model is the last one")
            if self.config.ema:
                notes.append(
                    "--ema without a validation part: nothing scores the averaged weights, the raw ones are used"
                )
        elif len(self.parts.validation) > VALIDATION_LIMIT:
            notes.append(f"the first {VALIDATION_LIMIT:,} characters of the validation part are scored while training")
        return notes

    def _restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint.optimizer.keys() != self.optimizer.slots.keys() or checkpoint.state is None:
            raise CheckpointError("the checkpoint has not all that a resume needs")
        if checkpoint.state[0].shape != self.state.h.shape:
            raise CheckpointError(f"the checkpoint's state is for {checkpoint.state[0].shape[1]} lanes, not this run's")
        self.network.set_parameters(checkpoint.parameters)
        moments = Parameters(self.network.config)
        for slot, values in self.optimizer.slots.items():
            for name, value in checkpoint.optimizer[slot].items():
                moments[name][:] = value
            values[:] = moments.flat
        names = {field.name for field in fields(Progress)} - {"history"}
        if checkpoint.progress.keys() != names:
            raise CheckpointError("the checkpoint's counters are not those of a run")
        self.progress = Progress(**checkpoint.progress, history=checkpoint.history)
        self.optimizer.count = self.progress.updates
        self.state = LSTMState(*(np.array(part) for part in checkpoint.state))

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to do."""
        return self._done() >= 1 or self.is_out_of_patience

    def _elapsed(self) -> float:
        return self._earlier_s + time.monotonic() - self._started_at

    def _done(self) -> float:
        """The part of the run that is done, 0 to 1."""
        closing_s = self._evaluation_time() + self._saving_s + PROCESS_S
        return self.plan.done(self.progress.step, self._elapsed(), closing_s)

    def _evaluation_time(self) -> float:
        """Seconds that an evaluation takes: as the last one did; before there was one, by the speed of training."""
        if self._evaluation_s is None and self._rate is not None:
            passes = 1 + ("ema" in self.optimizer.slots)
            return passes * len(self.parts.validation[:VALIDATION_LIMIT]) / (3 * self._rate)
        return self._evaluation_s or 0.0

    @property
    def is_out_of_patience(self) -> bool:
        """Whether as many evaluations as the run has patience for have passed without a better one."""
        best, patience = self.progress.best_step, self.config.patience
        if patience is None or best is None:
            return False
        return sum(entry["step"] > best for entry in self.progress.history[-patience:]) >= patience

    # ---- the loop -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Ask the loop to save and end after the step it is in. May be called from a signal handler."""
        self._stop = True

    def run(self) -> Iterator[Record]:
        """Train to the end, or to :meth:`stop`.

        Raises:
            DivergedError: three setbacks in a row; the best checkpoint is on disk.
            CheckpointError: a checkpoint cannot be written.
        """
        if self.resumed is None:
            self.folder.begin(self._whole())
        else:
            self.folder.rewind(self.resumed)
        yield self._started()
        self._started_at = self._saved_at = time.monotonic()
        if self.config.time_budget is not None and self.begun is not None:
            self._started_at = self.begun
        part = self._done()
        while part < 1 and not self._stop:
            step, trouble = self._step(part)
            yield step
            if trouble:
                yield self._roll_back(trouble)
            after = self._done()
            if self._due(self.config.eval_every, part, after):
                yield from self._evaluate()
                if self._before_update is not None and not trouble:
                    yield self._diagnose()
            if self._sample_due(part, after) and not self._stop:
                yield self._sample()
            if self.is_out_of_patience:
                break
            if after < 1 and self._save_due(part, after):
                yield self._save("periodic")
            part = after
        reason = "completed"
        if self._stop:
            reason = "interrupted"
        elif self.is_out_of_patience:
            reason = "patience"
        elif self.config.time_budget is not None:
            reason = "budget"
        yield self._save("interrupted" if self._stop else "finished")
        yield self._finished(reason)

    def _due(self, every: int | None, before: float, after: float) -> bool:
        """Whether what happens ``every`` so many steps, or as often as the plan says, happens now."""
        if after >= 1:
            return True
        if every is not None:
            return self.progress.step % every == 0
        times = self.plan.evaluations(self._evaluation_time())
        return int(after * times) > int(before * times)

    def _sample_due(self, before: float, after: float) -> bool:
        if self.config.sample_every is not None:
            return bool(self.config.sample_every) and self.progress.step % self.config.sample_every == 0
        return self.progress.step in EARLY_SAMPLES or self._due(None, before, after)

    def _save_due(self, before: float, after: float) -> bool:
        if self.config.save_every is not None:
            return self.progress.step % self.config.save_every == 0
        return self._due(None, before, after) or time.monotonic() - self._saved_at > SAVE_SECONDS

    def _step(self, part: float) -> tuple[Step, str | None]:
        """One update, or none and what is wrong."""
        progress, config = self.progress, self.config
        begun = time.monotonic()
        x, y = self.batches.window(progress.epoch, progress.window)
        regular = Regularisation(
            config.dropout,
            config.seed,
            progress.step,
            config.variational,
            config.recurrent_dropout,
            config.input_dropout,
            config.label_smoothing,
        )
        loss = self.network.loss_and_gradient(x, y, self.state, regular)
        val_losses = (entry["val_loss"] for entry in progress.history)
        lr = progress.rate_scale * learning_rate(config, progress.step, part, self._epoch(), val_losses)
        if self._before_update is not None:
            self._before_update[:] = self.network.parameters.flat
        characters = int(np.count_nonzero(y >= 0))
        trouble = self.guard.trouble(loss, characters, progress.loss)
        norm = math.nan
        if trouble is None:
            if progress.step and progress.step % SNAPSHOT_STEPS == 0:
                # Before the update: this loss speaks for these weights, none yet for those to come.
                self.guard.keep(progress.step)
                progress.setbacks = 0
            norm = self.optimizer.update(self.network.gradient, lr)
            if not math.isfinite(norm):
                trouble = "the gradient is no longer a number"
            elif not self.guard.has_numbers():
                trouble = "the weights are no longer numbers"
        self.network.parameters_changed()
        progress.step += 1
        progress.updates = self.optimizer.count
        progress.characters += characters
        if trouble is None:
            progress.loss = loss if progress.loss is None else 0.98 * progress.loss + 0.02 * loss
        progress.window += 1
        if progress.window == self.batches.windows:
            progress.epoch, progress.window = progress.epoch + 1, 0
            self.state.h[:] = 0
            self.state.c[:] = 0
        progress.elapsed_s = self._elapsed()
        done = self._done()
        rate = characters / max(time.monotonic() - begun, 1e-9)
        self._rate = rate if self._rate is None else 0.9 * self._rate + 0.1 * rate
        record = Step(
            step=progress.step,
            epoch=self._epoch(),
            characters=progress.characters,
            loss=loss,
            bpc=bits(loss),
            lr=lr,
            grad_norm=norm,
            chars_per_s=self._rate,
            elapsed_s=progress.elapsed_s,
            eta_s=progress.elapsed_s * (1 - done) / done if done > 0 else None,
            progress=done,
        )
        return record, trouble

    def _roll_back(self, trouble: str) -> RolledBack:
        """Back to the last good weights with half the rate, and on with the text from there; too often is the end."""
        progress, config = self.progress, self.config
        progress.setbacks += 1
        self.guard.go_back()
        progress.updates = self.optimizer.count
        progress.rate_scale /= 2
        self.state.h[:] = 0
        self.state.c[:] = 0
        if progress.setbacks >= IN_A_ROW:
            progress.setbacks = 0
            self._save("interrupted")
            best = progress.best_step
            kept = "there is no best checkpoint" if best is None else f"the best checkpoint, of step {best}, is kept"
            clip = f"a smaller --clip (it was {config.clip:g})" if config.clip else "--clip 1 (there was none)"
            raise DivergedError(
                f"step {progress.step}: {trouble}, {IN_A_ROW} times in a row though the learning rate was halved; "
                f"{kept}, and --resume goes on from the good weights of step {self.guard.step}. Better start again "
                f"with --lr {config.learning_rate / 10:.1g} (it was {config.learning_rate:g}) or {clip}"
            )
        return RolledBack(progress.step, self.guard.step, trouble, progress.rate_scale)

    def _epoch(self) -> float:
        return self.progress.epoch + self.progress.window / self.batches.windows

    def _evaluate(self) -> Iterator[Record]:
        progress = self.progress
        text = self.parts.validation[:VALIDATION_LIMIT]
        if len(text) < 2:
            return
        begun = time.monotonic()
        raw = loss = self._score(text)
        averaged = None
        if "ema" in self.optimizer.slots:
            with self._averaged_weights():
                averaged = self._score(text)
            loss = min(raw, averaged)
        self._evaluation_s = time.monotonic() - begun
        progress.val_loss = loss
        improved = progress.best_val_loss is None or loss < progress.best_val_loss
        if improved:
            progress.best_val_loss, progress.best_step = loss, progress.step
        progress.elapsed_s = self._elapsed()
        progress.history.append(
            {
                "step": progress.step,
                "epoch": self._epoch(),
                "loss": progress.loss,
                "val_loss": loss,
                "elapsed_s": progress.elapsed_s,
            }
        )
        yield Evaluated(
            step=progress.step,
            epoch=self._epoch(),
            val_loss=loss,
            val_bpc=bits(loss),
            best_val_loss=progress.best_val_loss,
            improved=improved,
            elapsed_s=progress.elapsed_s,
            raw_loss=None if averaged is None else raw,
            averaged_loss=averaged,
        )
        if improved:
            self.folder.save_best(self._best(averaged is not None and averaged < raw))
            yield Saved(progress.step, str(self.folder.best), "best")

    def _diagnose(self) -> Diagnosed:
        lanes, steps = self.batches.lanes, self.batches.steps
        text = self.parts.validation if len(self.parts.validation) > 2 * steps else self.parts.train
        return diagnose(self.network, text, lanes, steps, self._before_update, self.progress.step)

    def _score(self, text: np.ndarray) -> float:
        lanes, steps = self.batches.lanes, self.batches.steps
        return evaluate(self.network, text, int(self.parts.train[-1]), lanes, steps).loss

    @contextlib.contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """The network with the average of its weights in place of them."""
        flat = self.network.parameters.flat
        raw = flat.copy()
        flat[:] = self.optimizer.slots["ema"]
        self.network.parameters_changed()
        try:
            yield
        finally:
            flat[:] = raw
            self.network.parameters_changed()

    def _best(self, averaged: bool) -> Checkpoint:
        """The weights that scored best; with averaging the others lie beside them, as "raw" or as "ema"."""
        if "ema" not in self.optimizer.slots:
            return self._checkpoint()
        raw, average = self.network.parameters.flat, self.optimizer.slots["ema"]
        if not averaged:
            return self._checkpoint(slots={"ema": average})
        raw = raw.copy()
        with self._averaged_weights():
            checkpoint = self._checkpoint(slots={"raw": raw})
            checkpoint.parameters = {name: value.copy() for name, value in checkpoint.parameters.items()}
        return checkpoint

    def _sample(self) -> Sampled:
        prime = np.array([self.vocabulary.line_start])
        sampler = Sampler(self.network, prime, choice=Choice(SAMPLE_TEMPERATURE), seed=self.progress.step)
        text = self.vocabulary.decode(sampler.draw(self.config.sample_length)[:, 0])
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return Sampled(self.progress.step, SAMPLE_TEMPERATURE, text)

    def _save(self, reason: str) -> Saved:
        begun = time.monotonic()
        self.folder.save_last(self._whole())
        self._saved_at = time.monotonic()
        self._saving_s = self._saved_at - begun
        return Saved(self.progress.step, str(self.folder.last), reason)

    def _whole(self) -> Checkpoint:
        """All that a resume needs."""
        return self._checkpoint(self.optimizer.slots, (self.state.h, self.state.c))

    def _checkpoint(
        self,
        slots: Mapping[str, np.ndarray] = MappingProxyType({}),
        state: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> Checkpoint:
        """The run as it stands, with flat buffers by their slots' names and the lanes' state."""
        self.progress.elapsed_s = self._elapsed()
        progress = asdict(self.progress)
        history = progress.pop("history")
        optimizer = {}
        for slot, values in slots.items():
            views = Parameters(self.network.config)
            views.flat[:] = values
            optimizer[slot] = dict(views.items())
        return Checkpoint(
            model=self.network.config,
            vocabulary=self.vocabulary,
            parameters=dict(self.network.parameters.items()),
            training=self.config,
            progress=progress,
            history=history,
            corpus=self.corpus,
            optimizer=optimizer,
            state=state,
        )

    def _started(self) -> Started:
        model = self.network.config
        return Started(
            path=str(self.folder.path),
            step=self.progress.step,
            total_steps=self.plan.total_steps,
            time_budget_s=self.config.time_budget,
            epochs=self.plan.epochs,
            parameters=self.network.parameters.size,
            vocabulary=model.vocabulary,
            train_characters=len(self.parts.train),
            validation_characters=len(self.parts.validation),
            test_characters=len(self.parts.test),
            hidden=model.hidden,
            layers=model.layers,
            embedding=model.embedding,
            batch_size=self.batches.lanes,
            seq_len=self.batches.steps,
            threads=self.network.team.threads,
            resumed=self.resumed is not None,
            notes=self.notes,
        )

    def _finished(self, reason: str) -> Finished:
        progress = self.progress
        return Finished(
            step=progress.step,
            epoch=self._epoch(),
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
