"""The same model in charrnn and in PyTorch, side by side.

Both have the same architecture, parameters, data, optimiser (Adam, clipping by global norm) and precision (float32).
Each side is a process of its own, so that neither's threads or memory touch the other's, and the sides take turns.
PyTorch is imported in its process only; it is not a dependency.
"""

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.checkpoints.pytorch import to_torch
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.inference.sampler import Sampler
from charrnn.network.cells import cell_of
from charrnn.network.initialisation import initialise
from charrnn.network.network import Network
from charrnn.network.parameters import Parameters
from charrnn.training.optimizer import Optimizer
from charrnn.training.speed import fma_peak

LR, CLIP, BETAS = 2e-3, 1.0, (0.9, 0.999)
AGREEMENT = 2e-5  # relative, of the losses of the first steps


@dataclass(frozen=True)
class Case:
    """What both sides do: a model on windows of ``batch`` x ``steps`` characters, with so many threads."""

    config: ModelConfig
    batch: int
    steps: int
    threads: int

    def ids(self) -> np.ndarray:
        """The characters (T+1, B) of the one window."""
        size = (self.steps + 1, self.batch)
        return np.random.default_rng(2).integers(self.config.vocabulary, size=size).astype(np.int32)

    def parameters(self) -> Parameters:
        """The starting values."""
        parameters = Parameters(self.config)
        initialise(parameters, self.config, 1)
        return parameters


class Charrnn:
    """charrnn's side."""

    def __init__(self, case: Case):
        self.network = Network(case.config, seed=None, threads=case.threads)
        self.network.set_parameters(dict(case.parameters().items()))
        training = TrainConfig(optimizer="adam", clip=CLIP, beta1=BETAS[0], beta2=BETAS[1])
        self.optimizer = Optimizer(training, self.network.parameters, self.network.team)
        self.ids, self.state = case.ids(), self.network.initial_state(case.batch)
        self.sampler: Sampler | None = None

    def train(self) -> float:
        """One update; its loss."""
        loss = self.network.loss_and_gradient(self.ids[:-1], self.ids[1:], self.state)
        self.optimizer.update(self.network.gradient, LR)
        self.network.parameters_changed()
        return loss

    def evaluate(self) -> float:
        """The loss alone."""
        return float(self.network.losses(self.ids[:-1], self.ids[1:], self.state).mean())

    def sample(self, characters: int) -> None:
        """Write so many characters in every batch row."""
        if self.sampler is None:
            self.sampler = Sampler(self.network, np.zeros(1, np.int32), self.ids.shape[1], seed=1)
        self.sampler.draw(characters)

    def peak(self) -> float:
        """FLOP/s that the processor's registers could do."""
        return fma_peak(self.network.team)


class PyTorch:
    """PyTorch's side, with one-hot input."""

    one_hot = True

    def __init__(self, case: Case):
        import torch

        self.torch = torch
        torch.set_num_threads(case.threads)
        config = case.config
        self.vocabulary = config.vocabulary
        inputs = config.embedding or config.vocabulary
        modules = {
            "lstm": torch.nn.LSTM(inputs, config.hidden, config.layers),
            "head": torch.nn.Linear(config.hidden, config.vocabulary),
        }
        if config.embedding:
            modules["embedding"] = torch.nn.Embedding(config.vocabulary, config.embedding)
        self.model = torch.nn.ModuleDict(modules)
        tensors = {}
        for name, value in case.parameters().items():
            parts = to_torch(name, value, cell_of(config)).items()
            tensors |= {key: torch.tensor(np.ascontiguousarray(part)) for key, part in parts}
        self.model.load_state_dict(tensors)
        # charrnn has one bias where PyTorch has the sum of two: the second is left as it is.
        for name, value in self.model.named_parameters():
            value.requires_grad = "bias_hh" not in name
        self.trained = [value for value in self.model.parameters() if value.requires_grad]
        self.optimizer = torch.optim.Adam(self.trained, LR, BETAS)
        self.rows = torch.eye(config.vocabulary)
        self.ids = torch.tensor(case.ids()).long()
        self.state = None

    def inputs(self, x):
        """What the LSTM reads for ids x."""
        functional = self.torch.nn.functional
        if "embedding" in self.model:
            return self.model["embedding"](x)
        return functional.one_hot(x, self.vocabulary).float() if self.one_hot else functional.embedding(x, self.rows)

    def loss(self):
        """The window's mean loss; the state moves on."""
        h, state = self.model["lstm"](self.inputs(self.ids[:-1]), self.state)
        self.state = tuple(part.detach() for part in state)
        logits = self.model["head"](h).flatten(0, 1)
        return self.torch.nn.functional.cross_entropy(logits, self.ids[1:].flatten())

    def train(self) -> float:
        """One update; its loss."""
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.trained, CLIP)
        self.optimizer.step()
        return loss.item()

    def evaluate(self) -> float:
        """The loss alone."""
        with self.torch.no_grad():
            return self.loss().item()

    def sample(self, characters: int) -> None:
        """Write so many characters in every batch row, in the usual loop."""
        torch = self.torch
        x, state = self.ids[:1], self.state
        with torch.no_grad():
            for _ in range(characters):
                h, state = self.model["lstm"](self.inputs(x), state)
                x = torch.multinomial(torch.softmax(self.model["head"](h[0]), 1), 1).T


class PyTorchRows(PyTorch):
    """PyTorch's side, with the one-hot rows looked up."""

    one_hot = False


class _Side:
    """A side in a process of its own, which does what it is told."""

    def __init__(self, kind: type, case: Case):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(kind, case, other), daemon=True)
        self._process.start()

    def do(self, *order: Any) -> tuple[float, list[Any]]:
        """(seconds, answers) of ``order`` = (work, repeats, arguments …)."""
        self._pipe.send(order)
        try:
            return self._pipe.recv()
        except EOFError:
            raise CharRNNError(
                "one side of the comparison has ended; is PyTorch installed, and memory enough?"
            ) from None

    def close(self) -> float:
        """End it; its peak resident memory in bytes, NaN where the system does not tell."""
        self._pipe.send(None)
        peak = self._pipe.recv()
        self._process.join()
        return peak


def _serve(kind: type, case: Case, pipe) -> None:
    subject = kind(case)
    while (order := pipe.recv()) is not None:
        work, repeats, *arguments = order
        begun = time.perf_counter()
        answers = [getattr(subject, work)(*arguments) for _ in range(repeats)]
        pipe.send((time.perf_counter() - begun, answers))
    pipe.send(_peak_memory())


def _peak_memory() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass(frozen=True)
class Outcome:
    """Median seconds for one call of each side, PyTorch's the faster of its two; and the paired ratios, sorted.

    ``peak`` is the median of the processor's FLOP/s in multiplying and adding, measured between the turns.
    """

    ours: float
    theirs: float
    ratios: list[float]
    peak: float

    @property
    def ratio(self) -> float:
        """How many times as fast charrnn is: the median of the paired ratios."""
        return statistics.median(self.ratios)


def compare(
    case: Case,
    orders: list[tuple],
    rounds: int = 5,
    seconds: float = 0.5,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Outcome], tuple[float, float]]:
    """An outcome for each order (work, arguments …), and the peak memory of charrnn's and PyTorch's process in bytes.

    ``report`` is called with the number of rounds done, of all orders together, and of those there are.

    Raises:
        CharRNNError: the two do not compute the same losses, or PyTorch does not run here.
    """
    sides = [_Side(kind, case) for kind in (Charrnn, PyTorch, PyTorchRows)]
    losses = [side.do("train", 3)[1] for side in sides]
    if not all(np.allclose(other, losses[0], rtol=AGREEMENT, atol=0) for other in losses[1:]):
        raise CharRNNError(f"the two sides do not agree on the losses: {losses}")
    outcomes = []
    for work, *arguments in orders:
        repeats = []
        for side in sides:
            side.do(work, 1, *arguments)
            once = side.do(work, 1, *arguments)[0]
            repeats.append(max(1, round(seconds / max(once, 1e-6))))
        times: list[list[float]] = [[] for _ in sides]
        peaks = []
        for _ in range(rounds):
            report(len(outcomes) * rounds + len(times[0]), len(orders) * rounds)
            for k, side in enumerate(sides):
                times[k].append(side.do(work, repeats[k], *arguments)[0] / repeats[k])
                peaks += sides[0].do("peak", 1)[1]
        best = min((1, 2), key=lambda k: statistics.median(times[k]))
        ratios = sorted(theirs / ours for ours, theirs in zip(times[0], times[best], strict=True))
        medians = [statistics.median(figures) for figures in (times[0], times[best], peaks)]
        outcomes.append(Outcome(medians[0], medians[1], ratios, medians[2]))
    memory = [side.close() for side in sides]
    return outcomes, (memory[0], min(memory[1:]))
