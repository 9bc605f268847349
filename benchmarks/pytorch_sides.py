"""The same model in charrnn and in PyTorch, side by side.

Both have the same architecture, parameters, data, optimiser (Adam, clipping by global norm) and precision (float32).
Each side is a process of its own, so that neither's threads or memory touch the other's, and the sides take turns.
PyTorch is imported in its process only; it is not a dependency.

A recurrent cell carries its state from window to window.  A Transformer begins every window with an empty state on both
sides, and reads ``context`` characters before it writes: charrnn's side then keeps keys and values of what it has read,
while PyTorch's side reads the last ``context`` characters anew for each character, as nanoGPT does.
"""

import multiprocessing
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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

    @property
    def carries(self) -> bool:
        """Whether a window begins with the state that the one before left."""
        return self.config.cell != "transformer"

    def prime(self) -> np.ndarray:
        """The characters (N,) that are read before one is written: a whole context, where there is one."""
        size = self.config.context or 1
        return np.random.default_rng(3).integers(self.config.vocabulary, size=size).astype(np.int32)

    def parameters(self) -> Parameters:
        """The starting values."""
        parameters = Parameters(self.config)
        initialise(parameters, self.config, 1)
        return parameters


class Charrnn:
    """charrnn's side."""

    kind = ""

    def __init__(self, case: Case):
        self.case, self.network = case, Network(case.config, seed=None, threads=case.threads)
        self.network.set_parameters(dict(case.parameters().items()))
        training = TrainConfig(optimizer="adam", clip=CLIP, beta1=BETAS[0], beta2=BETAS[1])
        self.optimizer = Optimizer(training, self.network.parameters, self.network.team)
        self.ids, self.state = case.ids(), self.network.initial_state(case.batch)
        self.sampler: Sampler | None = None

    def begin_window(self) -> None:
        """Forget what the last window left, unless it is carried on."""
        if not self.case.carries:
            self.state.clear()

    def train(self) -> float:
        """One update; its loss."""
        self.begin_window()
        loss = self.network.loss_and_gradient(self.ids[:-1], self.ids[1:], self.state)
        self.optimizer.update(self.network.gradient, LR)
        self.network.parameters_changed()
        return loss

    def evaluate(self) -> float:
        """The loss alone."""
        self.begin_window()
        return float(self.network.losses(self.ids[:-1], self.ids[1:], self.state).mean())

    def sample(self, characters: int) -> None:
        """Write so many characters in every batch row."""
        if self.sampler is None:
            self.sampler = Sampler(self.network, self.case.prime(), self.ids.shape[1], seed=1)
        self.sampler.draw(characters)

    def peak(self) -> float:
        """FLOP/s that the processor's registers could do."""
        return fma_peak(self.network.team)


class PyTorch:
    """PyTorch's side of a recurrent cell, with one-hot input."""

    kind, one_hot = "", True

    def __init__(self, case: Case):
        import torch

        self.torch, self.case = torch, case
        torch.set_num_threads(case.threads)
        self.model = self.module(case.config)
        tensors = {}
        for name, value in case.parameters().items():
            parts = to_torch(name, value, cell_of(case.config)).items()
            tensors |= {key: torch.tensor(np.ascontiguousarray(part)) for key, part in parts}
        self.model.load_state_dict(tensors)
        self.trained = self.trained_parameters()
        self.optimizer = torch.optim.Adam(self.trained, LR, BETAS, fused=True)
        self.ids = torch.tensor(case.ids()).long()

    def module(self, config: ModelConfig):
        """The model, with whatever starting values."""
        torch, cell = self.torch, cell_of(config).torch_module
        self.cell, self.state, self.vocabulary = cell, None, config.vocabulary
        self.rows = torch.eye(config.vocabulary)
        inputs = config.embedding or config.vocabulary
        kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
        modules = {
            cell: kind(inputs, config.hidden, config.layers),
            "head": torch.nn.Linear(config.hidden, config.vocabulary),
        }
        if config.embedding:
            modules["embedding"] = torch.nn.Embedding(config.vocabulary, config.embedding)
        return torch.nn.ModuleDict(modules)

    def trained_parameters(self) -> list:
        """The parameters that are trained.

        charrnn has one bias where PyTorch has the sum of two: there the second is left as it is.  Only the bias of a
        GRU's candidate is two, because the reset gate is between them.
        """
        for name, value in self.model.named_parameters():
            if "bias_hh" not in name:
                continue
            if self.cell == "gru":
                gates, candidate = self.torch.zeros(2 * self.case.config.hidden), self.torch.ones(len(value) // 3)
                value.register_hook(self.torch.cat([gates, candidate]).mul)
            else:
                value.requires_grad = False
        return [value for value in self.model.parameters() if value.requires_grad]

    def inputs(self, x):
        """What the first layer reads for ids x."""
        functional = self.torch.nn.functional
        if "embedding" in self.model:
            return self.model["embedding"](x)
        return functional.one_hot(x, self.vocabulary).float() if self.one_hot else functional.embedding(x, self.rows)

    def loss(self):
        """The window's mean loss; the state moves on."""
        h, state = self.model[self.cell](self.inputs(self.ids[:-1]), self.state)
        self.state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
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
                h, state = self.model[self.cell](self.inputs(x), state)
                x = torch.multinomial(torch.softmax(self.model["head"](h[0]), 1), 1).T


class PyTorchRows(PyTorch):
    """PyTorch's side of a recurrent cell, with the one-hot rows looked up."""

    one_hot = False


class PyTorchTransformer(PyTorch):
    """PyTorch's side of a Transformer, operation by operation: the module that exports bring."""

    def module(self, config: ModelConfig):
        """The model, with whatever starting values."""
        sys.path.append(str(Path(__file__).parent.parent / "charrnn" / "checkpoints" / "foreign"))
        from pytorch_transformer import Transformer

        return Transformer(config.vocabulary, config.hidden, config.layers, config.heads, config.context)

    def trained_parameters(self) -> list:
        """All."""
        return list(self.model.parameters())

    def loss(self):
        """The window's mean loss."""
        model, x = self.model, self.ids[:-1].T.contiguous()
        logits = model.head(model.transformer(model.embedding(x))[0]).flatten(0, 1)
        return self.torch.nn.functional.cross_entropy(logits, self.ids[1:].T.flatten())

    def sample(self, characters: int) -> None:
        """Write so many characters in every batch row; the whole context is read for each."""
        torch, model = self.torch, self.model
        x = torch.tensor(self.case.prime()).long().repeat(self.ids.shape[1], 1)
        with torch.no_grad():
            for _ in range(characters):
                last = model.transformer(model.embedding(x))[0][:, -1]
                drawn = torch.multinomial(torch.softmax(model.head(last), 1), 1)
                x = torch.cat([x[:, 1:], drawn], dim=1)


class PyTorchCompiled(PyTorchTransformer):
    """PyTorch's side of a Transformer, its layers compiled by ``torch.compile``; where that fails, as they are."""

    kind = "compiled"

    def module(self, config: ModelConfig):
        """The model, with whatever starting values."""
        model = super().module(config)
        self.torch._dynamo.config.suppress_errors = True
        model.transformer.compile()
        return model


def rivals(config: ModelConfig) -> list[type[PyTorch]]:
    """PyTorch's ways of computing the same model; ``torch.compile`` needs a compiler of C++."""
    if config.cell != "transformer":
        return [PyTorch, PyTorchRows]
    compilers = (os.environ.get("CXX", "c++"), "g++", "clang++", "cl")
    return [PyTorchTransformer, *([PyTorchCompiled] if any(map(shutil.which, compilers)) else [])]


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

    ``peak`` is the median of the processor's FLOP/s in multiplying and adding, measured between the turns.  ``kind``
    says which of PyTorch's ways was the faster, if it has a name.
    """

    ours: float
    theirs: float
    ratios: list[float]
    peak: float
    kind: str = ""

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
    kinds = [Charrnn, *rivals(case.config)]
    sides = [_Side(kind, case) for kind in kinds]
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
        best = min(range(1, len(sides)), key=lambda k: statistics.median(times[k]))
        ratios = sorted(theirs / ours for ours, theirs in zip(times[0], times[best], strict=True))
        medians = [statistics.median(figures) for figures in (times[0], times[best], peaks)]
        outcomes.append(Outcome(medians[0], medians[1], ratios, medians[2], kinds[best].kind))
    memory = [side.close() for side in sides]
    return outcomes, (memory[0], min(memory[1:]))
