"""Training with one thread and with all of them, in turns; and beside it what the machine gives a loop over registers.

python benchmarks/threads.py
python benchmarks/threads.py --shapes 2x128x50x50,2x256x64x100 --rounds 9
"""

import argparse
import time
from statistics import median

from pytorch_sides import Case, Charrnn

from charrnn.config import ModelConfig
from charrnn.system.threads import available_threads

VOCABULARY = 65
SHAPES = "2x128x50x50,2x256x64x100,2x512x64x100,2x300x48x64,4x64x16x200,1x1024x32x50"


def rate(subject, seconds):
    """Updates a second, for about so long."""
    updates, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds or not updates:
        subject.train()
        updates += 1
    return updates / passed


def shown(ratios):
    return f"**{median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--shapes", default=SHAPES, help="layers x hidden x batch rows x steps, with commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one turn")
    options = parser.parse_args()
    print(f"| model, batch rows x steps | {options.threads} threads to one | the registers' loop |\n|---|---|---|")
    for shape in options.shapes.split(","):
        layers, hidden, batch, steps = map(int, shape.split("x"))
        config = ModelConfig(VOCABULARY, hidden, layers)
        subjects = [Charrnn(Case(config, batch, steps, threads)) for threads in (1, options.threads)]
        ratios, bounds = [], []
        for subject in subjects:
            subject.train()
        for _ in range(options.rounds):
            alone, together = (rate(subject, options.seconds) for subject in subjects)
            ratios.append(together / alone)
            alone, together = (subject.peak() for subject in subjects)
            bounds.append(together / alone)
        print(f"| {layers}x{hidden}, {batch}x{steps} | {shown(ratios)} | {shown(bounds)} |", flush=True)


if __name__ == "__main__":
    main()
