"""The size of the text must not matter: a text of 1 MB against one of 1 GB made of it by shuffling paragraphs.

    python benchmarks/corpus_size.py TEXT --bytes 1000000000

Each is trained on twice for some steps: the first time it is encoded, the second it is found encoded.  Printed: seconds
to the first step, characters a second, and peak resident memory of the whole process (POSIX only).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def enlarge(source: Path, target: Path, size: int) -> None:
    paragraphs = source.read_text("utf-8").split("\n\n")
    shuffle = random.Random(1)
    with target.open("w", encoding="utf-8") as file:
        while file.tell() < size:
            shuffle.shuffle(paragraphs)
            file.write("\n\n".join(paragraphs) + "\n\n")


def train(text: Path, folder: Path, steps: int):
    """(seconds to the first step, characters a second, peak MB) of one training process."""
    environment = {**os.environ, "CHARRNN_CACHE": str(folder / "cache")}
    options = ["--out", folder, "--force", "--steps", steps, "--json", "--sample-every", 0, "--eval-every", 10**9]
    command = [sys.executable, "-m", "charrnn", "train", text, *options]
    begun = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, env=environment, text=True)
    first = rate = None
    for line in process.stdout:
        record = json.loads(line)
        if record["event"] == "step":
            first = first or time.perf_counter() - begun
            rate = record["chars_per_s"]
    _, _, usage = os.wait4(process.pid, 0)
    return first, rate, usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = folder / "large.txt"
        enlarge(options.text, large, options.bytes)
        train(options.text, folder, 1)  # compiles the kernels
        print("| text | start | s to the first step | chars/s | peak MB |")
        print("|---|---|---|---|---|")
        for text in (options.text, large):
            for start in ("first", "second"):
                seconds, rate, memory = train(text, folder, options.steps)
                size = f"{text.stat().st_size / 1e6:,.0f} MB"
                print(f"| {size} | {start} | {seconds:.2f} | {rate:,.0f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
