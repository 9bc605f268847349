"""Where the time of a piece of work goes."""

import time


class Stopwatch:
    """``seconds`` by name; a lap is what has passed since the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.restart()

    def restart(self) -> None:
        """Count nothing of the time since the last lap."""
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Count the time since the last lap to ``name``."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
