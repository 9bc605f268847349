"""The processes that train one model together, called ranks: one for an ordinary run, several under MPI.

Every rank has the whole model, and its own part of the batch rows of every window.  The rows are divided into G groups
by the settings, and a rank has a number of neighbouring groups that is a power of two.  So sums over batch rows have
the same order, and the same bits, whatever the number of ranks (:mod:`charrnn.network.sum_tree`).
"""

import socket
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import ContradictionError
from charrnn.network.parameters import Parameters
from charrnn.training.plan import Readings

Value = TypeVar("Value")

GROUPS = 8  # the default from LEAST_BATCH batch rows on: as many ranks as a computer has cores
LEAST_BATCH = 32  # with fewer rows, groups cost more than 2 % of a step (docs/LOG.md)
LEAST_ROWS = 16  # of a group, if there are more groups than GROUPS
MOST_GROUPS = 64  # of the default


class Ranks:
    """The only rank of an ordinary run; :class:`charrnn.training.mpi.MPIRanks` has the same methods for several.

    Attributes:
        size: how many ranks there are.
        number: the number of this one, from 0.
        host: the name of this computer.
        waited_s: seconds that this rank has waited for others.
        signal: the signal that asked to stop; 0 for none.
        stops: whether all ranks end after the current step.
        is_asked_to_stop: whether this rank or, after a step, another one was asked to stop.
    """

    size, number = 1, 0

    def __init__(self) -> None:
        self.signal, self.waited_s, self.host = 0, 0.0, socket.gethostname()
        self.stops = self.is_asked_to_stop = False

    @property
    def is_first(self) -> bool:
        """Whether this rank is the one that writes and reports."""
        return self.number == 0

    def stop(self) -> None:
        """Have all ranks end after the same step. A signal handler may call it."""
        self.stops = self.is_asked_to_stop = True

    def rows(self, batch: int, groups: int, accumulate: int = 1) -> tuple[int, int]:
        """The first of the batch rows of this rank, and the one behind the last.

        Raises:
            ContradictionError: the groups cannot be shared out.
        """
        require_divisible(batch, groups, self.size, accumulate)
        return self.own(batch)

    def own(self, count: int) -> tuple[int, int]:
        """The part of this rank of ``count`` things: its first number, and the one behind the last."""
        return count * self.number // self.size, count * (self.number + 1) // self.size

    def from_first(self, make: Callable[[], Value]) -> Value:
        """What ``make`` returns on the first rank: a value that JSON has."""
        return make()

    def first_then_others(self, work: Callable[[], Value], on: str = "node") -> Value:
        """``work()`` on the first rank of each node, or of all (``on`` is "all"), and then on the other ranks.

        The later ranks find what the first one has left in a cache.
        """
        return work()

    def add_up(self, arrays: Sequence[np.ndarray], loss: float, readings: Readings) -> tuple[float, Readings]:
        """Add the arrays of all ranks, in place, and their losses; ``readings`` become those of the first rank."""
        return loss, readings

    def any(self, is_so: bool) -> bool:
        """Whether something is so on at least one rank."""
        return is_so

    def gradient(self, config: ModelConfig) -> Parameters:
        """A buffer for the gradient of a network."""
        return Parameters(config)

    def gathered(self, array: np.ndarray, rows: int) -> np.ndarray:
        """The array (L, rows, …) of all batch rows from the ranks' parts (L, own rows, …), on the first rank."""
        return array

    def all_columns(self, part: np.ndarray, columns: int) -> np.ndarray:
        """An array (N, ``columns``) float32, of which each rank has neighbouring columns ``part``, on every rank."""
        return part

    def finish(self) -> None:
        """Wait until every rank is done."""

    def end_all(self, error: BaseException) -> None:
        """Have all ranks end when this process does, because of ``error``, which the caller shows."""

    def require_same(self, facts: dict[str, str]) -> None:
        """Refuse ranks that have other facts, by name, than the first one.

        Raises:
            ConfigError: it names such a fact.
        """

    def note(self, threads: int) -> str | None:
        """A sentence about the ranks, which use so many threads each, for the user."""
        return None

    def threads(self) -> int | None:
        """How many threads a rank uses by default; None for all that the process may use."""
        return None


def default_groups(batch: int, accumulate: int = 1) -> int:
    """G for ``batch`` batch rows, read in ``accumulate`` parts, if the user does not say it: it divides them."""
    groups = accumulate if batch % accumulate == 0 else 1
    cheap = min(max(GROUPS if batch >= LEAST_BATCH else 1, batch // LEAST_ROWS), MOST_GROUPS)
    while 2 * groups <= cheap and batch % (2 * groups) == 0:
        groups *= 2
    return groups


def require_divisible(batch: int, groups: int, ranks: int, accumulate: int = 1) -> None:
    """Refuse groups that do not divide the batch rows, and ranks or parts that cannot share them.

    Raises:
        ContradictionError: with numbers that fit.
    """
    if batch % groups:
        raise ContradictionError(
            f"{groups:,} groups do not divide the {batch:,} batch rows: choose a power of two that does, or another "
            "number of batch rows"
        )
    whole, rest = divmod(groups, ranks * accumulate)
    if rest or whole & (whole - 1):
        who = f"{ranks:,} rank{'s' * (ranks > 1)}{f', each in {accumulate} parts,' * (accumulate > 1)}"
        raise ContradictionError(
            f"{who} cannot share {groups:,} group{'s' * (groups > 1)} of {batch:,} batch rows: "
            f"{_what_fits(groups, ranks, accumulate)}, or choose other {{groups}}"
        )


def _what_fits(groups: int, ranks: int, accumulate: int) -> str:
    """What to change, so that each part of each rank has a power of two of the groups."""
    products = [n for n in range(1, groups + 1) if groups % n == 0 and (groups // n).bit_count() == 1]
    for divisor, words in ((accumulate, "start {} ranks"), (ranks, "choose {{accumulate}} {}")):
        fitting = [f"{n // divisor:,}" for n in products if n % divisor == 0]
        if fitting == ["1"] and divisor == accumulate:
            return "start one rank"
        if fitting:
            return words.format(" or ".join([", ".join(fitting[:-1]), fitting[-1]] if fitting[1:] else fitting))
    return "start one rank"
