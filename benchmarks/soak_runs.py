"""The runs of a soak: the processes, the evidence of what they are doing, and the rules that are judged after each."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CheckpointError

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
OPTIONS = (
    *("--hidden", "24", "--layers", "2", "--seq-len", "16", "--batch-size", "8", "--threads", "1", "--dropout", "0.2"),
    *("--ema", "0.99", "--save-every", "2", "--eval-every", "25", "--sample-every", "40"),
)
LARGE_OPTIONS = ("--split", "99.99/0.01", "--min-count", "5000000")  # replacing characters makes encoding slow
COMPILING, STOPPING = "Compiling", "Stopping after this step"
TIMES = ("elapsed_s", "eta_s", "chars_per_s")
OF_A_LIFE = ("started", "saved", "finished", "sealed")
EARLY = 3.0  # seconds that a run under a time budget may leave for its last evaluation and save
SLACK = 15.0  # seconds that a run under a time budget may take longer on a loaded machine
TIMEOUT = 300.0  # seconds; a life that takes longer hangs


class Sent(NamedTuple):
    """A signal that was sent.

    ``before`` is the phase just before.  ``phase`` is the same if it had not changed just after, else "between".
    ``late`` says whether the run had ended by then.
    """

    number: int
    before: str
    phase: str
    late: bool


class Run:
    """One run: a kind (steps, fresh, large, budget), its name, and its cache folder."""

    def __init__(self, soak, kind, name, cache):
        self.soak, self.kind, self.name, self.cache = soak, kind, name, cache
        self.path = soak.folder / name
        self.last = self.before = None  # the last checkpoint, after the last life and the one before

    def start(self):
        """A process that begins the run or goes on with it."""
        options = self.soak.options
        text = self.soak.folder / ("large.txt" if self.kind == "large" else "text.txt")
        end = ("--time-budget", f"{options.budget}s") if self.kind == "budget" else ("--steps", str(options.steps))
        how = (*OPTIONS, *end, *(LARGE_OPTIONS if self.kind == "large" else ()))
        if (self.path / "last.safetensors").exists():
            how = ("--resume",)
        arguments = (str(text), "--out", str(self.soak.folder), "--name", self.name, *how, "--json")
        return Life(self, (sys.executable, "-m", "charrnn", "train", *arguments))

    def live(self, phase=None, number=None):
        """One life; without a phase it is left alone.  Returns the signal and the phase that were hit, or None."""
        life = self.start()
        try:
            sent = [] if phase is None else life.aim(phase, number)
            status = life.wait()
        finally:
            life.process.kill()
        hit = self.judge_signals(life, sent, status)
        self.judge_files(life, sent, hit)
        if hit is None:
            self.judge_end(life)
            self.soak.ends[self.kind] += 1
            self.soak.runs.pop(self.kind)
        return hit

    def kernels(self):
        """The number of kernels in the cache."""
        return sum(1 for _ in (self.cache / "kernels").glob("*/*.*"))

    def fail(self, life, why):
        raise SystemExit(f"{self.name} ({self.kind}): {why}; stderr:\n{life.said()[-2000:]}")

    def judge_signals(self, life, sent, status):
        """Compare the exit status with the signals sent; the one that ended the life and its phase, or None."""
        said, early = life.said(), any(each.before == "starting" for each in sent)
        # Before the function main of charrnn, Python's own start may end with a traceback, or swallow a Ctrl-C.
        by_python = early and "KeyboardInterrupt" in said and "in main" not in said
        if "Traceback" in said and not by_python:
            self.fail(life, f"a traceback, exit status {status}")
        if status == 0 or (status == 1 and "the run is complete after" in said):
            if sent and status == 0 and not sent[0].late and not by_python:
                self.fail(life, f"it ignored {sent}")
            return None
        if status == -signal.SIGKILL and sent[-1].number == signal.SIGKILL:
            return signal.SIGKILL, sent[-1].phase if len(sent) == 2 else life.phase()
        first, last = sent[0], sent[-1]
        # A second signal ends the run without a last record. Two at once may be handled in either order.
        by_either = len(sent) == 2 and status in (128 + first.number, 128 + last.number)
        if by_either and (status != 128 + first.number or not life.finished()):
            return last.number, last.phase
        if status == 128 + first.number or (early and (status == -first.number or (by_python and status == 1))):
            return first.number, first.phase
        return self.fail(life, f"exit status {status} after {sent}")

    def judge_files(self, life, sent, hit):
        """The run's folder after a life: checkpoints, log, half-written files."""
        temporaries, log = life.temporaries(), self.path / "metrics.jsonl"
        self.soak.half_written.update(temporaries)
        self.before = self.last
        before = 0 if self.last is None else self.last.counters["step"]
        try:
            found = {name: self.checkpoint(name) for name in ("last", "best", "previous")}
        except CheckpointError as error:
            self.fail(life, f"a damaged checkpoint: {error}")
        self.last = found["last"]
        step = 0 if self.last is None else self.last.counters["step"]
        told = life.told()
        if told and told[0]["event"] == "started" and told[0]["step"] != before:
            self.fail(life, f"went on from step {told[0]['step']}, and {before} was saved")
        saved = [each["step"] for each in told if each["event"] == "saved" and each["reason"] != "best"]
        if (told and self.last is None) or step < max(saved, default=before):
            self.fail(life, f"step {step} is saved, {saved[-1:] or before} was")
        lines = log.read_bytes().splitlines(keepends=True) if log.exists() else []
        if lines and not lines[-1].endswith(b"\n"):
            self.soak.torn_logs += 1
            lines.pop()
        steps = [each["step"] for each in map(json.loads, lines) if each["event"] == "step"]
        if steps[:step] != list(range(1, step + 1)) or (life.records() and steps != list(range(1, len(steps) + 1))):
            self.fail(life, f"the log does not have every step to {step} once and in order")
        if self.kind == "large" and life.records() and list((self.cache / "corpora").glob("*.part")):
            self.fail(life, "half an encoded text is left")
        if hit is None or hit[0] == signal.SIGKILL:
            return
        first = sent[0]
        if hit == (first.number, first.phase) and life.exit_status == 128 + first.number:
            if temporaries or (hit[1] == "encoding" and life.parts()):
                self.fail(life, f"left half-written files: {temporaries or life.parts()}")
            if first.before in ("training", "saving"):
                if len(sent) == 1:
                    self.soak.seconds["stopping"] = 0.9 * self.soak.seconds["stopping"] + 0.1 * life.stopping_s
                if len(steps) != step or not life.finished():
                    self.fail(life, f"step {step} is saved, {len(steps)} is the last one in the log")

    def checkpoint(self, name):
        path = self.path / f"{name}.safetensors"
        return Checkpoint.load(path) if path.exists() else None

    def judge_end(self, life):
        """What a run must be when it has come to its end."""
        if self.kind == "budget":
            budget, elapsed = self.soak.options.budget, self.last.counters["elapsed_s"]
            left = budget - (self.before.counters["elapsed_s"] if self.before else 0)
            if not budget - EARLY < elapsed < budget + SLACK or life.ended - life.begun > max(left, 0) + SLACK:
                self.fail(life, f"ended after {elapsed:.1f} s of {budget} s, {life.ended - life.begun:.1f} s in one go")
            return
        for what, one, other in zip(
            ("counters", "last", "best", "log"), outcome(self.path), self.soak.expected[self.kind], strict=True
        ):
            if one != other:
                self.fail(life, f"{what} is not that of the uninterrupted run")
        if self.kind == "large" and digests(self.cache) != self.soak.ids:
            self.fail(life, "the encoded text is not that of the uninterrupted run")


class Life:
    """A process of a run, and the evidence of what it is doing."""

    def __init__(self, run, command):
        self.run, folder = run, run.soak.folder
        self.stdout, self.stderr = folder / "stdout", folder / "stderr"
        self.left = self.files()
        self.signalled, self.begun = time.time(), time.monotonic()
        with self.stdout.open("wb") as stdout, self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command, stdout=stdout, stderr=stderr, cwd=run.soak.elsewhere, preexec_fn=heed_signals,
                env=run.soak.environment(run.cache),
            )  # fmt: skip

    def aim(self, phase, number):
        """Send a signal at a random moment of a phase, or two; returns each signal with the phase that it met."""
        soak, sent = self.run.soak, []
        draw, seconds = soak.moments.uniform, soak.seconds
        if phase == "starting":
            self.sleep(draw(0, seconds["starting"]))
        elif phase == "compiling":
            self.wait_for(lambda: COMPILING in self.said())
            self.sleep(draw(0, seconds["compiling"] / 3))
        elif phase == "encoding":
            self.wait_for(self.parts)
            self.sleep(draw(0, seconds["encoding"]))
        else:
            self.wait_for(self.records)
            self.sleep(draw(0, soak.options.longest))
        if phase == "saving":
            self.wait_for(self.temporaries, 0.0001)
        if phase == "stopping":
            sent = [self.send(soak.moments.choice(SIGNALS[1:]))]
            self.sleep(draw(0, draw(0, 1.5 * seconds["stopping"])))  # it is often much shorter
        last = self.send(number)
        if sent and sent[0].before in ("training", "saving"):
            last = last._replace(phase="stopping")
        return [*sent, last]

    def send(self, number):
        """Send a signal now."""
        before = self.phase()
        self.signalled = time.time()
        self.process.send_signal(number)
        late = self.finished()
        return Sent(number, before, before if self.phase() == before else "between", late)

    def phase(self):
        """What the process is doing, by what there is to see."""
        if self.finished():
            return "between"  # the run has ended, the process has not
        if STOPPING in self.said():
            return "stopping"
        if self.temporaries():
            return "saving"
        if self.records():
            return "training"
        if self.parts():
            return "encoding"
        return "compiling" if COMPILING in self.said() and self.run.kernels() < self.run.soak.kernels else "starting"

    def wait_for(self, condition, pause=0.001):
        """Wait for evidence, or for the end of the process."""
        while not condition() and self.process.poll() is None:
            time.sleep(pause)

    def sleep(self, seconds):
        """Wait some seconds, or for the end of the process."""
        deadline = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() > deadline)

    def wait(self):
        """The exit status."""
        try:
            status = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.run.fail(self, f"it hangs, {self.phase()}")
        self.ended, self.exit_status = time.monotonic(), status
        self.stopping_s = max(self.stdout.stat().st_mtime - self.signalled, 0)
        return status

    def said(self):
        """The messages on stderr."""
        return self.stderr.read_text("utf-8", "replace")

    def records(self):
        """Whether there are records on stdout: the run has started to train."""
        return self.stdout.stat().st_size > 0

    def told(self):
        """The records on stdout; the last one may be cut."""
        return [json.loads(line) for line in self.stdout.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"]

    def finished(self):
        """Whether the record of the end was written."""
        with self.stdout.open("rb") as file:
            file.seek(max(0, self.stdout.stat().st_size - 4096))
            return b'"event":"finished"' in file.read()

    def files(self):
        """Half-written files of the run and of the corpus."""
        folders = ((self.run.path, "tmp"), (self.run.cache / "corpora", "part"))
        return {each.name for folder, end in folders for each in folder.glob(f"*.{end}")}

    def temporaries(self):
        """Half-written files of the run, made in this life."""
        return {name for name in self.files() - self.left if name.endswith(".tmp")}

    def parts(self):
        """Half-encoded texts, made in this life."""
        return {name for name in self.files() - self.left if name.endswith(".part")}


def heed_signals():
    """A soak that nohup or a shell's & has started ignores Ctrl-C: its runs must not."""
    for number in SIGNALS[1:]:
        signal.signal(number, signal.SIG_DFL)


def digests(cache):
    """The SHA-256 of each encoded text in a cache."""
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in (cache / "corpora").glob("*.ids")}


def outcome(path):
    """What must not depend on kills: counters, tensors of last and best as bytes, the log's records but times."""
    last, best = (Checkpoint.load(path / f"{name}.safetensors") for name in ("last", "best"))
    records = [json.loads(line) for line in (path / "metrics.jsonl").read_text("utf-8").splitlines()]
    log = [{k: v for k, v in r.items() if k not in TIMES} for r in records if r["event"] not in OF_A_LIFE]
    counters = {name: value for name, value in last.counters.items() if name not in TIMES}
    return counters, tensors(last), tensors(best), log


def tensors(checkpoint):
    """Every array of a checkpoint as bytes, by name."""
    slots = {f"{slot}.{name}": value for slot, named in checkpoint.optimizer.items() for name, value in named.items()}
    state = {f"state.{name}": value for name, value in (checkpoint.state or {}).items()}
    return {name: value.tobytes() for name, value in {**checkpoint.parameters, **slots, **state}.items()}
