"""All settings of a new run together: their names, their defaults, and which of them exclude each other.

The command line has an option for nearly every setting; :func:`charrnn.train` takes them as keyword arguments.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

from charrnn.config import ENDS, PRESETS, ModelConfig, TextConfig, TrainConfig, require_known
from charrnn.errors import ConfigError, ContradictionError, brief

LONGEST_S = 1e8  # of a duration

_MODEL, _TEXT, _TRAINING = (
    {each.name: each.default for each in dataclasses.fields(kind)} for kind in (ModelConfig, TextConfig, TrainConfig)
)
del _MODEL["vocabulary"]  # the text decides

# What the model is.
MODEL = tuple(_MODEL)
# How the text is read by a model that knows all its characters.
TEXT = tuple(name for name in _TEXT if name != "unknown")
# How the model is trained.
TRAINING = tuple(_TRAINING)
# What a resumed run may change.
RUN = (
    "patience",
    "effort",
    *ENDS,
    "eval_every",
    "save_every",
    "sample_every",
    "snapshots",
    "keep_checkpoints",
    "ngrams",
)
# How the model learns: all other settings of a run. No option has the length of its samples.
LEARNING = tuple(name for name in TRAINING if name not in (*RUN, "sample_length"))

_OTHERS = {"preset": None, "init_from": None, "grow_vocabulary": False, "diagnose": False}
# The text decides how many hidden units there are if nobody else does.
DEFAULTS: dict[str, Any] = _MODEL | _TEXT | _TRAINING | _OTHERS | {"hidden": None}


class Settings(TypedDict, total=False):
    """The settings of :func:`charrnn.train`.

    They are those of :class:`charrnn.config.ModelConfig`, :class:`charrnn.config.TextConfig` and
    :class:`charrnn.config.TrainConfig`, and:

    - ``preset``: settings that go together, a name in :data:`charrnn.config.PRESETS`. Settings that are given win.
    - ``time_budget``: seconds, or a string like "90s", "3m", "1h30m".
    - ``init_from``: a checkpoint or the folder of a run, to start from its weights and characters; with
      ``grow_vocabulary`` the model gets the characters of the text that it does not know.
    - ``diagnose``: whether each evaluation yields a record that says how the network is learning.

    A setting that is None has its default.
    """

    hidden: int | None
    layers: int
    embedding: int | None
    cell: str
    heads: int | None
    context: int | None
    as_bytes: bool
    encoding: str
    min_count: int
    max_vocab: int
    unknown: Literal["error", "skip", "replace"] | None
    seq_len: int
    no_carry: bool
    batch_size: int
    accumulate: int
    groups: int | None
    init: str
    forget_bias: float
    dropout: float | None
    variational: bool
    recurrent_dropout: float | None
    input_dropout: float
    label_smoothing: float
    tar: float | None
    teachers: int
    teacher_weight: float
    ngram_targets: float
    optimizer: str
    lr: float | None
    beta1: float
    beta2: float
    epsilon: float
    nesterov: bool
    weight_decay: float | None
    l1: float
    clip: float
    clip_value: float
    ema: float
    warmup: int
    schedule: str
    final_lr: float
    decay_rate: float | None
    decay_after: float
    decay_every: float
    plateau_patience: int
    epochs: float | None
    steps: int | None
    time_budget: float | str | None
    effort: float
    patience: int | None
    split: str
    seed: int
    eval_every: int | None
    save_every: int | None
    sample_every: int | None
    sample_length: int
    snapshots: bool
    keep_checkpoints: int
    ngrams: str
    preset: str | None
    init_from: str | Path | None
    grow_vocabulary: bool
    diagnose: bool


class Options(NamedTuple):
    """The settings of a new run.

    ``values`` has every setting by name. ``given`` has the names of the settings that the user has chosen. A preset,
    the text and the time budget decide about all other settings.
    """

    values: Mapping[str, Any]
    given: Collection[str]

    def replaced(self, values: Mapping[str, Any]) -> "Options":
        """The same with other values, of settings that the user need not have chosen."""
        return self._replace(values={**self.values, **values})


def options_of(settings: Mapping[str, Any]) -> Options:
    """The options of a new run from settings by name; a setting that is None has its default.

    Raises:
        ConfigError: a name is unknown, a value is not valid, or two settings exclude each other.
    """
    require_known(settings, list(DEFAULTS))
    given = {name: _plain(value) for name, value in settings.items() if value is not None}
    if isinstance(given.get("time_budget"), str):
        given["time_budget"] = seconds(given["time_budget"])
    if given.get("preset", "balanced") not in tuple(PRESETS):
        raise ConfigError(f"preset must be one of {', '.join(PRESETS)}, not {brief(given['preset'])}")
    if not isinstance(given.get("init_from", ""), str | Path):
        raise ConfigError(f"init_from must be the path of a model, not {brief(given['init_from'])}")
    for name in ("grow_vocabulary", "diagnose"):
        if not isinstance(given.get(name, False), bool):
            raise ConfigError(f"{name} must be true or false, not {brief(given[name])}")
    TextConfig(**{name: value for name, value in given.items() if name in _TEXT})
    ModelConfig(1, **{name: value for name, value in given.items() if name in MODEL})
    options = Options({**DEFAULTS, **given}, given.keys())
    require_consistent(options.values)
    return options


def _plain(value: Any) -> Any:
    """A NumPy number as a number of Python."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def require_consistent(values: Mapping[str, Any], resumes: bool = False) -> None:
    """Refuse settings by name that exclude each other; ``resumes`` if the run is resumed, whose settings are not here.

    :class:`charrnn.config.TrainConfig` knows what its own settings exclude.

    Raises:
        ConfigError: there are such settings, or a setting of a training run is not valid.
    """
    if values["grow_vocabulary"] and (values["unknown"] or not values["init_from"]):
        raise ContradictionError("{grow_vocabulary} goes with {init_from} and without {unknown}")
    if values["unknown"] and not values["init_from"]:
        raise ContradictionError("{unknown} goes with {init_from}: a new model knows all characters of its text")
    if resumes:
        return
    training_config(values)
    end = next((name for name in ENDS if values[name] is not None), None)
    if end is not None and values["effort"] != TrainConfig.effort:
        raise ContradictionError(f"{{{end}}} and {{effort}} exclude each other: give one")


def training_config(values: Mapping[str, Any]) -> TrainConfig:
    """The settings of a training run among ``values``, settings by name.

    Raises:
        ConfigError: a value is not valid, or two settings exclude each other.
    """
    return TrainConfig(**{name: value for name, value in values.items() if name in TRAINING})


def flag(name: str) -> str:
    """How the command line writes a setting."""
    return "--" + name.removeprefix("as_").replace("_", "-")


def seconds(duration: str) -> float:
    """The seconds of a duration like ``90``, ``90s``, ``3m`` or ``1h30m``.

    Raises:
        ConfigError: it is not a duration, or nothing, or longer than three years.
    """
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", duration.strip())
    if not match or not any(match.groups()):
        raise ConfigError(f"{brief(duration)} is not a duration like 90s, 3m or 1h30m")
    days, hours, minutes, rest = (float(part or 0) for part in match.groups())
    found = ((days * 24 + hours) * 60 + minutes) * 60 + rest
    if not 0 < found <= LONGEST_S:
        raise ConfigError(f"{brief(duration)} must be more than nothing and less than three years")
    return found
