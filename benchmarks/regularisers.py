"""Regularisers of the state: states forgotten at random, and penalties on the top layer's outputs.

    python benchmarks/regularisers.py TEXT --case none 0 --case forget 0.01 --case size 2 --case change 1 --seeds 1 2

Each ``--case NAME STRENGTH`` is trained with every seed; the table has the loss on the validation part of the network
alone, and with n-grams, mean and range.  Everything else is the same for all: ``--epochs``, ``--dropout``, n-grams as
teachers.  The cases, for T steps, B batch rows, H hidden units:

- none: no regulariser of this list;
- change: STRENGTH mean((h_t - h_{t-1})²) is added to the loss, where h (T, B, H) is the top layer's output before
  dropout ("temporal activation regularisation"; Merity, McCann & Socher 2017, section 4), as ``train --tar`` does;
- size: STRENGTH mean(d²) is added, where d is what dropout leaves of h (the same, "activation regularisation");
- forget: before a window, the state of each batch row becomes zeros with this probability.

The last two are not in charrnn.  ``--check`` compares the gradient of "size" with finite differences instead.
"""

import argparse
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from time_to_loss import table

from charrnn.checkpoints.run_folder import RunFolder
from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.network import Network
from charrnn.network.regularisation import Regularisation
from charrnn.text.catalog import find_text
from charrnn.text.corpus import Parts, open_corpus
from charrnn.training import Run, Trainer


class Case(NamedTuple):
    """A regulariser and its strength."""

    kind: str
    strength: float


def forget_at_random(network: Network, probability: float, seed: int) -> None:
    """From now on, the state of each batch row is zeros with this probability before a window is trained on."""
    random, plain = np.random.default_rng(seed), network.loss_and_gradient

    def loss_and_gradient(x, y, state, *others):
        rows = random.random(state.batch) < probability
        for array in state.arrays.values():
            array[:, rows] = 0
        return plain(x, y, state, *others)

    network.loss_and_gradient = loss_and_gradient


def size_penalty(network: Network, strength: float) -> None:
    """From now on, the gradient is also that of ``strength`` mean(d²)."""
    head, plain = network.head, network.head.backward

    def backward(window, dlogits, dh, group):
        plain(window, dlogits, dh, group)
        space, rows = network.workspace, window.layout.rows
        top = space.layers[-1][network.layers[-1].output] if window.dropout is None else space.dropped[-1]
        dh[:, rows] += np.float32(2 * strength / (rows.size * network.config.hidden)) * top[:, rows]

    head.backward = backward


def check() -> None:
    """Compare the gradient of "size" with finite differences, for a small network with dropout.

    Raises:
        SystemExit: it is wrong.
    """
    random, config, strength = np.random.default_rng(0), ModelConfig(7, 12, 2), 50.0
    x, y = (random.integers(0, 7, (9, 3)).astype(np.int32) for _ in range(2))
    regular, plain, network = Regularisation(0.3, 1, 5), Network(config, 1, 1), Network(config, 1, 1)
    size_penalty(network, strength)

    def total() -> float:
        loss = plain.loss_and_gradient(x, y, plain.initial_state(3), regular)
        parts = plain.workspace.dropped[-1][:, plain.layout.rows]
        return loss + strength * (parts.astype(np.float64) ** 2).sum() / (x.size * config.hidden)

    network.loss_and_gradient(x, y, network.initial_state(3), regular)
    for name in plain.parameters:
        values, found = plain.parameters[name].reshape(-1), network.gradient[name].reshape(-1)
        for place in random.choice(values.size, min(values.size, 12), replace=False):
            before, step, ends = values[place], np.float32(1e-2), []
            for sign in (1, -1):
                values[place] = before + sign * step
                plain.parameters_changed()
                ends.append(total())
            values[place] = before
            slope = (ends[0] - ends[1]) / (2 * step)
            if abs(slope - found[place]) > 2e-3 * (1 + abs(slope)):
                raise SystemExit(f"{name}[{place}] is {found[place]:.5f}, not {slope:.5f}")
    print("the gradient is that of the loss with the penalty")


def train(case: Case, seed: int, text: str, options: argparse.Namespace) -> tuple[float, float]:
    """Train once; the best validation loss, and that of the mixture with n-grams."""
    corpus = open_corpus([text])
    config = TrainConfig(
        epochs=options.epochs,
        seed=seed,
        lr=options.rate,
        dropout=options.dropout,
        tar=case.strength if case.kind == "change" else 0.0,
        sample_every=0,
    )
    network = Network(ModelConfig(len(corpus.vocabulary), options.hidden, cell=options.cell), seed, 1)
    run = Run(network, config, Parts.of(corpus.ids, config.split), corpus.vocabulary, {})
    if case.kind == "forget":
        forget_at_random(network, case.strength, seed)
    elif case.kind == "size":
        size_penalty(network, case.strength)
    with tempfile.TemporaryDirectory() as folder:
        records = [each for each in Trainer(run, RunFolder(Path(folder))).run() if hasattr(each, "val_loss")]
    mixed = [each.mixed_val_loss for each in records if each.event == "mixed"]
    return min(each.val_loss for each in records), mixed[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", help="a file, or a name of the catalog")
    parser.add_argument("--case", nargs=2, action="append", default=[], metavar=("NAME", "STRENGTH"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--rate", type=float, default=2.4e-2)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--cell", default="lstm")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, each on one thread")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        return check()
    text = str(Path(find_text(options.text)).absolute())
    cases = [Case(kind, float(strength)) for kind, strength in options.case]
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        started = {
            (case, seed): pool.submit(train, case, seed, text, options) for seed in options.seeds for case in cases
        }
        for (case, seed), each in started.items():
            alone, mixed = each.result()
            print(*case, f"seed {seed}: {alone:.4f} ({mixed:.4f})", file=sys.stderr, flush=True)
    rows = []
    for case in cases:
        columns = zip(*(started[case, seed].result() for seed in options.seeds), strict=True)
        about = [[f"**{statistics.mean(each):.4f}**", f"{min(each):.4f}-{max(each):.4f}"] for each in columns]
        rows.append([case.kind, f"{case.strength:g}", *about[0], *about[1]])
    table(["regulariser", "strength", "the network", "range", "with n-grams", "range"], rows)


if __name__ == "__main__":
    main()
