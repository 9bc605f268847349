"""This checkout against another one, side by side: training, evaluation and writing one text, by ``charrnn bench``.

    python benchmarks/versions.py OTHER_CHECKOUT
    python benchmarks/versions.py OTHER_CHECKOUT --shapes 2x128x50x50,1x100x7x33 --rounds 3 --threads 1

OTHER_CHECKOUT is a clone of another commit in which the same Python can run (``python -m venv`` and ``pip install`` are
not needed).  The two take turns, each measurement in a process of its own, and each goes first in every other round, so
that the machine's drift hits both.  A ratio is this checkout's speed over the other's; reported are the median of the
paired ratios and their range.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from against_pytorch import SHAPES

HERE = Path(__file__).parent.parent
WORK = {"training": "training_chars_per_s", "evaluation": "evaluation_chars_per_s", "writing": "sampling_chars_per_s"}


def measure(checkout, shape, seconds, threads):
    """Characters a second by kind of work."""
    layers, hidden, batch, steps = shape.split("x")
    command = [sys.executable, "-m", "charrnn", "bench", "--json", "--layers", layers, "--hidden", hidden]
    command += ["--batch-size", batch, "--seq-len", steps, "--seconds", str(seconds)]
    command += ["--threads", str(threads)] if threads else []
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return {name: found[key] for name, key in WORK.items()}


def shown(ratios):
    return f"**{statistics.median(ratios):.3f}** ({min(ratios):.2f}-{max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--shapes", default=SHAPES, help="layers x hidden x batch x steps, with commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    print(f"| model, batch x steps | {' | '.join(WORK)} |\n|---|{'---|' * len(WORK)}", flush=True)
    for shape in options.shapes.split(","):
        for checkout in (HERE, options.other):  # compile what is not compiled yet
            measure(checkout, shape, 0.01, options.threads)
        ratios = {name: [] for name in WORK}
        for number in range(options.rounds):
            order = [HERE, options.other][:: -1 if number % 2 else 1]
            found = {each: measure(each, shape, options.seconds, options.threads) for each in order}
            for name in WORK:
                ratios[name].append(found[HERE][name] / found[options.other][name])
        layers, hidden, batch, steps = shape.split("x")
        print(f"| {layers}x{hidden}, {batch}x{steps} | {' | '.join(map(shown, ratios.values()))} |", flush=True)


if __name__ == "__main__":
    main()
