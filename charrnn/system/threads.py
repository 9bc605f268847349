"""A team of threads that share out the tasks of one phase, the calling thread among them.

Kernels release the GIL, so Python threads are real threads here; they are asleep between phases, need no
threading layer of Numba's, and their number is free.
"""

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from charrnn.errors import ConfigError

OWN = object()
"""In arguments of :meth:`Team.share_out`: what the worker has to itself."""


def available_threads() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Team:
    """``threads`` workers, numbered from 0; worker 0 is whoever calls :meth:`run`."""

    def __init__(self, threads: int):
        if threads < 1:
            raise ConfigError(f"threads must be at least 1, not {threads}")
        self.threads = threads
        self._work: list[SimpleQueue] = []
        self._done: SimpleQueue = SimpleQueue()
        for worker in range(1, threads):
            queue: SimpleQueue = SimpleQueue()
            self._work.append(queue)
            threading.Thread(target=self._serve, args=(worker, queue), daemon=True).start()

    def _serve(self, worker: int, queue: SimpleQueue) -> None:
        while (work := queue.get()) is not None:
            try:
                work(worker)
            except BaseException as error:  # handed to the caller of run, which raises it
                self._done.put(error)
            else:
                self._done.put(None)
            work = None  # what was worked on must not live as long as the thread

    def run(
        self, function: Callable[..., Any], tasks: Sequence[tuple], abandon: Callable[[], Any] | None = None
    ) -> None:
        """Call ``function(worker, *task)`` for every task, each worker taking the next task when it is free.

        Tasks that wait for one another must not be more than the workers; ``abandon`` is then what frees those who wait
        for a task that has failed, or was never begun because of a signal.

        Raises:
            BaseException: whatever a task raised first, after all workers have stopped.
        """
        helpers = self._work[: len(tasks) - 1]
        if not helpers:
            for task in tasks:
                function(0, *task)
            return
        take = itertools.count().__next__  # atomic: one bytecode of C

        def work(worker: int) -> None:
            try:
                while (number := take()) < len(tasks):
                    function(worker, *tasks[number])
            except BaseException:
                if abandon is not None:
                    abandon()
                raise

        sent, errors = 0, []
        try:
            for queue in helpers:
                queue.put(work)
                sent += 1
            work(0)
        except BaseException:
            if abandon is not None:
                abandon()
            raise
        finally:
            errors = [error for error in (self._done.get() for _ in range(sent)) if error is not None]
        if errors:
            raise errors[0]

    def share_out(self, calls: Sequence[tuple[Callable[..., Any], tuple]], own: Sequence[Any] = ()) -> None:
        """Make calls, each (function, arguments), as workers are free for them; the long ones had better come first.

        An argument ``OWN`` stands for the worker's element of ``own``.
        """

        def call(worker: int, function: Callable[..., Any], arguments: tuple) -> None:
            function(*(own[worker] if argument is OWN else argument for argument in arguments))

        self.run(call, calls)

    def close(self) -> None:
        """Send the helpers home."""
        for queue in self._work:
            queue.put(None)
        self._work.clear()
