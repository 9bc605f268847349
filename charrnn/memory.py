"""How much memory a run needs, so that an absurd one is refused before it starts."""

import os

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.packed import padded
from charrnn.parameters import parameter_count


def needed(config: ModelConfig, lanes: int, steps: int) -> int:
    """Bytes that training needs, nearly: parameters, gradient, two moments, two packed forms, and the workspace."""
    hidden, vocabulary = padded(config.hidden), padded(config.vocabulary)
    workspace = lanes * steps * (7 * config.layers * hidden + hidden + vocabulary)
    return 4 * (6 * parameter_count(config) + workspace + 2 * vocabulary * 4 * hidden)


def installed() -> int | None:
    """Bytes of memory that the machine has, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check(config: ModelConfig, lanes: int, steps: int) -> None:
    """Refuse what cannot fit.

    Raises:
        ConfigError: with what it would need and what there is.
    """
    have, need = installed(), needed(config, lanes, steps)
    if have is not None and need > have:
        raise ConfigError(
            f"{config.layers} x {config.hidden} with windows of {lanes} x {steps} needs about {need / 1e9:,.1f} GB, "
            f"and this machine has {have / 1e9:,.1f}: choose a smaller hidden size, batch size or sequence length"
        )
