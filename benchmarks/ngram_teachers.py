"""The loss of a network that n-grams have taught, by how much of the text these had learnt.

    python benchmarks/ngram_teachers.py tinyshakespeare --parts 2 4 10 --first 0.2 0.4 --last 0 0.2

The text is cut into ``--parts``, and the n-grams that teach a part have learnt the others.  What they expect is a part
of the target that goes along a line from ``--first`` to ``--last``.  Each combination is trained with every seed as a
run of its own on one thread; 0 0 stands for no n-grams, and is trained in any case.  The table has the validation loss
of the network and of its mixture with n-grams, mean over the seeds, the lowest first.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from time_to_loss import table

from charrnn.checkpoints.run_folder import RunFolder
from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.network import Network
from charrnn.text.catalog import find_text
from charrnn.text.corpus import Parts, open_corpus
from charrnn.training import Run, Trainer
from charrnn.training.distillation import targets_of_ngrams


class Case(NamedTuple):
    """In how many parts the text is cut, the first and the last weight of what n-grams expect, and the dropout."""

    parts: int
    first: float
    last: float
    dropout: float


def train(case: Case, seed: int, text: str, options: argparse.Namespace) -> tuple[float, float]:
    """Train once; the best validation loss, and that of the mixture."""
    corpus = open_corpus([text])
    config = TrainConfig(
        epochs=options.epochs,
        seed=seed,
        dropout=case.dropout,
        recurrent_dropout=options.recurrent_dropout,
        batch_size=options.batch,
        sample_every=0,
        ngram_targets=0.0,
        tar=0.0,
    )
    network = Network(ModelConfig(len(corpus.vocabulary), options.hidden), seed, 1)
    run = Run(network, config, Parts.of(corpus.ids, config.split), corpus.vocabulary, {})
    if case.first or case.last:
        weights = case.first, case.last
        run.soft_targets = targets_of_ngrams(run.parts.train, len(corpus.vocabulary), weights, network.team, case.parts)
    with tempfile.TemporaryDirectory() as folder:
        records = list(Trainer(run, RunFolder(Path(folder))).run())
    return records[-1].best_val_loss, records[-1].mixed_val_loss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--parts", nargs="+", type=int, default=[2])
    parser.add_argument("--first", nargs="+", type=float, default=[0.2])
    parser.add_argument("--last", nargs="+", type=float, default=[0.0])
    parser.add_argument("--dropout", nargs="+", type=float, default=[0.05])
    parser.add_argument("--recurrent-dropout", type=float, default=0.0)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--epochs", type=float, default=4)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    options = parser.parse_args()
    text = str(Path(find_text(options.text)).absolute())
    cases = [Case(0, 0.0, 0.0, dropout) for dropout in options.dropout]
    cases += itertools.starmap(Case, itertools.product(options.parts, options.first, options.last, options.dropout))
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        started = {(c, s): pool.submit(train, c, s, text, options) for c in cases for s in options.seeds}
        for (case, seed), each in started.items():
            print(*case, f"seed {seed}: {each.result()[0]:.4f} ({each.result()[1]:.4f})", file=sys.stderr, flush=True)
    rows = []
    for case in cases:
        losses, mixed = zip(*(started[case, seed].result() for seed in options.seeds), strict=True)
        about = [str(case.parts or "–"), f"{case.first:g}", f"{case.last:g}", f"{case.dropout:g}"]
        rows.append(
            (statistics.mean(losses), [*about, f"**{statistics.mean(losses):.4f}**", f"{statistics.mean(mixed):.4f}"])
        )
    table(["parts", "first", "last", "dropout", "the network", "with n-grams"], [row for _, row in sorted(rows)])


if __name__ == "__main__":
    main()
