"""How long a run is and how often it stops to look, where the user leaves that open."""

import math

from charrnn.config import TrainConfig

# Without epochs, steps or a time budget, a run reads about this many characters …
CHARACTERS = 10_000_000
# … in a number of epochs between these, and takes at least so many steps.
FEWEST_EPOCHS, MOST_EPOCHS, FEWEST_STEPS = 1, 30, 300

EVALUATIONS = 12  # of a run, unless it has more epochs than that
FEWEST_EVALUATIONS, MOST_EVALUATIONS = 4, 40
EVALUATION_SHARE = 0.08  # of a time budget that evaluations may take


def fitting_dropout(length: int) -> float:
    """The dropout for a text of ``length`` characters: 0.5 to 100,000, 0.2 at a million, none from 4.6 million on.

    A short text is read often and learnt by heart; a long one is read once.
    """
    return round(min(0.5, max(0.0, 0.2 + 0.3 * math.log10(1e6 / length))), 2)


class Plan:
    """The plan of a run.

    Args:
        config: what was asked for.
        length: characters to train on.
        windows: updates of an epoch.
    """

    def __init__(self, config: TrainConfig, length: int, windows: int):
        self.config, self.length, self.windows = config, length, windows

    @property
    def epochs(self) -> float | None:
        """Passes over the text; None where the end is a number of steps or of seconds."""
        if self.config.epochs is not None:
            return self.config.epochs
        if self.config.steps is not None or self.config.time_budget is not None:
            return None
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(CHARACTERS / self.length)))

    @property
    def total_steps(self) -> int | None:
        """Updates; None under a time budget."""
        if self.config.steps is not None:
            return self.config.steps
        if self.config.time_budget is not None:
            return None
        steps = math.ceil(self.epochs * self.windows)
        return steps if self.config.epochs is not None else max(steps, FEWEST_STEPS)

    def done(self, step: int, elapsed_s: float, evaluation_s: float) -> float:
        """The part of the run that is done, 0 to 1, after ``step`` updates and so many seconds.

        The last evaluation is part of a time budget; ``evaluation_s`` is what one takes.
        """
        if self.config.time_budget is not None:
            return min(1.0, elapsed_s / max(self.config.time_budget - evaluation_s, 1e-9))
        return min(1.0, step / self.total_steps)

    def evaluations(self, evaluation_s: float) -> int:
        """How many evaluations the whole run has, spread evenly, if one takes ``evaluation_s``."""
        times = min(MOST_EVALUATIONS, max(EVALUATIONS, round(self.epochs or 0)))
        if self.config.time_budget is not None and evaluation_s:
            affordable = EVALUATION_SHARE * self.config.time_budget / evaluation_s
            times = int(min(times, max(FEWEST_EVALUATIONS, affordable)))
        return times
