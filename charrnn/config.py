"""The settings of a model and of a run: frozen, checked when they are made, and plain JSON on the way out.

Settings that go together, by how long one is willing to wait.  docs/RESULTS.md has what each gave.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from charrnn.errors import ConfigError, brief

DEFAULT_LR = {"adamw": 4e-3, "adam": 4e-3, "sgd": 0.5, "rmsprop": 2e-3, "adagrad": 0.1}
DEFAULT_WEIGHT_DECAY = {"adamw": 0.1, "adam": 0.0, "sgd": 0.0, "rmsprop": 0.0, "adagrad": 0.0}
OPTIMIZERS = tuple(DEFAULT_LR)
SCHEDULES = ("constant", "linear", "cosine", "step", "exponential", "plateau")
DEFAULT_DECAY_RATE = {"step": 0.97, "exponential": 0.97, "plateau": 0.5}
DEFAULT_CELL = "lstm"
INITS = ("unit", "uniform", "xavier", "orthogonal")
_LONGEST_SPLIT = 60  # characters; whether they are percentages is for who cuts the text to say


class _Config:
    """What both kinds of settings share: a dictionary form and checks that name the setting."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make the settings from a dictionary, refusing unknown names.

        Raises:
            ConfigError: a name is unknown (with the nearest one) or a value is not usable.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                import difflib  # only where a name is wrong: it would slow every command's start

                near = difflib.get_close_matches(name, known, 1)
                raise ConfigError(f"unknown setting {brief(name)}" + (f": did you mean {near[0]!r}?" if near else ""))
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"incomplete or malformed settings: {error}") from None

    def _whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigError(f"{name} must be a whole number from {least:,} to {most:,}, not {brief(value)}")

    def _number(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        # NaN and infinities are not between two numbers.
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigError(f"{name} must be a number from {least:g} to {most:g}, not {brief(value)}")

    def _flag(self, name: str) -> None:
        if not isinstance(getattr(self, name), bool):
            raise ConfigError(f"{name} must be true or false, not {brief(getattr(self, name))}")


@dataclass(frozen=True)
class ModelConfig(_Config):
    """The network: V characters, L layers of H units, E columns of a learned embedding or none, and the kind of cell.

    Raises:
        ConfigError: a size is out of range.
    """

    vocabulary: int
    hidden: int = 256
    layers: int = 2
    embedding: int | None = None
    cell: str = DEFAULT_CELL

    def __post_init__(self) -> None:
        self._whole("vocabulary", 1, 1_200_000)
        self._whole("hidden", 1, 65_536)
        self._whole("layers", 1, 64)
        if self.embedding is not None:
            self._whole("embedding", 1, 65_536)
        if not isinstance(self.cell, str):
            raise ConfigError(f"cell must be a name, not {brief(self.cell)}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values; the default cell, which early versions had no word for, is left out."""
        values = super().to_dict()
        return {name: value for name, value in values.items() if (name, value) != ("cell", DEFAULT_CELL)}


@dataclass(frozen=True)
class TrainConfig(_Config):
    """How a model is trained.

    - The end: ``steps``, or ``epochs``, or ``time_budget`` seconds, whichever one is given; with none, ``effort`` times
      as many epochs as suit the text.  ``patience`` ends the run after so many evaluations without a better one.
    - ``eval_every``, ``save_every``, ``sample_every``: in steps; None leaves them to the run, 0 for ``sample_every``
      means never.  ``snapshots`` keeps the weights of some of the steps with samples.
    - ``init``, ``forget_bias``: the first weights, see :func:`charrnn.network.initialisation.initialise`.
    - ``dropout`` (None suits the text and the model), ``variational``, ``recurrent_dropout``, ``input_dropout``,
      ``label_smoothing``: see :class:`charrnn.network.regularisation.Regularisation`.
    - ``lr``, ``weight_decay``: None takes the optimiser's default.  AdamW's weight decay is decoupled, the others' an
      L2 term; ``l1`` · sign(p) is added to the gradient.  Biases have none of these.
    - ``beta1``, ``beta2``: Adam's; RMSprop's alpha is ``beta2``, SGD's momentum ``beta1``; ``nesterov`` is SGD's.
    - ``clip_value`` bounds each element of the gradient, ``clip`` then its norm (0: no bound).
    - ``ema``: the decay of a moving average of the parameters (0: none is kept).
    - ``warmup`` (steps), ``schedule``, with ``final_lr`` (the end of cosine and line as a part of ``lr``),
      ``decay_rate`` (None: the schedule's default), ``decay_after`` and ``decay_every`` (epochs), ``plateau_patience``
      (evaluations): see :func:`charrnn.training.schedule.learning_rate`.

    Raises:
        ConfigError: a value is out of range, or two settings contradict each other.
    """

    seq_len: int = 64
    batch_size: int = 32
    init: str = "unit"
    forget_bias: float = 1.0
    dropout: float | None = None
    variational: bool = False
    recurrent_dropout: float = 0.0
    input_dropout: float = 0.0
    label_smoothing: float = 0.0
    optimizer: str = "adamw"
    lr: float | None = None
    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 1e-8
    nesterov: bool = False
    weight_decay: float | None = None
    l1: float = 0.0
    clip: float = 1.0
    clip_value: float = 0.0
    ema: float = 0.0
    warmup: int = 100
    schedule: str = "cosine"
    final_lr: float = 0.02
    decay_rate: float | None = None
    decay_after: float = 10
    decay_every: float = 1
    plateau_patience: int = 2
    epochs: float | None = None
    steps: int | None = None
    time_budget: float | None = None
    effort: float = 1.0
    patience: int | None = None
    split: str = "90/10/0"
    seed: int = 1
    eval_every: int | None = None
    save_every: int | None = None
    sample_every: int | None = None
    sample_length: int = 240
    snapshots: bool = False

    def __post_init__(self) -> None:
        self._whole("seq_len", 1, 1_000_000)
        self._whole("batch_size", 1, 1_000_000)
        if self.init not in INITS:
            raise ConfigError(f"init must be one of {', '.join(INITS)}, not {brief(self.init)}")
        self._number("forget_bias", -100, 100)
        if self.dropout is not None:
            self._number("dropout", 0, 0.95)
        for name in ("recurrent_dropout", "input_dropout", "label_smoothing"):
            self._number(name, 0, 0.95)
        self._flag("variational")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {brief(self.optimizer)}")
        if self.lr is not None:
            self._number("lr", 0, 1_000)
        self._number("beta1", 0, 0.999999)
        self._number("beta2", 0, 0.999999)
        self._number("epsilon", 1e-30, 1)
        if self.weight_decay is not None:
            self._number("weight_decay", 0, 100)
        self._flag("nesterov")
        if self.nesterov and (self.optimizer != "sgd" or not self.beta1):
            raise ConfigError("nesterov goes with optimizer sgd and a momentum (beta1) above 0")
        self._number("l1", 0, 100)
        self._number("clip", 0, 1e9)
        self._number("clip_value", 0, 1e9)
        self._number("ema", 0, 0.999999)
        self._whole("warmup", 0, 10**9)
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"schedule must be one of {', '.join(SCHEDULES)}, not {brief(self.schedule)}")
        self._number("final_lr", 0, 1)
        if self.decay_rate is not None:
            self._number("decay_rate", 1e-6, 1)
        self._number("decay_after", 0, 1e6)
        self._number("decay_every", 1e-6, 1e6)
        self._whole("plateau_patience", 1, 10**9)
        for name, most in (("epochs", 1e6), ("time_budget", 1e8)):
            if getattr(self, name) is not None:
                self._number(name, 1e-6, most)
        self._number("effort", 0.01, 1000)
        if self.patience is not None:
            self._whole("patience", 1, 10**9)
        for name in ("steps", "eval_every", "save_every", "sample_every"):
            if getattr(self, name) is not None:
                self._whole(name, 0 if name == "sample_every" else 1, 10**12)
        given = [name for name in ("epochs", "steps", "time_budget") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} exclude each other: give one")
        if not isinstance(self.split, str) or len(self.split) > _LONGEST_SPLIT:
            raise ConfigError(f"split must be percentages like 90/10/0, not {brief(self.split)}")
        self._whole("seed", 0, 2**63 - 1)
        self._whole("sample_length", 1, 1_000_000)
        self._flag("snapshots")
        if self.snapshots and self.sample_every == 0:
            raise ConfigError("snapshots are kept where samples are drawn: sample_every must not be 0")

    @property
    def learning_rate(self) -> float:
        """The peak learning rate: ``lr``, or the optimiser's default."""
        return DEFAULT_LR[self.optimizer] if self.lr is None else self.lr

    @property
    def lr_decay(self) -> float:
        """What the learning rate is multiplied by: ``decay_rate``, or the schedule's default (1: it is not)."""
        return DEFAULT_DECAY_RATE.get(self.schedule, 1.0) if self.decay_rate is None else self.decay_rate

    @property
    def decay(self) -> float:
        """The weight decay: ``weight_decay``, or the optimiser's default."""
        return DEFAULT_WEIGHT_DECAY[self.optimizer] if self.weight_decay is None else self.weight_decay


@dataclass(frozen=True)
class OnlineConfig(_Config):
    """How a model goes on learning from the text that it is tested on.

    After each ``steps`` characters the weights make a step of ``lr`` and are drawn back to what they were by ``decay``;
    see :func:`charrnn.training.dynamic_evaluation.evaluate_online`.  docs/LOG.md has what other values gave.

    Raises:
        ConfigError: a value is out of range.
    """

    lr: float = 7e-4
    steps: int = 32
    decay: float = 2e-3

    def __post_init__(self) -> None:
        self._number("lr", 0, 1)
        self._whole("steps", 1, 1_000_000)
        self._number("decay", 0, 1)


PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"time_budget": 180.0},
    "balanced": {},
    "best": {"hidden": 512, "effort": 2.0, "lr": 3e-3, "recurrent_dropout": 0.2, "ema": 0.999},
}
"""Values of options by name, for those that the user leaves open."""
