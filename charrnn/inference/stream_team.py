"""How threads share texts that are written or coded side by side, and one text."""

import math
import time
from collections.abc import Callable

import numpy as np

from charrnn.kernels.barrier import ABANDONED, FLAGS
from charrnn.kernels.packing import Group
from charrnn.system.threads import Team, divided

SEVERALLY, TOGETHER = 0, 1  # strategies: every thread has texts of its own, or all threads work on one text


class StreamTeam:
    """A team whose threads each take some of ``streams`` texts; or all of them take one text, if that is faster.

    One text is worked on by one thread, or by all threads with several barriers a character.  All threads are far
    faster where weights come from a shared cache, and far slower where another process uses a core.
    """

    def __init__(self, team: Team, streams: int):
        self._team, self._count = team, streams
        self._strategies = FastestStrategy(2 if streams == 1 < team.threads else 1)
        self._flags = np.zeros(FLAGS, np.int64)

    def _share_out(self, work: Callable[..., None], characters: int) -> None:
        """Call ``work(worker, first, last, part, parts)`` for all streams and parts of ``characters`` characters."""
        strategy, begun = self._strategies.next(), time.perf_counter()
        if strategy == TOGETHER:
            self._flags[:] = 0
            parts = self._team.threads
            self._team.run(work, [(0, 1, part, parts) for part in range(parts)], self._abandon)
        else:
            self._team.run(work, self._groups())
        self._strategies.took(strategy, time.perf_counter() - begun, characters)

    def _abandon(self) -> None:
        self._flags[ABANDONED] = 1

    def _groups(self) -> list[Group]:
        """The streams in groups, one a thread."""
        return [Group(*bounds) for bounds in divided(self._count, min(self._team.threads, self._count))]


class FastestStrategy:
    """Finds the fastest of several strategies for the same work by trying each of them again and again.

    A slower strategy is tried again once 20 times its last duration has passed, so that measuring costs at most about
    5 %.
    """

    def __init__(self, strategies: int):
        self._pace = [math.nan] * strategies  # seconds for one piece of work
        self._last = [0.0] * strategies  # seconds that the last try took
        self._since = [0.0] * strategies  # seconds since the last try

    def next(self) -> int:
        """The strategy to use now."""
        for strategy, pace in enumerate(self._pace):
            if math.isnan(pace) or self._since[strategy] > 20 * self._last[strategy]:
                return strategy
        return self._pace.index(min(self._pace))

    def took(self, strategy: int, seconds: float, count: int) -> None:
        """Say that ``strategy`` took ``seconds`` for ``count`` pieces of work."""
        self._since = [since + seconds for since in self._since]
        self._pace[strategy], self._last[strategy], self._since[strategy] = seconds / max(count, 1), seconds, 0.0
