"""The Mogrifier LSTM and the rewired LSTM against the LSTM at equal updates, in PyTorch, which must be installed.

    python benchmarks/published_cells.py TEXT --case lstm --case mogrifier 4 --case rewired --seeds 1 2 --epochs 2

``mogrifier ROUNDS``: before each step of a layer its input x and its output h of the step before gate each other in
rounds (Melis, Kočiský & Blunsom 2019, "Mogrifier LSTM", equations 1 and 2, with the matrices of each round as products
of two of rank K):

    x ← x ⊙ 2σ(h A_r B_r + b_r)   for r = 1, 3, …        h ← h ⊙ 2σ(x A_r B_r + b_r)   for r = 2, 4, …

``mogrifier ROUNDS upper`` has rounds in the second layer only.  Its first layer looks up a row of gate inputs for each
character, as charrnn's does.  A first layer with rounds reads an embedding of H columns instead.

``rewired``: the forget gate looks at the proposed update in place of the input, and the output gate at the new cell
state alone (Melis 2022, "Circling Back to Recurrent Models of Language", the RLSTM; the equations are those of the same
chapter of his thesis):

    i = σ(x W_ix + h W_ih + b_i)              g = tanh(x W_gx + h W_gh + b_g)
    f = σ((i ⊙ g) W_fu + h W_fh + b_f)        c = f ⊙ c + min(i, 1 - f) ⊙ g        o = σ(c W_oc + b_o)

Each case is trained with every seed.  The input gates of all are capped at 1 - f.  They have starting values as
charrnn's, and the same windows, AdamW, warm-up, cosine, clipping and dropout.  ``operations`` counts the multiply-adds
of a character, 1 for the LSTM.  PyTorch's seconds say nothing here: each step of each layer is a dozen calls.
"""

import argparse
import math
import os
import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before PyTorch is imported: each run has one thread

from time_to_loss import table

from charrnn.config import TrainConfig
from charrnn.text.catalog import find_text
from charrnn.text.corpus import Parts, open_corpus
from charrnn.text.windows import TrainingWindows
from charrnn.training.schedule import learning_rate

LAYERS, BATCH, STEPS, SCORED = 2, 32, 64, 32


class Case(NamedTuple):
    """A cell: how many rounds, and in which layers; or the rewired LSTM."""

    rounds: int = 0
    upper: bool = False
    rewired: bool = False

    @classmethod
    def of(cls, kind: str, *rest: str) -> "Case":
        """The case of an option's values."""
        match kind, *rest:
            case ["lstm"]:
                return cls()
            case ["rewired"]:
                return cls(rewired=True)
            case ["mogrifier", rounds] if rounds.isdigit():
                return cls(int(rounds))
            case ["mogrifier", rounds, "upper"] if rounds.isdigit():
                return cls(int(rounds), upper=True)
        raise SystemExit("--case is lstm, rewired, or mogrifier ROUNDS [upper]")

    def of_layer(self, layer: int) -> int:
        """The rounds of a layer."""
        return 0 if self.upper and layer == 0 else self.rounds

    def __str__(self) -> str:
        if self.rounds:
            return f"Mogrifier, {self.rounds} rounds{', upper layer' if self.upper else ''}"
        return "rewired LSTM" if self.rewired else "LSTM"


def network(case: Case, vocabulary: int, hidden: int, rank: int, seed: int):
    """The PyTorch module."""
    import torch
    from torch import nn

    torch.manual_seed(seed)

    def uniform(bound: float, *shape: int) -> nn.Parameter:
        return nn.Parameter((2 * torch.rand(shape) - 1) * bound)

    class Layer(nn.Module):
        def __init__(self, index: int):
            super().__init__()
            bound, rounds = 1 / math.sqrt(hidden), case.of_layer(index)
            self.reads_rows = index == 0 and not rounds
            # Blocks of H columns: in a rewired LSTM the input has i and g, the output before has i, g and f.
            of_x, of_h = (2, 3) if case.rewired else (4, 4)
            self.w_ih = uniform(
                math.sqrt(3) if self.reads_rows else bound, vocabulary if self.reads_rows else hidden, of_x * hidden
            )
            self.w_hh, self.bias = uniform(bound, hidden, of_h * hidden), nn.Parameter(torch.zeros(4 * hidden))
            forget = 2 if case.rewired else 1
            self.bias.data[forget * hidden : (forget + 1) * hidden] = 1
            if case.rewired:
                self.w_fu, self.w_oc = uniform(bound, hidden, hidden), uniform(bound, hidden, hidden)
            self.a = nn.ParameterList([uniform(bound, hidden, rank) for _ in range(rounds)])
            self.b = nn.ParameterList([uniform(1 / math.sqrt(rank), rank, hidden) for _ in range(rounds)])
            self.gate_bias = nn.ParameterList([nn.Parameter(torch.zeros(hidden)) for _ in range(rounds)])

        def forward(self, xs, h, c):
            if not len(self.a):  # products of all steps at once
                xs = self.w_ih[xs] if self.reads_rows else xs @ self.w_ih
            outputs = []
            for x in xs:
                h, c = self.step(x, h, c)
                outputs.append(h)
            return torch.stack(outputs), h, c

        def step(self, x, h, c):
            if case.rewired:
                return self.rewired_step(x, h, c)
            for r, (a, b, bias) in enumerate(zip(self.a, self.b, self.gate_bias, strict=True)):
                if r % 2 == 0:
                    x = x * (2 * torch.sigmoid(torch.addmm(bias, h @ a, b)))
                else:
                    h = h * (2 * torch.sigmoid(torch.addmm(bias, x @ a, b)))
            z = torch.addmm(self.bias, h, self.w_hh) + (x @ self.w_ih if len(self.a) else x)
            i, f, g, o = z.chunk(4, dim=1)
            f = torch.sigmoid(f)
            c = f * c + torch.minimum(torch.sigmoid(i), 1 - f) * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(c), c

        def rewired_step(self, x, h, c):
            b_i, b_g, b_f, b_o = self.bias.chunk(4)
            of_h_i, of_h_g, of_h_f = (h @ self.w_hh).chunk(3, dim=1)
            of_x_i, of_x_g = x.chunk(2, dim=1)
            i, g = torch.sigmoid(of_x_i + of_h_i + b_i), torch.tanh(of_x_g + of_h_g + b_g)
            f = torch.sigmoid((i * g) @ self.w_fu + of_h_f + b_f)
            c = f * c + torch.minimum(i, 1 - f) * g
            return torch.sigmoid(torch.addmm(b_o, c, self.w_oc)) * torch.tanh(c), c

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([Layer(k) for k in range(LAYERS)])
            if not self.layers[0].reads_rows:
                self.embedding = nn.Parameter(torch.randn(vocabulary, hidden))
                self.layers[0].w_ih.data *= math.sqrt(3)
            self.w_out, self.b_out = (
                uniform(5 / math.sqrt(hidden), hidden, vocabulary),
                nn.Parameter(torch.zeros(vocabulary)),
            )

        def forward(self, x, state, dropout: float):
            values, after = x if self.layers[0].reads_rows else self.embedding[x], []
            for layer, (h, c) in zip(self.layers, state, strict=True):
                values, h, c = layer(values, h, c)
                values = nn.functional.dropout(values, dropout, self.training)
                after.append((h.detach(), c.detach()))
            return values @ self.w_out + self.b_out, after

        def zeros(self, batch: int):
            return [(torch.zeros(batch, hidden), torch.zeros(batch, hidden)) for _ in self.layers]

    return Model()


def validation_loss(model, ids) -> float:
    """Nats per character of ids, read in rows side by side; the first characters of each only warm it up."""
    import torch

    model.eval()
    length, warm_up = len(ids) // SCORED, 128
    starts = torch.arange(SCORED)[:, None] * length - warm_up
    places = (starts + torch.arange(length + warm_up)).clamp(min=0).T
    text, state, total, count = torch.tensor(ids.astype("int64")), model.zeros(SCORED), 0.0, 0
    with torch.no_grad():
        for first in range(0, len(places) - 1, STEPS):
            window = text[places[first : first + STEPS + 1]]
            logits, state = model(window[:-1], state, 0.0)
            losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), window[1:].flatten(), reduction="none")
            counted = losses.view(-1, SCORED)[max(0, warm_up - first) :]
            total, count = total + counted.sum().item(), count + counted.numel()
    model.train()
    return total / count


def train(case: Case, seed: int, text: str, options: argparse.Namespace) -> float:
    """Train once; the validation loss at the end."""
    import torch

    torch.set_num_threads(1)
    corpus = open_corpus([text])
    config = TrainConfig(epochs=options.epochs, lr=options.rate, seed=seed)
    parts = Parts.of(corpus.ids, config.split)
    model = network(case, len(corpus.vocabulary), options.hidden, options.rank, seed)
    decayed = [each for each in model.parameters() if each.dim() > 1]
    groups = [
        {"params": decayed, "weight_decay": 0.1},
        {"params": [each for each in model.parameters() if each.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=options.rate, betas=(config.beta1, config.beta2))
    windows = TrainingWindows(parts.train, BATCH, STEPS, seed)
    updates, epoch, number = round(options.epochs * windows.count), 0, 0
    state = model.zeros(BATCH)
    for update in range(updates):
        x, y = (torch.tensor(each.astype("int64")) for each in windows.window(epoch, number))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, update, update / updates, epoch, [])
        logits, state = model(x, state, options.dropout)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        number += 1
        if number == windows.count:
            epoch, number, state = epoch + 1, 0, model.zeros(BATCH)
    return validation_loss(model, parts.validation)


def operations(case: Case, hidden: int, rank: int) -> float:
    """Multiply-adds of a character, as a multiple of the LSTM's."""
    lstm, found = 3 * 4 * hidden**2, 0
    if case.rewired:  # 2 of the upper layer's input; 3 of h, one of the update and one of c in each layer
        return (2 + LAYERS * 5) * hidden**2 / lstm
    for layer in range(LAYERS):
        rounds = case.of_layer(layer)
        found += (1 if layer == 0 and not rounds else 2) * 4 * hidden**2 + rounds * 2 * hidden * rank
    return found / lstm


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--case", nargs="+", action="append", required=True, metavar=("KIND", "ROUNDS"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--rate", type=float, default=1.2e-2)
    parser.add_argument("--dropout", type=float, default=0.05)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--rank", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, each on one thread")
    options = parser.parse_args()
    text = str(Path(find_text(options.text)).absolute())
    cases = [Case.of(*case) for case in options.case]
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        started = {(c, s): pool.submit(train, c, s, text, options) for s in options.seeds for c in cases}
        for (case, seed), each in started.items():
            print(f"{case}, seed {seed}: {each.result():.4f}", file=sys.stderr, flush=True)
    rows = []
    for case in cases:
        losses = [started[case, seed].result() for seed in options.seeds]
        spread = f"{min(losses):.4f}-{max(losses):.4f}"
        rows.append(
            [
                str(case),
                f"**{statistics.mean(losses):.4f}**",
                spread,
                f"{operations(case, options.hidden, options.rank):.2f}",
            ]
        )
    table(["cell", "mean", "range", "operations"], rows)


if __name__ == "__main__":
    main()
