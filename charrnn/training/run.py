"""A run: the text, the settings, and everything that changes while it trains; to a checkpoint and back."""

import itertools
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.counters import Counters
from charrnn.checkpoints.fingerprint import fingerprint
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, CheckpointError, ContradictionError, brief
from charrnn.inference.ngrams import KERNELS, SECONDS_A_SYMBOL
from charrnn.kernels import compiler
from charrnn.kernels.sampling import write
from charrnn.network.network import Network, State
from charrnn.network.parameters import Parameters
from charrnn.text.corpus import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.text.windows import TrainingWindows, fitting_window
from charrnn.training.distillation import SoftTargets
from charrnn.training.optimizer import Optimizer
from charrnn.training.plan import Plan
from charrnn.training.ranks import Ranks, default_groups
from charrnn.training.rollback import Rollback

MOST_SYMBOLS = 10_000  # of a vocabulary, for n-grams: windows of probabilities then take less than 1 GB
MOST_TAUGHT_BY_NGRAMS = 5_000_000  # characters, for which they take up to 900 MB
TEACHING_SHARE = 0.04  # of a time budget, that n-grams may take before the first step
MEASURED_SHARE = 0.01  # of a time budget, for which the speed of training is measured before the run …
MEASURED_S = 0.3, 2.0  # … but at least and at most so many seconds
VALIDATION_LIMIT = 250_000  # characters that an evaluation scores while training


class Run:
    """The parts of a run, which the training step, the evaluation and the loop share.

    ``windows`` are the training windows, ``validation`` the ids that evaluations score, ``plan`` the length of the run,
    ``state`` the network's state before the next window, ``counters`` how far the run is, ``rollback`` the last good
    weights. ``config`` is the given one, with the dropouts and the learning rate filled in if they were left open,
    and without n-grams that cannot teach the run. The
    checkpoints that a run returns share memory with it: save them before the next step changes its arrays.
    ``resumed_from`` is ``resume``.

    Args:
        network: the model to train, with its starting values.
        config: the settings of the run.
        parts: the training, validation and test ids.
        vocabulary: the symbols of the ids.
        corpus: facts about the text, for checkpoints.
        resume: the checkpoint to go on from.
        ranks: the processes that train the run; without them this one alone.

    Raises:
        CharRNNError: the text is too short to train on, or a plateau schedule has nothing to evaluate.
        CheckpointError: the checkpoint does not fit the run.
    """

    def __init__(
        self,
        network: Network,
        config: TrainConfig,
        parts: Parts,
        vocabulary: Vocabulary,
        corpus: dict[str, Any],
        resume: Checkpoint | None = None,
        ranks: Ranks | None = None,
    ):
        self.ranks = Ranks() if ranks is None else ranks
        if config.teachers and self.ranks.size > 1:
            raise ContradictionError("{teachers} train in one process: leave them out (0), or start one rank")
        if len(parts.train) < 2:
            raise CharRNNError("the training part has fewer than 2 characters: there is nothing to predict")
        if config.schedule == "plateau" and len(parts.validation) < 2:
            raise CharRNNError("--schedule plateau needs a validation part: give one with --split, or another schedule")
        self.network, self.parts, self.vocabulary, self.corpus = network, parts, vocabulary, corpus
        self.validation = parts.validation[:VALIDATION_LIMIT]
        # Before the first step is timed: a run under a time budget would take compilation for slow training.
        prepare_kernels(network.config, config)
        network.gradient = self.ranks.gradient(network.config)
        network.prepare_training()
        config = _with_groups(config, len(parts.train))
        self.windows = windows_of(parts.train, config, self.ranks)
        if config.groups > 1:
            network.sum_groups = config.groups // (self.ranks.size * config.accumulate)
        if not config.teachers and not _can_be_taught_by_ngrams(len(parts.train), len(vocabulary), config.time_budget):
            config = replace(config, ngram_targets=0.0)
        self.plan = Plan(config, len(parts.train), self.windows.count)
        if config.dropout is None:
            rate = None
            if config.time_budget is not None:
                rate = training_rate(network, self.windows, self.ranks, config)
            dropout, recurrent = self.plan.dropouts(network.parameters.size, rate)
            if config.recurrent_dropout is not None or "recurrent_dropout" in network.cell.unused:
                recurrent = config.recurrent_dropout or 0.0
            config = replace(config, dropout=dropout, recurrent_dropout=recurrent)
        recurrent = config.recurrent_dropout or 0.0  # with a dropout of the user's none, unless it is given too
        tar = config.tar
        if tar is None:
            tar = 0.0 if "tar" in network.cell.unused else self.plan.tar
        # The defaults may change, so the checkpoints hold what they were.
        self.config = config = replace(config, lr=config.learning_rate, recurrent_dropout=recurrent, tar=tar)
        self.optimizer = Optimizer(config, network.parameters, network.team)
        first, last = self.windows.rows
        self.state = network.initial_state(last - first)
        self.counters = Counters()
        self.rollback = Rollback(network, self.optimizer)
        self.soft_targets: SoftTargets | None = None
        self.resumed_from = resume
        if resume is not None:
            self._restore(resume)

    @property
    def epoch(self) -> float:
        """Passes over the text so far, with a fraction."""
        return self.counters.epoch + self.counters.window / self.windows.count

    @property
    def is_averaged(self) -> bool:
        """Whether the optimiser keeps a moving average of the weights."""
        return "ema" in self.optimizer.slots

    @property
    def is_mixed(self) -> bool:
        """Whether n-grams are mixed with the best weights at the end.

        That takes a validation part, to fit the weights to, and a vocabulary whose probabilities fit into memory for a
        whole window.
        """
        return self.config.ngrams == "on" and len(self.validation) >= 2 and len(self.vocabulary) <= MOST_SYMBOLS

    @property
    def learns_from_ngrams(self) -> bool:
        """Whether n-grams teach the run; they do not where networks do."""
        return self.config.ngram_targets > 0 and not self.config.teachers

    @property
    def is_out_of_patience(self) -> bool:
        """Whether ``config.patience`` evaluations have passed since the best one."""
        best, patience = self.counters.best_step, self.config.patience
        if patience is None or best is None:
            return False
        return sum(entry["step"] > best for entry in self.counters.history[-patience:]) >= patience

    # ---- to a checkpoint and back ---------------------------------------------------------------------

    def full_checkpoint(self, with_kept: bool = True) -> Checkpoint:
        """Everything that a resume needs: model, optimiser slots, last good weights and state.

        Without the last good weights (``with_kept``) it takes half the space, and is exact until a rollback returns to
        weights from before it.
        """
        kept = self.rollback.to_checkpoint() if with_kept else {}
        checkpoint = self.checkpoint(slots=self.optimizer.slots | kept)
        batch = self.windows.batch
        checkpoint.state = {name: self.ranks.gathered(array, batch) for name, array in self.state.arrays.items()}
        return checkpoint

    def checkpoint(
        self, flat: np.ndarray | None = None, slots: Mapping[str, np.ndarray] = MappingProxyType({})
    ) -> Checkpoint:
        """The model with its current parameters, or those in ``flat`` (P,), and more buffers (P,) by slot name."""
        self.counters.updates = self.optimizer.count
        self.counters.kept_step, self.counters.kept_updates = self.rollback.step, self.rollback.updates
        counters = asdict(self.counters)
        history = counters.pop("history")
        return Checkpoint(
            model=self.network.config,
            vocabulary=self.vocabulary,
            parameters=self._named(self.network.parameters.flat if flat is None else flat),
            training=self.config,
            counters=counters,
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
        self.counters = Counters(**checkpoint.counters, history=list(checkpoint.history))
        if checkpoint.state is None or not self.optimizer.slots.keys() <= checkpoint.optimizer.keys():
            raise CheckpointError("the checkpoint lacks something that a resume needs")
        rows = slice(*self.windows.rows)
        batch = State(checkpoint.state).batch
        if batch != self.windows.batch:
            raise CheckpointError(f"the checkpoint's state is for {batch} batch rows, not this run's")
        state = State({name: np.array(array[:, rows]) for name, array in checkpoint.state.items()})
        if self.counters.window >= self.windows.count:
            raise CheckpointError(
                f"the checkpoint's counters say window {brief(self.counters.window)} of an epoch that has "
                f"{self.windows.count:,}, counted from 0"
            )
        self.state = state
        self.network.set_parameters(checkpoint.parameters)
        buffers = {slot: self._flat(values) for slot, values in checkpoint.optimizer.items()}
        for slot, flat in self.optimizer.slots.items():
            flat[:] = buffers.pop(slot)
        self.optimizer.count = self.counters.updates
        self.rollback.from_checkpoint(buffers, self.counters.kept_step, self.counters.kept_updates)

    def _flat(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        parameters = Parameters(self.network.config)
        for name, value in values.items():
            parameters[name][:] = value
        return parameters.flat


def prepare_kernels(model: ModelConfig, config: TrainConfig) -> None:
    """Compile all kernels that a run needs, its samples and n-grams included, if they are not in the cache."""
    ngrams = KERNELS if config.ngrams == "on" or config.ngram_targets else ()
    forward, backward, steps = Network.kernels(model)
    # The process that has compiled the first layer's forward pass, which takes long, has most of its step, too.
    compiler.prepare(forward[0], write, *steps, *forward, *backward, *ngrams, *Optimizer.kernels(config))


def _with_groups(config: TrainConfig, length: int) -> TrainConfig:
    """The settings with ``groups`` filled in if they were left open, for a training part of ``length`` characters."""
    if config.groups is not None:
        return config
    batch, _ = fitting_window(length, config.rows, config.seq_len)
    return replace(config, groups=default_groups(batch, config.accumulate))


def windows_of(ids: np.ndarray, config: TrainConfig, ranks: Ranks) -> TrainingWindows:
    """The training windows of a run on ids (N,), with the batch rows of this rank.

    Raises:
        ContradictionError: the ranks cannot share the groups of batch rows.
    """
    config = _with_groups(config, len(ids))
    batch, steps = fitting_window(len(ids), config.rows, config.seq_len)
    return TrainingWindows(ids, batch, steps, config.seed, ranks.rows(batch, config.groups, config.accumulate))


def _can_be_taught_by_ngrams(length: int, vocabulary: int, budget: float | None) -> bool:
    """Whether a training part and its vocabulary are small enough for n-grams that teach, and the budget is enough."""
    if length > MOST_TAUGHT_BY_NGRAMS or vocabulary > MOST_SYMBOLS:
        return False
    # N-grams learn the whole text, in two halves, and then read it.
    return budget is None or 2 * length * SECONDS_A_SYMBOL <= TEACHING_SHARE * budget


def training_rate(network: Network, windows: TrainingWindows, ranks: Ranks, config: TrainConfig) -> float:
    """Characters that the ranks train on per second, measured on some windows of the first; no weight changes.

    ``config`` has a time budget, and says in how many parts a rank reads its batch rows.
    """
    least, most = MEASURED_S
    seconds = min(max(MEASURED_SHARE * config.time_budget, least), most)
    return ranks.size * ranks.from_first(lambda: _training_rate(network, windows, config.accumulate, seconds))


def _training_rate(network: Network, windows: TrainingWindows, parts: int, seconds: float) -> float:
    first, last = windows.rows
    rows = (last - first) // parts
    state, numbers, took = network.initial_state(rows), itertools.cycle(range(windows.count)), []
    while sum(took[1:]) <= seconds:  # the first window makes the arrays
        x, y = (np.ascontiguousarray(ids[:, :rows]) for ids in windows.window(0, next(numbers)))
        begun = time.perf_counter()
        network.loss_and_gradient(x, y, state)
        took.append(time.perf_counter() - begun)
    return x.size / statistics.median(took[1:])  # other programs may disturb some windows
