"""How long a run is and how often it stops to look, where the user leaves that open."""

import math
from dataclasses import replace

from charrnn.config import TrainConfig

# Without epochs, steps or a time budget, a run reads about this many characters …
CHARACTERS = 10_000_000
# … in a number of epochs between these, and takes at least so many steps.
FEWEST_EPOCHS, MOST_EPOCHS, FEWEST_STEPS = 1, 30, 300

EVALUATIONS = 12  # of a run, unless it has more epochs than that
FEWEST_EVALUATIONS, MOST_EVALUATIONS = 4, 40
EVALUATION_SHARE = 0.08  # of a time budget that evaluations may take


def fitting_dropout(parameters: int, epochs: float, length: int) -> float:
    """The dropout for a model that reads a text of ``length`` characters so many times.

    It grows with the logarithm of how much the model can learn by heart, parameters times epochs over length: 0.2 for
    2x256 and ten epochs of a million characters, 0.5 for thirty epochs of a hundred thousand, none for a few
    epochs of many millions.  docs/LOG.md has what it was fitted to.
    """
    pressure = parameters * epochs / length
    return round(min(0.5, max(0.0, 0.2 + 0.225 * math.log10(pressure / 8.6))), 2)


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
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(self.config.effort * CHARACTERS / self.length)))

    def dropout(self, parameters: int) -> float:
        """The dropout that suits a model of so many parameters; a run by the clock is taken for one by epochs."""
        steps = self.config.steps
        own = replace(self.config, steps=None, time_budget=None)
        epochs = steps / self.windows if steps else Plan(own, self.length, self.windows).epochs
        return fitting_dropout(parameters, epochs, self.length)

    @property
    def total_steps(self) -> int | None:
        """Updates; None under a time budget."""
        if self.config.steps is not None:
            return self.config.steps
        if self.config.time_budget is not None:
            return None
        steps = math.ceil(self.epochs * self.windows)
        return steps if self.config.epochs is not None else max(steps, FEWEST_STEPS)

    def done(self, step: int, elapsed_s: float, closing_s: float) -> float:
        """The part of the run that is done, 0 to 1, after ``step`` updates and so many seconds.

        The last evaluation and save are part of a time budget; ``closing_s`` is what they take.
        """
        if self.config.time_budget is not None:
            return min(1.0, elapsed_s / max(self.config.time_budget - closing_s, 1e-9))
        return min(1.0, step / self.total_steps)

    def evaluations(self, evaluation_s: float) -> int:
        """How many evaluations the whole run has, spread evenly, if one takes ``evaluation_s``."""
        times = min(MOST_EVALUATIONS, max(EVALUATIONS, round(self.epochs or 0)))
        if self.config.time_budget is not None and evaluation_s:
            affordable = EVALUATION_SHARE * self.config.time_budget / evaluation_s
            times = int(min(times, max(FEWEST_EVALUATIONS, affordable)))
        return times
