"""Ranks in one process, a thread each, which tell each other through memory: no MPI is needed."""

import threading

import numpy as np

from charrnn.network.sum_tree import tree_sum
from charrnn.training.plan import Readings
from charrnn.training.ranks import Ranks

PATIENCE = 60  # seconds that a rank waits for the others


class Board:
    """Where ranks leave values for each other."""

    def __init__(self, size):
        self._values, self._barrier = [None] * size, threading.Barrier(size, timeout=PATIENCE)
        self.size = size

    def all_values(self, number, value):
        """The values of all ranks; each of them calls it with its own.

        Others read a value after its rank has gone on, so arrays that the rank writes again are given as copies.
        """
        self._values[number] = value
        self._barrier.wait()
        found = list(self._values)
        self._barrier.wait()
        return found

    def give_up(self):
        """Have no rank wait any more."""
        self._barrier.abort()


class SimulatedRanks(Ranks):
    """One rank of several; ``additions`` counts its sums."""

    def __init__(self, board, number):
        super().__init__()
        self.size, self.number, self._board, self.additions = board.size, number, board, 0

    def _all(self, value):
        return self._board.all_values(self.number, value)

    def stop(self):
        self.is_asked_to_stop = True

    def from_first(self, make):
        return self._all(make() if self.is_first else None)[0]

    def first_then_others(self, work, on="node"):
        found = work() if self.is_first else None
        self._all(None)
        return found if self.is_first else work()

    def add_up(self, arrays, loss, readings):
        self.additions += 1
        told = self._all(([array.copy() for array in arrays], loss, readings, self.is_asked_to_stop))
        for number, array in enumerate(arrays):
            array[:] = tree_sum((each[0][number] for each in told), self.size, lambda left, right: left + right)
        self.stops = self.is_asked_to_stop = any(each[3] for each in told)
        return tree_sum((each[1] for each in told), self.size, lambda left, right: left + right), Readings(*told[0][2])

    def any(self, is_so):
        return any(self._all(is_so))

    def gathered(self, array, rows):
        return np.concatenate(self._all(array.copy()), axis=1)

    def all_columns(self, part, columns):
        return np.concatenate(self._all(part.copy()), axis=1)

    def finish(self):
        self._all(None)


def on_ranks(size, work):
    """``work(ranks)`` on so many ranks at the same time; returns what each of them returned.

    Raises:
        BaseException: of the first rank that has raised one.
    """
    board, found, errors = Board(size), [None] * size, {}

    def run(number):
        try:
            found[number] = work(SimulatedRanks(board, number))
        except BaseException as error:
            errors[number] = error
            board.give_up()

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a rank hangs"
    own = [error for _, error in sorted(errors.items()) if not isinstance(error, threading.BrokenBarrierError)]
    for error in (*own, *errors.values()):
        raise error
    return found
