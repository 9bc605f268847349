"""How fast this machine is at a model: characters a second, GFLOP/s, and where the time goes."""

import itertools
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.inference.sampler import Sampler
from charrnn.kernels import compiler
from charrnn.kernels import fma_peak as registers
from charrnn.kernels.sampling import write
from charrnn.network.cells import cell_of
from charrnn.network.network import Elsewhere, Network
from charrnn.system.stopwatch import Stopwatch
from charrnn.system.threads import Team
from charrnn.text.windows import TrainingWindows
from charrnn.training.optimizer import Optimizer
from charrnn.training.plan import Readings
from charrnn.training.ranks import Ranks

PEAK_ROUNDS = 5_000_000
TURNS = 5  # of training and of the loop that shows the peak
LEAST_STEPS = 3  # that are timed
HOST_NAME = 64  # bytes


def training_flops(config: ModelConfig) -> int:
    """Multiplications and additions that the mathematics needs to train on one character; a look-up costs nothing."""
    layers = sum(cell_of(config).multiply_adds(config, index) for index in range(config.layers))
    return 6 * (layers + config.hidden * config.vocabulary)


def fma_peak(team: Team) -> float:
    """FLOP/s of threads that only multiply and add in registers, for a few hundredths of a second.

    Clocks fall under load, so measure the peak in turns with what is compared with it.
    """
    compiler.prepare(registers.peak)
    begun = time.perf_counter()
    team.run(lambda worker: registers.peak(PEAK_ROUNDS, 0.5, 0.25, np.zeros(1, np.float32)), [()] * team.threads)
    return team.threads * PEAK_ROUNDS * registers.FLOPS / (time.perf_counter() - begun)


@dataclass(frozen=True)
class Timing:
    """What was measured for one model, batch and number of threads; rates are characters a second, medians.

    ``parts`` are shares of a training step: data (cutting a window out of the text), packing, forward, output (logits,
    loss and back), backward, gradients (of the weights), update.  ``memory`` is in bytes: parameters,
    gradient, moments, packed weights and workspace; ``flops`` those of training, ``peak`` the processor's meanwhile.
    """

    config: ModelConfig
    batch_size: int
    seq_len: int
    threads: int
    training: float
    evaluation: float
    sampling: float
    flops: float
    peak: float
    parts: dict[str, float]
    memory: int


class Training:
    """Training steps on random text, without the run around them.

    Args:
        config: of the model.
        batch_size, seq_len: of a window, for all ranks together.
        threads: of this rank.
        groups: into which the batch rows are divided.
        ranks: the processes that train together; without them this one alone.

    Attributes:
        rows: how many batch rows this rank has.
        elapsed_s: seconds since the object was made; the first rank tells them with the sums of a step.

    Raises:
        ContradictionError: the ranks cannot share the groups.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        seq_len: int,
        threads: int,
        groups: int = 1,
        ranks: Ranks | None = None,
    ):
        self.ranks = Ranks() if ranks is None else ranks
        first, last = self.ranks.rows(batch_size, groups)
        self.rows, self.elapsed_s = last - first, 0.0
        self.network = Network(config, seed=1, threads=threads)
        self.network.gradient = self.ranks.gradient(config)
        self.network.prepare_training()
        self.network.sum_groups = None if groups == 1 else groups // self.ranks.size
        self.optimizer = Optimizer(TrainConfig(), self.network.parameters, self.network.team)
        text = np.random.default_rng(1).integers(config.vocabulary, size=batch_size * (seq_len * 4 + 1))
        self.windows = TrainingWindows(text, batch_size, seq_len, seed=1, rows=(first, last))
        self.state = self.network.initial_state(self.rows)
        self._begun = time.monotonic()

    def step(self, number: int) -> None:
        """One update, on window ``number`` modulo 4."""
        network = self.network
        watch = network.stopwatch or Stopwatch()
        x, y = self.windows.window(0, number % 4)
        watch.lap("data")
        network.refresh(training=True)
        watch.lap("packing")
        elsewhere = Elsewhere(self.windows.targets(0, number % 4), self._add_up) if self.ranks.size > 1 else None
        network.loss_and_gradient(x, y, self.state, elsewhere=elsewhere)
        self.optimizer.update(network.gradient, 1e-4)
        network.parameters_changed()
        watch.lap("update")
        if elsewhere is None:
            self.elapsed_s = time.monotonic() - self._begun

    def _add_up(self, arrays: Sequence[np.ndarray], loss: float) -> float:
        own = Readings(time.monotonic() - self._begun, 0.0, 0.0, 0.0)
        loss, readings = self.ranks.add_up(arrays, loss, own)
        self.elapsed_s = readings.elapsed_s
        return loss


def measure(
    config: ModelConfig, batch_size: int, seq_len: int, threads: int, seconds: float = 1.0, groups: int = 1
) -> Timing:
    """Train, evaluate and sample on random text for about ``seconds`` each.

    Raises:
        ContradictionError: the groups do not divide the batch rows.
    """
    compiler.prepare(
        write, *itertools.chain(*Network.kernels(config)), *Optimizer.kernels(TrainConfig()), registers.peak
    )
    training = Training(config, batch_size, seq_len, threads, groups)
    network, optimizer, state = training.network, training.optimizer, training.state
    characters = batch_size * seq_len
    network.stopwatch = Stopwatch()
    training.step(0)
    network.stopwatch = watch = Stopwatch()
    times, peaks = [], []
    for _ in range(TURNS):
        watch.restart()
        times += _times(training.step, seconds / TURNS)
        peaks.append(fma_peak(network.team))
    rate = characters / statistics.median(times)
    network.stopwatch = None
    x, y = training.windows.window(0, 0)
    evaluation = characters / _median(lambda number: network.losses(x, y, state), seconds)
    sampler = Sampler(network, np.zeros(1, np.int32))
    sampling = 100 / _median(lambda number: sampler.draw(100), seconds)
    total = sum(watch.seconds.values())
    arrays = [network.parameters.flat, network.gradient.flat, *optimizer.slots.values()]
    return Timing(
        config=config,
        batch_size=batch_size,
        seq_len=seq_len,
        threads=threads,
        training=rate,
        evaluation=evaluation,
        sampling=sampling,
        flops=rate * training_flops(config),
        peak=statistics.median(peaks),
        parts={name: value / total for name, value in watch.seconds.items()},
        memory=sum(array.nbytes for array in arrays) + network.packed_bytes + network.workspace.nbytes,
    )


@dataclass(frozen=True)
class RankTiming:
    """What was measured on one rank of several that train together.

    Attributes:
        rank: its number.
        host: the name of its computer.
        threads: how many it uses.
        rows: its batch rows.
        training: its characters a second.
        waits: the share of a step in which it waits for the others, or for messages.
    """

    rank: int
    host: str
    threads: int
    rows: int
    training: float
    waits: float


def measure_together(
    config: ModelConfig, batch_size: int, seq_len: int, threads: int, ranks: Ranks, groups: int, seconds: float = 1.0
) -> list[RankTiming]:
    """Train on random text together with the other ranks, for about ``seconds``; returns what each rank measured.

    Every rank must call it.  The first rank's clock ends the measurement, after the same step on all ranks.  The list
    is complete on the first rank only.

    Raises:
        ContradictionError: the ranks cannot share the groups.
    """
    ranks.first_then_others(
        lambda: compiler.prepare(*itertools.chain(*Network.kernels(config)), *Optimizer.kernels(TrainConfig()))
    )
    training = Training(config, batch_size, seq_len, threads, groups, ranks)
    training.step(0)
    end, waited, begun = training.elapsed_s + seconds, ranks.waited_s, time.perf_counter()
    steps = 0
    while steps < LEAST_STEPS or training.elapsed_s < end:
        training.step(steps)
        steps += 1
    elapsed = time.perf_counter() - begun
    rate, waits = training.rows * seq_len * steps / elapsed, (ranks.waited_s - waited) / elapsed
    own = np.array([[threads, training.rows, rate, waits]]).T
    found = ranks.gathered(own, ranks.size).T.tolist()
    name = np.frombuffer(ranks.host.encode()[:HOST_NAME].ljust(HOST_NAME), np.uint8)[:, None]
    names = [bytes(column).decode(errors="replace").rstrip() for column in ranks.gathered(name, ranks.size).T]
    return [
        RankTiming(rank, host, int(each[0]), int(each[1]), *each[2:])
        for rank, (host, each) in enumerate(zip(names, found, strict=True))
    ]


def _median(work, seconds: float) -> float:
    """Median seconds of ``work(number)``, called for about ``seconds`` and at least three times after a warm-up."""
    work(0)
    return statistics.median(_times(work, seconds, 3))


def _times(work, seconds: float, least: int = 1) -> list[float]:
    """Seconds of each call of ``work(number)``, for about ``seconds`` and at least so many times."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        begun = time.perf_counter()
        work(len(times))
        times.append(time.perf_counter() - begun)
    return times
