"""The soak of a run on several ranks: kill some of its processes, go on with another number of ranks, judge the end.

A life is ``charrnn train`` on the next of the numbers of ranks, under mpirun if it is more than one.  Between its first
record and its last, at a random moment, one signal is sent: SIGKILL to a random rank; SIGTERM, SIGINT or SIGUSR1 to a
random rank or to mpirun.  A kill counts if the process was alive when the signal was sent, the run had not finished,
and the exit status shows that it was ended.

After every life no process is left, and the checkpoints are whole; the last one has every step that was reported as
saved, and the log has every step up to it once.  After SIGTERM, SIGINT and SIGUSR1 the exit status is 128 + the signal,
and the last checkpoint is of the last step in the log.  A run that comes to its end has the tensors, the counters and
the log of an undisturbed run in one process.
"""

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from soak_runs import OPTIONS, TIMEOUT, heed_signals, outcome

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CheckpointError

GROUPS = 8  # which 1, 2, 4 and 8 ranks can share
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
LAUNCHER = Path(sys.prefix, "bin", "mpirun")
GONE = 30.0  # seconds in which all processes of a life are gone after mpirun


class RanksSoak:
    """Runs of the package in the folder ``package``, on ``options.ranks`` ranks in turn; files are in ``folder``."""

    def __init__(self, folder, package, options, cache=None):
        self.folder, self.package, self.options, self.cache = folder, package, options, cache or folder / "cache"
        self.moments = random.Random(options.seed)
        self.ranks = itertools.cycle(options.ranks)
        self.hits, self.late, self.ends = Counter(), 0, 0
        self.number, self.path, self.expected, self.begun = 0, None, None, time.monotonic()

    def run(self):
        """Spend the kills; raise SystemExit where a rule is broken."""
        print("the undisturbed run …", flush=True)
        (self.folder / "text.txt").write_text(
            (Path(__file__).parent.parent / "corpora" / "fables.txt").read_text("utf-8")[:20_000], "utf-8"
        )
        self.next_run()
        life = RanksLife(self, 1)
        if life.wait():
            raise SystemExit(f"the undisturbed run failed: {life.said()}")
        self.expected = outcome(self.path)
        self.next_run()
        self.begun, told = time.monotonic(), 0.0
        for lives in itertools.count(1):
            if self.hits.total() >= self.options.kills or lives > 3 * self.options.kills + 20:
                break
            self.live(next(self.ranks), self.moments.choice(SIGNALS))
            if time.monotonic() - told > 15:
                told = time.monotonic()
                print(f"{self.hits.total()} kills in {lives} lives, {self.ends} ends of runs", flush=True)
        while not self.live(next(self.ranks), None):
            pass
        print(self.table(lives))
        self.require_hits()
        print("nothing lost: every end has the bytes of the undisturbed run in one process")

    def next_run(self):
        """Begin another run."""
        self.number += 1
        self.path = self.folder / f"ranks{self.number}"

    def live(self, ranks, number):
        """One life with a signal, if it is not None; returns whether the run came to its end."""
        life = RanksLife(self, ranks)
        try:
            target = None if number is None else life.signal_at_random(number)
            status = life.wait()
        finally:
            life.end()
        is_complete = life.judge(number if target else None, status)
        if target and is_complete:
            self.late += 1
        elif target:
            self.hits[ranks, target, number.name] += 1
        if is_complete:
            life.judge_end()
            self.ends += 1
            self.next_run()
        return is_complete

    def table(self, lives):
        """The kills by number of ranks, by what was signalled and by signal."""
        names = [number.name for number in SIGNALS]
        lines = ["", f"{'kills while training':24}" + "".join(f"{name:>10}" for name in names)]
        for ranks in sorted(set(self.options.ranks)):
            for target in ("rank", "mpirun"):
                counts = [self.hits[ranks, target, name] for name in names]
                if any(counts):
                    of = f"{ranks} rank{'s' * (ranks > 1)}, to {'a rank' if target == 'rank' else target}"
                    lines.append(f"{of:24}" + "".join(f"{count:>10}" for count in counts))
        minutes = (time.monotonic() - self.begun) / 60
        return "\n".join((
            *lines, "", f"{self.hits.total()} kills while training, in {lives} lives and {minutes:.1f} min; "
            f"{self.late} came too late", f"{self.ends} runs came to their ends",
        ))  # fmt: skip

    def require_hits(self):
        """Fail if fewer kills happened than asked, or none with one of the numbers of ranks."""
        found = {ranks for (ranks, _, _), count in self.hits.items() if count}
        problems = [f"never killed: {ranks} ranks" for ranks in dict.fromkeys(self.options.ranks) if ranks not in found]
        if self.hits.total() < self.options.kills:
            problems.append(f"{self.hits.total()} kills happened, {self.options.kills} were asked")
        if problems:
            raise SystemExit("the soak shows nothing: " + "; ".join(problems))


class RanksLife:
    """The processes of one life: mpirun and its ranks, or one process."""

    def __init__(self, soak, ranks):
        self.soak, self.ranks, self.path = soak, ranks, soak.path
        self.stdout, self.stderr = soak.folder / "stdout", soak.folder / "stderr"
        last = self.path / "last.safetensors"
        self.before = Checkpoint.load(last).counters["step"] if last.exists() else 0
        how = ("--resume",) if last.exists() else (
            *OPTIONS, "--groups", str(GROUPS), "--steps", str(soak.options.steps),
        )  # fmt: skip
        train = (str(soak.folder / "text.txt"), "--out", str(soak.folder), "--name", self.path.name, *how, "--json")
        command = (sys.executable, "-m", "charrnn", "train", *train)
        self.mark = f"CHARRNN_SOAK={soak.folder.name}-{time.monotonic_ns()}"
        name, value = self.mark.split("=")
        environment = {**os.environ, "PYTHONPATH": str(soak.package), "CHARRNN_CACHE": str(soak.cache), name: value}
        with self.stdout.open("wb") as stdout, self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command if ranks == 1 else (str(LAUNCHER), "-n", str(ranks), *command),
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=soak.folder, env=environment,
                preexec_fn=heed_signals, start_new_session=True,
            )  # fmt: skip

    def processes(self, only_ranks=False):
        """The processes of the life, by the mark in their environment; of the ranks alone by their arguments."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                is_rank = b"\0-m\0charrnn\0train\0" in command and not command.startswith(os.fsencode(LAUNCHER))
                if self.mark.encode() in (folder / "environ").read_bytes() and (is_rank or not only_ranks):
                    found.append(int(folder.name))
        return [each for each in found if not (only_ranks and b"hydra" in _name(each))]

    def signal_at_random(self, number):
        """Let the run train for a random time, and send a signal; returns who got it: "rank", "mpirun" or None."""
        while not self.stdout.stat().st_size and self.process.poll() is None:
            time.sleep(0.005)
        deadline = time.monotonic() + self.soak.moments.uniform(0, self.soak.options.longest)
        while time.monotonic() < deadline and self.process.poll() is None:
            time.sleep(0.005)
        target = "rank"
        if self.ranks > 1 and number != signal.SIGKILL and self.soak.moments.random() < 0.5:
            target = "mpirun"
        found = [self.process.pid] if target == "mpirun" or self.ranks == 1 else sorted(self.processes(True))
        if not found or self.process.poll() is not None or self.finished():
            return None
        if len(found) not in (1, self.ranks):
            self.fail(f"{len(found)} processes are the ranks")
        try:
            os.kill(self.soak.moments.choice(found), number)
        except ProcessLookupError:
            return None
        return target

    def wait(self):
        """The exit status, after the end of all processes."""
        try:
            status = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.fail("it hangs")
        deadline = time.monotonic() + GONE
        while left := self.processes():
            if time.monotonic() > deadline:
                self.fail(f"processes {left} are left over")
            time.sleep(0.01)
        return status

    def end(self):
        """Kill whatever is left."""
        for each in (self.process.pid, *self.processes()):
            if each != self.process.pid or self.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
        self.process.wait()

    def judge(self, number, status):
        """Judge the exit status and the files after a signal, or None; returns whether the run is complete."""
        said, told = self.said(), self.told()
        if "Traceback" in said:
            self.fail("a traceback")
        try:
            found = {name: self.checkpoint(name) for name in ("last", "best", "previous")}
        except CheckpointError as error:
            self.fail(f"a damaged checkpoint: {error}")
        step = 0 if found["last"] is None else found["last"].counters["step"]
        saved = [each["step"] for each in told if each["event"] == "saved" and each["reason"] != "best"]
        if told and told[0]["event"] == "started" and told[0]["step"] != self.before:
            self.fail(f"it went on from step {told[0]['step']}, and {self.before} was saved")
        if step < max(saved, default=self.before):
            self.fail(f"step {step} is saved, {saved[-1:]} was")
        log = self.path / "metrics.jsonl"
        lines = [line for line in log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        steps = [each["step"] for each in map(json.loads, lines) if each["event"] == "step"]
        if steps[:step] != list(range(1, step + 1)):
            self.fail(f"the log does not have every step to {step} once and in order")
        # A run that was stopped while n-grams learn at its end is not complete, or does not know that it is.
        knows = status == 1 and "the run is complete after" in said
        is_complete = knows or (told[-1:] != [] and told[-1].get("reason") == "completed")
        if is_complete and step != self.soak.options.steps:
            self.fail(f"it is complete after {step} steps")
        if number is None and not (knows or (is_complete and status == 0)):
            self.fail(f"exit status {status} without a signal")
        if number == signal.SIGKILL and status == 0 and not is_complete:
            self.fail("a rank was killed, and the exit status is 0")
        if number not in (None, signal.SIGKILL):
            if status not in (128 + number, *([0] if is_complete else [])):
                self.fail(f"exit status {status} after {number.name}")
            interrupted = [
                each["step"] for each in told if each["event"] == "saved" and each["reason"] == "interrupted"
            ]
            if len(steps) != step or len(interrupted) > 1:
                self.fail(f"step {step} is saved, {len(steps)} is the last in the log, saves at the end: {interrupted}")
        return is_complete

    def judge_end(self):
        """Compare a complete run with the undisturbed one."""
        for what, one, other in zip(
            ("counters", "last", "best", "log"), outcome(self.path), self.soak.expected, strict=True
        ):
            if one != other:
                self.fail(f"{what} is not that of the undisturbed run")

    def checkpoint(self, name):
        path = self.path / f"{name}.safetensors"
        return Checkpoint.load(path) if path.exists() else None

    def told(self):
        """The records on stdout; a line of mpirun, which it also writes there, can cut one, and so can a kill."""
        found, cut = [], 0
        for line in self.stdout.read_bytes().splitlines():
            if line.startswith(b"{"):
                try:
                    found.append(json.loads(line))
                except ValueError:
                    cut += 1
        if cut > 1:
            self.fail(f"{cut} records on stdout are cut")
        return found

    def finished(self):
        """Whether the record of the end is on stdout."""
        return any(each["event"] == "finished" for each in self.told()[-1:])

    def said(self):
        """The messages on stderr."""
        return self.stderr.read_text("utf-8", "replace")

    def fail(self, why):
        raise SystemExit(f"{self.path.name} on {self.ranks} ranks: {why}; stderr:\n{self.said()[-2000:]}")


def _name(process):
    try:
        return Path(f"/proc/{process}/comm").read_bytes()
    except OSError:
        return b""
