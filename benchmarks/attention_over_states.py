"""Is an attention head over the states of an LSTM worth its time?  (Merity 2019, Single Headed Attention RNN.)

    python benchmarks/attention_over_states.py tinyshakespeare --epochs 3
    python benchmarks/attention_over_states.py fables --hidden 32 --window 16 --epochs 1 --rates 1e-2 --seeds 1

It needs PyTorch, where such a head takes a few lines.  Three contestants read the text:

- ``plain``: an LSTM of two layers;
- ``head``: the same LSTM, and one attention head over the last ``--window`` states of the top layer (or of the first
  one), for as many updates.  What the head finds is added to the state;
- ``longer``: the plain LSTM, with as many more updates as the head's operations would take time for.

A head that is worth its time ends below ``longer``.  The LSTM has charrnn's first weights: with PyTorch's it learns so
slowly at first that a head, as a short cut, wins by that alone.  Operations are the multiplications and additions for
a character; the time of an update in PyTorch is printed, too.  Each of the two models has the rate that is best for it
after a quarter of the updates, if ``--rates`` has several.
"""

import argparse
import itertools
import json
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from time_to_loss import table
from torch import nn
from torch.nn import functional

from charrnn.text.corpus import Parts, open_corpus

BATCH, STEPS, WARMUP, CLIP = 32, 64, 100, 1.0
FLOOR = 0.02  # the last learning rate, as a share of the peak
PLACES = ("top", "first")


class Head(nn.Module):
    """One head over the last ``window`` states: queries, keys and values of ``width`` numbers.

    A bias for each distance is added to the scores.  What is found goes through a matrix that is 0 at first, so that a
    model with a head begins as the same model without one.
    """

    def __init__(self, hidden: int, width: int, window: int):
        super().__init__()
        self.window, self.width = window, width
        self.norm = nn.LayerNorm(hidden)
        self.project = nn.Linear(hidden, 3 * width, bias=False)
        self.distance = nn.Parameter(torch.zeros(window))
        self.out = nn.Linear(width, hidden, bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, states, memory):
        """``states`` (B, T, H) with what was found added, and the keys and values of the next window.

        ``memory`` is (keys, values), each (B, M, width) with M < window, or None.
        """
        query, *own = self.project(self.norm(states)).chunk(3, dim=2)
        keys, values = own if memory is None else (torch.cat(pair, dim=1) for pair in zip(memory, own, strict=True))
        new, seen = query.shape[1], keys.shape[1]
        distance = torch.arange(seen - new, seen)[:, None] - torch.arange(seen)
        in_reach = (distance >= 0) & (distance < self.window)
        bias = self.distance[distance.clamp(0, self.window - 1)].masked_fill(~in_reach, -math.inf)
        scores = query @ keys.transpose(1, 2) / math.sqrt(self.width) + bias
        found = self.out(scores.softmax(dim=2) @ values)
        kept = self.window - 1
        return states + found, (keys[:, -kept:].detach(), values[:, -kept:].detach())


class Model(nn.Module):
    """An LSTM of two layers, with a head after one of them if there is a ``place``."""

    def __init__(self, vocabulary: int, hidden: int, width: int, window: int, place: str | None):
        super().__init__()
        self.vocabulary, self.place = vocabulary, place
        self.lower = nn.LSTM(vocabulary, hidden, batch_first=True)
        self.upper = nn.LSTM(hidden, hidden, batch_first=True)
        self.logits = nn.Linear(hidden, vocabulary)
        self._begin(hidden)
        self.head = Head(hidden, width, window) if place else None

    @torch.no_grad()
    def _begin(self, hidden: int) -> None:
        """charrnn's first weights of an LSTM (charrnn/network/initialisation.py), and one bias instead of two."""
        nn.init.uniform_(self.lower.weight_ih_l0, -math.sqrt(3), math.sqrt(3))
        for layer in (self.lower, self.upper):
            layer.bias_hh_l0.zero_().requires_grad_(False)
            layer.bias_ih_l0.zero_()
            layer.bias_ih_l0[hidden : 2 * hidden] = 1  # forget gates
        nn.init.uniform_(self.logits.weight, -5 / math.sqrt(hidden), 5 / math.sqrt(hidden))
        nn.init.zeros_(self.logits.bias)

    def forward(self, x, state):
        """Logits (B, T, V) of characters ``x`` (B, T), and the state, detached; the first one is (None,) * 3."""
        low, high, memory = state
        states, low = self.lower(functional.one_hot(x, self.vocabulary).float(), low)
        if self.place == "first":
            states, memory = self.head(states, memory)
        states, high = self.upper(states, high)
        if self.place == "top":
            states, memory = self.head(states, memory)
        low, high = (tuple(each.detach() for each in pair) for pair in (low, high))
        return self.logits(states), (low, high, memory)


def operations(vocabulary: int, hidden: int, width: int, window: int) -> tuple[int, int]:
    """Multiplications of an LSTM of two layers, and those of the head, for a character; a look-up costs nothing."""
    return 12 * hidden**2 + hidden * vocabulary, 4 * hidden * width + 2 * window * width


def rows(ids: np.ndarray, batch: int) -> torch.Tensor:
    """The text as ``batch`` stretches (B, N) that are read side by side."""
    length = len(ids) // batch
    return torch.from_numpy(np.asarray(ids[: batch * length], np.int64).reshape(batch, length))


def windows(text: torch.Tensor):
    """The pairs (x, y) of an epoch, each (B, T), in order; T is STEPS."""
    for start in range(0, text.shape[1] - STEPS, STEPS):
        yield text[:, start : start + STEPS], text[:, start + 1 : start + STEPS + 1]


def loss_of(model: Model, x, y, state):
    """The mean loss in nats, and the state."""
    logits, state = model(x, state)
    return functional.cross_entropy(logits.flatten(0, 1), y.flatten()), state


def train(model: Model, text: torch.Tensor, updates: int, rate: float) -> None:
    """AdamW with a warm-up and half a cosine; every epoch begins with an empty state."""
    learned = [each for each in model.parameters() if each.requires_grad]
    groups = [
        {"params": [each for each in learned if each.ndim == 2], "weight_decay": 0.1},
        {"params": [each for each in learned if each.ndim != 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, rate, betas=(0.9, 0.99))
    begun = itertools.chain.from_iterable(enumerate(windows(text)) for _ in itertools.count())
    state = None
    for update, (index, (x, y)) in enumerate(itertools.islice(begun, updates)):
        state = (None,) * 3 if index == 0 else state
        cosine = FLOOR + (1 - FLOOR) * (1 + math.cos(math.pi * update / updates)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate * cosine * min(1, (update + 1) / WARMUP)
        loss, state = loss_of(model, x, y, state)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, CLIP)
        optimizer.step()


@torch.no_grad()
def evaluate(model: Model, text: torch.Tensor) -> float:
    """The mean loss of a text (B, N) in nats, read from an empty state on."""
    state, losses = (None,) * 3, []
    for x, y in windows(text):
        loss, state = loss_of(model, x, y, state)
        losses.append(float(loss))
    return statistics.mean(losses)


def update_times(models: dict[str, Model], text: torch.Tensor, turns: int = 5, updates: int = 8) -> dict[str, float]:
    """Seconds of an update of each model without the optimiser: medians of turns."""
    times = {name: [] for name in models}
    for _, (name, model) in itertools.product(range(turns), models.items()):
        state = (None,) * 3
        for number, (x, y) in enumerate(itertools.islice(windows(text), 4 + updates)):
            if number == 4:  # the head's memory is full then
                begun = time.perf_counter()
            loss, state = loss_of(model, x, y, state)
            loss.backward()
        times[name].append((time.perf_counter() - begun) / updates)
    return {name: statistics.median(each) for name, each in times.items()}


def compare(options: argparse.Namespace) -> None:
    """Choose the rates, train all contestants, and print the table."""
    corpus = open_corpus([options.text])
    parts, vocabulary = Parts.of(corpus.ids, "90/10/0"), len(corpus.vocabulary)
    training, validation = rows(parts.train, BATCH), rows(parts.validation, 8)
    updates = round(options.epochs * len(list(windows(training))))
    sizes = options.hidden, options.width, options.window
    plain, head = operations(vocabulary, *sizes)
    more = 1 + head / plain

    def model(name: str, seed: int) -> Model:
        torch.manual_seed(seed)
        return Model(vocabulary, *sizes, options.place if name == "head" else None)

    times = update_times({name: model(name, 1) for name in ("plain", "head")}, training)
    print(
        f"{more:.2f} times the operations, {times['head'] / times['plain']:.2f} times the time of PyTorch", flush=True
    )

    done = json.loads(options.results.read_text("utf-8")) if options.results and options.results.exists() else {}

    def run(name: str, updates: int, rate: float, seed: int) -> float:
        key = f"{options.text} {name} 2x{options.hidden}, {updates} updates, rate {rate:g}, seed {seed}"
        if name == "head":
            key += f", width {options.width}, window {options.window}, {options.place}"
        if key not in done:
            trained = model(name, seed)
            train(trained, training, updates, rate)
            done[key] = evaluate(trained, validation)
            if options.results:
                options.results.write_text(json.dumps(done, indent=1) + "\n", "utf-8")
        print(f"{key}: {done[key]:.4f}", file=sys.stderr, flush=True)
        return done[key]

    rates = {
        name: min(options.rates, key=lambda rate: run(name, updates // 4, rate, options.seeds[0]))
        for name in (("plain", "head") if len(options.rates) > 1 else ())
    }
    rates = rates or dict.fromkeys(("plain", "head"), options.rates[0])
    contestants = {"plain": updates, "head": updates, "longer": round(more * updates)}
    found = []
    for name, count in contestants.items():
        kind = "head" if name == "head" else "plain"
        losses = [run(kind, count, rates[kind], seed) for seed in options.seeds]
        each = ", ".join(f"{loss:.4f}" for loss in losses)
        found.append([name, f"{count:,}", f"{rates[kind]:g}", f"**{statistics.mean(losses):.4f}**", each])
    table(["contestant", "updates", "rate", "validation loss, nats", "seeds"], found)


def main() -> None:
    """Read the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--width", type=int, default=64, help="of queries, keys and values")
    parser.add_argument("--window", type=int, default=192, help="states that the head looks back on")
    parser.add_argument("--place", choices=PLACES, default="top", help="the layer whose states it sees")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--rates", nargs="+", type=float, default=[1.2e-2, 2.4e-2])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--results", type=Path, help="keep what is done in this JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    compare(options)


if __name__ == "__main__":
    main()
