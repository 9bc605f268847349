"""char-rnn's recipe in charrnn and in PyTorch, from the same weights on the same windows: do the losses agree?

    pip install '.[benchmark]' && python benchmarks/parity.py tinyshakespeare.txt
    python benchmarks/parity.py TEXT --epochs 1 --threads 1 --output curves.json

The recipe: 2 layers of 128 units, 50 batch rows of 50 steps, RMSprop (rate 0.002, alpha 0.95, epsilon 1e-8), every
element of the gradient clipped to ±5, no dropout; the state is carried from window to window and is zero where an epoch
starts. One side runs after the other, so that neither's threads are in the other's way.  At the end each scores every
character of the validation part (the last tenth) once, in one pass with the state carried.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from pytorch_sides import Case, PyTorch

from charrnn.config import ModelConfig, TrainConfig
from charrnn.inference.loss import evaluate
from charrnn.network.network import Network
from charrnn.system.threads import available_threads
from charrnn.text.corpus import Parts, open_corpus
from charrnn.text.windows import TrainingWindows
from charrnn.training.optimizer import Optimizer

BATCH, STEPS, HIDDEN, LAYERS = 50, 50, 128, 2
LR, ALPHA, EPSILON, CLIP_VALUE = 2e-3, 0.95, 1e-8, 5.0
COMPARED, EVERY = 500, 50  # steps over which the curves are compared, and steps to a row
PIECE = 1000  # characters that PyTorch scores at a time


class Charrnn:
    """charrnn's side, made of its own pieces."""

    def __init__(self, case):
        self.network = Network(case.config, seed=None, threads=case.threads)
        self.network.set_parameters(dict(case.parameters().items()))
        clipping = {"clip_value": CLIP_VALUE, "clip": 0.0}
        config = TrainConfig(optimizer="rmsprop", beta2=ALPHA, epsilon=EPSILON, weight_decay=0.0, **clipping)
        self.optimizer = Optimizer(config, self.network.parameters, self.network.team)
        self.batch = case.batch

    def begin_epoch(self):
        self.state = self.network.initial_state(self.batch)

    def step(self, x, y):
        """One update on a window x, y (T, B); its loss in nats per character."""
        loss = self.network.loss_and_gradient(x, y, self.state)
        self.optimizer.update(self.network.gradient, LR)
        self.network.parameters_changed()
        return loss

    def score(self, before, ids):
        """Mean loss of ids (N,), the id ``before`` the first being known."""
        return evaluate(self.network, ids, before, batch=1).loss


class Twin(PyTorch):
    """PyTorch's side: the same weights in its own layers, its own RMSprop and clipping."""

    one_hot = False

    def __init__(self, case):
        super().__init__(case)
        self.optimizer = self.torch.optim.RMSprop(self.trained, LR, ALPHA, EPSILON)

    def begin_epoch(self):
        self.state = None

    def losses(self, x, y, reduction):
        """Loss of a window x, y (T, B) of ids; no target where y is -1, and the state moves on."""
        x, y = (self.torch.tensor(ids).long() for ids in (x, y))
        h, state = self.model["lstm"](self.inputs(x), self.state)
        self.state = tuple(part.detach() for part in state)
        logits = self.model["head"](h).flatten(0, 1)
        return self.torch.nn.functional.cross_entropy(logits, y.flatten(), ignore_index=-1, reduction=reduction)

    def step(self, x, y):
        """As the other side's."""
        self.optimizer.zero_grad()
        loss = self.losses(x, y, "mean")
        loss.backward()
        self.torch.nn.utils.clip_grad_value_(self.trained, CLIP_VALUE)
        self.optimizer.step()
        return loss.item()

    def score(self, before, ids):
        """As the other side's."""
        text = np.concatenate([[before], ids]).astype(np.int32)[:, None]
        self.state, total = None, 0.0
        with self.torch.no_grad():
            for first in range(0, len(ids), PIECE):
                window = text[first : first + PIECE + 1]
                total += self.losses(window[:-1], window[1:], "sum").item()
        return total / len(ids)


def train(side, windows, epochs):
    """The loss of every step."""
    for epoch in range(epochs):
        side.begin_epoch()
        for number in range(windows.count):
            yield side.step(*windows.window(epoch, number))


def relative(ours, theirs):
    return abs(np.asarray(ours) - theirs) / np.asarray(theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", help="a text file")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the places where epochs enter the text")
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--output", type=Path, help="write both curves to this file, as JSON")
    options = parser.parse_args()

    corpus = open_corpus([options.text])
    parts = Parts.of(corpus.ids, "90/10/0")
    windows = TrainingWindows(parts.train, BATCH, STEPS, options.seed)
    case = Case(ModelConfig(len(corpus.vocabulary), HIDDEN, LAYERS), BATCH, STEPS, options.threads)
    print(f"{LAYERS}x{HIDDEN}, {BATCH}x{STEPS}, {options.epochs} epochs of {windows.count} windows\n")

    curves, validation, seconds = {}, {}, {}
    for name, kind in (("charrnn", Charrnn), ("PyTorch", Twin)):
        side = kind(case)
        begun = time.perf_counter()
        curves[name] = list(train(side, windows, options.epochs))
        seconds[name] = time.perf_counter() - begun
        validation[name] = side.score(int(parts.train[-1]), parts.validation)
    ours, theirs = curves.values()

    print("| step | charrnn | PyTorch | relative difference |\n|---|---|---|---|")
    for step in range(EVERY, len(ours) + 1, EVERY):
        if step <= COMPARED or step % COMPARED == 0:
            difference = relative(ours[step - 1], theirs[step - 1])
            print(f"| {step} | {ours[step - 1]:.4f} | {theirs[step - 1]:.4f} | {difference:.4%} |")
    first = relative(ours[:COMPARED], theirs[:COMPARED])
    print(f"\nfirst {len(first)} steps: relative difference at most {first.max():.4%}, mean {first.mean():.5%}")
    ours_at_end, theirs_at_end = validation.values()
    print(
        f"validation after {options.epochs} epochs, {len(parts.validation):,} characters: charrnn {ours_at_end:.4f}, "
        f"PyTorch {theirs_at_end:.4f}, difference {ours_at_end - theirs_at_end:+.4f} nats per character"
    )
    print("training took " + ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items()))
    if options.output:
        report = {"losses": curves, "validation": validation, "seconds": seconds}
        options.output.write_text(json.dumps(report), "utf-8")


if __name__ == "__main__":
    main()
