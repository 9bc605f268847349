"""The kinds of cell compared: which one has learned most after equal minutes, at equal numbers of parameters?

    python benchmarks/cells.py tune tinyshakespeare --sizes 900k --budget 3m
    python benchmarks/cells.py equal-minutes tinyshakespeare fables --sizes 250k 900k --budgets 1m 3m 10m
    python benchmarks/cells.py equal-minutes fables --cells lstm gru --sizes 20k --budgets 2s --seeds 1   # a quick look

``tune`` trains every cell with each learning rate and each dropout of one grid, the same for all, and prints the best
of each cell; they are entered in SETTINGS below.  ``equal-minutes`` trains every cell with its own settings for every
budget, size, text and seed, and prints a Markdown table of the best validation losses.

A run is a process of its own with ``charrnn train``, one after the other, so that all have the same machine.  The cells
take turns.  What is done is kept in ``--results``, a JSON file: a run that is there with the same settings is not made
again, so that the command can be stopped and repeated.  N-grams neither teach nor are mixed in, so that the loss says
what the cell itself has learned.
"""

import argparse
import itertools
import json
import math
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import series
from time_to_loss import table

from charrnn.config import ModelConfig
from charrnn.network.cells import CELLS, parameter_count
from charrnn.settings import seconds
from charrnn.text.catalog import find_text
from charrnn.text.corpus import open_corpus

HERE = Path(__file__).parent.parent
RESULTS = "cells.json"

# What a cell has beside its width: the shape that suits it.
SHAPES = {
    "rnn": {"layers": 2},
    "gru": {"layers": 2},
    "lstm": {"layers": 2},
    "capped-lstm": {"layers": 2},
    "coupled-lstm": {"layers": 2},
    "transformer": {"layers": 4, "heads": 4, "context": 64, "seq-len": 64, "batch-size": 16},
}
# The learning rate and the dropout of each cell and size: the best of ``tune``. What is not here has train's defaults.
SETTINGS: dict[tuple[str, str], dict[str, float]] = {
    ("rnn", "900k"): {"lr": 3e-3},
    ("gru", "900k"): {"lr": 1.2e-2},
    ("lstm", "900k"): {"lr": 2.4e-2},
    ("transformer", "900k"): {"lr": 2e-3},
}
RATES = ("1e-3", "3e-3", "6e-3", "1.2e-2", "2.4e-2")
DROPOUTS = ("0", "0.1", "0.2")
TOLERANCE = 0.06  # of the number of parameters
FIXED = "--ngrams off --ngram-targets 0 --sample-every 0"


def number(text: str) -> int:
    """250k or 0.9M as a whole number."""
    for letter, times in (("k", 1e3), ("m", 1e6)):
        if text.lower().endswith(letter):
            return round(float(text[:-1]) * times)
    return int(text)


def sized(cell: str, vocabulary: int, parameters: int, shape: dict[str, int]) -> ModelConfig:
    """The model of ``shape`` with about so many parameters.

    Widths of a multiple of 64 are the fastest.  If none of them is near enough, the width is a multiple of 8, or of 2,
    for each head (one, if the cell has none).
    """
    sizes = {name: shape[name] for name in ("layers", "heads", "context") if name in shape}
    heads = sizes.get("heads", 1)

    def config(hidden: int) -> ModelConfig:
        return ModelConfig(vocabulary, hidden, cell=cell, **sizes)

    def error(config: ModelConfig) -> float:
        return abs(parameter_count(config) / parameters - 1)

    nearest = []
    for step in (math.lcm(64, heads), 8 * heads, 2 * heads):
        hidden = step
        while parameter_count(config(hidden + step)) <= parameters:
            hidden += step
        nearest.append(min(config(hidden), config(hidden + step), key=error))
    return next((each for each in nearest if error(each) < TOLERANCE), min(nearest, key=error))


def options_of(config: ModelConfig, more: dict[str, object]) -> list[str]:
    """The options of train for a model and ``more`` settings by their option's name."""
    options = {"cell": config.cell, "layers": config.layers, "hidden": config.hidden}
    options |= {name: value for name in ("heads", "context") if (value := getattr(config, name)) is not None}
    return [part for name, value in (options | more).items() for part in (f"--{name}", str(value))]


class Results:
    """Runs that are done, by the command that made them: a JSON file, written after every run."""

    def __init__(self, path: Path):
        self.path = path
        self.found = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def run(self, text: str, settings: list[str]) -> dict:
        """What a run with these settings reached, from the file or by training now."""
        key = shlex.join([text, *settings])
        if key not in self.found:
            self.found[key] = train(Path(find_text(text)).absolute(), settings)
            written = self.path.with_suffix(".part")
            written.write_text(json.dumps(self.found, indent=1), "utf-8")
            written.replace(self.path)
        loss = self.found[key]["best_val_loss"]
        print(f"{key}: {loss:.4f}", file=sys.stderr, flush=True)
        return self.found[key]


def train(text: Path, settings: list[str]) -> dict:
    """Train as a process: its parameters, best validation loss, epochs and characters a second."""
    with tempfile.TemporaryDirectory() as folder:
        place = ["--out", folder, "--name", "run", "--json", "-q"]
        command = [sys.executable, "-m", "charrnn", "train", str(text), *place, *settings]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or records[-1]["event"] != "finished":
        raise SystemExit(f"{shlex.join(command)}: {done.stderr.strip()}")
    last = records[-1]
    return {
        "parameters": records[0]["parameters"],
        "best_val_loss": last["best_val_loss"],
        "epoch": last["epoch"],
        "chars_per_s": last["characters"] / last["elapsed_s"],
        "rollbacks": sum(each["event"] == "rolled_back" for each in records),
    }


def cases(options: argparse.Namespace, text: str) -> dict[tuple[str, str], tuple[ModelConfig, dict]]:
    """For every size and cell its model and the rest of its shape."""
    vocabulary, found = len(open_corpus([text]).vocabulary), {}
    for size, cell in itertools.product(options.sizes, options.cells):
        shape = SHAPES[cell]
        config = sized(cell, vocabulary, number(size), shape)
        rest = {name: value for name, value in shape.items() if name not in ("layers", "heads", "context")}
        found[size, cell] = config, rest
    return found


def warm(options: argparse.Namespace) -> None:
    """Compile the kernels of all cells, so that no run waits for them."""
    for cell in options.cells:
        shape = {name: value for name, value in SHAPES[cell].items() if name not in ("layers", "context", "seq-len")}
        settings = options_of(ModelConfig(1, 32, 2, cell=cell), shape)
        train(Path(find_text(options.texts[0])).absolute(), [*settings, "--steps", "2", *shlex.split(options.fixed)])


def tune(options: argparse.Namespace) -> None:
    """Every learning rate with every dropout; the table, and the best of each cell as rows for SETTINGS."""
    results, rows, best = Results(options.results), [], {}
    for text in options.texts:
        for (size, cell), (config, rest) in cases(options, text).items():
            found = {}
            for lr, dropout in itertools.product(options.rates, options.dropouts):
                more = {**rest, "lr": lr, "dropout": dropout, "time-budget": options.budget, "seed": options.seeds[0]}
                settings = [*options_of(config, more), *shlex.split(options.fixed)]
                found[lr, dropout] = results.run(text, settings)["best_val_loss"]
            for dropout in options.dropouts:
                losses = [f"{found[lr, dropout]:.4f}" for lr in options.rates]
                rows.append([text, size, f"{cell}, {config.layers}x{config.hidden}", dropout, *losses])
            best[text, size, cell] = min(found, key=found.get)
    table(["text", "parameters", "cell", "dropout", *(f"lr {lr}" for lr in options.rates)], rows)
    print()
    for (text, size, cell), (lr, dropout) in best.items():
        print(f'    ("{cell}", "{size}"): {{"lr": {lr}, "dropout": {dropout}}},  # {text}, {options.budget}')


def equal_minutes(options: argparse.Namespace) -> None:
    """Every cell for every budget, size, text and seed; the table, and a figure for each text and size."""
    results, rows = Results(options.results), []
    for text in options.texts:
        for size, of_size in itertools.groupby(cases(options, text).items(), key=lambda each: each[0][0]):
            models, runs = {cell: case for (_, cell), case in of_size}, {}
            for budget, seed, cell in itertools.product(options.budgets, options.seeds, models):
                config, rest = models[cell]
                more = {**rest, **SETTINGS.get((cell, size), {}), "time-budget": budget, "seed": seed}
                run = results.run(text, [*options_of(config, more), *shlex.split(options.fixed)])
                runs.setdefault(cell, {}).setdefault(budget, []).append(run)
            rows += [row(text, models[cell][0], runs[cell]) for cell in models]
            if options.output:
                path = options.output.with_stem(f"{options.output.stem}-{Path(text).stem}-{size}")
                title = f"{Path(text).stem}, about {size} parameters: validation loss after equal minutes"
                curves = {
                    cell: [(seconds(budget) / 60, mean_loss(own)) for budget, own in runs[cell].items()]
                    for cell in models
                }
                series.draw(path, title, curves, "minutes of training", "nats per character", log_across=True)
    print(f"Best validation loss in nats, mean of {len(options.seeds)} seeds (range):\n")
    table(["text", "cell", "parameters", *options.budgets, "chars/s"], rows)


def row(text: str, config: ModelConfig, runs: dict[str, list[dict]]) -> list[str]:
    """A row of the table: a cell's ``runs`` by budget; the characters a second are those of the last budget."""
    rate = statistics.mean(run["chars_per_s"] for run in list(runs.values())[-1])
    name = f"{config.cell}, {config.layers}x{config.hidden}"
    return [text, name, f"{parameter_count(config):,}", *map(spread, runs.values()), f"{rate:,.0f}"]


def mean_loss(runs: list[dict]) -> float:
    """The mean over the seeds."""
    return statistics.mean(run["best_val_loss"] for run in runs)


def spread(runs: list[dict]) -> str:
    """Mean and range of the losses."""
    losses = [run["best_val_loss"] for run in runs]
    whole = f"**{mean_loss(runs):.4f}**"
    return f"{whole} ({min(losses):.4f}-{max(losses):.4f})" if len(losses) > 1 else whole


def main() -> None:
    """Read the options, compile, and do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    known = [cell for cell in ("rnn", "gru", "lstm", "transformer") if cell in CELLS]
    for name, work in (("tune", tune), ("equal-minutes", equal_minutes)):
        command = commands.add_parser(name)
        command.set_defaults(work=work)
        command.add_argument("texts", nargs="+", help="files, or names of the catalog")
        command.add_argument("--cells", nargs="+", choices=[each for each in SHAPES if each in CELLS], default=known)
        command.add_argument("--sizes", nargs="+", default=["250k", "900k"], help="numbers of parameters")
        command.add_argument("--results", type=Path, default=RESULTS, help=f"the JSON file  [default: {RESULTS}]")
        command.add_argument("--fixed", default=FIXED, help=f"options of all runs, in one argument  [default: {FIXED}]")
        if work is tune:
            command.add_argument("--budget", default="1m", help="of every run")
            command.add_argument("--rates", nargs="+", default=RATES)
            command.add_argument("--dropouts", nargs="+", default=DROPOUTS)
            command.add_argument("--seeds", nargs=1, type=int, default=[1])
        else:
            command.add_argument("--budgets", nargs="+", default=["1m", "3m", "10m"], help="as in --time-budget")
            command.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
            command.add_argument("-o", dest="output", type=Path, help="NAME.svg: draw NAME-TEXT-SIZE.svg for each")
    options = parser.parse_args()
    warm(options)
    options.work(options)


if __name__ == "__main__":
    main()
