"""Kill training runs of the installed package at random moments, resume each, and judge what is left of them.

    python benchmarks/soak.py
    python benchmarks/soak.py --kills 500 --seed 2
    python benchmarks/soak.py --kills 30 --phases training saving stopping
    python benchmarks/soak.py --kills 100 --ranks 1 2 4 8

A wheel of this checkout is built and installed into a temporary folder, and the runs use it from another folder.  Every
life of a run is aimed at one phase with one signal, at a random moment:

- starting: before the first record;
- compiling: the kernel cache was empty or incomplete;
- encoding: a large text is being encoded into a file of the cache, and was not in the cache before;
- training: between the first record and the last;
- saving: a file of the run is half written;
- stopping: SIGTERM or SIGINT has asked the run to save and end, and another signal follows.

The phase that is counted is the one that the evidence shows: records on stdout, messages on stderr, half-written files,
kernels in the cache.  If the evidence changed while the signal was sent, the kill counts as "between".  A process that
had ended already was not killed.  Some runs have --time-budget; the table lists their kills in rows of their own.

After every life all checkpoints must be whole, and the last one must have every step that was reported as saved.  After
SIGTERM or SIGINT the exit status must be 143 or 130; if training had begun, the last checkpoint must be of the last
step in the log.  A resumed life must go on from the last checkpoint.  A run that comes to its end must have the tensors
(last and best), counters and log of an uninterrupted one.  Under --time-budget bits are not promised: the log must have
every step once and in order, and the run must end when its time is over.

The soak fails if a run breaks one of these rules, if there were fewer kills than asked, or if a planned pair of signal
and phase was never hit.  The folder of a soak that failed is kept.

With --ranks the lives of a run have these numbers of ranks of MPI, in turn, and the soak is the one that
benchmarks/soak_ranks.py describes.

Options: --kills, how many; --seed, of the moments; --phases, to which the plan is limited; --steps, of a run;
--longest, the longest time in seconds that a life may train before its signal; --budget, the time budget in seconds.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from soak_ranks import RanksSoak
from soak_runs import COMPILING, SIGNALS, Run, digests, outcome

ROOT = Path(__file__).resolve().parent.parent
PHASES = ("starting", "compiling", "encoding", "training", "saving", "stopping")
DECK = (  # kind of run, phase, how often in a deck with each signal
    *(("fresh", "compiling", 1), ("fresh", "training", 1), ("large", "encoding", 1), ("large", "training", 1)),
    *(("steps", "starting", 2), ("steps", "training", 1), ("steps", "saving", 1), ("steps", "stopping", 1)),
    *(("budget", "training", 1), ("budget", "saving", 1), ("budget", "stopping", 1)),
)
TRIES = 10  # lives to hit a planned phase
LARGE = 96 << 20  # bytes of the large text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", nargs="+", choices=PHASES, default=PHASES)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--longest", type=float, default=1.0)
    parser.add_argument("--budget", type=int, default=12)
    parser.add_argument("--ranks", nargs="+", type=int, choices=(1, 2, 4, 8))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        (RanksSoak if options.ranks else Soak)(folder, installed(folder), options).run()
    except BaseException:
        print(f"what is left is in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)


def installed(folder):
    """Build a wheel of this checkout and install it; the folder that has the package."""
    source, wheels, package = folder / "source", folder / "wheels", folder / "installed"
    shutil.copytree(ROOT / "charrnn", source / "charrnn", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    build = (*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(source))
    for isolation in ((), ("--no-build-isolation",)):  # offline, what is installed must do
        if not subprocess.run((*build, *isolation), capture_output=True, check=False).returncode:
            wheel = str(next(wheels.glob("*.whl")))
            subprocess.run((*pip, "install", "--quiet", "--no-deps", "--target", str(package), wheel), check=True)
            return package
    print("no wheel can be built offline with this setuptools: the package is built without one", flush=True)
    setup = (sys.executable, "-c", "import setuptools; setuptools.setup()", "--quiet", "build", "--build-lib")
    subprocess.run((*setup, str(package)), cwd=source, check=True)
    return package


class Soak:
    """Runs of the package in the folder ``package``, killed as ``options`` say; files are in ``folder``."""

    def __init__(self, folder, package, options, cache=None):
        self.folder, self.package, self.options, self.cache = folder, package, options, cache or folder / "cache"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self.moments = random.Random(options.seed)
        self.seconds = {"starting": 1.0, "compiling": 0.0, "encoding": 0.0, "stopping": 0.02}
        self.kernels, self.ids = 0, set()
        self.expected, self.runs = {}, {}
        self.planned, self.hits, self.ends = Counter(), Counter(), Counter()
        self.number = self.lives = self.torn_logs = 0
        self.half_written = set()
        self.begun = self.reported = time.monotonic()

    def run(self):
        """Spend the kills; raise SystemExit where a rule is broken."""
        self.require_installed()
        self.prepare()
        self.begun = time.monotonic()
        deck = []
        while self.kills < self.options.kills and self.lives < 3 * self.options.kills + 20:
            deck = deck or self.shuffled_deck()
            kind, phase, number = deck.pop()
            self.planned[self.cell(number, phase, kind)] += 1
            for _ in range(TRIES):
                if self.live(kind, phase, number) == self.cell(number, phase, kind):
                    break
        for run in list(self.runs.values()):
            run.live()
        print(self.table())
        self.require_hits()
        print("nothing lost: every end has the bytes of the uninterrupted run")

    @property
    def kills(self):
        return self.hits.total()

    @staticmethod
    def cell(number, phase, kind):
        """The row and the column of the table."""
        return phase + ", time budget" * (kind == "budget"), number.name

    def shuffled_deck(self):
        """What to aim at, in a random order: kind of run, phase, signal."""
        phases, needed = self.options.phases, {"fresh": "compiling", "large": "encoding"}
        cards = [card for card in DECK if card[1] in phases and needed.get(card[0], card[1]) in phases]
        deck = [(kind, phase, number) for kind, phase, times in cards for number in SIGNALS for _ in range(times)]
        self.moments.shuffle(deck)
        return deck

    def require_installed(self):
        """Refuse to test another package than the installed one."""
        command = (sys.executable, "-c", "import charrnn; print(charrnn.__file__)")
        found = subprocess.check_output(command, cwd=self.elsewhere, env=self.environment(self.cache), text=True)
        if Path(found.strip()).resolve().parent != (self.package / "charrnn").resolve():
            raise SystemExit(f"not the installed package would run, but {found.strip()}")

    def environment(self, cache):
        return {**os.environ, "PYTHONPATH": str(self.package), "CHARRNN_CACHE": str(cache)}

    def prepare(self):
        """Write the texts and make the uninterrupted runs, which also show how long the phases take."""
        print("the uninterrupted runs …", flush=True)
        fables = (ROOT / "corpora" / "fables.txt").read_text("utf-8")
        (self.folder / "text.txt").write_text(fables[:20_000], "utf-8")
        for kind in ("fresh", "steps"):  # the first one compiles
            life = self.uninterrupted(kind)
        self.expected["fresh"] = self.expected["steps"] = outcome(life.run.path)
        if "encoding" in self.options.phases:
            with (self.folder / "large.txt").open("w", encoding="utf-8") as file:
                while file.tell() < LARGE:
                    file.write(fables)
            self.expected["large"] = outcome(self.uninterrupted("large").run.path)
            self.ids = digests(self.cache)

    def uninterrupted(self, kind):
        """A run without signals, and how long its phases take."""
        life = Run(self, kind, f"whole-{kind}", self.cache).start()
        seen = {}
        while not life.records() and life.process.poll() is None:
            seen.setdefault(life.phase(), time.monotonic())
            if COMPILING in life.said():
                seen.setdefault("compiling", time.monotonic())
            time.sleep(0.002)
        seen["training"] = time.monotonic()
        if kind == "fresh":
            self.kernels = life.run.kernels()
            self.seconds["compiling"] = seen["training"] - seen.get("compiling", seen["training"])
        elif kind == "large":
            self.seconds["encoding"] = seen["training"] - seen.get("encoding", seen["training"])
        else:
            self.seconds["starting"] = seen["training"] - life.begun
        if life.wait():
            raise SystemExit(f"the uninterrupted run failed: {life.said()}")
        return life

    def live(self, kind, phase, number):
        """One life of the run of a kind, aimed at a phase with a signal; the cell that was hit, or None."""
        if kind not in self.runs:
            self.number += 1
            cache = self.folder / f"cache{self.number}" if kind == "fresh" else self.cache
            self.runs[kind] = Run(self, kind, f"run{self.number}", cache)
        run = self.runs[kind]
        if phase == "encoding" and list((self.cache / "corpora").glob("*.json")):
            shutil.rmtree(self.cache / "corpora")
        if phase == "compiling" and run.kernels() >= self.kernels:
            shutil.rmtree(run.cache / "kernels")
        self.lives += 1
        hit = run.live(phase, number)
        if hit is not None:
            hit = self.cell(*hit, kind)
            self.hits[hit] += 1
        self.tell()
        return hit

    def tell(self):
        """Print how far it is, now and then."""
        now = time.monotonic()
        if now - self.reported > 15 and self.kills:
            self.reported, gone = now, (now - self.begun) / 60
            left = gone * max(self.options.kills - self.kills, 0) / self.kills
            done = f"{self.kills} of {self.options.kills} kills, {self.ends.total()} ends of runs"
            print(f"{done}, {gone:.1f} min gone, about {left:.1f} min left", flush=True)

    def table(self):
        """The hits of every phase and signal, and in parentheses how often they were planned."""
        order = [self.cell(signal.SIGKILL, phase, kind)[0] for phase in PHASES for kind in ("", "budget")]
        rows = {row for row, _ in (*self.hits, *self.planned)}
        lines = ["", f"{'hits (planned)':24}" + "".join(f"{number.name:>14}" for number in SIGNALS)]
        for row in sorted(rows, key=lambda row: (order.index(row) if row in order else len(order), row)):
            cells = [(row, number.name) for number in SIGNALS]
            lines.append(f"{row:24}" + "".join(f"{f'{self.hits[c]} ({self.planned[c]})':>14}" for c in cells))
        totals = [sum(n for (_, name), n in self.hits.items() if name == number.name) for number in SIGNALS]
        ends = ", ".join(f"{count} {kind}" for kind, count in sorted(self.ends.items()))
        return "\n".join((
            *lines, f"{'all':24}" + "".join(f"{total:>14}" for total in totals), "",
            f"{self.kills} kills in {self.lives} lives and {(time.monotonic() - self.begun) / 60:.1f} min",
            f"{self.ends.total()} runs came to their ends: {ends}",
            f"{len(self.half_written)} half-written files were left, {self.torn_logs} times half a line in the log",
            "seconds of a phase: " + ", ".join(f"{name} {took:.2f}" for name, took in self.seconds.items()),
        ))  # fmt: skip

    def require_hits(self):
        """Fail if fewer kills happened than asked, or if something planned was never hit."""
        problems = [f"never hit: {' by '.join(cell)}" for cell in self.planned if not self.hits[cell]]
        if self.kills < self.options.kills:
            problems.append(f"{self.kills} kills happened, {self.options.kills} were asked")
        if problems:
            raise SystemExit("the soak shows nothing: " + "; ".join(problems))


if __name__ == "__main__":
    main()
