"""What ``inspect --find`` costs: characters a second beside a plain evaluation, and memory by length of the text.

    python benchmarks/find.py checkpoints/NAME TEXT --megabytes 1 20

The text is repeated to each length.  Evaluation, --find column and --find all run in processes of their own, one after
the other, so that a machine that is busy is busy for all; peak resident memory is that of the process (POSIX only).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORK = {
    "evaluate": ["evaluate"],
    "--find column": ["inspect", "--find", "column"],
    "--find column --no-probe": ["inspect", "--find", "column", "--no-probe"],
    "--find all": ["inspect", "--find", "all"],
}


def run(model: str, text: Path, arguments: list[str]):
    """(seconds, processor seconds, peak MB, characters) of one process."""
    command, *options = arguments
    whole = [sys.executable, "-m", "charrnn", command, model, str(text), *options, "--json", "-q"]
    begun = time.perf_counter()
    process = subprocess.Popen(whole, stdout=subprocess.PIPE, text=True)
    found = json.loads(process.stdout.readline())
    process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(whole)} failed")
    seconds, scale = time.perf_counter() - begun, 1024 if sys.platform != "darwin" else 1024**2
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale, found["characters"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("text", type=Path)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[1, 20])
    options = parser.parse_args()
    content = options.text.read_bytes()
    print("| text | what | s | chars/s | of evaluate | processor s | peak MB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.megabytes:
            text = Path(folder) / "text.txt"
            wanted = int(size * 1e6)
            text.write_bytes((content * -(-wanted // len(content)))[:wanted])
            plain = None
            for name, arguments in WORK.items():
                seconds, processor, memory, characters = run(options.model, text, arguments)
                plain = plain or seconds
                rate = f"{characters / seconds:,.0f} | {plain / seconds:.2f} | {processor:.1f} | {memory:.0f}"
                print(f"| {size:g} MB | {name} | {seconds:.2f} | {rate} |", flush=True)


if __name__ == "__main__":
    main()
