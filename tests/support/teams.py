"""Every thread works, however small the work, and a test fails if several threads never worked at the same time.

Small work is done by one thread, whatever is asked (``SMALL_WINDOW``, ``SMALL_MODEL``, ``RANGES_A_THREAD``).  Without
:func:`every_thread_works`, a test that compares results for several numbers of threads would compare one thread with
itself.
"""

import contextlib
import functools
import threading
from unittest import mock

import charrnn.network.network as network_module
import charrnn.training.optimizer as optimizer_module
from charrnn.system.threads import Team


class Watch:
    """What teams did while a test watched them."""

    def __init__(self):
        self._workers: dict[str, list[int]] = {}

    def add(self, modules, workers):
        """Count one run of functions of ``modules``, in which so many workers had a task at the same time."""
        for module in modules:
            self._workers.setdefault(module, []).append(workers)

    def workers(self, module):
        """How many workers had a task at the same time, in the runs of functions of a module: a set of numbers.

        ``module`` is the last part of its name.  ``network`` is the work on groups of batch rows, ``weight_gradients``
        and ``packing`` are shared out panel by panel, ``optimizer`` is the update, ``sampler`` draws text.
        """
        return set(self._workers.get(module, ()))

    @property
    def most(self):
        """The most workers that had a task at the same time; 0 if there was no task."""
        return max((number for numbers in self._workers.values() for number in numbers), default=0)


@contextlib.contextmanager
def nothing_is_too_small():
    """The team gets the work, however small it is."""
    with (
        mock.patch.multiple(network_module, SMALL_WINDOW=0, SMALL_MODEL=0),
        mock.patch.object(optimizer_module, "RANGES_A_THREAD", 1),
    ):
        yield


@contextlib.contextmanager
def every_thread_works(workers=2, patience=60):
    """The team gets the work, however small it is, and each worker waits with its first task until all have one.

    There are as many workers as threads, or as tasks if these are fewer.

    Args:
        workers: at least so many must have had a task at the same time once.  1 is for a test that also runs with one
            thread.
        patience: seconds that a worker waits for the others.

    Yields:
        A :class:`Watch`, for tests that say which work was shared, and by how many.

    Raises:
        AssertionError: at the end, if fewer workers than that ever had a task at the same time; at once, if a worker
            gets no task because others take them all.
    """
    run, watch = Team.run, Watch()

    def watched(team, function, tasks, abandon=None):
        expected, modules = min(team.threads, len(tasks)), _modules(function, tasks)
        if expected < 2:
            watch.add(modules, expected)
            return run(team, function, tasks, abandon)
        together = threading.Barrier(expected, action=lambda: watch.add(modules, expected), timeout=patience)
        begun = set()

        @functools.wraps(function)
        def work(worker, *task):
            if worker not in begun:
                begun.add(worker)
                try:
                    together.wait()
                except threading.BrokenBarrierError:
                    raise AssertionError(f"only workers {sorted(begun)} of {expected} got a task") from None
            return function(worker, *task)

        run(team, work, tasks, abandon)
        assert begun == set(range(expected)), f"only workers {sorted(begun)} of {expected} got a task"
        return None

    with mock.patch.object(Team, "run", watched), nothing_is_too_small():
        yield watch
    assert watch.most >= workers, f"at most {watch.most} of {workers} workers had a task at the same time"


def _modules(function, tasks):
    """The last parts of the names of the modules whose functions do the tasks."""
    functions = [task[0] for task in tasks] if function.__module__ == Team.__module__ else [function]
    return {function.__module__.rsplit(".", 1)[-1] for function in functions}
