"""How fast this machine is at a model: characters a second, GFLOP/s, and where the time goes."""

import itertools
import statistics
import time
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.inference.sampler import Sampler
from charrnn.kernels import compiler
from charrnn.kernels import fma_peak as registers
from charrnn.kernels.sampling import write
from charrnn.network.cells import cell_of
from charrnn.network.network import Network
from charrnn.system.stopwatch import Stopwatch
from charrnn.system.threads import Team
from charrnn.text.windows import TrainingWindows
from charrnn.training.optimizer import Optimizer

PEAK_ROUNDS = 5_000_000
TURNS = 5  # of training and of the loop that shows the peak


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


def measure(config: ModelConfig, batch_size: int, seq_len: int, threads: int, seconds: float = 1.0) -> Timing:
    """Train, evaluate and sample on random text for about ``seconds`` each."""
    compiler.prepare(
        write, *itertools.chain(*Network.kernels(config)), *Optimizer.kernels(TrainConfig()), registers.peak
    )
    network = Network(config, seed=1, threads=threads)
    optimizer = Optimizer(TrainConfig(), network.parameters, network.team)
    length = batch_size * (seq_len * 4 + 1)
    text = np.random.default_rng(1).integers(config.vocabulary, size=length)
    windows = TrainingWindows(text, batch_size, seq_len, seed=1)
    state = network.initial_state(batch_size)

    def step(number: int) -> None:
        watch = network.stopwatch
        x, y = windows.window(0, number % 4)
        watch.lap("data")
        network.refresh(training=True)
        watch.lap("packing")
        network.loss_and_gradient(x, y, state)
        optimizer.update(network.gradient, 1e-4)
        network.parameters_changed()
        watch.lap("update")

    characters = batch_size * seq_len
    network.stopwatch = Stopwatch()
    step(0)
    network.stopwatch = watch = Stopwatch()
    times, peaks = [], []
    for _ in range(TURNS):
        watch.restart()
        times += _times(step, seconds / TURNS)
        peaks.append(fma_peak(network.team))
    training = characters / statistics.median(times)
    network.stopwatch = None
    x, y = windows.window(0, 0)
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
        training=training,
        evaluation=evaluation,
        sampling=sampling,
        flops=training * training_flops(config),
        peak=statistics.median(peaks),
        parts={name: value / total for name, value in watch.seconds.items()},
        memory=sum(array.nbytes for array in arrays) + network.packed_bytes + network.workspace.nbytes,
    )


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
