"""What every analysis of losses begins with: the text, what stands before it, and the model's losses on it."""

from collections.abc import Callable

import numpy as np

from charrnn.errors import ConfigError
from charrnn.evaluation import losses
from charrnn.model import Model

Progress = Callable[[str, int, int], None] | None
"""Called with what is being done, how much of it is, and how much there is."""


def surprises(
    model: Model, ids: np.ndarray, training: np.ndarray, before: np.ndarray | None, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses (M,) float32 in nats of ids (M,), with these ids and the ids (B,) before them, B from 1.

    Where ``before`` is missing or empty, the text's first character takes its place.

    Raises:
        ConfigError: there is nothing to score, or no ``training`` text.
    """
    if before is None or not len(before):
        before, ids = ids[:1], ids[1:]
    if not len(training):
        raise ConfigError("there is no training text to fit n-grams on")
    return losses(model.network, ids, int(before[-1]), progress=named("Reading", progress)), ids, before


def named(name: str, progress: Progress) -> Callable[[int, int], None] | None:
    """The same progress for one thing that is being done."""
    return None if progress is None else lambda done, total: progress(name, done, total)
