"""How long commands take as whole processes, timed from outside: warm, and with nothing compiled.

    python benchmarks/cold_start.py
    python benchmarks/cold_start.py TEXT --rounds 9
    python benchmarks/cold_start.py --other ../before --rounds 3    # nothing compiled, two checkouts in turns

The kernels' cache and the checkpoint, of the default size, are in a temporary folder.  First comes the one compilation;
then a run with other sizes of everything must not add a file to the cache; then the commands take turns, and
reported are their medians, fastest and slowest.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).absolute().parent.parent
FABLES = HERE / "corpora" / "fables.txt"
CHARRNN = (sys.executable, "-m", "charrnn")
OTHER_SIZES = ("--hidden", "72", "--layers", "3", "--batch-size", "9", "--seq-len", "33")


class Machine:
    """Runs commands with a cache of compiled kernels of their own.

    Args:
        folder: where the cache is.
        checkout: whose ``charrnn`` the commands run.
    """

    def __init__(self, folder, checkout=None):
        self.cache, self._checkout = folder / "cache", checkout
        self._environment = {**os.environ, "CHARRNN_CACHE": str(self.cache)}

    def kernels(self):
        """The files of compiled kernels."""
        return sorted(path for path in (self.cache / "kernels").rglob("*") if path.is_file())

    def whole(self, *command):
        """Seconds of a command from its start to its end."""
        begun = time.perf_counter()
        subprocess.run(command, check=True, env=self._environment, cwd=self._checkout, stdout=subprocess.PIPE)
        return time.perf_counter() - begun

    def first_byte(self, *command):
        """Seconds of a command from its start to its first byte on a pipe; it is then left without a reader."""
        begun = time.perf_counter()
        with subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, bufsize=0) as process:
            byte = process.stdout.read(1)
            seconds = time.perf_counter() - begun
        if not byte:
            raise SystemExit(f"{' '.join(command)} wrote nothing")
        return seconds


def first_times(checkout, text):
    """Seconds of the first `train --steps 1` and of the first `sample` of a checkout, each with nothing compiled."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        place = ("--out", name, "--name", "run", "-q")
        commands = {
            "`charrnn train TEXT --steps 1`": (*CHARRNN, "train", str(text.absolute()), *place, "--steps", "1"),
            "`charrnn sample CHECKPOINT -n 1`": (*CHARRNN, "sample", str(Path(name, "run")), "-n", "1"),
        }
        for label, command in commands.items():
            machine = Machine(Path(name, str(len(found))), checkout)
            found[label] = machine.whole(*command)
    return found


def compare(checkouts, text, rounds):
    """Print the first times of two checkouts, which take turns; each goes first in every other round."""
    times = {checkout: [] for checkout in checkouts}
    for number in range(rounds):
        for checkout in checkouts[:: 1 if number % 2 else -1]:
            times[checkout].append(first_times(checkout, text))
    print("| whole process, nothing compiled | this checkout | the other | ratio |\n|---|---|---|---|")
    for label in times[HERE][0]:
        ours, others = ([found[label] for found in times[checkout]] for checkout in checkouts)
        ratio = statistics.median(a / b for a, b in zip(ours, others, strict=True))
        shown = " | ".join(", ".join(f"{seconds:.1f}" for seconds in each) for each in (ours, others))
        print(f"| {label} | {shown} | {ratio:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", type=Path, default=FABLES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--other", type=Path, help="another checkout, to compare what is compiled first")
    options = parser.parse_args()
    if options.other is not None:
        compare((HERE, options.other.absolute()), options.text, options.rounds)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        machine, checkpoint = Machine(folder), folder / "run"
        place = ("--out", str(folder), "--name", "run", "--force", "-q")
        train = (*CHARRNN, "train", str(options.text), *place, "--steps", "1")
        sample = (*CHARRNN, "sample", str(checkpoint))

        machine.whole(*CHARRNN, "--help")  # Python's own files, out of the way of what is measured
        first = machine.whole(*train)
        compiled = machine.kernels()
        machine.whole(*train[:-2], "--steps", "2", *OTHER_SIZES)
        added = set(machine.kernels()) - set(compiled)
        machine.whole(*train)

        cases = {
            '`python -c "import click"`': (machine.whole, (sys.executable, "-c", "import click")),
            "`charrnn --help`": (machine.whole, (*CHARRNN, "--help")),
            "`charrnn sample CHECKPOINT -n 1`": (machine.whole, (*sample, "-n", "1")),
            "`charrnn sample CHECKPOINT`, first character": (machine.first_byte, sample),
            "`charrnn train TEXT --steps 1`": (machine.whole, train),
        }
        times = {label: [] for label in cases}
        for _ in range(options.rounds):
            for label, (measure, command) in cases.items():
                times[label].append(measure(*command))

    print(f"medians of {options.rounds} runs; TEXT has {options.text.stat().st_size:,} bytes\n")
    print("| whole process | seconds | from – to |\n|---|---|---|")
    for label, seconds in times.items():
        print(f"| {label} | {statistics.median(seconds):.3f} | {min(seconds):.3f} – {max(seconds):.3f} |")
    print(f"| `charrnn train TEXT --steps 1`, nothing compiled ({len(compiled)} kernels) | {first:.2f} | once |")
    paired = [ours / click for click, ours in zip(*list(times.values())[:2], strict=True)]
    print(f"\n`charrnn --help` takes {statistics.median(paired):.2f} times as long as `import click` (median of pairs)")
    print(f"a run with `{' '.join(OTHER_SIZES)}` compiled {len(added)} kernels")


if __name__ == "__main__":
    main()
