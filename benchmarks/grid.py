"""The validation loss of every combination of settings, at the end of the run.

    python benchmarks/grid.py TEXT --fixed "--epochs 4" --vary lr 4e-3 8e-3 1.6e-2 --vary dropout 0 0.1
    python benchmarks/grid.py TEXT --fixed "--epochs 4 --layers 1" --vary hidden 128 256 --seeds 1 2 3 --jobs 2

``--vary NAME VALUE…`` names an option of train without its dashes; every combination of the values is trained with
every seed.  A run of a number of epochs or steps gives the same loss on a busy machine as on a quiet one, so that
``--jobs`` runs may share the cores, each on one thread.  The table has the best validation loss, mean and range over
the seeds, the lowest first, and the number of rollbacks.
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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from time_to_loss import diverged, table

from charrnn.text.catalog import find_text

HERE = Path(__file__).parent.parent


def train(text: Path, settings: list[str], folder: Path) -> tuple[float, int]:
    """Train as a process on one thread; the best validation loss, infinite if it diverged before, and rollbacks."""
    place = ["--out", str(folder), "--name", "run", "--json", "-q", "--sample-every", "0", "--threads", "1"]
    command = [sys.executable, "-m", "charrnn", "train", str(text), *place, *settings]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    losses = [each["val_loss"] for each in records if each["event"] == "evaluated"]
    if done.returncode == 1 and diverged(done.stderr):
        losses.append(math.inf)
    if not losses:
        raise SystemExit(f"{shlex.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    return min(losses), sum(each["event"] == "rolled_back" for each in records)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--fixed", default="", help="options of train that all runs have, in one argument")
    parser.add_argument("--vary", nargs="+", action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    options = parser.parse_args()
    text, names = Path(find_text(options.text)).absolute(), [name for name, *_ in options.vary]
    cases = list(itertools.product(*(values for _, *values in options.vary)))

    def work(case: tuple[str, ...], seed: int) -> tuple[float, int]:
        given = itertools.chain.from_iterable((f"--{name}", value) for name, value in zip(names, case, strict=True))
        with tempfile.TemporaryDirectory() as folder:
            found = train(text, [*shlex.split(options.fixed), *given, "--seed", str(seed)], Path(folder))
        print(*case, f"seed {seed}: {found[0]:.4f}", file=sys.stderr, flush=True)
        return found

    with ThreadPoolExecutor(options.jobs) as pool:
        started = {(case, seed): pool.submit(work, case, seed) for case in cases for seed in options.seeds}
        found = {key: each.result() for key, each in started.items()}
    rows = []
    for case in cases:
        losses, rollbacks = zip(*(found[case, seed] for seed in options.seeds), strict=True)
        rows.append((statistics.mean(losses), case, f"{min(losses):.4f}-{max(losses):.4f}", str(sum(rollbacks))))
    table([*names, "mean", "range", "rollbacks"], [[*case, f"**{m:.4f}**", *rest] for m, case, *rest in sorted(rows)])


if __name__ == "__main__":
    main()
