"""Measures how the time of a computation is divided among its parts."""

import time
from collections.abc import Callable


class Stopwatch:
    """``seconds`` spent by name. A lap is the time since the lap before, or since the restart.

    Args:
        clock: returns seconds, such as :func:`time.process_time`; None for those that pass.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or time.perf_counter
        self.seconds: dict[str, float] = {}
        self.restart()

    def restart(self) -> None:
        """Begin a lap now; the time since the last lap is not counted."""
        self._last = self._clock()

    def lap(self, name: str) -> None:
        """Add the time since the last lap to ``name``, and begin the next lap."""
        now = self._clock()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
