"""The settings of a model and of a run: frozen, checked when they are made, and plain JSON on the way out."""

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any, Self

from charrnn.errors import ConfigError

DEFAULT_LR = {"adamw": 4e-3, "adam": 4e-3, "sgd": 0.5, "rmsprop": 2e-3}
DEFAULT_WEIGHT_DECAY = {"adamw": 0.1, "adam": 0.0, "sgd": 0.0, "rmsprop": 0.0}
OPTIMIZERS = tuple(DEFAULT_LR)


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
                near = difflib.get_close_matches(name, known, 1)
                raise ConfigError(f"unknown setting {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError(f"incomplete or malformed settings: {error}") from None

    def _whole(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ConfigError(f"{name} must be a whole number from {least:,} to {most:,}, not {value!r}")

    def _number(self, name: str, least: float, most: float) -> None:
        value = getattr(self, name)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not math.isfinite(value)
            or not least <= value <= most
        ):
            raise ConfigError(f"{name} must be a number from {least:g} to {most:g}, not {value!r}")


@dataclass(frozen=True)
class ModelConfig(_Config):
    """The network: V characters, L layers of H units, and E columns of a learned embedding or none.

    Raises:
        ConfigError: a size is out of range.
    """

    vocabulary: int
    hidden: int = 256
    layers: int = 2
    embedding: int | None = None

    def __post_init__(self) -> None:
        self._whole("vocabulary", 1, 1_200_000)
        self._whole("hidden", 1, 65_536)
        self._whole("layers", 1, 64)
        if self.embedding is not None:
            self._whole("embedding", 1, 65_536)


@dataclass(frozen=True)
class TrainConfig(_Config):
    """How a model is trained.

    The run ends after ``steps``, or ``epochs``, or ``time_budget`` seconds, whichever one is given; with none,
    after as many epochs as suit the text.  ``eval_every`` and ``save_every`` are in steps and ``sample_every`` too;
    None leaves them to the run (0 for ``sample_every`` means never).  ``dropout`` None
    suits the size of the text.  ``lr`` and ``weight_decay`` None take the
    optimiser's defaults; AdamW's weight decay is decoupled, the others' an L2 term, and biases have none.
    ``clip`` bounds the gradient's norm (0: no bound); ``final_lr`` is the end of the cosine as a part of ``lr``.
    RMSprop's alpha is ``beta2``, SGD's momentum ``beta1``.

    Raises:
        ConfigError: a value is out of range, or two settings contradict each other.
    """

    seq_len: int = 64
    batch_size: int = 32
    dropout: float | None = None
    optimizer: str = "adamw"
    lr: float | None = None
    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float | None = None
    clip: float = 1.0
    warmup: int = 100
    final_lr: float = 0.02
    epochs: float | None = None
    steps: int | None = None
    time_budget: float | None = None
    split: str = "90/10/0"
    seed: int = 1
    eval_every: int | None = None
    save_every: int | None = None
    sample_every: int | None = None
    sample_length: int = 240

    def __post_init__(self) -> None:
        self._whole("seq_len", 1, 1_000_000)
        self._whole("batch_size", 1, 1_000_000)
        if self.dropout is not None:
            self._number("dropout", 0, 0.95)
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.lr is not None:
            self._number("lr", 0, 1_000)
        self._number("beta1", 0, 0.999999)
        self._number("beta2", 0, 0.999999)
        self._number("epsilon", 0, 1)
        if self.weight_decay is not None:
            self._number("weight_decay", 0, 100)
        self._number("clip", 0, 1e9)
        self._whole("warmup", 0, 10**9)
        self._number("final_lr", 0, 1)
        for name, most in (("epochs", 1e6), ("time_budget", 1e8)):
            if getattr(self, name) is not None:
                self._number(name, 1e-6, most)
        for name in ("steps", "eval_every", "save_every", "sample_every"):
            if getattr(self, name) is not None:
                self._whole(name, 0 if name == "sample_every" else 1, 10**12)
        given = [name for name in ("epochs", "steps", "time_budget") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} exclude each other: give one")
        self._whole("seed", 0, 2**63 - 1)
        self._whole("sample_length", 1, 1_000_000)

    @property
    def learning_rate(self) -> float:
        """The peak learning rate: ``lr``, or the optimiser's default."""
        return DEFAULT_LR[self.optimizer] if self.lr is None else self.lr

    @property
    def decay(self) -> float:
        """The weight decay: ``weight_decay``, or the optimiser's default."""
        return DEFAULT_WEIGHT_DECAY[self.optimizer] if self.weight_decay is None else self.weight_decay
