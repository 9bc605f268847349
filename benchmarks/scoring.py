"""Measure how many characters a second ``charrnn score`` reads, and where the time goes.

    python benchmarks/scoring.py tinyshakespeare.txt --shapes 1x128 2x256 --threads 2 --rounds 5

A network of each shape with random weights reads the text, in its order and each line alone: the losses only; the
scores, with z; and ``charrnn score`` as a process, whose lines go to a file.  The rounds of all go in turns.  A figure
is the median over the rounds, by the clock, and the best one; behind it stand the characters for each second that a
processor worked, which other work on the machine changes less.  A process also starts: its time without a text, the
median, is taken off.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.model import Model
from charrnn.model.line_scores import BLOCK, LineScorer
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parent.parent
WAYS = ("in order", "alone", "as they come")


def in_blocks(lines):
    """The lines in blocks, as the command reads them."""
    block, size = [], 0
    for line in lines:
        block.append(line)
        size += len(line) + 1
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def losses(model, lines, way):
    """Only the losses, without scores."""
    scorer = LineScorer(model, way)
    for block in in_blocks(lines):
        ids = model.vocabulary.encode("\n".join(block) + "\n")
        scorer._reader.losses(ids, ids >= 0, [len(line) + 1 for line in block])


def scores(model, lines, way):
    """The scores of all lines."""
    scorer = LineScorer(model, way)
    for block in in_blocks(lines):
        scorer.score(block)


def command(checkpoint, text, way, threads):
    """``charrnn score`` as a process; its seconds by the clock, and those of the processor."""
    option = {"in order": [], "alone": ["--alone"], "as they come": ["-f"]}[way]
    arguments = [sys.executable, "-m", "charrnn", "score", checkpoint, "-", "-q", "--threads", str(threads), *option]
    with tempfile.TemporaryFile() as out, text.open("rb") as file:
        begun, before = time.perf_counter(), os.times()
        subprocess.run(arguments, cwd=ROOT, stdin=file, stdout=out, check=True)
        after = os.times()
        worked = after.children_user + after.children_system - before.children_user - before.children_system
        return time.perf_counter() - begun, worked


def timed(function, *arguments):
    """The seconds of a call by the clock, and those of the processor."""
    begun, before = time.perf_counter(), time.process_time()
    function(*arguments)
    return time.perf_counter() - begun, time.process_time() - before


def measure(shape, text, threads, rounds, folder):
    """Print the figures of one shape."""
    layers, hidden = map(int, shape.split("x"))
    lines = text.read_text("utf-8").splitlines()
    vocabulary = Vocabulary({*"".join(lines), "\n"})
    config = ModelConfig(len(vocabulary), hidden, layers)
    network = Network(config, seed=1, threads=threads)
    checkpoint = Checkpoint(config, vocabulary, parameters=dict(network.parameters.items()))
    path, nothing = Path(folder, f"{shape}.safetensors"), Path(folder, "nothing")
    checkpoint.save(path)
    nothing.touch()
    model, count = Model(network, vocabulary, checkpoint), sum(map(len, lines)) + len(lines)
    found = {}
    for _ in range(rounds):
        start = command(path, nothing, "in order", threads)
        for way in WAYS:
            found.setdefault((way, "losses"), []).append(timed(losses, model, lines, way))
            found.setdefault((way, "scores"), []).append(timed(scores, model, lines, way))
            taken = command(path, text, way, threads)
            found.setdefault((way, "command"), []).append(tuple(np.subtract(taken, start)))
    print(f"{shape}, {len(vocabulary)} characters, {threads} threads, {count:,} characters in {len(lines):,} lines")
    for (way, what), times in found.items():
        clock, worked = np.array(times).T
        figures = f"{count / np.median(clock):>9,.0f}, best {count / clock.min():>9,.0f} characters a second"
        print(f"  {way:<13} {what:<8} {figures}; {count / np.median(worked):>9,.0f} a processor's second")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--shapes", nargs="+", default=["1x128"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for shape in given.shapes:
            measure(shape, given.text, given.threads, given.rounds, folder)


if __name__ == "__main__":
    main()
