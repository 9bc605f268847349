"""Validation loss against batch size at equal epochs, with the learning rate tuned for each batch size.

    python benchmarks/large_batches.py tinyshakespeare:4:500000 python:4:500000 --figures docs/large_batches.svg
    python benchmarks/large_batches.py fables:1 --batches 16 64 --seeds 1 --results quick.json       # a quick look

An argument is TEXT:EPOCHS or TEXT:EPOCHS:CHARACTERS; the text is cut to so many characters.  Twice the batch makes half
the updates.  Learning rates lie on a grid of factors of the square root of 2 around 0.024, the default.  For each batch
size the search goes by factors of 2, with the mean over all seeds, until the best rate has a worse one on both sides; a
parabola through these losses says between which places the lowest one lies.  Then each rule sets the rate from the best
one of batch 32: constant, with the square root of the batch, in proportion to the batch.

``--arms`` repeats the search with another setting for batches of 128 and more: ``betas`` gives Adam the averages that
Malladi et al. 2022 derive (for k times the batch 1 - beta becomes k times as large, at most 1), with k from batch 32;
``warm-up`` warms up for 20 % of the updates instead of 5 %.

Runs are processes on one thread, one after the other.  They end after a number of epochs, so that a busy machine
changes nothing but the time.  Each run is judged once, at the end of its schedule.  ``--results`` keeps what is done:
the command can be stopped and repeated.
"""

import argparse
import json
import math
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import series
from grid import train
from time_to_loss import table

from charrnn.text.catalog import find_text
from charrnn.text.corpus import Parts, open_corpus
from charrnn.text.windows import TrainingWindows

HERE = Path(__file__).parent
BATCHES = (16, 32, 64, 128, 256, 512)
BASE = 32  # the batch whose tuned rate the rules start from
RATE, STEPS = 0.024, 64
RULES = {"constant": 0, "square root": 1, "linear": 2}  # half octaves of the rate for twice the batch
ARMS = ("betas", "warm-up")
OCTAVE = 2  # places of the grid for a factor of 2
NEAR = 0.1  # nats
LARGE = 128  # the smallest batch of an arm
FIXED = (
    "--layers 1 --hidden 64 --dropout 0 --recurrent-dropout 0 --ngrams off --ngram-targets 0 --sample-every 0 "
    "--eval-every 1000000 --save-every 1000000 --threads 1"
)


@dataclass
class Text:
    """A text to train on: its name in the results, its file, the epochs, and the characters of its training part."""

    name: str
    path: Path
    epochs: float
    training: int

    def updates(self, batch: int) -> int:
        """Updates of a run."""
        return round(self.epochs * TrainingWindows(range(self.training), batch, STEPS, seed=0).count)


def open_text(given: str, folder: Path) -> Text:
    """The text of TEXT:EPOCHS[:CHARACTERS]; a part of a text is written into ``folder``."""
    name, epochs, *cut = given.split(":")
    path = Path(find_text(name)).absolute()
    if cut:
        shortened = path.read_text("utf-8")[: int(cut[0])]
        path = folder / f"{path.stem}-{cut[0]}.txt"
        path.write_text(shortened, "utf-8")
    training = len(Parts.of(open_corpus([str(path)]).ids, "90/10/0").train)
    return Text(path.stem, path, float(epochs), training)


def rate_at(place: int) -> float:
    """The learning rate at a place of the grid, in half octaves from the default."""
    return RATE * 2 ** (place / 2)


def settings(text: Text, batch: int, place: int, seed: int, arm: str = "") -> list[str]:
    """The options of train for a run."""
    share = 0.2 if arm == "warm-up" else 0.05
    options = {
        "batch-size": batch,
        "lr": f"{rate_at(place):.4g}",
        "epochs": f"{text.epochs:g}",
        "warmup": round(share * text.updates(batch)),
        "seed": seed,
    }
    if arm == "betas":
        options |= {name: f"{max(0.0, 1 - (1 - beta) * batch / BASE):g}" for name, beta in BETAS.items()}
    return [part for name, value in options.items() for part in (f"--{name}", str(value))] + FIXED.split()


BETAS = {"beta1": 0.9, "beta2": 0.99}  # train's defaults


def climb(loss: Callable[[int], float], start: int) -> dict[int, float]:
    """Losses by place, an octave apart, around ``start`` and on until the best has a worse one on each side."""
    found = {place: loss(place) for place in (start - OCTAVE, start, start + OCTAVE)}
    while (best := min(found, key=found.__getitem__)) in (min(found), max(found)):
        place = best - OCTAVE if best == min(found) else best + OCTAVE
        found[place] = loss(place)
    return dict(sorted(found.items()))


def vertex(found: dict[int, float]) -> float:
    """The place of the lowest point of a parabola through losses an octave apart, by least squares.

    It goes through the best place, its neighbours, and the places up to two octaves away with at most ``NEAR`` nats
    more.  Further up, and where training diverges, the loss is no parabola.
    """
    best = min(found, key=found.__getitem__)
    beside = (best - OCTAVE, best + OCTAVE)
    near = [place for place in found if abs(place - best) <= 2 * OCTAVE and found[place] - found[best] <= NEAR]
    places = np.array(sorted({*near, *beside}))
    losses = [found[place] for place in places]
    if not np.isfinite(losses).all():
        return float(best)
    curvature, slope, _ = np.polyfit(places - best, losses, 2)
    return best + float(np.clip(-slope / (2 * curvature), -OCTAVE, OCTAVE)) if curvature > 0 else float(best)


def exponent(places: dict[int, float]) -> float:
    """The p of rate ~ batch^p by least squares: the slope of log2(rate) against log2(batch)."""
    slope, _ = statistics.linear_regression([math.log2(b) for b in places], [place / 2 for place in places.values()])
    return slope


class Results:
    """Runs that are done, by text and options: a JSON file, written after every run."""

    def __init__(self, path: Path):
        self.path = path
        self.found = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def loss(self, text: Text, given: list[str]) -> float:
        """The loss of a run, from the file or by training now; infinite if it diverged, for which JSON has null."""
        key = shlex.join([text.name, *given])
        if key not in self.found:
            with tempfile.TemporaryDirectory() as folder:
                loss, rollbacks = train(text.path, given, Path(folder))
            self.found[key] = {"loss": loss if math.isfinite(loss) else None, "rollbacks": rollbacks}
            written = self.path.with_suffix(".part")
            written.write_text(json.dumps(self.found, indent=1), "utf-8")
            written.replace(self.path)
            print(f"{key}: {loss:.4f}", file=sys.stderr, flush=True)
        loss = self.found[key]["loss"]
        return math.inf if loss is None else loss


class Study:
    """All runs of one text."""

    def __init__(self, text: Text, results: Results):
        self.text, self.results = text, results

    def loss(self, batch: int, place: int, seed: int, arm: str = "") -> float:
        """The loss at the end of a run; infinite if it has none."""
        given = settings(self.text, batch, place, seed, arm)
        return self.results.loss(self.text, given)

    def tune(self, batch: int, start: int, seeds: list[int], arm: str = "") -> dict[int, float]:
        """Mean losses over the seeds by place, around the best."""
        return climb(lambda place: statistics.mean(self.loss(batch, place, seed, arm) for seed in seeds), start)

    def tune_all(self, batches: list[int], seeds: list[int], arm: str = "") -> dict[int, dict[int, float]]:
        """``tune`` for all batches: each begins where the square-root rule leads from the best of the one before."""
        found, start, before = {}, 3, batches[0]
        for batch in batches:
            start += round(math.log2(batch / before))
            found[batch] = self.tune(batch, start, seeds, arm)
            start, before = min(found[batch], key=found[batch].__getitem__), batch
        return found


def report(study: Study, batches: list[int], seeds: list[int], arms: list[str]) -> dict[str, dict[str, series.Points]]:
    """Train what is missing and print the tables of a text; the curves by figure and name.

    Figure ``loss`` has the tuned losses, and broken those of the square-root rule up to 0.3 nats above; ``rate`` the
    rates at the vertices, and broken those of the rule.
    """
    text = study.text
    tuned = study.tune_all(batches, seeds)
    best = {batch: min(found, key=found.__getitem__) for batch, found in tuned.items()}
    losses = {batch: tuned[batch][best[batch]] for batch in batches}
    places = {batch: vertex(tuned[batch]) for batch in batches}
    base = best[BASE]

    def with_rule(batch: int, rule: str) -> float:
        place = base + round(RULES[rule] * math.log2(batch / BASE))
        return statistics.mean(study.loss(batch, place, seed) for seed in seeds)

    ruled = {rule: {batch: with_rule(batch, rule) for batch in batches} for rule in RULES}
    print(f"\n{text.name}, {text.epochs:g} epochs of {text.training:,} characters, mean of {len(seeds)} seeds:\n")
    rows = []
    for batch in batches:
        rates = f"{rate_at(best[batch]):.3g} ({RATE * 2 ** (places[batch] / 2):.3g})"
        excess = [f"{ruled[rule][batch] - losses[batch]:+.4f}" for rule in RULES]
        rows.append([str(batch), str(text.updates(batch)), rates, f"{losses[batch]:.4f}", *excess])
    table(["batch", "updates", "best rate (vertex)", "loss", *RULES], rows)
    halves = (("all", batches), ("up to 128", [b for b in batches if b <= LARGE]), ("from 128", _large(batches)))
    for name, some in halves:
        if len(some) > 1:
            print(f"\nrate ~ batch^p, {name}: p = {exponent({batch: places[batch] for batch in some}):.2f}")
    for arm in arms:
        rows = []
        for batch in _large(batches):
            own = study.tune(batch, best[batch], seeds, arm)
            place = min(own, key=own.__getitem__)
            rows.append(
                [str(batch), f"{rate_at(place):.3g}", f"{own[place]:.4f}", f"{own[place] - losses[batch]:+.4f}"]
            )
        print()
        table(["batch", f"{arm}: best rate", "loss", "against tuned"], rows)
    by_root = {batch: loss for batch, loss in ruled["square root"].items() if loss - losses[batch] < 3 * NEAR}
    rates = {batch: RATE * 2 ** (place / 2) for batch, place in places.items()}
    by_rule = {batch: rate_at(base) * math.sqrt(batch / BASE) for batch in batches}
    curves = {"loss": {"": losses, "*": by_root}, "rate": {"": rates, "*": by_rule}}
    return {
        figure: {f"{text.name}{end}": list(of.items()) for end, of in each.items()} for figure, each in curves.items()
    }


def _large(batches: list[int]) -> list[int]:
    """The batches that the arms are tried with."""
    return [batch for batch in batches if batch >= LARGE]


def main() -> None:
    """Read the options, make the runs, print the tables, draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", metavar="TEXT:EPOCHS[:CHARACTERS]")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES, help=f"{BASE} is one of them")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=[])
    parser.add_argument("--results", type=Path, default=HERE / "large_batches.json", help="the JSON file")
    parser.add_argument("--figures", type=Path, help="NAME.svg: draw NAME-loss.svg and NAME-rate.svg")
    options = parser.parse_args()
    if BASE not in options.batches:
        parser.error(f"--batches: {BASE} is missing, from which the rules start")
    results = Results(options.results)
    with tempfile.TemporaryDirectory() as folder:
        figures = {"loss": {}, "rate": {}}
        for given in options.texts:
            text = open_text(given, Path(folder))
            found = report(Study(text, results), sorted(options.batches), options.seeds, options.arms)
            figures = {name: figures[name] | curves for name, curves in found.items()}
    if options.figures:
        loss, rate = (options.figures.with_stem(f"{options.figures.stem}-{name}") for name in figures)
        across = {"across": "batch rows", "log_across": True}
        series.draw(loss, "Loss by batch size at equal epochs", figures["loss"], up="nats per character", **across)
        series.draw(rate, "Best learning rate by batch size", figures["rate"], up="rate", log_up=True, **across)


if __name__ == "__main__":
    main()
