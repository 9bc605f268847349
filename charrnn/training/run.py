"""A run: what it learns from, and all that changes while it does; into a checkpoint and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.counters import Counters
from charrnn.checkpoints.fingerprint import fingerprint
from charrnn.config import TrainConfig
from charrnn.errors import CharRNNError, CheckpointError, brief
from charrnn.network.network import CharLSTM, State
from charrnn.network.parameters import Parameters
from charrnn.text.corpus import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.text.windows import TrainingWindows, fitting_window
from charrnn.training.optimizer import Optimizer
from charrnn.training.plan import Plan
from charrnn.training.rollback import Rollback

VALIDATION_LIMIT = 250_000  # characters scored while training


class Run:
    """What a run consists of.

    ``windows`` cut the training part, ``validation`` is what is scored; ``state`` is what the batch rows remember,
    ``progress`` the counters, ``guard`` the last good weights.

    Args:
        network: the model to train, with its starting values.
        config: how.
        parts: the text.
        vocabulary: its symbols.
        corpus: facts on the text that go into checkpoints.
        resume: the checkpoint to go on from.

    Raises:
        CharRNNError: the text is too short to train on.
        CheckpointError: the checkpoint is not one of such a run.
    """

    def __init__(
        self,
        network: CharLSTM,
        config: TrainConfig,
        parts: Parts,
        vocabulary: Vocabulary,
        corpus: dict[str, Any],
        resume: Checkpoint | None = None,
    ):
        if len(parts.train) < 2:
            raise CharRNNError("the training part has fewer than 2 characters: there is nothing to predict")
        if config.schedule == "plateau" and len(parts.validation) < 2:
            raise CharRNNError("--schedule plateau needs a validation part: give one with --split, or another schedule")
        self.network, self.parts, self.vocabulary, self.corpus = network, parts, vocabulary, corpus
        self.validation = parts.validation[:VALIDATION_LIMIT]
        batch, steps = fitting_window(len(parts.train), config.batch_size, config.seq_len)
        self.windows = TrainingWindows(parts.train, batch, steps, config.seed)
        self.plan = Plan(config, len(parts.train), self.windows.count)
        if config.dropout is None:
            config = self.plan.config = replace(config, dropout=self.plan.dropout(network.parameters.size))
        self.config = config
        self.optimizer = Optimizer(config, network.parameters, network.team)
        self.state = network.initial_state(batch)
        self.progress = Counters()
        self.guard = Rollback(network, self.optimizer)
        if resume is not None:
            self._restore(resume)

    @property
    def epoch(self) -> float:
        """Passes over the text so far."""
        return self.progress.epoch + self.progress.window / self.windows.count

    @property
    def is_averaged(self) -> bool:
        """Whether there is an average of the weights beside them."""
        return "ema" in self.optimizer.slots

    @property
    def is_out_of_patience(self) -> bool:
        """Whether as many evaluations as the run has patience for have passed without a better one."""
        best, patience = self.progress.best_step, self.config.patience
        if patience is None or best is None:
            return False
        return sum(entry["step"] > best for entry in self.progress.history[-patience:]) >= patience

    # ---- into a checkpoint and back -------------------------------------------------------------------

    def whole(self) -> Checkpoint:
        """All that a resume needs.  It looks at the run's arrays: it is to be saved before they change."""
        checkpoint = self.checkpoint(slots=self.optimizer.slots | self.guard.kept())
        checkpoint.state = self.state.arrays
        return checkpoint

    def checkpoint(
        self, flat: np.ndarray | None = None, slots: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> Checkpoint:
        """The model, or the one of the parameters ``flat`` (P,), with buffers (P,) beside it by their slots' names.

        It looks at the run's arrays: it is to be saved before they change.
        """
        self.progress.updates = self.optimizer.count
        self.progress.kept_step, self.progress.kept_updates = self.guard.step, self.guard.updates
        progress = asdict(self.progress)
        history = progress.pop("history")
        return Checkpoint(
            model=self.network.config,
            vocabulary=self.vocabulary,
            parameters=self._named(self.network.parameters.flat if flat is None else flat),
            training=self.config,
            counters=progress,
            history=history,
            corpus=self.corpus,
            program=fingerprint(),
            optimizer={slot: self._named(buffer) for slot, buffer in slots.items()},
        )

    def _named(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        return dict(Parameters(self.network.config, flat).items())

    def _restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint.counters.keys() != {field.name for field in fields(Counters)} - {"history"}:
            raise CheckpointError("the checkpoint's counters are not those of a run")
        self.progress = Counters(**checkpoint.counters, history=list(checkpoint.history))
        if checkpoint.state is None or not self.optimizer.slots.keys() <= checkpoint.optimizer.keys():
            raise CheckpointError("the checkpoint has not all that a resume needs")
        state = State({name: np.array(array) for name, array in checkpoint.state.items()})
        if state.batch != self.state.batch:
            raise CheckpointError(f"the checkpoint's state is for {state.batch} batch rows, not this run's")
        if self.progress.window >= self.windows.count:
            raise CheckpointError(
                f"the checkpoint's counters say window {brief(self.progress.window)} of an epoch that has "
                f"{self.windows.count:,}, counted from 0"
            )
        self.state = state
        self.network.set_parameters(checkpoint.parameters)
        buffers = {slot: self._flat(values) for slot, values in checkpoint.optimizer.items()}
        for slot, flat in self.optimizer.slots.items():
            flat[:] = buffers.pop(slot)
        self.optimizer.count = self.progress.updates
        self.guard.restore(buffers, self.progress.kept_step, self.progress.kept_updates)

    def _flat(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        parameters = Parameters(self.network.config)
        for name, value in values.items():
            parameters[name][:] = value
        return parameters.flat
