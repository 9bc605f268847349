"""Which of some ways to do the same thing is the quickest here and now."""

import math


class Pace:
    """Finds the quickest way by going each, time and again.

    Another way than the quickest gets a turn when what it took last is a twentieth of the time since.
    """

    def __init__(self, ways: int):
        self._pace = [math.nan] * ways  # seconds for one of what there is to do
        self._last = [0.0] * ways  # seconds that the last turn took
        self._since = [0.0] * ways  # seconds since then

    def next(self) -> int:
        """The way to go now."""
        for way, pace in enumerate(self._pace):
            if math.isnan(pace) or self._since[way] > 20 * self._last[way]:
                return way
        return self._pace.index(min(self._pace))

    def took(self, way: int, seconds: float, count: int) -> None:
        """So many were done this way in so long."""
        self._since = [since + seconds for since in self._since]
        self._pace[way], self._last[way], self._since[way] = seconds / max(count, 1), seconds, 0.0
