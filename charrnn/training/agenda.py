"""When a run evaluates, writes a sample and saves.

``before`` and ``after`` are the parts of the run, 0 to 1, that were done before the step and after it.
"""

from charrnn.config import TrainConfig
from charrnn.plan import Plan

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
