"""How long a run is and how often it stops to look, where the user leaves that open.

When a run evaluates, writes a sample and saves.

``before`` and ``after`` are the parts of the run, 0 to 1, that were done before the step and after it.

A run's time: how long it has lasted, what it is worth, and how much of it is kept for the end.
"""

import math
import time
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


SAVE_SECONDS = 60.0
EARLY_SAMPLES = (10, 30, 100, 300, 1000, 3000)


class Agenda:
    """What is due after a step.

    It follows from the step alone, but for saves that the clock asks for and for runs under a time budget.
    """

    def __init__(self, config: TrainConfig, plan: Plan):
        self._config, self._plan = config, plan

    def evaluation(self, step: int, before: float, after: float, evaluation_s: float) -> bool:
        """Whether to score the validation part: every so many steps, or as the plan spreads it, and at the end."""
        if after < 1 and self._config.eval_every is not None:
            return step % self._config.eval_every == 0
        return self._planned(before, after, evaluation_s)

    def sample(self, step: int, before: float, after: float, evaluation_s: float) -> bool:
        """Whether to write a text: every so many steps, or a few early ones and then with the plan's evaluations."""
        every = self._config.sample_every
        if every is not None:
            return bool(every) and step % every == 0
        return step in EARLY_SAMPLES or self._planned(before, after, evaluation_s)

    def save(self, step: int, before: float, after: float, evaluation_s: float, since_save_s: float) -> bool:
        """Whether to save: every so many steps, or with the plan's evaluations and each minute."""
        if self._config.save_every is not None:
            return step % self._config.save_every == 0
        return self._planned(before, after, evaluation_s) or since_save_s > SAVE_SECONDS

    def _planned(self, before: float, after: float, evaluation_s: float) -> bool:
        times = self._plan.evaluations(evaluation_s)
        return after >= 1 or int(after * times) > int(before * times)


FIRST_SAVING_S = 0.1  # that a save takes, until there was one
PROCESS_S = 0.3  # of a time budget for what stands around a run: the interpreter's start and end


class Clock:
    """The time of one run, all its parts together.

    ``rate`` is characters a second, a running mean, None before the first step; ``evaluation_s`` and ``saving_s``
    what evaluations and saves take.

    Args:
        plan: what the run is to be.
        earlier_s: seconds that it took before it was resumed.
        scored: characters that an evaluation reads.
    """

    def __init__(self, plan: Plan, earlier_s: float, scored: int):
        self._plan, self._earlier_s, self._scored = plan, earlier_s, scored
        self._evaluation_s: float | None = None
        self.saving_s = FIRST_SAVING_S
        self.rate: float | None = None
        self.start()

    def start(self, begun: float | None = None) -> None:
        """Begin to count, now or from a moment of ``time.monotonic`` on."""
        self._saved_at = time.monotonic()
        self._started_at = self._saved_at if begun is None else begun

    @property
    def elapsed_s(self) -> float:
        """Seconds of the run so far."""
        return self._earlier_s + time.monotonic() - self._started_at

    @property
    def since_save_s(self) -> float:
        """Seconds since the last save, or since the start."""
        return time.monotonic() - self._saved_at

    def done(self, step: int) -> float:
        """The part of the run that is done after ``step`` updates, 0 to 1.

        Only under a time budget does it depend on the time.
        """
        return self._plan.done(step, self.elapsed_s, self.evaluation_s + self.saving_s + PROCESS_S)

    @property
    def evaluation_s(self) -> float:
        """What an evaluation takes: as the last one did; before there was one, by the speed of training."""
        if self._evaluation_s is None:
            return 0.0 if self.rate is None else self._scored / (3 * self.rate)
        return self._evaluation_s

    def evaluated(self, seconds: float) -> None:
        """Say what an evaluation took."""
        self._evaluation_s = seconds

    def saved(self, seconds: float) -> None:
        """Say that there was a save, and what it took."""
        self.saving_s, self._saved_at = seconds, time.monotonic()

    def read(self, characters: int, seconds: float) -> float:
        """Say that so many characters were trained on; the running mean of characters a second."""
        rate = characters / max(seconds, 1e-9)
        self.rate = rate if self.rate is None else 0.9 * self.rate + 0.1 * rate
        return self.rate
