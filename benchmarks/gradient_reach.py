"""How far back the gradient reaches in each kind of cell, before training and after it, and what clipping does.

    python benchmarks/gradient_reach.py fables -o reach.svg --results reach.json
    python benchmarks/gradient_reach.py fables --hidden 32 --back 40 --updates 20       # a quick look

The loss of one character alone is propagated back, and its gradient is measured k characters earlier: the norm of the
gradient with respect to the pre-activations of the one layer, as ``train --diagnose`` reports it
(charrnn/training/diagnosis.py; docs/DIAGNOSIS.md).  In an LSTM this counts both ways back, through h and through c.
A gradient that has become small there teaches the cell nothing about the character it read then.

The first table has each cell as it starts and after training: the LSTM also with a high bias of its forget gates, the
RNN also with an orthogonal recurrent matrix, and with an orthogonal matrix times 2, whose gradient explodes.  The
second table has cells that are trained by plain gradient descent, with and without clipping (Pascanu, Mikolov & Bengio
2013).
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import series
from time_to_loss import table

from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.network import Network, State
from charrnn.text.corpus import open_corpus
from charrnn.text.windows import TrainingWindows
from charrnn.training.diagnosis import gradient_norms, half_length
from charrnn.training.optimizer import Optimizer

BATCH = 32
LAST = 20  # updates over which the loss at the end is averaged
LOWEST = 1e-12  # norm that is drawn
COLUMNS = (0, 1, 2, 5, 10, 20, 50, 100, 200)


class Start(NamedTuple):
    """A cell and its starting values; ``times`` multiplies the recurrent matrix."""

    cell: str
    init: str = "unit"
    forget_bias: float = 1.0
    times: float = 1.0


STARTS = {
    "LSTM": Start("lstm"),
    "LSTM, forget bias 4": Start("lstm", forget_bias=4.0),
    "GRU": Start("gru"),
    "RNN": Start("rnn"),
    "RNN, orthogonal": Start("rnn", init="orthogonal"),
    "RNN, orthogonal x 2": Start("rnn", init="orthogonal", times=2.0),
}
CLIPPED = ("RNN", "RNN, orthogonal", "RNN, orthogonal x 2", "LSTM")
CLIPS = (0.0, 1.0)


def network(start: Start, vocabulary: int, hidden: int, seed: int) -> Network:
    """One layer of the cell with its starting values."""
    config = ModelConfig(vocabulary, hidden, 1, cell=start.cell)
    made = Network(config, seed=seed, threads=1, init=start.init, forget_bias=start.forget_bias)
    made.parameters["w_hh_l0"][:] *= np.float32(start.times)
    made.parameters_changed()
    return made


def reach(subject: Network, ids: np.ndarray, back: int) -> np.ndarray:
    """The gradient's norms (K,) at k = 0, 1, … characters before the last one, over places spread over the text.

    At each place the cell first reads as many characters, so that its state is not empty.
    """
    starts = np.linspace(0, len(ids) - 2 * back - 1, BATCH).astype(np.int64)
    text = ids[starts + np.arange(2 * back + 1)[:, None]].astype(np.int32)
    state = subject.initial_state(BATCH)
    subject.read(text[:back], state)
    return gradient_norms(subject, text[back:-1], text[back + 1 :], state)[0]


def train(subject: Network, ids: np.ndarray, steps: int, updates: int, config: TrainConfig) -> Iterator[tuple]:
    """The loss and the gradient's norm before clipping, of each update; without a finite norm nothing is updated."""
    optimizer = Optimizer(config, subject.parameters, subject.team)
    windows, state = TrainingWindows(ids, BATCH, steps, config.seed), State({})
    for number in range(updates):
        epoch, window = divmod(number, windows.count)
        if window == 0:
            state = subject.initial_state(BATCH)
        loss = subject.loss_and_gradient(*windows.window(epoch, window), state)
        norm = optimizer.update(subject.gradient, config.learning_rate)
        subject.parameters_changed()
        yield loss, norm


def shown(norms: np.ndarray, columns: list[int]) -> list[str]:
    """A row's norms, and in how many characters they halve."""
    half = half_length(norms)
    halves = "–" if half is None else f"halves in {half:.1f}" if half > 0 else f"doubles in {-half:.1f}"
    return [*(f"{norms[k]:.1e}" for k in columns), halves]


def reaches(ids: np.ndarray, vocabulary: int, options: argparse.Namespace) -> list[dict]:
    """The norms of every cell, before training and after."""
    found = []
    for name, start in STARTS.items():
        subject = network(start, vocabulary, options.hidden, options.seed)
        found.append({"name": name, "updates": 0, "norms": reach(subject, ids, options.back).tolist()})
        config = TrainConfig(lr=options.lr, clip=1.0, seed=options.seed)
        losses = [loss for loss, _ in train(subject, ids, options.back, options.updates, config)]
        norms = reach(subject, ids, options.back).tolist()
        found.append({"name": name, "updates": options.updates, "norms": norms, "loss": float(np.mean(losses[-LAST:]))})
    return found


def clippings(ids: np.ndarray, vocabulary: int, options: argparse.Namespace) -> list[dict]:
    """What gradient descent reaches with each bound of the gradient's norm."""
    found = []
    for name in CLIPPED:
        for clip in CLIPS:
            subject = network(STARTS[name], vocabulary, options.hidden, options.seed)
            config = TrainConfig(
                optimizer="sgd", beta1=0, lr=options.sgd_lr, weight_decay=0, clip=clip, seed=options.seed
            )
            losses, norms = zip(*train(subject, ids, options.back, options.updates, config), strict=True)
            finite = [norm for norm in norms if math.isfinite(norm)]
            found.append(
                {
                    "name": name,
                    "clip": clip,
                    "loss": float(np.mean(losses[-LAST:])),
                    "median_norm": statistics.median(finite) if finite else None,
                    "largest_norm": max(finite, default=None),
                    "not_finite": len(norms) - len(finite),
                }
            )
    return found


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    return "–" if value is None else f"{value:.3g}"


def main() -> None:
    """Measure, print two tables, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--back", type=int, default=101, help="characters, of a window and that the gradient goes back")
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--lr", type=float, default=3e-3, help="of AdamW, for the first table")
    parser.add_argument("--sgd-lr", type=float, default=0.3, help="of gradient descent, for the second table")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, help="write all numbers to this file, as JSON")
    parser.add_argument("-o", dest="output", type=Path, help="draw the first table: a file that ends in .svg")
    options = parser.parse_args()
    corpus = open_corpus([options.text])
    ids, vocabulary = np.asarray(corpus.ids[:]), len(corpus.vocabulary)

    norms = reaches(ids, vocabulary, options)
    columns = [k for k in COLUMNS if k < options.back]
    print(f"Norm of the gradient k characters back, one layer of {options.hidden} units:\n")
    table(
        ["cell", "updates", *(f"k = {k}" for k in columns), "from k = 1 on"],
        [[each["name"], str(each["updates"]), *shown(np.array(each["norms"]), columns)] for each in norms],
    )
    clips = clippings(ids, vocabulary, options)
    print(f"\nGradient descent, learning rate {options.sgd_lr:g}, {options.updates} updates:\n")
    table(
        ["cell", "clip", f"loss of the last {LAST}", "median norm", "largest norm", "updates without a finite norm"],
        [
            [
                each["name"],
                f"{each['clip']:g}" if each["clip"] else "none",
                f"{each['loss']:.3f}",
                number(each["median_norm"]),
                number(each["largest_norm"]),
                str(each["not_finite"]),
            ]
            for each in clips
        ],
    )
    if options.results:
        report = {"text": options.text, "hidden": options.hidden, "norms": norms, "clipping": clips}
        options.results.write_text(json.dumps(report, indent=1), "utf-8")
    if options.output:
        curves = {each["name"] + "*" * (not each["updates"]): list(enumerate(each["norms"])) for each in norms}
        title = "gradient k characters back; broken: before training"
        series.draw(options.output, title, curves, "k, characters back", "norm", log_up=True, lowest=LOWEST)


if __name__ == "__main__":
    main()
