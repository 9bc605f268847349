"""The ranks of a run under MPI: what they tell each other, and how they wait.

The library of MPI is imported only when a launcher has started several ranks.  A wait never blocks inside of it, so
that signals are handled, and a rank that waits leaves its core to others.  All waits end when another rank is lost
(:mod:`charrnn.training.watch`).
"""

import atexit
import faulthandler
import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, ConfigError
from charrnn.network.parameters import ALIGNMENT, Parameters
from charrnn.network.sum_tree import tree_sum
from charrnn.system.threads import available_threads, divided
from charrnn.training.plan import Readings
from charrnn.training.ranks import Ranks, Value
from charrnn.training.watch import Watch

SPINS = 200  # tests of a request before a rank that waits sleeps between tests
NAP = 1e-4  # seconds
LAST_WORDS_S = 0.3  # that the launcher has to pass on what a rank has written before it ends all
PAGE = 4096  # bytes
LEAVE_S = 20.0  # that the end of MPI waits for a lost rank when all are done
UNWATCHED_S = 600.0  # the longest wait if nothing tells whether the other ranks are alive


class Told(NamedTuple):
    """What each rank tells all others with the sums of a step, as float64."""

    signal: float  # that asks to stop, -1 for another reason, 0 for none
    loss: float
    elapsed_s: float
    since_save_s: float
    evaluation_s: float
    closing_s: float


class MPIRanks(Ranks):
    """The processes of an MPI program, one rank each.

    Args:
        communicator: of all of them.

    Attributes:
        waited_s: seconds that this rank has waited for others while it trained.
        signal: the signal that asked this rank to stop; after the step in which all stop, the one that they obey.
    """

    def __init__(self, communicator):
        from mpi4py import MPI

        super().__init__()
        self._mpi, self._all = MPI, communicator
        self.size, self.number = communicator.Get_size(), communicator.Get_rank()
        self._node = communicator.Split_type(MPI.COMM_TYPE_SHARED)
        self.host = socket.gethostname()
        self._hosts = communicator.allgather(self.host)
        self.waited_s = 0.0
        self._on_one_host = self._node.Get_size() == self.size
        self._of_gradient: _SharedMemory | _Messages | None = None
        self._of_others: _SharedMemory | _Messages | None = None
        self._watch: Watch | None = None
        self._watch = Watch(self.number, self.size, self.host, self.from_first, self._abort)

    # ---- waiting

    def _wait(self, request) -> None:
        """Wait for a request of MPI.

        Raises:
            CharRNNError: the others did not answer for too long, and nothing watches them.
        """
        begun, tests = time.monotonic(), 0
        while not request.Test():
            tests += 1
            if tests < SPINS:
                continue
            time.sleep(NAP)
            if not (self._watch and self._watch.sees_all) and time.monotonic() - begun > UNWATCHED_S:
                raise CharRNNError(
                    f"rank {self.number} on {self.host}: the other ranks have not answered for {UNWATCHED_S / 60:.0f} "
                    "minutes: look whether their hosts run; the last checkpoint is kept, --resume goes on"
                )
        self.waited_s += time.monotonic() - begun

    def _abort(self, status: int) -> None:
        self._all.Abort(status)
        os._exit(status)  # MPICH returns if it cannot reach the launcher

    def end_all(self, error: BaseException) -> None:
        """Have all ranks end when this process does, because of ``error``, which the caller shows.

        Ranks often fail alike.  The others wait a moment, so that it is the first one that speaks.
        """
        if self._watch is not None:
            self._watch.fail()
        if not self.is_first:
            time.sleep(1)
        status = getattr(error, "exit_code", 1)

        def abort() -> None:
            sys.stderr.flush()
            time.sleep(LAST_WORDS_S)
            self._abort(status if isinstance(status, int) else 1)

        atexit.register(abort)

    def finish(self) -> None:
        """Wait until every rank is done. Then nothing watches the ranks; the end of the process has its own limit."""
        self._wait(self._all.Ibarrier())
        if self._watch is not None:
            self._watch.close()
        atexit.unregister(_finalise)  # there may be several runs in a process
        atexit.register(_finalise)

    # ---- what ranks tell each other

    def stop(self) -> None:
        """Have all ranks end after the same step: the other ranks hear of it with the sums of the next step."""
        self.is_asked_to_stop = True

    def from_first(self, make: Callable[[], Value]) -> Value:
        """What ``make`` returns on the first rank, as JSON has it."""
        found = json.dumps(make()).encode() if self.is_first else b""
        size = np.array([len(found)], np.int64)
        self._wait(self._all.Ibcast(size))
        buffer = np.frombuffer(found, np.uint8).copy() if self.is_first else np.empty(int(size[0]), np.uint8)
        self._wait(self._all.Ibcast(buffer))
        return json.loads(buffer.tobytes())

    def first_then_others(self, work: Callable[[], Value], on: str = "node") -> Value:
        """``work()`` on the first rank of each node, or of all (``on`` is "all"), and then on the other ranks."""
        communicator = self._all if on == "all" else self._node
        first = communicator.Get_rank() == 0
        found = work() if first else None
        self._wait(communicator.Ibarrier())
        return found if first else work()

    def add_up(self, arrays: Sequence[np.ndarray], loss: float, readings: Readings) -> tuple[float, Readings]:
        """Add the arrays of all ranks, in place; returns the sum of all losses, and the first rank's readings."""
        gradient, *others = arrays
        if self._of_gradient is None:
            self._of_gradient = self._exchange(gradient.size)
        asks = float(self.signal or -1) if self.is_asked_to_stop else 0.0
        told = self._of_gradient.add_up(gradient, Told(asks, loss, *readings))
        if others:
            together = np.concatenate([array.reshape(-1) for array in others])
            if self._of_others is None:
                self._of_others = self._exchange(together.size)
            self._of_others.add_up(together, Told(*[0.0] * len(Told._fields)))
            bounds = np.cumsum([array.size for array in others])[:-1]
            for array, found in zip(others, np.split(together, bounds), strict=True):
                array.reshape(-1)[:] = found
        signals = [int(each.signal) for each in told if each.signal]
        if signals:
            self.stops = self.is_asked_to_stop = True
            self.signal = max(*signals, 0)
        return tree_sum((each.loss for each in told), self.size, float.__add__), Readings(*told[0][2:])

    def any(self, is_so: bool) -> bool:
        """Whether something is so on at least one rank."""
        found = np.empty(self.size, np.uint8)
        self._wait(self._all.Iallgather(np.array([is_so], np.uint8), found))
        return bool(found.any())

    def _exchange(self, elements: int) -> "_SharedMemory | _Messages":
        kind = _SharedMemory if self._on_one_host else _Messages
        return kind(self._mpi, self._all, self._wait, elements)

    def gradient(self, config: ModelConfig) -> Parameters:
        """A buffer for the gradient; ranks on one computer have it in memory that they share."""
        found = Parameters(config)
        self._of_gradient = self._exchange(found.flat.size)
        if isinstance(self._of_gradient, _SharedMemory):
            return Parameters(config, self._of_gradient.own)
        return found

    def gathered(self, array: np.ndarray, rows: int) -> np.ndarray:
        """The array (L, rows, …) of all batch rows from the ranks' parts (L, own rows, …), on the first rank."""
        parts = np.empty((self.size, *array.shape), array.dtype) if self.is_first else None
        self._wait(self._all.Igather(np.ascontiguousarray(array), parts))
        return array if parts is None else np.concatenate(parts, axis=1)

    def all_columns(self, part: np.ndarray, columns: int) -> np.ndarray:
        """An array (N, ``columns``) float32, of which each rank has neighbouring columns ``part``, on every rank."""
        counts = [len(part) * (last - first) for first, last in divided(columns, self.size)]
        found = np.empty(sum(counts), np.float32)
        self._wait(self._all.Iallgatherv(np.ascontiguousarray(part, np.float32), (found, counts)))
        parts = np.split(found, np.cumsum(counts)[:-1])
        return np.concatenate([each.reshape(len(part), -1) for each in parts], axis=1)

    def require_same(self, facts: dict[str, str]) -> None:
        """Refuse ranks that have other facts than the first one.

        Raises:
            ConfigError: it names the first such fact.
        """
        digests = b"".join(hashlib.sha256(fact.encode()).digest() for fact in facts.values())
        own, found = np.frombuffer(digests, np.uint8).copy(), np.empty((self.size, len(digests)), np.uint8)
        self._wait(self._all.Iallgather(own, found))
        for number, name in enumerate(facts):
            same = (found == found[0])[:, 32 * number : 32 * (number + 1)].all(axis=1)
            if not same.all():
                raise ConfigError(
                    f"rank {int(np.argmin(same))} has another {name} than rank 0: all ranks need the same files, "
                    "options and version of charrnn"
                )

    def note(self, threads: int) -> str:
        """A sentence about the ranks, for the user."""
        hosts = len(set(self._hosts))
        each = "1 thread" if threads == 1 else f"{threads} threads"
        return f"{self.size} ranks on {hosts} host{'s' * (hosts > 1)}, each with {each}"

    def threads(self) -> int:
        """How many threads a rank uses by default: the processors of its node, shared with the ranks that have them."""
        own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        of_node = self._node.allgather(own)  # at the start, when no rank is far behind
        return max(1, available_threads() // of_node.count(own))


class _SharedMemory:
    """Adds an array of ranks on one computer: each rank adds a slice of all of them, in memory that they share.

    Attributes:
        own: the array of this rank (elements,) float32, which need not be copied if it is the one that is added.
    """

    def __init__(self, mpi, communicator, wait, elements: int):
        self._all, self._wait = communicator, wait
        size, number = communicator.Get_size(), communicator.Get_rank()
        told, header = 8 * len(Told._fields), 4 * ALIGNMENT
        # Of each rank first what it tells, then its array.  The ranks' parts begin on pages of their own.
        needed = -(-(header + 4 * elements) // PAGE) * PAGE
        self._window = window = mpi.Win.Allocate_shared(needed, 1, comm=communicator)
        window.Lock_all()
        memory = [np.frombuffer(window.Shared_query(rank)[0], np.uint8) for rank in range(size)]
        self._told = [part[:told].view(np.float64) for part in memory]
        self._arrays = [part[header:][: 4 * elements].view(np.float32) for part in memory]
        self.own = self._arrays[number]
        self._number = number
        first, last = (elements * rank // size for rank in (number, number + 1))
        self._slices = [array[first:last] for array in self._arrays]
        self._spare = [np.empty(last - first, np.float32) for _ in range(size.bit_length() + 1)]

    def add_up(self, array: np.ndarray, told: Told) -> list[Told]:
        """Make ``array`` (elements,) the sum of all ranks' arrays; returns what each rank has told."""
        is_copied = array.ctypes.data != self.own.ctypes.data
        if is_copied:
            self.own[:] = array
        self._told[self._number][:] = told
        self._meet()
        heard = [Told(*each.tolist()) for each in self._told]
        total = _add(self._slices, self._spare)
        for part in self._slices:
            part[:] = total
        self._meet()
        if is_copied:
            array[:] = self.own
        return heard

    def _meet(self) -> None:
        """Wait for all ranks; each then sees what the others have written."""
        self._window.Sync()
        self._wait(self._all.Ibarrier())
        self._window.Sync()


class _Messages:
    """Adds an array of ranks on several computers: each gets its slice of all, adds it, and sends the sum to all."""

    def __init__(self, mpi, communicator, wait, elements: int):
        self._all, self._wait, self._elements = communicator, wait, elements
        self._size = communicator.Get_size()
        self._length = -(-elements // self._size)
        told = 2 * len(Told._fields)  # float64 as two float32
        self._out, self._in = np.zeros((2, self._size, self._length + told), np.float32)
        self._whole = np.zeros(self._size * self._length, np.float32)
        self._spare = [np.empty(self._length, np.float32) for _ in range(self._size.bit_length() + 1)]

    def add_up(self, array: np.ndarray, told: Told) -> list[Told]:
        """Make ``array`` (elements,) the sum of all ranks' arrays; returns what each rank has told."""
        length = self._length
        self._whole[: self._elements] = array
        self._out[:, :length] = self._whole.reshape(self._size, length)
        self._out[:, length:] = np.array(told).view(np.float32)
        self._wait(self._all.Ialltoall(self._out, self._in))
        heard = [Told(*row.copy().view(np.float64).tolist()) for row in self._in[:, length:]]
        own = np.ascontiguousarray(_add(list(self._in[:, :length]), self._spare))
        self._wait(self._all.Iallgather(own, self._whole))
        array[:] = self._whole[: self._elements]
        return heard


def _add(parts: list[np.ndarray], spare: list[np.ndarray]) -> np.ndarray:
    """The sum of the ranks' slices in the order of the tree; ``spare`` are buffers for sums."""
    free, ours = list(spare), {id(buffer) for buffer in spare}

    def add(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        target = left if id(left) in ours else free.pop()
        if id(right) in ours:
            free.append(right)
        return np.add(left, right, out=target)

    return tree_sum(parts, len(parts), add)


# ---- the start ------------------------------------------------------------------------------------------


_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")  # variables of a rank, by launcher


def _finalise() -> None:
    """End MPI, which waits for all ranks, also for one that is lost: after a while this process ends without it.

    MPI_Finalize holds Python's lock, so that no thread of Python could end the process.
    """
    from mpi4py import MPI

    with Path(os.devnull).open("w") as nowhere:
        faulthandler.dump_traceback_later(LEAVE_S, exit=True, file=nowhere)
        if not MPI.Is_finalized():
            MPI.Finalize()
        faulthandler.cancel_dump_traceback_later()


def is_launched() -> bool:
    """Whether a launcher of MPI has started this program."""
    return any(os.environ.get(name, "").isdecimal() for name in _SIZES)


def launched() -> int:
    """As how many ranks a launcher of MPI has started this program; 1 if there is none."""
    return next((int(os.environ[name]) for name in _SIZES if os.environ.get(name, "").isdecimal()), 1)


def start(wanted: str) -> Ranks:
    """The ranks of this run: those of MPI if ``wanted`` is "on", or if it is "auto" and a launcher has started several.

    Raises:
        ConfigError: the launcher and the library of MPI do not fit together, or there is no library.
    """
    count = launched()
    if wanted == "off" or (wanted == "auto" and count == 1):
        return Ranks()
    try:
        return _start(count)
    except ConfigError:
        if _launched_number() == 0:
            raise
        raise SystemExit(1) from None  # all ranks fail alike; the first one says so


def _launched_number() -> int:
    """The number of this rank, as the launcher says."""
    names = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdecimal()), 0)


MPICH, OPEN_MPI = "libmpi.so.12", "libmpi.so.40"


def _choose_library() -> None:
    """Have mpi4py take the launcher's MPI, where wheels have installed libraries beside Python.

    Raises:
        ConfigError: there is only the library of the other MPI, which would end the process when it is loaded.
    """
    folder, is_open_mpi = Path(sys.prefix, "lib"), "OMPI_COMM_WORLD_SIZE" in os.environ
    wanted, other = (OPEN_MPI, MPICH) if is_open_mpi else (MPICH, OPEN_MPI)
    if "MPI4PY_LIBMPI" in os.environ or not (is_open_mpi or "HYDI_CONTROL_FD" in os.environ):
        return
    if is_open_mpi:
        os.environ.setdefault("OMPI_MCA_osc", "^ucx")  # it warns of a network that is not there
    if (folder / wanted).exists():
        os.environ["MPI4PY_LIBMPI"] = str(folder / wanted)
    elif (folder / other).exists():
        names = ("Open MPI", "MPICH") if is_open_mpi else ("MPICH", "Open MPI")
        raise ConfigError(
            f"two MPIs are mixed: the launcher is that of {names[0]}, the library beside Python that of {names[1]}; "
            f"start with {Path(sys.prefix, 'bin', 'mpirun')}"
        )


def _start(count: int) -> Ranks:
    _choose_library()
    try:
        from mpi4py import MPI
    except ImportError:
        raise ConfigError(
            "several ranks need mpi4py: pip install mpi4py, where charrnn is installed (or, to train in this process "
            "alone, --distributed off)"
        ) from None
    except RuntimeError:
        raise ConfigError(
            "mpi4py finds no MPI library that belongs to this launcher: load the cluster's MPI, or pip install mpich "
            "and start with its mpirun"
        ) from None
    found = MPI.COMM_WORLD.Get_size()
    if found == count == 1:
        return Ranks()
    if found != count:
        library = MPI.Get_library_version().split(",")[0].split("\n")[0].strip()
        raise ConfigError(
            f"the launcher has started {count:,} ranks, but the MPI library of mpi4py ({library}) sees {found:,}: they "
            "belong to two MPIs; start with the mpirun of that library"
        )
    return MPIRanks(MPI.COMM_WORLD)
