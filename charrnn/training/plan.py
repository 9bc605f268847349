"""How long a run is, what is due after each step, and how much time the run has taken.

:class:`Plan` answers from the settings and the text. :class:`Clock` measures: only a run under a time budget depends on
it, and the saves that are due every minute.

Many functions here take ``done``, the fraction of the run that is finished, from 0 to 1.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.cells import parameter_count

# A run without epochs, steps or a time budget reads about CHARACTERS characters, within these limits.
CHARACTERS = 10_000_000
FEWEST_EPOCHS, MOST_EPOCHS, FEWEST_STEPS = 1, 30, 300

SHORT_TEXT = 200_000  # characters of a training part
MOST_DROPOUT = 0.5
TAR = 1.0  # temporal activation regularisation, for other texts than short ones
RECURRENT_DROPOUT = 0.2  # where the dropout without n-grams is at its bound
LESS_DROPOUT = 0.2  # with teachers, whose soft targets keep a network from memorising, too
MOST_TAUGHT = 20_000_000  # characters; of a longer text the teachers of a preset would take over a gigabyte of memory
CHARACTERS_A_UNIT = 40  # of the training part, for a hidden unit
CHARACTERS_A_WEIGHT = 4.0  # that a run under a time budget reads
WEIGHTS_A_CHARACTER = 10  # of the training part: the most weights under a time budget
LARGEST_HIDDEN = 1024

EVALUATIONS = 12  # in a run of at most as many epochs; a longer run has one an epoch
FEWEST_EVALUATIONS, MOST_EVALUATIONS = 4, 40
EVALUATION_SHARE = 0.05  # of a time budget: evaluations may take this much …
TRAINING_SHARE = 0.9  # … and training takes about this much
EARLY_SAMPLES = (10, 30, 100, 300, 1000, 3000)  # steps: texts change fastest early in a run
SAVE_SECONDS = 60.0  # between two saves, unless the settings say otherwise

FIRST_SAVE_S = 0.1  # estimate of the duration of a save, before the first one
PROCESS_S = 0.3  # kept free of a time budget for the start and the end of the Python process


def fitting_dropout(parameters: int, epochs: float, length: int, ngrams_teach: bool = False) -> float:
    """The dropout that suits a model with ``parameters`` weights and ``epochs`` passes over ``length`` characters.

    It grows with the logarithm of parameters · epochs / length, which says how much the model can memorise: 0.17 for
    2x256 and ten epochs of a million characters, 0.5 for thirty epochs of a hundred thousand, 0 for a few epochs of
    many millions.  Where n-grams teach, it is less: 0.12, and 0.38.  docs/MODEL.md says what the formulas were fitted
    to.
    """
    pressure = math.log10(parameters * epochs / length / 8.6)
    dropout = 0.12 + 0.175 * pressure if ngrams_teach else 0.17 + 0.225 * pressure
    return round(min(MOST_DROPOUT, max(0.0, dropout)), 2)


def fitting_batch(length: int) -> int:
    """The batch rows that suit a training part of ``length`` characters: the usual 32, half as many for a short text.

    With few updates an epoch, twice as many are worth more than their smaller noise.
    """
    return TrainConfig.batch_size // 2 if length < SHORT_TEXT else TrainConfig.batch_size


def fitting_hidden(length: int) -> int:
    """The hidden size that suits a training part of ``length`` characters: 256, or less for a few thousand characters.

    docs/MODEL.md says what the rule was fitted to.
    """
    return min(256, max(32, 32 * round(length / CHARACTERS_A_UNIT / 32)))


def whole_heads(hidden: int, heads: int | None) -> int:
    """``hidden``, or the next width that can be shared out to a number of heads, if one is given."""
    return -(-hidden // heads) * heads if heads else hidden


def hidden_for_budget(model: ModelConfig, length: int, rate: float, seconds: float) -> int:
    """The hidden size for a run of ``seconds``, if ``model`` trains on ``rate`` characters per second.

    A larger network learns more from a character and reads fewer of them. The size is the one for which the run reads
    about ``CHARACTERS_A_WEIGHT`` characters for each weight; the time of a character is proportional to the weights. A
    short text bounds the weights.
    """
    before, best = parameter_count(model), (math.inf, model.hidden)
    for hidden in (whole_heads(size, model.heads) for size in range(64, LARGEST_HIDDEN + 1, 64)):
        weights = parameter_count(replace(model, hidden=hidden))
        if weights > WEIGHTS_A_CHARACTER * length and hidden > model.hidden:
            break
        characters = TRAINING_SHARE * seconds * rate * before / weights
        best = min(best, (abs(math.log(characters / weights / CHARACTERS_A_WEIGHT)), hidden))
    return best[1]


class Plan:
    """The length of a run, and the steps after which it evaluates, writes a sample and saves.

    Args:
        config: the settings of the run.
        length: number of characters in the training part.
        windows: number of updates in an epoch.
    """

    def __init__(self, config: TrainConfig, length: int, windows: int):
        self.config, self.length, self.windows = config, length, windows

    @property
    def epochs(self) -> float | None:
        """Passes over the text; None if the run ends after a number of steps or of seconds."""
        if self.config.epochs is not None:
            return self.config.epochs
        if self.config.steps is not None or self.config.time_budget is not None:
            return None
        return min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(self.config.effort * CHARACTERS / self.length)))

    @property
    def total_steps(self) -> int | None:
        """Number of updates; None under a time budget."""
        if self.config.steps is not None:
            return self.config.steps
        if self.config.time_budget is not None:
            return None
        steps = math.ceil(self.epochs * self.windows)
        return steps if self.config.epochs is not None else max(steps, FEWEST_STEPS)

    def dropouts(self, parameters: int, rate: float | None = None) -> tuple[float, float]:
        """The dropout and the recurrent dropout that suit a model with ``parameters`` weights in this run.

        ``rate`` is the speed of training in characters a second, which a run under a time budget needs to know how
        often it will read the text.  A network with teachers needs less.
        """
        epochs = self.epochs
        if self.config.steps is not None:
            epochs = self.config.steps / self.windows
        elif self.config.time_budget is not None:
            epochs = TRAINING_SHARE * self.config.time_budget * rate / self.length
        usual = fitting_dropout(parameters, epochs, self.length)
        if self.config.teachers:
            return max(0.0, round(usual - LESS_DROPOUT, 2)), 0.0
        recurrent = RECURRENT_DROPOUT if usual == MOST_DROPOUT else 0.0
        return fitting_dropout(parameters, epochs, self.length, self.config.ngram_targets > 0), recurrent

    @property
    def tar(self) -> float:
        """The temporal activation regularisation that suits the text: 0 for a short one, which gets a large dropout."""
        return 0.0 if self.length < SHORT_TEXT else TAR

    def done(self, step: int, elapsed_s: float, closing_s: float) -> float:
        """The fraction of the run that is done after ``step`` updates and ``elapsed_s`` seconds from the first on.

        A time budget includes ``closing_s``, the time of the last evaluation and saves and of the mixing, but half of a
        budget is training whatever they take.
        """
        if (budget := self.config.time_budget) is not None:
            return min(1.0, elapsed_s / max(budget - closing_s, budget / 2))
        return min(1.0, step / self.total_steps)

    def left_s(self, done: float, elapsed_s: float) -> float | None:
        """Seconds until the end of the run; None if nothing is known yet."""
        if self.config.time_budget is not None:
            return max(self.config.time_budget - elapsed_s, 0.0)
        return elapsed_s * (1 - done) / done if done > 0 else None

    def evaluations(self, evaluation_s: float) -> int:
        """How many evaluations the whole run has, evenly spread, if one takes ``evaluation_s`` seconds."""
        count = min(MOST_EVALUATIONS, max(EVALUATIONS, round(self.epochs or 0)))
        if self.config.time_budget is not None and evaluation_s:
            affordable = EVALUATION_SHARE * self.config.time_budget / evaluation_s
            count = int(min(count, max(FEWEST_EVALUATIONS, affordable)))
        return count

    # ---- what is due after a step --------------------------------------------------------------------
    # ``before`` and ``after`` are the fractions of the run that were done before step ``step`` and after it.

    def evaluation_is_due(self, step: int, before: float, after: float, evaluation_s: float) -> bool:
        """Whether to evaluate: every ``eval_every`` steps and at the end, or at evenly spread points of the run."""
        if after < 1 and self.config.eval_every is not None:
            return step % self.config.eval_every == 0
        return self._is_at_spread_point(before, after, evaluation_s)

    def sample_is_due(self, step: int, before: float, after: float, evaluation_s: float) -> bool:
        """Whether to write a sample: every ``sample_every`` steps, or early and at the evenly spread points."""
        every = self.config.sample_every
        if every is not None:
            return bool(every) and step % every == 0
        return step in EARLY_SAMPLES or self._is_at_spread_point(before, after, evaluation_s)

    def save_is_due(self, step: int, before: float, after: float, evaluation_s: float, since_save_s: float) -> bool:
        """Whether to save: every ``save_every`` steps, or each minute and at the evenly spread points."""
        if self.config.save_every is not None:
            return step % self.config.save_every == 0
        return self._is_at_spread_point(before, after, evaluation_s) or since_save_s > SAVE_SECONDS

    def keep_is_due(self, before: float, after: float) -> bool:
        """Whether to keep a checkpoint: at ``keep_checkpoints`` evenly spread points of the run, but not at its end."""
        count = self.config.keep_checkpoints
        return after < 1 and int(after * count) > int(before * count)

    def _is_at_spread_point(self, before: float, after: float, evaluation_s: float) -> bool:
        count = self.evaluations(evaluation_s)
        return after >= 1 or int(after * count) > int(before * count)


class Readings(NamedTuple):
    """What a clock tells, in seconds; ``closing_s`` is what the end of the run will take."""

    elapsed_s: float
    since_save_s: float
    evaluation_s: float
    closing_s: float


class Clock:
    """Measures the time of a run, and predicts what its evaluations and saves will take.

    ``rate`` is a running mean of the characters trained on per second, None before the first step; ``save_s`` is the
    duration of the last save.

    Args:
        plan: the plan of the run.
        earlier_s: seconds that the run took before it was resumed.
        scored: number of characters that an evaluation reads.
        mixing_s: from the duration of an evaluation, the time that n-grams will take at the end.
    """

    def __init__(self, plan: Plan, earlier_s: float, scored: int, mixing_s: Callable[[float], float] = lambda _: 0.0):
        self._plan, self._earlier_s, self._scored, self._mixing_s = plan, earlier_s, scored, mixing_s
        self._evaluation_s: float | None = None
        self.save_s = FIRST_SAVE_S
        self.rate: float | None = None
        self._agreed: Readings | None = None
        self.start()

    def readings(self) -> Readings:
        """What this clock tells now, whatever was agreed on."""
        now = time.monotonic()
        evaluation_s = self._evaluation_s
        if evaluation_s is None:  # before the first one, an estimate from the speed of training
            evaluation_s = 0.0 if self.rate is None else self._scored / (3 * self.rate)
        closing_s = evaluation_s + 2 * self.save_s + PROCESS_S + self._mixing_s(evaluation_s)
        elapsed_s = self._earlier_s + now - self._started_at
        return Readings(elapsed_s, now - self._saved_at, evaluation_s, closing_s)

    def agree(self, readings: Readings) -> None:
        """Tell these readings from now on: those of the first rank's clock, so that all ranks decide alike."""
        self._agreed = readings

    @property
    def now(self) -> Readings:
        """The readings that all ranks have agreed on, or else this clock's own."""
        return self.readings() if self._agreed is None else self._agreed

    def start(self) -> None:
        """Start to count: the first step comes now."""
        self._started_at = self._saved_at = time.monotonic()

    def done(self, step: int) -> float:
        """The fraction of the run that is done after ``step`` updates."""
        now = self.now
        return self._plan.done(step, now.elapsed_s, now.closing_s)

    def evaluated(self, seconds: float) -> None:
        """Note that an evaluation took ``seconds``."""
        self._evaluation_s = seconds

    def saved(self, seconds: float) -> None:
        """Note that a save has just ended, and that it took ``seconds``."""
        self.save_s, self._saved_at = seconds, time.monotonic()

    def trained(self, characters: int, seconds: float) -> float:
        """Note that a step trained on ``characters`` in ``seconds``; returns ``rate``."""
        rate = characters / max(seconds, 1e-9)
        self.rate = rate if self.rate is None else 0.9 * self.rate + 0.1 * rate
        return self.rate
