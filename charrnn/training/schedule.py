"""The learning rate over a run."""

import math
from collections.abc import Iterable

from charrnn.config import TrainConfig
from charrnn.system.exact import cosine_of_half_turns, power


def learning_rate(config: TrainConfig, step: int, done: float, epoch: float, val_losses: Iterable[float]) -> float:
    """The rate for update ``step`` (from 0): the peak, ``config.learning_rate``, times a linear warm-up and a schedule.

    The warm-up takes ``config.warmup`` steps, or a tenth of a short run. ``done`` (0 to 1) is the fraction of the run
    that is done, ``epoch`` the number of passes over the text so far, ``val_losses`` the losses of the evaluations so
    far, which only ``plateau`` reads. The schedules, as fractions of the peak:

    - ``constant``: 1;
    - ``linear``: along a line to ``config.final_lr``;
    - ``cosine``: along half a cosine to ``config.final_lr`` (Loshchilov & Hutter 2017);
    - ``step``: times ``decay_rate`` after ``decay_after`` epochs, and again every ``decay_every`` epochs. With 0.97, 10
      and 1 this is the schedule of char-rnn;
    - ``exponential``: the same decay without steps: 1 until ``decay_after``, from then on
      decay_rate^((epoch - decay_after) / decay_every);
    - ``plateau``: times ``decay_rate`` whenever ``plateau_patience`` evaluations in a row were no better than the best
      before them.
    """
    return config.learning_rate * _warmup(config, step, done) * _scale(config, done, epoch, val_losses)


def _warmup(config: TrainConfig, step: int, done: float) -> float:
    if step >= config.warmup:
        return 1.0
    # A run shorter than ten warm-ups warms up over its first tenth instead.
    return max((step + 1) / (config.warmup + 1), min(1.0, done / 0.1))


def _scale(config: TrainConfig, done: float, epoch: float, val_losses: Iterable[float]) -> float:
    floor, done = config.final_lr, min(max(done, 0.0), 1.0)
    periods = (epoch - config.decay_after) / config.decay_every
    match config.schedule:
        case "linear":
            return floor + (1 - floor) * (1 - done)
        case "cosine":
            return floor + (1 - floor) * 0.5 * (1 + cosine_of_half_turns(done))
        case "step":
            return power(config.lr_decay, max(0, math.floor(periods) + 1))
        case "exponential":
            return power(config.lr_decay, max(0.0, periods))
        case "plateau":
            return power(config.lr_decay, plateaus(val_losses, config.plateau_patience))
        case _:
            return 1.0


def plateaus(losses: Iterable[float], patience: int) -> int:
    """How often ``patience`` losses in a row were no better than the best loss before them; each loss counts once."""
    best, count, waited = math.inf, 0, 0
    for loss in losses:
        if loss < best:
            best, waited = loss, 0
        else:
            waited += 1
        if waited == patience:
            count, waited = count + 1, 0
    return count
