"""Optimisers that look at a whole matrix against AdamW: Muon, MUD and SOAP on the LSTM's gate blocks.

    python benchmarks/matrix_optimizers.py TEXT --case adamw 2.4e-2 --case muon 8e-3 --case muon 1.6e-2 --seeds 1 2 3

Each ``--case NAME RATE`` is trained with every seed, and the table has the best validation loss, mean and range.  The
network, the text's parts, dropout, warm-up, cosine and weight decay are the same for all.  A matrix optimiser updates
the H x H block of each gate in every ``w_hh`` and in the ``w_ih`` above the first layer; AdamW updates the rest with
the rate ``--rest``.  It works here in NumPy and with LAPACK, so the seconds of a step are not taken from these runs:
``operations`` counts the multiply-adds of the optimiser's products, as a share of the training step's.

With M the moving average of the gradient G with decay μ, N = (1 - μ) G + μ M, and W a block:

- all:  W ← W - rate (0.2 sqrt(H) O + decay W), so that an orthogonal O changes each weight by about 0.2 rate, as AdamW
  does (Liu et al. 2025, "Muon is scalable for LLM training");
- Muon (Jordan et al. 2024): O is N with its singular values driven to 1 by steps of a quintic iteration, five of them
  unless ``--iterations`` says otherwise;
- MUD (arXiv 2603.17970): O = T⁻¹ Q with normalised rows, where Q is N with normalised rows and T the lower triangle of
  Q Qᵀ;
- SOAP (Vyas et al. 2024), on one side: AdamW in the eigenbasis of a moving average of G Gᵀ, which a step of the power
  iteration and a QR decomposition renew every ten updates.
"""

import argparse
import itertools
import math
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: each run has one thread

import numpy as np
from time_to_loss import table

from charrnn.checkpoints.run_folder import RunFolder
from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.network import Network
from charrnn.text.catalog import find_text
from charrnn.text.corpus import Parts, open_corpus
from charrnn.training import Run, Trainer
from charrnn.training.optimizer import Optimizer

QUINTIC = (3.4445, -4.7750, 2.0315)
RENEWED = 10  # updates between two bases of SOAP


class Blocks:
    """The gate blocks (N, H, H) of a network's matrices, copied out of flat parameters and back."""

    def __init__(self, config: ModelConfig):
        self.hidden = config.hidden
        self.names = [f"w_hh_l{k}" for k in range(config.layers)] + [f"w_ih_l{k}" for k in range(1, config.layers)]

    def take(self, parameters) -> np.ndarray:
        """The blocks, outputs first."""
        h = self.hidden
        return np.concatenate([parameters[name].reshape(h, 4, h).transpose(1, 2, 0) for name in self.names])

    def put(self, parameters, blocks: np.ndarray) -> None:
        """Write the blocks back."""
        h = self.hidden
        for k, name in enumerate(self.names):
            parameters[name][:] = blocks[4 * k : 4 * k + 4].transpose(2, 0, 1).reshape(h, 4 * h)


def muon(n: np.ndarray, iterations: int) -> np.ndarray:
    """N with its singular values near 1; fewer iterations than five lift only the larger ones that far."""
    a, b, c = QUINTIC
    x = n / (np.linalg.norm(n, axis=(1, 2), keepdims=True) * 1.01 + 1e-7)
    for _ in range(iterations):
        square = x @ x.transpose(0, 2, 1)
        x = a * x + (b * square + c * (square @ square)) @ x
    return x


def normalised(x: np.ndarray) -> np.ndarray:
    """Rows of Euclidean norm 1."""
    return x / (np.linalg.norm(x, axis=2, keepdims=True) + 1e-8)


def mud(n: np.ndarray) -> np.ndarray:
    """N made nearly orthogonal by one triangular system."""
    q = normalised(n)
    return normalised(np.linalg.solve(np.tril(q @ q.transpose(0, 2, 1)), q).astype(np.float32))


class Soap:
    """AdamW's direction in the eigenbasis of the outputs' second moments."""

    def __init__(self, count: int, hidden: int, beta1: float, beta2: float):
        self.covariance = np.zeros((count, hidden, hidden), np.float32)
        self.basis = np.broadcast_to(np.eye(hidden, dtype=np.float32), (count, hidden, hidden)).copy()
        self.mean, self.square = np.zeros_like(self.basis), np.zeros_like(self.basis)
        self.beta1, self.beta2, self.count = beta1, beta2, 0

    def __call__(self, g: np.ndarray) -> np.ndarray:
        """The direction of the update for a gradient (N, H, H); its elements are about 1 in size."""
        self.count += 1
        self.covariance += 0.05 * (g @ g.transpose(0, 2, 1) - self.covariance)
        if self.count == 1:
            self.basis = np.linalg.eigh(self.covariance)[1].astype(np.float32)
        elif self.count % RENEWED == 0:
            self.basis = np.linalg.qr(self.covariance @ self.basis)[0].astype(np.float32)
        turned = self.basis.transpose(0, 2, 1) @ g
        self.mean += (1 - self.beta1) * (g - self.mean)
        self.square += (1 - self.beta2) * (turned * turned - self.square)
        mean = self.basis.transpose(0, 2, 1) @ self.mean / (1 - self.beta1**self.count)
        return self.basis @ (mean / (np.sqrt(self.square / (1 - self.beta2**self.count)) + 1e-12))


class MatrixOptimizer(Optimizer):
    """AdamW, and for the gate blocks another optimiser."""

    def __init__(self, case: "Case", run: Run):
        super().__init__(run.config, run.network.parameters, run.network.team)
        self.case = case
        self.blocks = Blocks(run.network.config)
        shape = self.blocks.take(self.parameters).shape
        self.average = np.zeros(shape, np.float32)
        self.soap = Soap(shape[0], shape[1], 0.95, 0.95) if case.kind == "soap" else None

    def update(self, gradient, lr: float) -> float:
        """One update of all parameters; ``lr`` is the rate of AdamW's part."""
        w, g = self.blocks.take(self.parameters), self.blocks.take(gradient)
        norm = super().update(gradient, lr)
        if not math.isfinite(norm):
            return norm
        g *= min(1.0, self.config.clip / (norm + 1e-6))
        rate = lr * self.case.rate / self.case.rest
        if self.soap is not None:
            step = self.soap(g)
        else:
            mu = 0.85 + (self.case.momentum - 0.85) * min(1.0, self.count / 300)
            self.average += (1 - mu) * (g - self.average)
            n = (1 - mu) * g + mu * self.average
            direction = mud(n) if self.case.kind == "mud" else muon(n, self.case.iterations)
            step = 0.2 * math.sqrt(w.shape[1]) * direction
        self.blocks.put(self.parameters, w - rate * (step + self.config.decay * w))
        return norm


class Case(NamedTuple):
    """An optimiser and its rate, that of AdamW's part, the momentum of Muon and MUD, and Muon's iterations."""

    kind: str
    rate: float
    rest: float
    momentum: float
    iterations: int


def train(case: Case, seed: int, text: str, options: argparse.Namespace) -> float:
    """Train once; the best validation loss."""
    corpus = open_corpus([text])
    config = TrainConfig(
        epochs=options.epochs,
        seed=seed,
        lr=case.rate if case.kind == "adamw" else case.rest,
        dropout=options.dropout,
        batch_size=options.batch,
        sample_every=0,
        ngrams="off",
        ngram_targets=0.0,
        tar=0.0,
    )
    model = ModelConfig(len(corpus.vocabulary), options.hidden)
    network = Network(model, seed, 1)
    run = Run(network, config, Parts.of(corpus.ids, config.split), corpus.vocabulary, {})
    if case.kind != "adamw":
        run.optimizer = MatrixOptimizer(case, run)
    with tempfile.TemporaryDirectory() as folder:
        return min(each.val_loss for each in Trainer(run, RunFolder(Path(folder))).run() if each.event == "evaluated")


def share(case: Case, options: argparse.Namespace) -> float:
    """Multiply-adds of the optimiser's products, as a share of a training step's."""
    h, characters = options.hidden, options.batch * 64
    step = 3 * 3 * 4 * h * h * characters  # forward, back, and the gradients of three matrices (H, 4H)
    cubes = {"adamw": 0, "muon": 3 * case.iterations, "mud": 1, "soap": 4 + 3 / RENEWED}[case.kind]
    return 12 * cubes * h**3 / step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--case", nargs=2, action="append", required=True, metavar=("NAME", "RATE"))
    parser.add_argument("--rest", nargs="+", type=float, default=[2.4e-2], help="rates of AdamW's part")
    parser.add_argument("--momentum", nargs="+", type=float, default=[0.95], help="of Muon and MUD")
    parser.add_argument("--iterations", nargs="+", type=int, default=[5], help="of Muon")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, each on one thread")
    options = parser.parse_args()
    text, cases = str(Path(find_text(options.text)).absolute()), []
    for (kind, rate), *rest in itertools.product(options.case, options.rest, options.momentum, options.iterations):
        case = Case(kind, float(rate), *rest)
        if kind == "adamw":
            case = case._replace(rest=float(rate), momentum=0.0)
        elif kind == "soap":
            case = case._replace(momentum=0.0)
        if kind != "muon":
            case = case._replace(iterations=0)
        cases += [case] if case not in cases else []
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        started = {(c, s): pool.submit(train, c, s, text, options) for c in cases for s in options.seeds}
        for (case, seed), each in started.items():
            print(*case, f"seed {seed}: {each.result():.4f}", file=sys.stderr, flush=True)
    rows = []
    for case in cases:
        losses = [started[case, seed].result() for seed in options.seeds]
        spread = f"{min(losses):.4f}-{max(losses):.4f}"
        about = [case.kind, f"{case.rate:g}", f"{case.rest:g}", f"{case.momentum:g}", str(case.iterations or "–")]
        rows.append((statistics.mean(losses), [*about, spread, f"{share(case, options):.0%}"]))
    rows = [[*row[:5], f"**{mean:.4f}**", *row[5:]] for mean, row in sorted(rows)]
    table(["optimiser", "rate", "rate of the rest", "momentum", "iterations", "mean", "range", "operations"], rows)


if __name__ == "__main__":
    main()
