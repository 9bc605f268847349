"""How much memory a run needs, so that an absurd one is refused before it starts."""

import os
from dataclasses import replace

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.kernels.tiles import PANEL
from charrnn.packed import padded, panels
from charrnn.parameters import parameter_count
from charrnn.text.batches import fitting_lanes

_MOMENTS = {"adamw": 2, "adam": 2}  # of the other optimisers one


def needed(model: ModelConfig, training: TrainConfig) -> int:
    """Bytes that training needs, nearly, at the moment of a save.

    What the run keeps is parameters, moments, the average of the parameters if there is one, and the guard's copy of
    these.  All that is once more in the file that is being written, the parameters turned about.  Beside it are the
    gradient, two packed forms, and the workspace.
    """
    hidden, wide, vocabulary = padded(model.hidden), PANEL * panels(model.hidden), PANEL * panels(model.vocabulary)
    kept = 1 + _MOMENTS.get(training.optimizer, 1) + bool(training.ema)
    rows = training.batch_size * (training.seq_len + 1)
    workspace = rows * (model.layers * (5 * hidden + 2 * wide) + wide + vocabulary)
    return 4 * ((4 * kept + 4) * parameter_count(model) + workspace + 2 * model.vocabulary * 4 * hidden)


def installed() -> int | None:
    """Bytes of memory that the machine has, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check(model: ModelConfig, training: TrainConfig, length: int | None = None) -> None:
    """Refuse what cannot fit, in the windows that a text of ``length`` characters fills if that is known.

    Raises:
        ConfigError: with what it would need and what there is.
    """
    if length is not None:
        lanes, steps = fitting_lanes(length, training.batch_size, training.seq_len)
        training = replace(training, batch_size=lanes, seq_len=steps)
    _require(
        needed(model, training),
        f"{model.layers} x {model.hidden} with windows of {training.batch_size} x {training.seq_len} needs",
        "choose a smaller hidden size, batch size or sequence length",
    )


def check_texts(count: int, length: int) -> None:
    """Refuse so many texts at once, of so many characters each, if they cannot be kept.

    Raises:
        ConfigError: with what they would need and what there is.
    """
    # A text is copied when a piece is appended.
    need = 2 * count * length
    _require(need, f"{count:,} texts of {length:,} characters at once need", "ask for a smaller --count or --length")


def _require(need: int, what: str, advice: str) -> None:
    have = installed()
    if have is not None and need > have:
        raise ConfigError(f"{what} about {need / 1e9:,.1f} GB, and this machine has {have / 1e9:,.1f}: {advice}")
