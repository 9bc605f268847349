"""What n-grams add to a model: its loss on held-out text, the speed of writing, and how much it copies.

    python benchmarks/mixture.py RUN TEXT
    python benchmarks/mixture.py RUN TEXT --rounds 5 --characters 20000

RUN is a run, or its best checkpoint, that has n-grams; TEXT is the text that it was trained on, split as the run was.
Three tables come out: the losses of the network, of the n-grams and of the mixture on the validation part; characters
written per second with and without n-grams, in turns, medians of paired ratios; and the share of n-grams that do not
stand in the training text, in what both write at temperature 1 and 0.7 and in held-out text.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from time_to_loss import table

import charrnn
from charrnn.analysis.novelty import novelty
from charrnn.inference.loss import evaluate
from charrnn.inference.mixture import Mixture
from charrnn.inference.sampler import Choice, Sampler
from charrnn.text.catalog import find_text
from charrnn.text.corpus import Parts

LENGTHS = (8, 10, 12, 15, 20, 30)


def rate(model, prime: np.ndarray, streams: int, characters: int) -> float:
    """Characters written per second."""
    sampler = Sampler(model, prime, streams, Choice(1.0), seed=1)
    sampler.draw(200)
    begun = time.perf_counter()
    sampler.draw(characters)
    return streams * characters / (time.perf_counter() - begun)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--characters", type=int, default=20_000, help="written for each row of the last table")
    options = parser.parse_args()
    model = charrnn.load(options.run)
    mixed = model.mixed()
    if mixed is None:
        raise SystemExit(f"{options.run} has no n-grams")
    network, mixture = model.network, mixed.network
    with Path(find_text(options.text)).open(encoding="utf-8", newline="") as file:
        text = file.read()
    parts = Parts.of(model.encode(text), model.checkpoint.training.split)
    before = int(parts.train[-1])
    alone = Mixture(network, mixture.ngrams, (0.0, 1.0))
    rows = [
        [name, f"{evaluate(each, parts.validation, before).loss:.4f}"]
        for name, each in (("the network", network), ("n-grams", alone), ("the mixture", mixture))
    ]
    print(f"\nLosses on {len(parts.validation):,} characters, in nats; exponents {mixture.weights}:\n")
    table(["model", "loss"], rows)

    print("\nCharacters written per second:\n")
    rows, prime = [], model.prime("")
    for streams in (1, 16):
        pairs = []
        for number in range(options.rounds):
            order = (network, mixture)[:: -1 if number % 2 else 1]
            found = {each: rate(each, prime, streams, 4000) for each in order}
            pairs.append((found[network], found[mixture]))
        ratio = statistics.median(with_ngrams / without for without, with_ngrams in pairs)
        rows.append(
            [f"{streams}", *(f"{statistics.median(each):,.0f}" for each in zip(*pairs, strict=True)), f"{ratio:.2f}"]
        )
    table(["texts at once", "network", "mixture", "ratio"], rows)

    print(f"\nPercent of n-grams that do not stand in the training text, of {options.characters:,} characters:\n")
    written = [("held-out text", np.asarray(parts.validation[: options.characters]))]
    for temperature in (1.0, 0.7):
        for name, each in (("network", network), ("mixture", mixture)):
            for seed in (1, 2):
                drawn = Sampler(each, prime, 1, Choice(temperature), seed).draw(options.characters)[:, 0]
                written.append((f"{name}, temperature {temperature:g}, seed {seed}", drawn))
    rows = []
    for name, ids in written:
        found = novelty(ids, parts.train, LENGTHS)
        rows.append([name, *(f"{100 * found.shares[n]:.1f}" for n in LENGTHS), f"{found.longest}"])
    table(["", *map(str, LENGTHS), "longest copy"], rows)


if __name__ == "__main__":
    main()
