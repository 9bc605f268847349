"""The learning rate over a run."""

import math
from collections.abc import Iterable

from charrnn.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, progress: float, epoch: float, val_losses: Iterable[float]) -> float:
    """The rate for update ``step`` (from 0): the peak, times a linear warm-up, times the schedule.

    The warm-up takes ``config.warmup`` steps, or a tenth of a short run.  ``progress`` (0 to 1) is the part of the run
    that is done, ``epoch`` the passes over the text so far, ``val_losses`` the losses of the evaluations so far, read
    only by ``plateau``.  The schedules, as parts of the peak:

    - ``constant``: 1;
    - ``linear``: along a line to ``config.final_lr``;
    - ``cosine``: along half a cosine to ``config.final_lr`` (Loshchilov & Hutter 2017);
    - ``step``: times ``decay_rate`` when ``decay_after`` epochs are done, and again each ``decay_every`` epochs.  With
      0.97, 10 and 1 it is char-rnn's;
    - ``exponential``: the same rate of decay without stairs, decay_rate^((epoch - decay_after) / decay_every), and 1
      until then;
    - ``plateau``: times ``decay_rate`` whenever ``plateau_patience`` evaluations in a row were no better than the best
      before them.
    """
    return config.learning_rate * _warmth(config, step, progress) * _scale(config, progress, epoch, val_losses)


def _warmth(config: TrainConfig, step: int, progress: float) -> float:
    if step >= config.warmup:
        return 1.0
    # A run shorter than ten warm-ups warms up over its first tenth instead.
    return max((step + 1) / (config.warmup + 1), min(1.0, progress / 0.1))


def _scale(config: TrainConfig, progress: float, epoch: float, val_losses: Iterable[float]) -> float:
    floor, done = config.final_lr, min(max(progress, 0.0), 1.0)
    periods = (epoch - config.decay_after) / config.decay_every
    match config.schedule:
        case "linear":
            return floor + (1 - floor) * (1 - done)
        case "cosine":
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
        case "step":
            return config.lr_decay ** max(0, math.floor(periods) + 1)
        case "exponential":
            return config.lr_decay ** max(0.0, periods)
        case "plateau":
            return config.lr_decay ** plateaus(val_losses, config.plateau_patience)
        case _:
            return 1.0


def plateaus(losses: Iterable[float], patience: int) -> int:
    """How often ``patience`` losses in a row were no better than the best before them, each counted once."""
    best, count, waited = math.inf, 0, 0
    for loss in losses:
        if loss < best:
            best, waited = loss, 0
        else:
            waited += 1
        if waited == patience:
            count, waited = count + 1, 0
    return count
