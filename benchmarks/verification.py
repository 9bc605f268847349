"""What a run that can be verified costs: disk, time of training, and the time of a segment that is trained again.

    python benchmarks/verification.py TEXT
    python benchmarks/verification.py TEXT --shapes 2x128,2x256 --keep 64 --rounds 2
    python benchmarks/verification.py TEXT --log-against OTHER_CHECKOUT

Each shape is trained with and without kept checkpoints, in turns, and then every segment is trained again by ``charrnn
verify --all``.  The share of a segment is its time over the time of the run, by its own clock.  With ``--log-against``
only the digests in the log are measured: a small network, whose steps are short, is trained without kept checkpoints
here and in another checkout, in turns.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent.parent


def charrnn(*arguments, checkout=HERE, folder):
    environment = {**os.environ, "PYTHONPATH": str(checkout), "CHARRNN_CACHE": str(folder.parent / "cache")}
    command = [sys.executable, "-m", "charrnn", *map(str, arguments)]
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout, time.perf_counter() - begun


def train(text, folder, *options, checkout=HERE):
    """Seconds of a run, by its own clock, and its steps."""
    charrnn("train", text, "--name", "run", "--force", "-q", "--threads", 1, *options, checkout=checkout, folder=folder)
    line = (folder / "checkpoints" / "run" / "metrics.jsonl").read_text().splitlines()[-1]
    record = json.loads(line)
    return record["elapsed_s"], record["step"]


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(text, shape, keep, rounds, folder, more):
    layers, hidden = shape.split("x")
    options = ["--layers", layers, "--hidden", hidden, *more]
    took = {0: [], keep: []}
    for number in range(rounds):
        for count in (0, keep)[:: -1 if number % 2 else 1]:
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            seconds, steps = train(text, folder, *options, "--keep-checkpoints", count)
            took[count].append(seconds)
    if not (folder / "checkpoints" / "run" / "kept").is_dir():
        train(text, folder, *options, "--keep-checkpoints", keep)
    run = folder / "checkpoints" / "run"
    size, each = size_of(run / "kept"), [path.stat().st_size for path in (run / "kept").iterdir()]
    _, quick = charrnn("verify", run, "--quick", folder=folder)
    found, whole = charrnn("verify", run, "--all", "--anew", "--json", "--threads", 1, folder=folder)
    parts = [json.loads(line) for line in found.splitlines()]
    segments = [part for part in parts if part["part"] == "segment"]
    assert parts[-1]["share"] == 1.0, parts[-1]
    run_s = statistics.median(took[keep])
    shares = sorted(100 * part["seconds"] / run_s for part in segments)
    inner = sorted(100 * part["seconds"] / run_s for part in segments[1:-1])
    over = sum(share > 2 for share in shares)
    print(
        f"| {shape} | {steps:,} | {statistics.median(took[0]):.1f} s | {run_s:.1f} s | "
        f"{max(each) / 1e6:.1f} MB | {size / 1e6:,.0f} MB | {quick:.1f} s | {statistics.median(shares):.2f} % | "
        f"{max(inner):.2f} % | {100 * segments[0]['seconds'] / run_s:.2f} % | "
        f"{100 * segments[-1]['seconds'] / run_s:.2f} % | {over} of {len(segments)} | {whole:.1f} s |",
        flush=True,
    )


def compare_logs(text, other, rounds, folder):
    """The time of a run of short steps here over its time in another checkout."""
    options = ("--layers", 1, "--hidden", 32, "--steps", 3000, "--ngrams", "off", "--sample-every", 0)
    ratios = []
    for checkout in (HERE, other):
        train(text, folder, *options[:4], "--steps", 3, checkout=checkout)
    for number in range(rounds):
        order = [HERE, other][:: -1 if number % 2 else 1]
        found = {checkout: train(text, folder, *options, checkout=checkout)[0] for checkout in order}
        ratios.append(found[HERE] / found[other])
        print(f"{found[HERE]:.2f} s here, {found[other]:.2f} s there", flush=True)
    print(f"ratio: {statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--shapes", default="2x128,2x256", help="layers x hidden, with commas")
    parser.add_argument("--keep", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--log-against", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("--train", default="", help="more options of train, in one word")
    options = parser.parse_args()
    text = options.text.absolute()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "here"
        folder.mkdir()
        if options.log_against is not None:
            compare_logs(text, options.log_against.absolute(), options.rounds, folder)
            return
        print(
            "| model | steps | run | with checkpoints | each | all | quick check | segment, median | longest but the ",
            end="",
        )
        print("first and last | first | last | above 2 % | all again |")
        print(f"|{'---|' * 13}", flush=True)
        for shape in options.shapes.split(","):
            measure(text, shape, options.keep, options.rounds, folder, options.train.split())


if __name__ == "__main__":
    main()
