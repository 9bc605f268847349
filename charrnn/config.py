"""The settings of a model, of how a text is read, of a training run and of dynamic evaluation, and the presets.

Settings are frozen, are checked when they are made, and become plain JSON values.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, field
from typing import Any, Literal, Self

from charrnn.errors import ConfigError, ContradictionError, brief

DEFAULT_LR = {"adamw": 2.4e-2, "adam": 4e-3, "sgd": 0.5, "rmsprop": 2e-3, "adagrad": 0.1}
DEFAULT_WEIGHT_DECAY = {"adamw": 0.1, "adam": 0.0, "sgd": 0.0, "rmsprop": 0.0, "adagrad": 0.0}
OPTIMIZERS = tuple(DEFAULT_LR)
SCHEDULES = ("constant", "linear", "cosine", "step", "exponential", "plateau")
DEFAULT_DECAY_RATE = {"step": 0.97, "exponential": 0.97, "plateau": 0.5}
DEFAULT_CELL = "lstm"
INITS = ("unit", "uniform", "xavier", "orthogonal")
ENDS = ("epochs", "steps", "time_budget")  # how long a run is; at most one of them is given
SAMPLE_TEMPERATURE = 0.8  # of samples, while a model is trained and afterwards
_LONGEST_SPLIT = 60  # characters


# ---- fields with a check ----------------------------------------------------------------------------------
# Each function returns a dataclass field. Its metadata hold the check of the value, and of what kind and in which range
# the value is, so that the command line can make an option of the field. None is a valid value of exactly those fields
# whose default is None.


def _checked(default: Any, is_valid: Callable[[Any], bool], wanted: str, kind: str, **about: Any) -> Any:
    return field(default=default, metadata={"is_valid": is_valid, "wanted": wanted, "kind": kind, **about})


def _whole(default: Any, least: int, most: int | None = None) -> Any:
    """A whole number; without ``most`` there is a bound only to have one."""
    highest = 10**12 if most is None else most

    def is_valid(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= highest

    wanted = f"a whole number from {least:,} to {highest:,}"
    return _checked(default, is_valid, wanted, "whole", least=least, most=most)


def _number(default: Any, least: float, most: float) -> Any:
    def is_valid(value: Any) -> bool:
        # NaN and infinities fail the comparison.
        return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most

    return _checked(default, is_valid, f"a number from {least:g} to {most:g}", "number", least=least, most=most)


def _flag() -> Any:
    return _checked(False, lambda value: isinstance(value, bool), "true or false", "flag")


def _choice(choices: Sequence[str], default: str | None) -> Any:
    return _checked(default, lambda value: value in choices, f"one of {', '.join(choices)}", "choice", choices=choices)


def _split() -> Any:
    # Only type and length are checked here; charrnn.text.corpus.split checks the percentages.
    return _checked(
        "90/10/0",
        lambda value: isinstance(value, str) and len(value) <= _LONGEST_SPLIT,
        "percentages like 90/10/0",
        "text",
    )


def require_known(names: Iterable[str], known: Sequence[str]) -> None:
    """Refuse a name that is not one of the ``known`` settings.

    Raises:
        ConfigError: the message has the nearest names.
    """
    for name in names:
        if name not in known:
            import difflib  # here, because it would slow the start of every command

            near = " or ".join(map(repr, difflib.get_close_matches(name, known, 3)))
            raise ConfigError(f"unknown setting {brief(name)}" + (f": did you mean {near}?" if near else ""))


@dataclass(frozen=True)
class _Config:
    """Base of all settings: checks of every field, and a dictionary form."""

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if value is None and each.default is None:
                continue
            if not each.metadata["is_valid"](value):
                raise ConfigError(f"{each.name} must be {each.metadata['wanted']}, not {brief(value)}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make the settings from a dictionary.

        Raises:
            ConfigError: a name is unknown (the message has the nearest ones) or a value is not valid.
        """
        known = [each.name for each in dataclasses.fields(cls)]
        require_known(values, known)
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"incomplete or malformed settings: {error}") from None


@dataclass(frozen=True)
class ModelConfig(_Config):
    """The network: V characters, L layers of H units, E columns of a learned embedding or none, and the kind of cell.

    A Transformer has attention ``heads`` in every layer, which look at the last ``context`` characters; None leaves
    both to the cell.

    Raises:
        ConfigError: a size is out of range.
    """

    vocabulary: int = _whole(MISSING, 1, 1_200_000)
    hidden: int = _whole(256, 1, 65_536)
    layers: int = _whole(2, 1, 64)
    embedding: int | None = _whole(None, 1, 65_536)
    cell: str = _checked(DEFAULT_CELL, lambda value: isinstance(value, str), "a name", "text")
    heads: int | None = _whole(None, 1, 65_536)
    context: int | None = _whole(None, 2, 1_000_000)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values; those that early versions do not know are left out if they say nothing."""
        nothing = {"cell": DEFAULT_CELL, "heads": None, "context": None}
        values = super().to_dict()
        return {name: value for name, value in values.items() if name not in nothing or value != nothing[name]}


@dataclass(frozen=True)
class TextConfig(_Config):
    """How a text is read: see :func:`charrnn.text.corpus.open_corpus`.

    Raises:
        ConfigError: a value is out of range.
    """

    as_bytes: bool = _flag()
    encoding: str = _checked("utf-8", lambda value: isinstance(value, str), "the name of an encoding", "text")
    min_count: int = _whole(1, 1)
    max_vocab: int = _whole(1000, 1, 1_114_112)
    unknown: Literal["error", "skip", "replace"] | None = _choice(("error", "skip", "replace"), None)


@dataclass(frozen=True)
class TrainConfig(_Config):
    """How a model is trained.

    - The end: ``steps``, or ``epochs``, or ``time_budget`` seconds, whichever one is given; with none, ``effort`` times
      as many epochs as suit the text. ``patience`` ends the run after so many evaluations without a better one.
    - ``eval_every``, ``save_every``, ``sample_every``: in steps. None lets the run decide; ``sample_every`` 0 means
      never. ``snapshots`` keeps the weights of some of the steps with samples. ``keep_checkpoints``
      keeps so many whole checkpoints, evenly spread over the run. ``ngrams``: whether
      the best weights are mixed with n-grams at the end.
    - ``accumulate``: a step reads so many times ``batch_size`` batch rows, in as many parts one after the other.
    - ``groups``: the batch rows are divided into so many groups, whose sums are added in a tree, so that several
      processes can share them; None is a number that costs little.  See :mod:`charrnn.training.ranks`.
    - ``no_carry``: every window begins with an empty state, in training and in the scoring of the validation part.
    - ``init``, ``forget_bias``: the starting values, see :func:`charrnn.network.initialisation.initialise`.
    - ``dropout``, ``recurrent_dropout`` and ``tar`` (None: as suits the text and the model), ``variational``,
      ``input_dropout``, ``label_smoothing``: see :class:`charrnn.network.regularisation.Regularisation`.
    - ``teachers``: how many networks are trained first, with the same settings and other seeds; their mean
      probabilities are the part ``teacher_weight`` of the target.  Without teachers, what n-grams of the text expect is
      a part of it that falls from ``ngram_targets`` to a quarter of the dropout along the run.  See
      :mod:`charrnn.training.distillation`.
    - ``lr``, ``weight_decay``: None takes the optimiser's default. AdamW's weight decay is decoupled; the other
      optimisers have an L2 term. ``l1`` · sign(p) is added to the gradient. None of these applies to
      biases and to the gains of norms.
    - ``beta1``, ``beta2``: Adam's. RMSprop's alpha is ``beta2``, SGD's momentum is ``beta1``; ``nesterov`` is for SGD.
    - ``clip_value`` bounds each element of the gradient, then ``clip`` bounds its norm (0: no bound).
    - ``ema``: the decay of a moving average of the parameters (0: none is kept).
    - ``warmup`` (steps), ``schedule``, ``final_lr`` (the end of cosine and linear, as a fraction of ``lr``),
      ``decay_rate`` (None: the schedule's default), ``decay_after`` and ``decay_every`` (epochs), ``plateau_patience``
      (evaluations): see :func:`charrnn.training.schedule.learning_rate`.

    Raises:
        ConfigError: a value is out of range, or two settings contradict each other.
    """

    seq_len: int = _whole(64, 1, 1_000_000)
    no_carry: bool = _flag()
    batch_size: int = _whole(32, 1, 1_000_000)
    accumulate: int = _whole(1, 1, 65_536)
    groups: int | None = _whole(None, 1, 65_536)
    init: str = _choice(INITS, "unit")
    forget_bias: float = _number(1.0, -100, 100)
    dropout: float | None = _number(None, 0, 0.95)
    variational: bool = _flag()
    recurrent_dropout: float | None = _number(None, 0, 0.95)
    input_dropout: float = _number(0.0, 0, 0.95)
    label_smoothing: float = _number(0.0, 0, 0.95)
    tar: float | None = _number(None, 0, 1_000)
    teachers: int = _whole(0, 0, 64)
    teacher_weight: float = _number(0.5, 0, 1)
    ngram_targets: float = _number(0.2, 0, 1)
    optimizer: str = _choice(OPTIMIZERS, "adamw")
    lr: float | None = _number(None, 0, 1_000)
    beta1: float = _number(0.9, 0, 0.999999)
    beta2: float = _number(0.99, 0, 0.999999)
    epsilon: float = _number(1e-8, 1e-30, 1)
    nesterov: bool = _flag()
    weight_decay: float | None = _number(None, 0, 100)
    l1: float = _number(0.0, 0, 100)
    clip: float = _number(1.0, 0, 1e9)
    clip_value: float = _number(0.0, 0, 1e9)
    ema: float = _number(0.0, 0, 0.999999)
    warmup: int = _whole(100, 0)
    schedule: str = _choice(SCHEDULES, "cosine")
    final_lr: float = _number(0.02, 0, 1)
    decay_rate: float | None = _number(None, 1e-6, 1)
    decay_after: float = _number(10, 0, 1e6)
    decay_every: float = _number(1, 1e-6, 1e6)
    plateau_patience: int = _whole(2, 1, 10**9)
    epochs: float | None = _number(None, 1e-6, 1e6)
    steps: int | None = _whole(None, 1)
    time_budget: float | None = _number(None, 1e-6, 1e8)
    effort: float = _number(1.0, 0.01, 1000)
    patience: int | None = _whole(None, 1)
    split: str = _split()
    seed: int = _whole(1, 0, 2**63 - 1)
    eval_every: int | None = _whole(None, 1)
    save_every: int | None = _whole(None, 1)
    sample_every: int | None = _whole(None, 0)
    sample_length: int = _whole(240, 1, 1_000_000)
    snapshots: bool = _flag()
    keep_checkpoints: int = _whole(0, 0, 10_000)
    ngrams: str = _choice(("on", "off"), "on")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and (self.optimizer != "sgd" or not self.beta1):
            raise ContradictionError("{nesterov} goes with {optimizer} sgd and a momentum ({beta1}) above 0")
        ends = [f"{{{name}}}" for name in ENDS if getattr(self, name) is not None]
        if len(ends) > 1:
            raise ContradictionError(f"{' and '.join(ends)} exclude each other: give one")
        if self.teachers and self.time_budget is not None:
            raise ContradictionError("{teachers} take {epochs} or {steps}, as the run does: leave {time_budget} out")
        if self.snapshots and self.sample_every == 0:
            raise ContradictionError("{snapshots} are kept where samples are drawn: {sample_every} must not be 0")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """As for all settings; of those that an earlier version had no word for, the values that it worked with."""
        return super().from_dict({"ngram_targets": 0.0, "groups": 1, "tar": 0.0} | values)

    @property
    def rows(self) -> int:
        """The batch rows of a step."""
        return self.batch_size * self.accumulate

    @property
    def learning_rate(self) -> float:
        """The peak learning rate: ``lr``, or the optimiser's default."""
        return DEFAULT_LR[self.optimizer] if self.lr is None else self.lr

    @property
    def lr_decay(self) -> float:
        """The factor of each decay of the rate: ``decay_rate``, or the schedule's default (1: no decay)."""
        return DEFAULT_DECAY_RATE.get(self.schedule, 1.0) if self.decay_rate is None else self.decay_rate

    @property
    def decay(self) -> float:
        """The weight decay: ``weight_decay``, or the optimiser's default."""
        return DEFAULT_WEIGHT_DECAY[self.optimizer] if self.weight_decay is None else self.weight_decay


@dataclass(frozen=True)
class DynamicEvaluationConfig(_Config):
    """How a model goes on learning from the text that it is tested on.

    After each segment of ``steps`` characters the weights are updated with the learning rate ``lr``, and drawn back to
    their original values by ``decay``; see :func:`charrnn.training.dynamic_evaluation.evaluate_dynamically`.  Recurrent
    matrices and the layers of a Transformer learn at ``slow_factor`` times the rate.  docs/MODEL.md says what other
    values gave.

    Raises:
        ConfigError: a value is out of range.
    """

    lr: float = _number(3e-3, 0, 1)
    steps: int = _whole(32, 1, 1_000_000)
    decay: float = _number(4e-3, 0, 1)
    slow_factor: float = _number(0.125, 0, 1)


@dataclass(frozen=True)
class LineLearningConfig(DynamicEvaluationConfig):
    """How a model goes on learning from the lines that it scores.

    The learning rate is higher than for other texts, because the lines of a log repeat; docs/LOGS.md has the figures.
    """

    lr: float = _number(6e-3, 0, 1)


# By the name of a cell: values for those settings of ModelConfig and TrainConfig that neither the user nor a preset
# settles, where the cell needs others than an LSTM; rates are AdamW's. docs/LOG.md says how they were found.
CELL_SETTINGS: dict[str, dict[str, Any]] = {
    "rnn": {"lr": 6e-3, "tar": 0.0},
    "gru": {"lr": 1.2e-2, "tar": 0.0},
    "transformer": {"layers": 4, "lr": 2e-3},
}

# By the name of a preset: values for those settings of ModelConfig and TrainConfig that the user leaves open. A slower
# preset gives a better model; docs/RESULTS.md has the loss and the time of each.
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"time_budget": 180.0, "cell": "capped-lstm"},
    "balanced": {},
    "best": {"hidden": 512, "cell": "capped-lstm", "teachers": 3},
}
