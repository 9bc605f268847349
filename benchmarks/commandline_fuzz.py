"""Run random command lines of every command as processes, and check how each one ends.

    python benchmarks/commandline_fuzz.py --runs 5000 --jobs 2      # the same command lines for the same --seed
    python benchmarks/commandline_fuzz.py --first 1234 --runs 1     # one of them again

tests/support/drawn_lines.py draws the command lines from click's own tree, with good and absurd values and files.  A
process may succeed, or end with one short line.  Anything else is a fault: a traceback, another exit status, a control
character or an escape sequence on stderr or a terminal, NaN in --json, a file that is left behind or written somewhere
else, more than --memory MB, silence for --timeout seconds, or no end within GRACE seconds of SIGTERM.  A process that
is still at work at its time limit, and then ends on SIGTERM, is counted and is no fault.

It needs Linux.  Everything happens in a temporary folder, a proxy that does not exist keeps the network away, and
kernels are compiled once, into CHARRNN_CACHE if it is set.  A fault is kept in the folder --keep: its command line,
files and output.  The run ends after --most faults, and with exit status 1 if there was one.
"""

import argparse
import contextlib
import json
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

import numpy as np
from drawn_lines import EVIL, HOSTILE, commands, draw
from harmless import OWN_OF_LIVE_DISPLAYS, harmless, read_all
from pytorch_files import archive, state_dict
from torch7_files import char_rnn

from charrnn.inspection.naming_cache import FILE
from charrnn.sanitise import visible

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = (sys.executable, "-m", "charrnn")
STATUSES = {0, 1, 2, 130, 141, 143}
LONGEST_MESSAGE = 2000  # characters
EACH_FILE = ("compress", "decompress", "identify", "score")  # they go on with the next file when one has failed
GRACE = 15  # seconds from SIGTERM to the end
MOST_WRITTEN = 500 * 2**20  # bytes of a file
ADDRESSES = 16 * 2**30  # bytes: what no process may take from this machine


class Outcome(NamedTuple):
    """How a process ended.

    Attributes:
        status: its exit status; negative is a signal.
        stdout: what came out, or all that a terminal got.
        stderr: empty if there was a terminal.
        changes: paths in its world that are new, gone or changed, with whether each is new.
        memory: its peak, in MB.
        seconds: until it ended, or until it was stopped.
        stopped: whether the time was over.
    """

    status: int
    stdout: bytes
    stderr: bytes
    changes: dict[str, bool]
    memory: float
    seconds: float
    stopped: bool


class World:
    """A folder with what command lines name, of which each process gets a copy.

    Args:
        folder: where everything happens.
        program: what is run with the arguments.
    """

    def __init__(self, folder, program=PROGRAM):
        self.folder, self.program = Path(folder).resolve(), program
        cache = os.environ.get("CHARRNN_CACHE") or str(self.folder / "cache")
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
            **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9"),
            **{"CHARRNN_CACHE": cache, "MPLCONFIGDIR": cache, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            **{"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "PAGER": "cat", "LC_ALL": "C.UTF-8"},
        }  # fmt: skip

    def build(self):
        """Make the files that every process gets a copy of."""
        place = self.folder / "model" / "here"
        place.mkdir(parents=True)
        for name in ("home", "tmp", "corpora"):
            (place.parent / name).mkdir()
        text = (ROOT / "corpora" / "fables.txt").read_text("utf-8")[:6000]
        hostile = (HOSTILE.encode("utf-8", "replace").decode() + "\n" + text[:40]) * 30
        (place / "texts").mkdir()
        (place / "empty").mkdir()
        for name in ("good.txt", "texts/one.txt", "texts/two.txt", "--dash", "-q", "[red]a.txt", f"{EVIL}.txt"):
            (place / name).write_text(text, "utf-8")
        (place / "hostile.txt").write_text((hostile * (10**6 // len(hostile) + 1))[: 10**6], "utf-8")
        (place / "evil.txt").write_text(hostile, "utf-8")
        (place / "empty.txt").touch()
        (place / "one.txt").write_text("a")
        (place / "binary").write_bytes(bytes(range(256)) * 40 + b"\0" * 9)
        (place / "settings.toml").write_text("hidden = 5\nsteps = 2\nlr = 0.01\n")
        (place / "mask.txt").write_text("0011" * 1500)
        np.save(place / "mask.npy", np.arange(6000) % 4 > 1)
        (place / "theirs.pt").write_bytes(
            archive({"state": state_dict(np.random.default_rng(1)), "chars": list("abcde")})
        )
        (place / "theirs.t7").write_bytes(char_rnn()[0])
        (place / "loop").symlink_to("loop")
        (place / "dead").symlink_to("nowhere")
        (place / "unreadable").write_text("x")
        (place / "unreadable").chmod(0)
        small = ("--out", "runs", "--hidden", "6", "--batch-size", "4", "--seq-len", "16", "--threads", "1", "-q")
        good = ("good.txt", "--snapshots", "--keep-checkpoints", "3")
        models = {"good": good, "bytes": ("binary", "--bytes"), "hostile": ("evil.txt",)}
        for name, options in models.items():
            arguments = ("train", *options, "--name", name, *small, "--steps", "12", "--sample-every", "4")
            subprocess.run([*PROGRAM, *arguments], cwd=place, env=self._environment(place.parent), check=True)
        data = (place / "runs" / "good" / "best.safetensors").read_bytes()
        (place / "good.safetensors").write_bytes(data)
        words = ("identify", "--learn", "texts", "-o", "set.safetensors", "-q")
        subprocess.run([*PROGRAM, *words], cwd=place, env=self._environment(place.parent), check=True)
        (place / "cut.safetensors").write_bytes(data[: len(data) // 2])
        (place / "flipped.safetensors").write_bytes(data[:3000] + bytes([data[3000] ^ 4]) + data[3001:])
        return self

    def _environment(self, above):
        places = {"HOME": "home", "TMPDIR": "tmp", "CHARRNN_CORPORA": "corpora"}
        return {**self.environment, **{name: str(above / place) for name, place in places.items()}}

    def run(self, line, timeout, name="run"):
        """Run a command line in a copy of the files; the outcome, and the folder of the copy."""
        above = self.folder / name
        shutil.rmtree(above, ignore_errors=True)
        shutil.copytree(self.folder / "model", above, symlinks=True)
        place = above / "here"
        (place / "drawn.toml").write_bytes(line.settings)
        os.mkfifo(place / "pipe")
        before = _listed(above)
        feeder = None
        if any("pipe" in word for word in line.words):
            feeder = subprocess.Popen(["sh", "-c", "cat good.txt >pipe"], cwd=place, stderr=subprocess.DEVNULL)
        environment = {**self._environment(above), **line.environment}
        try:
            status, out, err, *measured = self._process(line, place, environment, timeout)
        finally:
            if feeder:
                feeder.kill()
                feeder.wait()
        after = _listed(above)
        changes = {path: path not in before for path in before.keys() | after if before.get(path) != after.get(path)}
        return Outcome(status, out, err, changes, *measured), place

    def _process(self, line, place, environment, timeout):
        """Run the process of a line until its end: the attributes of an Outcome, but not the changes."""
        with contextlib.ExitStack() as files:
            stdin = files.enter_context(Path(place, line.stdin).open("rb"))
            out, err = (files.enter_context(tempfile.TemporaryFile(dir=self.folder)) for _ in range(2))
            stdout, stderr, chunks = out, err, []
            if line.stdout == "terminal":
                master, stdout = pty.openpty()
                stderr = stdout
                reader = threading.Thread(target=read_all, args=(master, chunks), daemon=True)
                reader.start()
            elif line.stdout == "closed":
                reading, stdout = os.pipe()
                os.close(reading)
            elif line.stdout != "file":
                stdout = os.open(line.stdout, os.O_WRONLY)
            begun, words = time.monotonic(), [os.fsencode(word) for word in (*self.program, *line.words)]
            streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
            process = subprocess.Popen(words, **streams, cwd=place, env=environment, start_new_session=True)
            resource.prlimit(process.pid, resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (MOST_WRITTEN, MOST_WRITTEN))
            if stdout is not out:
                os.close(stdout)
            ended = _wait(process.pid, timeout)
            stopped, seconds = ended is None, time.monotonic() - begun
            for number, grace in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 600)):
                if ended is None:
                    os.kill(process.pid, number)
                    ended = _wait(process.pid, grace)
            process.returncode = os.waitstatus_to_exitcode(ended[0])
            if line.stdout == "terminal":
                reader.join(10)
                os.close(master)
            out.seek(0)
            err.seek(0)
            sent = b"".join(chunks) + out.read(), err.read()
        return process.returncode, *sent, ended[1].ru_maxrss / 1024, seconds, stopped


def _wait(pid, seconds):
    """The wait status and the use of resources of a process, or None if it has not ended in time."""
    end = time.monotonic() + seconds
    while True:
        found, status, used = os.wait4(pid, os.WNOHANG)
        if found:
            return status, used
        if time.monotonic() > end:
            return None
        time.sleep(0.005)


def _listed(folder):
    """Everything below a folder: by its name what kind it is, and of a file or link its size and time."""
    found = {}
    for path in folder.rglob("*"):
        about = path.lstat()
        is_file = stat.S_ISREG(about.st_mode) or stat.S_ISLNK(about.st_mode)
        content = (about.st_size, about.st_mtime_ns, about.st_ino) if is_file else ()
        found[str(path.relative_to(folder))] = stat.S_IFMT(about.st_mode), *content
    return found


def faults(line, outcome, memory=2048):
    """What is wrong with how a process ended: a list of words, empty if nothing is."""
    found, status = [], outcome.status
    if status not in STATUSES:
        found.append(f"exit status {status}")
    if outcome.stopped and status not in (0, 130, 143):
        found.append("was stopped, and ended otherwise")
    if status in (130, 143) and not outcome.stopped:
        found.append("no signal was sent")
    if outcome.stopped and not _may_be_silent(line) and not outcome.stdout + outcome.stderr:
        found.append("silent to its time limit")
    if outcome.memory > memory:
        found.append(f"{outcome.memory:.0f} MB")
    if b"Traceback (most recent" in outcome.stderr:  # stdout may have the sources of Python
        found.append("a traceback")
    found += _on_terminal(line, outcome) if line.stdout == "terminal" else _on_pipes(line, outcome)
    return found + _in_files(line, outcome)


def _may_be_silent(line):
    if line.command == "score" and {"-f", "--follow"} & set(line.words):
        return True  # it waits for lines
    return any(word in ("-q", "--quiet", "--json") or "pipe" in word for word in line.words)


def _on_terminal(line, outcome):
    try:
        shown = harmless(outcome.stdout, OWN_OF_LIVE_DISPLAYS)
    except (AssertionError, UnicodeDecodeError) as error:
        return [f"acts on the terminal: {str(error)[:200]}"]
    return _messages(line, shown, outcome.status)


def _on_pipes(line, outcome):
    try:
        shown = outcome.stderr.decode("utf-8")
    except UnicodeDecodeError:
        return ["stderr is no UTF-8"]
    if "FORCE_COLOR" in line.environment:  # it asks for styles
        shown = OWN_OF_LIVE_DISPLAYS.sub("", shown)
    found = _messages(line, shown, outcome.status)
    if visible(shown) != shown:
        found.append("stderr has control characters")
    if len(longest := max(shown.splitlines(), key=len, default="")) > LONGEST_MESSAGE:
        found.append(f"a line of {len(longest):,} characters on stderr")
    if b"\x1b[0m" in outcome.stdout and "FORCE_COLOR" not in line.environment:
        found.append("stdout has styles, and is no terminal")
    if line.wants_json and not outcome.stdout.startswith(b"Usage: "):
        found += _json(outcome)
    return found


def _messages(line, shown, status):
    """What is wrong with the messages that a process of this exit status wrote.

    A command that goes through files, one after the other, may have an error for each.
    """
    lines = [each for each in shown.splitlines() if each.strip()]
    errors = [each for each in lines if each.startswith("Error: ")]
    found = []
    several = len(errors) if line.command in EACH_FILE else 1
    if status == 1 and (not errors or lines[-several:] != errors):
        found.append("exit status 1 without one line of an error at the end")
    if status == 2 and not errors and "Usage: " not in shown:  # a group without a command shows its help
        found.append("exit status 2 without an error")
    if status == 0 and errors:
        found.append("an error, and exit status 0")
    return found


def _json(outcome):
    """What is wrong with output in JSON."""

    def refuse(name):
        raise ValueError(name)

    lines = outcome.stdout.split(b"\n")
    if lines.pop() and outcome.status == 0:
        return ["JSON without an end of line"]
    try:
        for each in lines:
            if not isinstance(json.loads(each.decode("utf-8"), parse_constant=refuse), dict):
                return ["a line of JSON that is no object"]
            if visible(each.decode("utf-8"), "") != each.decode("utf-8"):
                return ["JSON has control characters"]
    except ValueError as error:
        return [f"not JSON: {str(error)[:200]}"]
    return []


def _in_files(line, outcome):
    """What is wrong with the files that a process has written."""
    given = [word.partition("=")[2] if word.startswith("--") and "=" in word else word for word in line.words]
    given = [os.path.normpath(os.path.join("here", word)) for word in (*given, "checkpoints")]  # noqa: PTH118, Path would keep "here/../x"
    given += [os.path.normpath(f"here/{name}") for name in re.findall(r'out = "(.+)"', os.fsdecode(line.settings))]
    given += [str(Path(path).with_suffix(".py")) for path in given if path.endswith(".pt")]  # export writes a module
    if line.command == "compress":
        given += [f"{path}.crnn" for path in given]
    elif line.command == "decompress":
        given += [path.removesuffix(".crnn") for path in given]
    runs = {str(Path(path).parent) for path in outcome.changes if path.endswith((".lock", "metrics.jsonl"))}
    found, may_be_new = [], (*EACH_FILE, "train")
    for path, is_new in sorted(outcome.changes.items()):
        above = {path, *map(str, Path(path).parents)}
        if path.endswith(".tmp"):
            found.append(f"left behind: {path!r}")
        elif path.startswith("corpora/") or (line.command.startswith("inspect") and Path(path).name == FILE):
            continue  # a text that was built, the part of a download to go on from, or what cells track
        elif line.command == "demo" and (path == "here/checkpoints" or path.startswith("here/checkpoints/demo")):
            continue  # its run
        elif not line.writes or above.isdisjoint(given):
            found.append(f"changed: {path!r}")
        elif outcome.status in (1, 2) and above.isdisjoint(runs) and not (is_new and line.command in may_be_new):
            found.append(f"changed by a command that failed: {path!r}")
    return found


def keep(folder, number, line, outcome, found, place):
    """Write down a fault: what was run, what came out, and the files."""
    kept = folder / f"{number}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    (kept / "command").write_bytes(os.fsencode(shlex.join(("charrnn", *line.words))) + b"\n")
    (kept / "stdout").write_bytes(outcome.stdout[: 2**20])
    (kept / "stderr").write_bytes(outcome.stderr[: 2**20])
    about = {**line._asdict(), **outcome._asdict(), "faults": found, "words": None, "settings": None}
    (kept / "about").write_text(json.dumps(about, default=lambda value: None, indent=1), "utf-8")
    (place / "pipe").unlink(missing_ok=True)
    shutil.copytree(place, kept / "files", symlinks=True)


def fuzz(world, numbers, seed=1, jobs=1, timeout=60, memory=2048, most=1, kept=None, report=None):
    """Run the command lines with these numbers. Ctrl-C ends the run early.

    Args:
        world: where they run.
        numbers: of the command lines.
        seed: of the command lines.
        jobs: processes at a time.
        timeout: seconds of a process.
        memory: MB that a process may take.
        most: faults after which no more are run.
        kept: the folder for faults, or None.
        report: called after each process with its line and outcome, if given.

    Returns:
        The faults, as pairs of a number and what was wrong.
    """
    every, bad = list(commands()), []

    def one(number):
        if len(bad) >= most:
            return
        line = draw(seed, number, every)
        outcome, place = world.run(line, timeout, f"run-{threading.get_ident()}")
        if found := faults(line, outcome, memory):
            bad.append((number, found))
            if kept:
                keep(kept, number, line, outcome, found, place)
            words = " ".join(word[:60] for word in line.words)
            print(f"{number}: {'; '.join(found)[:600]}: {visible(words, '')[:600]}", flush=True)
        if report:
            report(line, outcome)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for each in as_completed([pool.submit(one, number) for number in numbers]):
                each.result()
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
    return bad


class Table:
    """By command the exit statuses and the slowest process, and the time that is left."""

    def __init__(self, runs):
        self.runs, self.done, self.begun, self.said = runs, 0, time.monotonic(), time.monotonic()
        self.statuses, self.slowest, self.heaviest = defaultdict(Counter), Counter(), Counter()

    def add(self, line, outcome):
        """Count a process, and say now and then how far it is."""
        name, now = line.command, time.monotonic()
        self.statuses[name]["working" if outcome.stopped else outcome.status] += 1
        self.slowest[name] = max(self.slowest[name], outcome.seconds)
        self.heaviest[name] = max(self.heaviest[name], outcome.memory)
        self.done += 1
        if now - self.said > 10 and self.done > 4:
            self.said = now
            left = (now - self.begun) / self.done * (self.runs - self.done)
            print(f"{self.done:,} of {self.runs:,}, {left / 60:.1f} min left", file=sys.stderr, flush=True)

    def show(self):
        """Print the table."""
        columns = (0, 1, 2, 141, "working")
        print(f"{'command':20} {'runs':>6} {''.join(f'{each!s:>8}' for each in columns)} {'slowest':>9} {'memory':>8}")
        for name in sorted(self.statuses):
            count = self.statuses[name]
            shown = "".join(f"{count[each]:8}" for each in columns)
            print(f"{name:20} {count.total():6} {shown} {self.slowest[name]:7.1f} s {self.heaviest[name]:5.0f} MB")
        total = sum(self.statuses.values(), Counter())
        print(f"{self.done:,} processes in {(time.monotonic() - self.begun) / 60:.1f} min: {dict(total)}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="processes")
    parser.add_argument("--first", type=int, default=0, help="number of the first command line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--timeout", type=float, default=60, help="seconds of a process, before SIGTERM")
    parser.add_argument("--memory", type=int, default=2048, help="MB that a process may take")
    parser.add_argument("--most", type=int, default=20, help="faults after which the run ends")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="folder for faults")
    return parser.parse_args()


def main():
    options = arguments()
    table = Table(options.runs)
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder).build()
        numbers = range(options.first, options.first + options.runs)
        how = (options.seed, options.jobs, options.timeout, options.memory, options.most, options.keep)
        bad = fuzz(world, numbers, *how, table.add)
    table.show()
    print(f"{len(bad)} faults" + (f" in {options.keep}" if bad else ""))
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
