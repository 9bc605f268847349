"""Train a text with several settings and seeds, one run after the other, and print what each reached as a table.

    python benchmarks/results.py tinyshakespeare.txt OUT --runs "default:;budget:--time-budget 3m" --seeds 1,2,3

A run that is there already in OUT is not made again.  The times are those of the whole command.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

from charrnn.records import bits

RUNS = "default:;budget:--time-budget 3m;best:--preset best"


def train(text: str, out: Path, name: str, flags: list[str]) -> dict:
    """One run, unless it is there: what its log says at the end, with the seconds of the whole command."""
    log, timed = out / name / "metrics.jsonl", out / f"{name}.seconds"
    if not timed.exists():
        begun = time.perf_counter()
        command = [sys.executable, "-m", "charrnn", "train", text, "--name", name, "--out", str(out), "-q", *flags]
        subprocess.run(command, check=True)
        timed.write_text(str(time.perf_counter() - begun))
    finished = json.loads(log.read_text().splitlines()[-1])
    return finished | {"seconds": float(timed.read_text())}


def row(*cells: str) -> None:
    """Print a row of the table."""
    print("| " + " | ".join(cells) + " |", flush=True)


def bpc(loss: float) -> str:
    """Nats as bits, to four places."""
    return f"{bits(loss):.4f}"


def main() -> None:
    """Make the runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("out", type=Path, help="folder for the runs")
    parser.add_argument("--runs", default=RUNS, help='"NAME:FLAGS", separated by semicolons')
    parser.add_argument("--seeds", default="1,2,3")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    row("run", "flags", "seed", "best validation", "bits per character", "epochs", "time of the command")
    row(*["---"] * 7)
    for run in options.runs.split(";"):
        name, _, flags = run.partition(":")
        found = []
        for seed in options.seeds.split(","):
            result = train(options.text, options.out, f"{name}-{seed}", [*shlex.split(flags), "--seed", seed])
            found.append(result["best_val_loss"])
            minutes, seconds = divmod(round(result["seconds"]), 60)
            shown = f"`{flags.strip()}`" if flags.strip() else ""
            cells = [name, shown, seed, f"{found[-1]:.4f}", f"{found[-1] / 0.6931471805599453:.4f}"]
            print(
                "| " + " | ".join([*cells, f"{result['epoch']:.1f}", f"{minutes} m {seconds:02} s"]) + " |", flush=True
            )
        if len(found) > 1:
            mean, spread = statistics.mean(found), statistics.stdev(found)
            print(
                f"| {name} | | mean | **{mean:.4f}** ± {spread:.4f} | {mean / 0.6931471805599453:.4f} | | |", flush=True
            )


if __name__ == "__main__":
    main()
