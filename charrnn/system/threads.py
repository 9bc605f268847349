"""A team of threads that share the tasks of one phase; the calling thread is one of them.

Kernels release the GIL, so Python threads run in parallel.  They need no threading layer of Numba, any number of them
can be made, and they sleep between phases.
"""

import itertools
import operator
import os
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from charrnn.errors import ConfigError, brief

OWN = object()
"""In the arguments of :meth:`Team.share_out`: stands for the object that the worker has for itself."""


def available_threads() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def divided(count: int, parts: int) -> list[tuple[int, int]]:
    """The bounds (first, behind the last) of ``parts`` nearly equal parts of the numbers from 0 to below ``count``."""
    return list(itertools.pairwise(count * part // parts for part in range(parts + 1)))


def _whole(threads: object) -> int:
    """A number of threads; a whole number of NumPy is one, too."""
    try:
        found = operator.index(threads)  # type: ignore[arg-type]
    except TypeError:
        found = 0
    if found < 1:
        raise ConfigError(f"threads must be a whole number from 1, not {brief(threads)}")
    return found


class Team:
    """``threads`` workers, numbered from 0; worker 0 is the thread that calls :meth:`run`.

    Raises:
        ConfigError: ``threads`` is no whole number from 1.
    """

    def __init__(self, threads: int):
        self.threads = _whole(threads)
        self._work: list[SimpleQueue] = []
        self._done: SimpleQueue = SimpleQueue()
        for worker in range(1, self.threads):
            queue: SimpleQueue = SimpleQueue()
            self._work.append(queue)
            threading.Thread(target=self._serve, args=(worker, queue), daemon=True).start()

    def _serve(self, worker: int, queue: SimpleQueue) -> None:
        while (work := queue.get()) is not None:
            try:
                work(worker)
            except BaseException as error:  # ``run`` raises it in the calling thread
                self._done.put(error)
            else:
                self._done.put(None)
            work = None  # free its arrays now, not when the thread gets more work

    def run(
        self, function: Callable[..., Any], tasks: Sequence[tuple], abandon: Callable[[], Any] | None = None
    ) -> None:
        """Call ``function(worker, *task)`` for every task. A worker takes the next task when it is free.

        Args:
            function: gets the number of the worker and the elements of a task.
            tasks: one tuple a task.  Tasks that wait for each other must not be more than the workers.
            abandon: needed if tasks wait for each other.  It is called when a task has failed, or was not begun because
                of a signal, and must release the tasks that wait for it.

        Raises:
            BaseException: the exception of a task that failed, after all workers have stopped.
        """
        queues = self._work[: len(tasks) - 1]
        if not queues:
            for task in tasks:
                function(0, *task)
            return
        take = itertools.count().__next__  # atomic, because it is one call of C code

        def work(worker: int) -> None:
            try:
                while (number := take()) < len(tasks):
                    function(worker, *tasks[number])
            except BaseException:
                if abandon is not None:
                    abandon()
                raise

        sent = 0
        try:
            for queue in queues:
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
        """Make ``calls``, each (function, arguments), on the workers. Calls that take long should come first.

        An argument ``OWN`` is replaced by the worker's element of ``own``.
        """

        def call(worker: int, function: Callable[..., Any], arguments: tuple) -> None:
            function(*(own[worker] if argument is OWN else argument for argument in arguments))

        self.run(call, calls)

    def close(self) -> None:
        """Stop the threads of the team."""
        for queue in self._work:
            queue.put(None)
        self._work.clear()
