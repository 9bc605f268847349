"""Measures how the time of a computation is divided among its parts."""

import time


class Stopwatch:
    """``seconds`` spent by name. A lap is the time since the lap before, or since the restart."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.restart()

    def restart(self) -> None:
        """Begin a lap now; the time since the last lap is not counted."""
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last lap to ``name``, and begin the next lap."""
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
