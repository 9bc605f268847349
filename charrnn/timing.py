"""How fast this machine is at a model: characters a second, GFLOP/s, and where the time goes."""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig, TrainConfig
from charrnn.kernels import compiler
from charrnn.kernels import peak as registers
from charrnn.network import CharLSTM
from charrnn.optimizer import Optimizer
from charrnn.sampling import Sampler
from charrnn.stopwatch import Stopwatch
from charrnn.text.batches import Batches
from charrnn.threads import Team

PEAK_ROUNDS = 5_000_000


def training_flops(config: ModelConfig) -> int:
    """Multiplications and additions that the mathematics needs to train on one character; a look-up costs nothing."""
    inner = 4 * config.hidden * config.hidden * (2 * config.layers - 1)
    return 6 * (inner + config.hidden * config.vocabulary)


def fma_peak(threads: int) -> float:
    """FLOP/s of ``threads`` threads that only multiply and add in registers: the best of five."""
    compiler.prepare(registers.peak)
    team = Team(threads)
    best = float("inf")
    for _ in range(5):
        begun = time.perf_counter()
        team.run(lambda worker: registers.peak(PEAK_ROUNDS, 0.5, 0.25, np.zeros(1, np.float32)), [()] * threads)
        best = min(best, time.perf_counter() - begun)
    team.close()
    return threads * PEAK_ROUNDS * registers.FLOPS / best


@dataclass(frozen=True)
class Timing:
    """What was measured for one model, batch and number of threads; rates are characters a second, medians.

    ``parts`` are shares of a training step: data (cutting a window out of the text), packing, forward, output (logits,
    loss and back), backward, gradients (of the weights), update.  ``memory`` is in bytes: parameters,
    gradient, moments, packed weights and workspace.
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


def measure(
    config: ModelConfig, batch_size: int, seq_len: int, threads: int, seconds: float = 1.0, peak: float | None = None
) -> Timing:
    """Train, evaluate and sample on random text for about ``seconds`` each; ``peak`` as fma_peak measured it."""
    network = CharLSTM(config, seed=1, threads=threads)
    optimizer = Optimizer(TrainConfig(), network.parameters, network.team)
    length = batch_size * (seq_len * 4 + 1)
    text = np.random.default_rng(1).integers(config.vocabulary, size=length)
    batches = Batches(text, batch_size, seq_len, seed=1)
    state = network.initial_state(batch_size)

    def step(number: int) -> None:
        watch = network.stopwatch
        x, y = batches.window(0, number % 4)
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
    training = characters / _median(step, seconds)
    network.stopwatch = None
    x, y = batches.window(0, 0)
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
        peak=peak or fma_peak(threads),
        parts={name: value / total for name, value in watch.seconds.items()},
        memory=sum(array.nbytes for array in arrays) + network.packed.nbytes + network.workspace.nbytes,
    )


def _median(work, seconds: float) -> float:
    """Median seconds of ``work(number)``, called for about ``seconds`` and at least three times after a warm-up."""
    work(0)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        begun = time.perf_counter()
        work(len(times))
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
