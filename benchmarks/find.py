"""What ``inspect find`` costs: whole commands beside a plain evaluation, and memory by length of the text.

    python benchmarks/find.py checkpoints/NAME TEXT                  # the text as it is, three rounds
    python benchmarks/find.py checkpoints/NAME TEXT --megabytes 4 20 --rounds 1

With --megabytes the text is repeated to each length.  Evaluation, --track column and --track all take turns in
processes of their own, so that a machine that is busy is busy for all; each is given by its median over the rounds,
with the slowest and the quickest.  Peak resident memory is that of the process (POSIX only).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

WORK = {
    "evaluate": ["evaluate"],
    "--track column": ["inspect find", "--track", "column"],
    "--track column --no-probe": ["inspect find", "--track", "column", "--no-probe"],
    "--track all": ["inspect find", "--track", "all"],
}


def run(model: str, text: Path, arguments: list[str]):
    """(seconds, processor seconds, peak MB, characters) of one process, from its start to its end."""
    command, *options = arguments
    whole = [
        sys.executable,
        "-m",
        "charrnn",
        *command.split(),
        model,
        str(text),
        *options,
        "--unknown",
        "skip",
        "--json",
        "-q",
    ]
    begun = time.perf_counter()
    process = subprocess.Popen(whole, stdout=subprocess.PIPE, text=True)
    found = json.loads(process.stdout.readline())
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(whole)} failed")
    seconds, scale = time.perf_counter() - begun, 1024 if sys.platform != "darwin" else 1024**2
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale, found["characters"]


def compare(model: str, text: Path, size: str, rounds: int):
    """Have all commands take turns, and print a line for each."""
    runs = {name: [] for name in WORK}
    for _ in range(rounds):
        for name, arguments in WORK.items():
            runs[name].append(run(model, text, arguments))
    for name, results in runs.items():
        seconds, processor, memory, characters = zip(*results, strict=True)
        rates = [count / each for count, each in zip(characters, seconds, strict=True)]
        of_plain = median(plain[0] / each for plain, each in zip(runs["evaluate"], seconds, strict=True))
        speed = f"{median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} | {of_plain:.2f}"
        print(f"| {size} | {name} | {median(seconds):.2f} | {speed} | {min(processor):.1f} | {max(memory):.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=float, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| text | what | s | chars/s | from to | of evaluate | processor s | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    if options.megabytes is None:
        compare(options.model, options.text, "whole", options.rounds)
        return
    content = options.text.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        for size in options.megabytes:
            text, wanted = Path(folder) / "text.txt", int(size * 1e6)
            text.write_bytes((content * -(-wanted // len(content)))[:wanted])
            compare(options.model, text, f"{size:g} MB", options.rounds)


if __name__ == "__main__":
    main()
