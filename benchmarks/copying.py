"""Over what distance can each kind of cell remember a few letters?  A copying task as generated text.

    python benchmarks/copying.py --results copying.json -o copying.svg
    python benchmarks/copying.py --cells rnn lstm --distances 5 20 --updates 200 --rates 1e-2 --seeds 1   # a quick look

Every line of the text has three random letters, a filler, a question mark and the same three letters:

    bhd--------------?bhd

A letter after the question mark is known only to a model that remembers the letter at the same place of the beginning,
``distance`` characters before.  (The copying task of Hochreiter & Schmidhuber 1997 and Arjovsky, Shah & Bengio 2016.)
Without memory its loss is log2(8) = 3 bits, and one guess in 8 is right.  With ``--filler random`` the filler is random
letters of another kind, so that the cell has to keep the three apart from what it reads.

All cells have one layer (a Transformer two) and about as many parameters.  They are trained for as many updates on
windows of two lines, which is the context of a Transformer, too.  Every learning rate of ``--rates`` is tried with the
first seed, and the best one (by the bits of the recalled letters) is used for the other seeds.  Bits and accuracy are
those of the recalled letters in new lines, at the end of the cosine schedule.  A cell that recalls less than half at a
distance is not trained for longer ones.  What is done is kept in ``--results`` and not trained again; a run gives the
same bits on every machine.
"""

import argparse
import itertools
import json
import math
import statistics
import sys
from pathlib import Path

import numpy as np
import series
from cells import number, sized
from time_to_loss import table

import charrnn
from charrnn.network.cells import CELLS

LETTERS, PAYLOAD, MARK, BLANK, NOISE = "abcdefgh", 3, "?", "-", "01234567"
DISTANCES = (5, 10, 20, 40, 80, 160)
RATES = (1e-3, 3e-3, 1e-2)
BATCH, TESTED, SMALLEST = 32, 250, 0.99  # batch rows, lines to test on, and the accuracy that counts as recalled
GIVE_UP = 0.5  # accuracy below which longer distances are not tried
BEFORE = 2  # lines that are read before the one that is tested
RECURRENT = ("rnn", "gru", "lstm", "capped-lstm", "coupled-lstm")
SHAPES = {**{cell: {"layers": 1} for cell in RECURRENT}, "transformer": {"layers": 2, "heads": 2}}


def lines(count: int, distance: int, filler: str, seed: int) -> list[str]:
    """Lines with the letters ``distance`` characters apart."""
    generator = np.random.default_rng([seed, distance])
    length = distance - PAYLOAD - 1
    found = []
    for _ in range(count):
        payload = "".join(generator.choice(list(LETTERS), PAYLOAD))
        between = "".join(generator.choice(list(NOISE), length)) if filler == "random" else BLANK * length
        found.append(payload + between + MARK + payload)
    return found


def recalled(model: charrnn.Model, distance: int, filler: str) -> tuple[float, float]:
    """Bits and accuracy of the recalled letters, in lines that are read side by side, each after two other lines."""
    texts = lines(TESTED * (BEFORE + 1), distance, filler, seed=1_000_000)
    ids = model.vocabulary.encode("".join("\n" + text for text in texts)).astype(np.int32)
    network, whole = model.network, np.ascontiguousarray(ids.reshape(TESTED, -1).T)
    length, state = len(whole) // (BEFORE + 1), network.initial_state(TESTED)
    for start in range(0, BEFORE * length, length):
        network.read(whole[start : start + length], state)
    chances = network.log_probabilities(whole[BEFORE * length : -1], state)[-PAYLOAD:]
    right = whole[-PAYLOAD:]
    losses = -np.take_along_axis(chances, right[..., None], axis=2)
    return float(losses.mean() / math.log(2)), float((chances.argmax(axis=2) == right).mean())


def run(cell: str, distance: int, lr: float, seed: int, options: argparse.Namespace) -> dict:
    """Train a cell, and test what it recalls."""
    length = distance + PAYLOAD + 1  # of a line with its end
    steps, shape = 2 * length, dict(SHAPES[cell])
    if cell == "transformer":
        shape["context"] = steps
    vocabulary = len(LETTERS) + (len(NOISE) if options.filler == "random" else 1) + 2  # the mark, the end of line
    config = sized(cell, vocabulary, number(options.size), shape)
    sizes = {name: getattr(config, name) for name in ("layers", "hidden", "heads", "context") if getattr(config, name)}
    # Each update reads new lines, so that nothing can be learned by heart; the tenth is for the validation.
    count = math.ceil(options.updates * BATCH * steps / length / 0.9) + BATCH
    text = "\n".join(lines(count, distance, options.filler, seed))
    model = charrnn.train(
        text,
        cell=cell,
        **sizes,
        seq_len=steps,
        batch_size=BATCH,
        steps=options.updates,
        eval_every=options.updates,
        threads=1,
        lr=lr,
        dropout=0.0,
        recurrent_dropout=0.0,
        ngram_targets=0.0,
        tar=0.0,
        ngrams="off",
        sample_every=0,
        seed=seed,
    )
    bits, accuracy = recalled(model, distance, options.filler)
    return {"parameters": model.network.parameters.size, "bits": bits, "accuracy": accuracy}


def all_runs(options: argparse.Namespace) -> dict[tuple[str, int], list[dict]]:
    """By cell and distance: the runs of all seeds with the best learning rate."""
    done = json.loads(options.results.read_text("utf-8")) if options.results and options.results.exists() else {}

    def one(cell: str, distance: int, lr: float, seed: int) -> dict:
        what = f"{cell}, {options.size}, distance {distance}, {options.filler}"
        key = f"{what}, {options.updates} updates, lr {lr:g}, seed {seed}"
        if key not in done:
            done[key] = run(cell, distance, lr, seed, options)
            if options.results:
                options.results.write_text(json.dumps(done, indent=1) + "\n", "utf-8")
        print(f"{key}: {done[key]['bits']:.3f} bits, {done[key]['accuracy']:.1%}", file=sys.stderr, flush=True)
        return done[key]

    first, *others = options.seeds
    found = {}
    given_up = set()
    for distance, cell in itertools.product(options.distances, options.cells):
        if cell in given_up:
            continue
        tried = {lr: one(cell, distance, lr, first) for lr in options.rates}
        best = min(tried, key=lambda lr: tried[lr]["bits"])
        runs = [tried[best], *(one(cell, distance, best, seed) for seed in others)]
        found[cell, distance] = [{**each, "lr": best} for each in runs]
        if mean(runs, "accuracy") < GIVE_UP:
            given_up.add(cell)
    return found


def mean(runs: list[dict], what: str) -> float:
    """Over the seeds."""
    return statistics.mean(each[what] for each in runs)


def reached(found: dict, cell: str, distances: list[int]) -> str:
    """The longest distance up to which a cell recalls everything."""
    tried = [distance for distance in distances if (cell, distance) in found]
    recalls = itertools.takewhile(lambda distance: mean(found[cell, distance], "accuracy") >= SMALLEST, tried)
    return str(max(recalls, default="–"))


def shown(runs: list[dict]) -> str:
    """The mean accuracy with its range, and the mean bits; a dash where nothing was tried."""
    if not runs:
        return "–"
    accuracies = [each["accuracy"] for each in runs]
    spread = f" ({min(accuracies):.0%}-{max(accuracies):.0%})" if max(accuracies) - min(accuracies) >= 0.01 else ""
    return f"{mean(runs, 'accuracy'):.0%}{spread}, {mean(runs, 'bits'):.2f}"


def main() -> None:
    """Train, print two tables, and write what is asked for."""
    known = [cell for cell in ("rnn", "gru", "lstm", "transformer") if cell in CELLS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", choices=[cell for cell in SHAPES if cell in CELLS], default=known)
    parser.add_argument("--distances", nargs="+", type=int, default=DISTANCES, help="each at least 5")
    parser.add_argument("--size", default="55k", help="parameters of each cell, about")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--rates", nargs="+", type=float, default=RATES, help="learning rates to try")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--filler", choices=("blank", "random"), default="blank")
    parser.add_argument("--results", type=Path, help="keep what is done in this JSON file")
    parser.add_argument("-o", dest="output", type=Path, help="draw the accuracy: a file that ends in .svg")
    options = parser.parse_args()
    distances = options.distances = sorted(options.distances)
    if distances[0] <= PAYLOAD + 1:
        parser.error(f"a distance is at least {PAYLOAD + 2}")
    found = all_runs(options)
    print(f"Letters recalled, and bits of a letter (3 without memory); mean of {len(options.seeds)} seeds:\n")
    rows = []
    for cell in options.cells:
        own = [found.get((cell, distance), []) for distance in distances]
        rows.append([cell, f"{own[0][0]['parameters']:,}", *map(shown, own), reached(found, cell, distances)])
    table(["cell", "parameters", *map(str, distances), f"recalls {SMALLEST:.0%} up to"], rows)
    if options.output:
        curves = {
            cell: [(each, 100 * mean(found[cell, each], "accuracy")) for each in distances if (cell, each) in found]
            for cell in options.cells
        }
        title = f"letters recalled after {options.updates:,} updates"
        series.draw(options.output, title, curves, "distance in characters", "per cent", log_across=True)


if __name__ == "__main__":
    main()
