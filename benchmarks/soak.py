"""Kill training runs at random moments, resume each, and compare their ends with an uninterrupted one.

    python benchmarks/soak.py
    python benchmarks/soak.py --kills 1000 --seed 2

Every life of a run is ended by SIGKILL at a random moment: a quarter of them in the time that a start takes, imports
included, the others up to a number of seconds after the first record.  A run saves every second step, so that kills
often hit a save.  After each kill the last checkpoint must be whole, or not be there before the first save.  When a run
comes to its end before all kills are spent, its tensors (last and best), counters and log must be those of the
uninterrupted run, and another one begins.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CheckpointError

FABLES = Path(__file__).parent.parent / "corpora" / "fables.txt"
TIMES = ("elapsed_s", "eta_s", "chars_per_s")
STARTING = 0.25  # of the lives end before the time that a start takes
OF_A_LIFE = ("started", "saved", "finished")
OPTIONS = (
    *("--hidden", "24", "--layers", "2", "--seq-len", "16", "--batch-size", "8", "--threads", "1", "--dropout", "0.2"),
    *("--ema", "0.99", "--save-every", "2", "--eval-every", "25", "--sample-every", "40"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--steps", type=int, default=400, help="of a run")
    parser.add_argument("--longest", type=float, default=1.0, help="seconds of training in a life")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Soak(Path(folder), options).run()


class Soak:
    """Runs of one text and one configuration in ``folder``, killed as ``options`` say."""

    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.text = folder / "text.txt"
        self.text.write_text(FABLES.read_text("utf-8")[:20_000], "utf-8")
        self.moments = random.Random(options.seed)
        self.startup_s = 0.0
        self.kills = {"starting": 0, "training": 0}
        self.ends = self.torn_logs = 0
        self.half_written = set()

    def run(self):
        """Spend the kills; raise SystemExit where something was lost."""
        print("the uninterrupted run, twice …", flush=True)
        for name in ("first", "whole"):  # the first may have to compile
            begun = time.monotonic()
            process = self.start(name)
            self.startup_s = self.first_record(process, begun)
            if process.wait():
                raise SystemExit("the uninterrupted run failed")
        whole_s = time.monotonic() - begun
        expected = outcome(self.folder / "whole")
        begun = time.monotonic()
        number = 0
        while sum(self.kills.values()) < self.options.kills:
            number += 1
            self.go_through(f"run{number}", expected)
        print(
            f"{sum(self.kills.values())} kills ({self.kills['starting']} in the time of a start, "
            f"{self.kills['training']} later) of {number} runs, {self.ends} of them gone through, in "
            f"{time.monotonic() - begun:.0f} s\n"
            f"{len(self.half_written)} half-written files were left, {self.torn_logs} times half a line in the log\n"
            f"the uninterrupted run took {whole_s:.1f} s, {self.startup_s:.1f} s of them to start\n"
            "nothing lost: every end has the bytes of the uninterrupted one"
        )

    def go_through(self, name, expected):
        """One run, from its start over its kills to its end."""
        path = self.folder / name
        while True:
            spent = sum(self.kills.values()) >= self.options.kills
            status = self.start(name).wait() if spent else self.live(name)
            if status == 0:
                break
            if status != -signal.SIGKILL:
                raise SystemExit(f"{name}: exit status {status}, see above")
            if self.steps_saved(path) == self.options.steps:  # killed after its last save
                break
        found = outcome(path)
        for what, one, other in zip(("progress", "last", "best", "log"), found, expected, strict=True):
            if one != other:
                raise SystemExit(f"{name}: {what} is not that of the uninterrupted run")
        self.ends += 1
        print(f"{name}: {sum(self.kills.values())} kills so far, the end is the same", flush=True)

    def live(self, name):
        """One life: start or resume, then kill; its exit status."""
        begun = time.monotonic()
        process = self.start(name)
        starting = self.moments.random() < STARTING
        if starting:
            time.sleep(self.moments.uniform(0, self.startup_s))
        else:
            self.first_record(process, begun)
            time.sleep(self.moments.uniform(0, self.options.longest))
        process.kill()
        status = process.wait()
        if status:
            self.kills["starting" if starting else "training"] += 1
        return status

    def start(self, name):
        """A process that begins the run or goes on with it."""
        path = self.folder / name
        go_on = ("--resume",) if (path / "last.safetensors").exists() else ()
        command = (sys.executable, "-m", "charrnn", "train", str(self.text), "--out", str(self.folder), "--name", name)
        steps = () if go_on else ("--steps", str(self.options.steps), *OPTIONS)
        with (self.folder / "stdout").open("wb") as stdout:
            return subprocess.Popen((*command, *go_on, *steps, "--json"), stdout=stdout)

    def first_record(self, process, begun):
        """Wait for the first line of a process; the seconds that took."""
        while process.poll() is None and not (self.folder / "stdout").stat().st_size:
            time.sleep(0.002)
        return time.monotonic() - begun

    def steps_saved(self, path):
        """The steps of the last checkpoint after a kill, which must be whole, or None before there is one."""
        if not path.exists():
            return None
        self.half_written.update(file.name for file in path.iterdir() if file.name.endswith(".tmp"))
        log = path / "metrics.jsonl"
        self.torn_logs += log.exists() and not (b"\n" + log.read_bytes()).endswith(b"\n")
        last = path / "last.safetensors"
        try:
            return Checkpoint.load(last).counters["step"] if last.exists() else None
        except CheckpointError as error:
            raise SystemExit(f"a kill damaged the checkpoint: {error}") from None


def outcome(path):
    """What must not depend on kills: counters, tensors of last and best as bytes, the log's records but times."""
    last, best = (Checkpoint.load(path / f"{name}.safetensors") for name in ("last", "best"))
    lines = (path / "metrics.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    log = [{k: v for k, v in r.items() if k not in TIMES} for r in records if r["event"] not in OF_A_LIFE]
    progress = {name: value for name, value in last.counters.items() if name not in TIMES}
    return progress, tensors(last), tensors(best), log


def tensors(checkpoint):
    """Every array of a checkpoint as bytes, by name."""
    slots = {f"{slot}.{name}": value for slot, named in checkpoint.optimizer.items() for name, value in named.items()}
    state = {f"state.{name}": value for name, value in (checkpoint.state or {}).items()}
    return {name: value.tobytes() for name, value in {**checkpoint.parameters, **slots, **state}.items()}


if __name__ == "__main__":
    main()
