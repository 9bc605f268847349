"""A run's time: how long it has lasted, what it is worth, and how much of it is kept for the end."""

import time

from charrnn.plan import Plan

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
