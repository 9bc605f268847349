"""The learning rate over a run."""

import math

from charrnn.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, progress: float) -> float:
    """The rate for update ``step`` (from 0) at ``progress`` (0 to 1) of the run.

    A linear warm-up over ``config.warmup`` steps, or a tenth of a short run, times half a cosine from the peak to
    ``config.final_lr`` of it (Loshchilov & Hutter 2017).
    """
    peak, floor = config.learning_rate, config.final_lr
    cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
    warm = 1.0
    if step < config.warmup:
        # A run shorter than ten warm-ups warms up over its first tenth instead.
        warm = max((step + 1) / (config.warmup + 1), min(1.0, progress / 0.1))
    return peak * warm * cosine
