"""How long training takes to reach a validation loss, and how low the loss is after a given time.

    python benchmarks/time_to_loss.py tinyshakespeare --budgets 1m 3m 10m 30m
    python benchmarks/time_to_loss.py TEXT --budgets 1m 3m --other ../before --settings "--lr 0.01"
    python benchmarks/time_to_loss.py TEXT --seeds 1 --budgets 20s -o curves.svg

The contestants are this checkout with its defaults, this checkout with each of ``--settings``, and with ``--other``
another checkout with its defaults, in which the same Python can run.  Each trains for each budget with each seed, as a
process of its own; the contestants take turns, so that the machine's drift hits all of them.  A short run before
compiles the kernels.

Two tables come out.  The first has the best validation loss of each budget, mean and range over the seeds, and the loss
of the mixture with n-grams, if the run has made one.  The second has the seconds until a loss was reached: from the
start of the process, evaluations included, the mean over the seeds, and of the quickest budget, because the schedule of
a run depends on its budget.  "–" says that a seed did not reach the loss.
With ``-o`` the curves of the first seed are drawn (this needs matplotlib).

The loss is the one that a run reports: of the first 250,000 characters of the validation part.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from charrnn.checkpoints.run_folder import METRICS
from charrnn.commands.types import Duration
from charrnn.text.catalog import find_text

HERE = Path(__file__).parent.parent
LOSSES = (1.60, 1.50, 1.4697, 1.43, 1.40)  # nats; nanoGPT's README reports 1.4697 for tinyshakespeare on a GPU


class Trained(NamedTuple):
    """The evaluations of a run as (seconds, validation loss), and the loss of the mixture with n-grams, or None."""

    evaluations: list[tuple[float, float]]
    mixed: float | None

    @property
    def best(self) -> float:
        """The best validation loss of the network."""
        return min(loss for _, loss in self.evaluations)


def train(checkout: Path, text: Path, settings: list[str], folder: Path) -> Trained:
    """Train as a process; the seconds are those from its start, as a user's clock shows them."""
    place = ["--out", str(folder.parent), "--name", folder.name, "--json", "-q"]
    command = [sys.executable, "-m", "charrnn", "train", str(text), *place, *settings]
    begun, evaluations, record = time.perf_counter(), [], {}
    with subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, text=True) as process:
        for record in map(json.loads, process.stdout):
            if record["event"] == "evaluated":
                evaluations.append((time.perf_counter() - begun, record["val_loss"]))
    if process.returncode:
        raise SystemExit(f"{shlex.join(command)}: exit status {process.returncode}")
    return Trained(evaluations, record.get("mixed_val_loss"))


def reached(evaluations: list[tuple[float, float]], loss: float) -> float | None:
    """The seconds of the first evaluation that is at most ``loss``, or None."""
    return next((seconds for seconds, found in evaluations if found <= loss), None)


def quickest(runs: dict, contestant: str, budgets: list[str], seeds: list[int], loss: float) -> float | None:
    """The mean over seeds of the seconds until ``loss``, of the budget for which it is least; None if none has it."""
    means = []
    for budget in budgets:
        seconds = [reached(runs[contestant, budget, seed].evaluations, loss) for seed in seeds]
        if None not in seconds:
            means.append(statistics.mean(seconds))
    return min(means, default=None)


def diverged(said: str) -> bool:
    """Whether a run of train that failed said that its loss exploded again and again."""
    return "times in a row although the learning rate was halved" in said


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    for cells in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(cells)} |", flush=True)


def report(runs: dict, contestants: list[str], budgets: list[str], seeds: list[int], losses: list[float]) -> None:
    """Print both tables."""

    def best(contestant: str, budget: str, of: str) -> str:
        found = [getattr(runs[contestant, budget, seed], of) for seed in seeds]
        return "–" if None in found else f"**{statistics.mean(found):.4f}** ({min(found):.4f}-{max(found):.4f})"

    print(f"\nBest validation loss in nats, mean of {len(seeds)} seeds (range):\n")
    rows = []
    for name in contestants:
        rows.append([name, *(best(name, budget, "best") for budget in budgets)])
        rows.append([f"{name}, with n-grams", *(best(name, budget, "mixed") for budget in budgets)])
    table(["contestant", *budgets], rows)
    print("\nSeconds until a validation loss was reached:\n")
    rows = []
    for name in contestants:
        seconds = [quickest(runs, name, budgets, seeds, loss) for loss in losses]
        rows.append([name, *("–" if each is None else f"{each:.1f}" for each in seconds)])
    table(["contestant", *(f"{loss:g}" for loss in losses)], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--budgets", nargs="+", default=["1m", "3m"], help="as in --time-budget")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--settings", action="append", default=[], help="options of train, in one argument")
    parser.add_argument("--other", type=Path, help="another checkout")
    parser.add_argument("--losses", nargs="+", type=float, default=LOSSES)
    parser.add_argument("--keep", type=Path, help="folder that keeps the runs")
    parser.add_argument(
        "-o", dest="output", type=Path, help="draw the curves of the first seed: a file that ends in .svg"
    )
    options = parser.parse_args()
    for budget in options.budgets:
        Duration().convert(budget, None, None)
    if options.output:  # an error now, and not after all runs
        from curves import draw
    text = Path(find_text(options.text)).absolute()
    sides = {"defaults": (HERE, [])} | {each: (HERE, shlex.split(each)) for each in options.settings}
    if options.other:
        sides["other checkout"] = (options.other.absolute(), [])
    with tempfile.TemporaryDirectory() as temporary:
        folder, runs = (options.keep or Path(temporary)).absolute(), {}
        for number, (checkout, settings) in enumerate(sides.values()):  # compile what is not compiled yet
            train(
                checkout, text, ["--steps", "12", "--eval-every", "10", "--force", *settings], folder / f"warm-{number}"
            )
        for seed in options.seeds:
            for budget in options.budgets:
                for number, (name, (checkout, settings)) in enumerate(sides.items()):
                    place = folder / f"{number}-{budget}-{seed}"
                    how = ["--time-budget", budget, "--seed", str(seed), "--force", *settings]
                    runs[name, budget, seed] = train(checkout, text, how, place)
                    best, mixed = runs[name, budget, seed].best, runs[name, budget, seed].mixed
                    print(f"{name}, {budget}, seed {seed}: {best:.4f} {mixed or ''}", file=sys.stderr, flush=True)
        report(runs, list(sides), options.budgets, options.seeds, options.losses)
        if options.output:
            logs = [
                (f"{name}, {budget}", folder / f"{number}-{budget}-{options.seeds[0]}" / METRICS)
                for number, name in enumerate(sides)
                for budget in options.budgets
            ]
            draw(options.output, logs)


if __name__ == "__main__":
    main()
