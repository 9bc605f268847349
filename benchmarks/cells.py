"""The kinds of cell compared: which one has learned most after equal minutes, at equal numbers of parameters?

    python benchmarks/cells.py rates
    python benchmarks/cells.py tune tinyshakespeare --sizes 900k --budget 30s
    python benchmarks/cells.py equal-minutes tinyshakespeare python fables --budgets 1m 3m --jobs 2
    python benchmarks/cells.py table tinyshakespeare python fables -o docs/cells.svg

``rates`` measures how many characters a second one thread of this machine trains on, for every cell, size and shape of
window.  Minutes are minutes of that thread: a run of a minute has as many updates as it makes in a minute, and a run
of a number of updates gives the same bits on every machine.  So the other commands may run beside other work, with any
number of ``--jobs``, on several machines, and can be stopped and repeated.

``tune`` finds the settings of each cell in the same number of trials: it begins with train's learning rate for the
cell and tries each change of a list, which is kept if it lowers the loss.  ``equal-minutes`` trains every cell with its
settings for every budget, size, text and seed.  ``table`` prints a Markdown table of what is there, and draws it.

Rates, settings and runs are kept in ``--results``, a JSON file; a run that is there is not made again.  N-grams neither
teach nor are mixed in, so that the loss says what the cell itself has learned.
"""

import argparse
import itertools
import json
import math
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import series
from time_to_loss import table

from charrnn.config import CELL_SETTINGS, ModelConfig, TrainConfig
from charrnn.kernels import compiler
from charrnn.network.cells import CELLS, parameter_count
from charrnn.network.network import Network
from charrnn.settings import seconds
from charrnn.text.catalog import find_text
from charrnn.text.windows import TrainingWindows
from charrnn.training.optimizer import Optimizer

HERE = Path(__file__).parent.parent
RESULTS = HERE / "docs" / "cells.json"

# What a cell has beside its width.
SHAPES = {
    "rnn": {"layers": 2},
    "gru": {"layers": 2},
    "lstm": {"layers": 2},
    "capped-lstm": {"layers": 2},
    "coupled-lstm": {"layers": 2},
    "transformer": {"layers": 4, "heads": 4},
}
WINDOW = {"batch-size": 32, "seq-len": 64}  # of a cell that is not tuned; a Transformer's context is --seq-len
WINDOWS = ((16, 64), (32, 64), (64, 64))  # batch rows and steps whose rates are measured
WINDOWS_OF_TRANSFORMER = ((8, 64), (8, 128), (16, 64), (32, 64))
VOCABULARY = 65  # characters of the text that the widths are chosen for and the rates are measured with
TUNED_ON = "tinyshakespeare"  # whose settings a text has that has none of its own
CHANGES = ("lr*0.5", "batch-size=16", "batch-size=64", "beta2=0.95", "lr*2", "lr*0.7")
CHANGES_OF_TRANSFORMER = ("lr*0.5", "batch-size=16", "batch-size=8,seq-len=128", "beta2=0.95", "lr*2", "batch-size=8")
TOLERANCE = 0.06  # of the number of parameters
FIXED = ("--ngrams", "off", "--ngram-targets", "0", "--tar", "0", "--sample-every", "0", "--threads", "1")
EVALUATIONS, SHORT, EVALUATIONS_OF_SHORT = 2, 300_000, 12  # of a run; on a text of so many bytes or fewer


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


def named(config: ModelConfig) -> str:
    """The cell and its sizes, as tables have it."""
    return f"{config.cell}, {config.layers}x{config.hidden}"


def one_a_line(found: dict[str, dict]) -> str:
    """JSON with a line for each rate, settings and run, so that files of several machines can be merged."""
    parts = []
    for kind, of in found.items():
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in of.items())
        parts.append(f" {json.dumps(kind)}: {{\n{lines}\n }}" if of else f" {json.dumps(kind)}: {{}}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


class Results:
    """Rates, settings and runs that are there: a JSON file, read and written again after every run.

    Several threads may use it, and several processes may use one file.
    """

    def __init__(self, path: Path):
        self.path, self._lock = path, threading.Lock()

    def read(self) -> dict[str, dict]:
        """What is in the file: rates, settings and runs by their names."""
        empty = {"rates": {}, "settings": {}, "runs": {}}
        return json.loads(self.path.read_text("utf-8")) if self.path.exists() else empty

    def keep(self, kind: str, name: str, value: object) -> None:
        """Add something to the file, or replace it."""
        with self._lock:
            found = self.read()
            found[kind][name] = value
            written = self.path.with_suffix(f".{os.getpid()}.part")
            written.write_text(one_a_line(found), "utf-8")
            written.replace(self.path)

    def run(self, text: str, settings: list[str], keep: Path | None = None) -> dict:
        """What a run with these settings reached, from the file or by training now.

        The best checkpoint is copied to ``keep``; a run without it is made again.
        """
        key = shlex.join([text, *settings])
        found = self.read()["runs"].get(key)
        if found is None or (keep is not None and not keep.exists()):
            found = train(Path(find_text(text)).absolute(), settings, keep)
            self.keep("runs", key, found)
            print(f"{key}: {found['best_val_loss']:.4f}", file=sys.stderr, flush=True)
        return found

    def settings(self, text: str, size: str, cell: str) -> dict[str, object]:
        """The settings that were tuned for a cell of a size on this text, or on TUNED_ON; windows if there are none."""
        tuned = self.read()["settings"]
        found = (tuned.get(f"{each} {size} {cell}") for each in (text, TUNED_ON))
        return next((each for each in found if each), untuned(cell))

    def steps(self, size: str, config: ModelConfig, settings: dict[str, object], budget: str) -> int:
        """The updates that the thread whose rate was measured makes in a budget such as 3m.

        Raises:
            SystemExit: the rate was not measured.
        """
        batch, steps = settings["batch-size"], settings["seq-len"]
        name = rate_name(size, config.cell, batch, steps)
        rates = self.read()["rates"]
        if name not in rates:
            raise SystemExit(f"{self.path} has no rate of {name!r}: measure it with `cells.py rates`")
        return max(1, round(rates[name]["chars_per_s"] * seconds(budget) / (batch * steps)))


def untuned(cell: str) -> dict[str, object]:
    """The settings that a cell has before it is tuned."""
    return {"lr": CELL_SETTINGS.get(cell, {}).get("lr", TrainConfig().learning_rate), **WINDOW}


def rate_name(size: str, cell: str, batch: int, steps: int) -> str:
    """How the file calls the rate of a cell of a size with windows of ``batch`` rows and ``steps`` steps."""
    return f"{size} {cell} {batch}x{steps}"


def train(text: Path, settings: list[str], keep: Path | None = None) -> dict:
    """Train as a process: its parameters, best validation loss, that of the end, epochs and rollbacks."""
    with tempfile.TemporaryDirectory() as folder:
        place = ["--out", folder, "--name", "run", "--json", "-q"]
        command = [sys.executable, "-m", "charrnn", "train", str(text), *place, *settings]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
        if keep is not None and done.returncode == 0:
            keep.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(folder) / "run" / "best.safetensors", keep)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or records[-1]["event"] != "finished":
        raise SystemExit(f"{shlex.join(command)}: {done.stderr.strip()}")
    last = records[-1]
    return {
        "parameters": records[0]["parameters"],
        "best_val_loss": round(last["best_val_loss"], 6),
        "last_val_loss": round(last["val_loss"], 6),
        "epoch": round(last["epoch"], 3),
        "rollbacks": sum(each["event"] == "rolled_back" for each in records),
    }


def model_of(size: str, cell: str) -> ModelConfig:
    """The model of a cell of a size; its width is the same for every text."""
    return sized(cell, VOCABULARY, number(size), SHAPES[cell])


def one(results: Results, text: str, size: str, cell: str, settings: dict, budget: str, seed: int) -> list[str]:
    """The options of a run."""
    config = model_of(size, cell)
    steps = results.steps(size, config, settings, budget)
    count = EVALUATIONS_OF_SHORT if Path(find_text(text)).stat().st_size <= SHORT else EVALUATIONS
    more = {"steps": steps, "eval-every": math.ceil(steps / count), "seed": seed}
    return [*options_of(config, settings | more), *FIXED]


# ---- rates --------------------------------------------------------------------------------------------------------


def stepper(config: ModelConfig, batch: int, steps: int) -> Callable[[int], None]:
    """A function that makes one update of a new network, on one thread."""
    training = TrainConfig(ngrams="off", ngram_targets=0.0)
    compiler.prepare(*itertools.chain(*Network.kernels(config)), *Optimizer.kernels(training))
    network = Network(config, seed=1, threads=1)
    optimizer = Optimizer(training, network.parameters, network.team)
    text = np.random.default_rng(1).integers(config.vocabulary, size=batch * (4 * steps + 1))
    windows, state = TrainingWindows(text, batch, steps, seed=1), network.initial_state(batch)

    def step(turn: int) -> None:
        network.loss_and_gradient(*windows.window(0, turn % 4), state)
        optimizer.update(network.gradient, 1e-4)
        network.parameters_changed()

    step(0)
    return step


def step_time(step: Callable[[int], None], least: float) -> float:
    """Seconds of an update: the mean of those that fit into ``least`` seconds, and of three or more."""
    count, begun = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - begun < least:
        step(count)
        count += 1
    return (time.perf_counter() - begun) / count


def windows_of(cell: str) -> tuple[tuple[int, int], ...]:
    """The batch rows and steps that a cell is tuned with."""
    return WINDOWS_OF_TRANSFORMER if cell == "transformer" else WINDOWS


def rates(options: argparse.Namespace) -> None:
    """Measure every cell, size and shape of window in turns, and print the medians."""
    results, steppers = Results(options.results), {}
    for size, cell in itertools.product(options.sizes, options.cells):
        for batch, steps in windows_of(cell):
            config = replace(model_of(size, cell), context=steps if cell == "transformer" else None)
            steppers[rate_name(size, cell, batch, steps)] = batch * steps, stepper(config, batch, steps)
    turns = [
        {name: characters / step_time(step, options.seconds) for name, (characters, step) in steppers.items()}
        for _ in range(options.turns)
    ]
    rows = []
    for name in steppers:
        measured = [round(turn[name]) for turn in turns]
        rate = {"chars_per_s": round(statistics.median(measured)), "turns": measured}
        results.keep("rates", name, rate | {"machine": options.machine, "date": time.strftime("%F")})
        rows.append([name, f"{rate['chars_per_s']:,}", f"{min(measured):,}-{max(measured):,}"])
    table(["parameters, cell, windows", "characters/s of one thread", "turns"], rows)


# ---- tuning -------------------------------------------------------------------------------------------------------


def changed(settings: dict[str, object], change: str) -> dict[str, object]:
    """Settings with a change such as ``beta2=0.95``, ``lr*1.4`` or ``batch-size=8,seq-len=128``."""
    for part in change.split(","):
        name, sign, value = next(part.partition(each) for each in "*=" if each in part)
        own = float(f"{settings[name] * float(value):.3g}") if sign == "*" else float(value)
        settings = settings | {name: int(own) if name in WINDOW else own}
    return settings


def changes_of(cell: str) -> tuple[str, ...]:
    """The changes to try with a cell."""
    return CHANGES_OF_TRANSFORMER if cell == "transformer" else CHANGES


def tune_one(options: argparse.Namespace, results: Results, text: str, size: str, cell: str) -> list[str]:
    """Try the changes one after the other, keep the best settings, and return a row of the table."""
    best, lowest, losses = results.settings(text, size, cell) if options.go_on else untuned(cell), math.inf, []
    for change in ["", *(changes_of(cell) if options.changes is None else options.changes)]:
        tried = changed(best, change) if change else best
        run = results.run(text, one(results, text, size, cell, tried, options.budget, options.seed))
        losses.append(f"{change} {run['best_val_loss']:.4f}".strip())
        if run["best_val_loss"] < lowest:
            best, lowest = tried, run["best_val_loss"]
    results.keep("settings", f"{text} {size} {cell}", best)
    settings = ", ".join(f"{name} {value:g}" for name, value in best.items())
    return [text, size, named(model_of(size, cell)), "; ".join(losses), settings]


def tune(options: argparse.Namespace) -> None:
    """Tune every cell of every size on every text."""
    results, wanted = Results(options.results), list(itertools.product(options.texts, options.sizes, options.cells))
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(lambda each: tune_one(options, results, *each), wanted))
    table(["text", "parameters", "cell", "trials", "best"], rows)


# ---- equal minutes ------------------------------------------------------------------------------------------------


def wanted_runs(options: argparse.Namespace, results: Results) -> dict[tuple, list[str]]:
    """The options of every run by (text, size, cell, budget, seed), cells in turn."""
    every = itertools.product(options.budgets, options.sizes, options.texts, options.seeds, options.cells)
    return {
        (text, size, cell, budget, seed): one(
            results, text, size, cell, results.settings(text, size, cell), budget, seed
        )
        for budget, size, text, seed, cell in every
    }


def equal_minutes(options: argparse.Namespace) -> None:
    """Make the runs that are missing, and print the table."""
    results = Results(options.results)
    with ThreadPoolExecutor(options.jobs) as pool:
        made = []
        for (text, *what), run in wanted_runs(options, results).items():
            keep = options.keep and options.keep / ("-".join(map(str, [Path(text).stem, *what])) + ".safetensors")
            made.append(pool.submit(results.run, text, run, keep))
        for each in made:
            each.result()
    show(options)


def show(options: argparse.Namespace) -> None:
    """The table of the runs that are there, and a figure for each text and size."""
    results, rows = Results(options.results), []
    runs, found = results.read()["runs"], {}
    for (text, size, cell, budget, _), run in wanted_runs(options, results).items():
        if (done := runs.get(shlex.join([text, *run]))) is not None:
            found.setdefault((text, size, cell), {}).setdefault(budget, []).append(done)
    for (text, size, cell), of in found.items():
        counts = {run["parameters"] for own in of.values() for run in own}
        seen = [spread(of.get(budget, [])) for budget in options.budgets]
        rows.append([text, named(model_of(size, cell)), f"{max(counts):,}", *seen])
    print("Best validation loss in nats: mean (range) of the seeds, and how many there are\n")
    table(["text", "cell", "parameters", *options.budgets], rows)
    if options.output:
        for text, size in itertools.product(options.texts, options.sizes):
            draw(options, text, size, {cell: of for (*which, cell), of in found.items() if which == [text, size]})


def draw(options: argparse.Namespace, text: str, size: str, found: dict[str, dict[str, list[dict]]]) -> None:
    """A figure of one text and size, if there is something to show: the mean losses of each cell by the minutes."""
    curves = {
        cell: [(seconds(budget) / 60, mean_loss(own)) for budget, own in of.items()] for cell, of in found.items()
    }
    if curves:
        path = options.output.with_stem(f"{options.output.stem}-{Path(text).stem}-{size}")
        title = f"{Path(text).stem}, about {size} parameters: validation loss after equal minutes"
        series.draw(path, title, curves, "minutes of one thread", "nats per character", log_across=True)


def mean_loss(runs: list[dict]) -> float:
    """The mean over the seeds."""
    return statistics.mean(run["best_val_loss"] for run in runs)


def spread(runs: list[dict]) -> str:
    """Mean, range and number of the losses."""
    losses = [run["best_val_loss"] for run in runs]
    if len(losses) < 2:
        return f"**{losses[0]:.4f}** (1 seed)" if losses else "–"
    return f"**{mean_loss(runs):.4f}** ({min(losses):.4f}-{max(losses):.4f}, {len(losses)} seeds)"


def main() -> None:
    """Read the options, and do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    known = [cell for cell in ("rnn", "gru", "lstm", "transformer") if cell in CELLS]
    for name, work in (("rates", rates), ("tune", tune), ("equal-minutes", equal_minutes), ("table", show)):
        command = commands.add_parser(name)
        command.set_defaults(work=work)
        command.add_argument("--cells", nargs="+", choices=[each for each in SHAPES if each in CELLS], default=known)
        command.add_argument("--sizes", nargs="+", default=["900k", "250k"], help="numbers of parameters")
        command.add_argument("--results", type=Path, default=RESULTS, help="the JSON file  [default: docs/cells.json]")
        if work is rates:
            command.add_argument("--seconds", type=float, default=1.0, help="of every turn")
            command.add_argument("--turns", type=int, default=3)
            command.add_argument("--machine", default=platform.processor() or platform.machine(), help="its name")
            continue
        command.add_argument("texts", nargs="+", help="files, or names of the catalog")
        if work in (tune, equal_minutes):
            command.add_argument("--jobs", type=int, default=1, help="runs at a time, at low priority")
        if work is tune:
            command.add_argument("--budget", default="30s", help="of every trial")
            command.add_argument(
                "--changes", nargs="*", help="such as beta2=0.95 or lr*1.4  [default: as suits a cell]"
            )
            command.add_argument("--go-on", action="store_true", help="begin with the settings in the file")
            command.add_argument("--seed", type=int, default=1)
        else:
            command.add_argument("--budgets", nargs="+", default=["1m", "3m", "10m"], help="as in --time-budget")
            command.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
        if work is equal_minutes:
            command.add_argument(
                "--keep", type=Path, help="a folder for the best checkpoints; makes runs again that lack one"
            )
        if work is show:
            command.add_argument("-o", dest="output", type=Path, help="NAME.svg: draw NAME-TEXT-SIZE.svg for each")
        else:
            command.set_defaults(output=None)
    options = parser.parse_args()
    if options.work in (tune, equal_minutes):
        os.nice(19)
    options.work(options)


if __name__ == "__main__":
    main()
