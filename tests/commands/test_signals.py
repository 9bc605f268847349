"""Ctrl-C and SIGTERM, at chosen moments: what is left behind, the exit status, the terminal.

A process may be started to ignore a signal: a shell's ``&`` makes it ignore SIGINT, ``nohup`` SIGHUP.  Then a command
goes on when the signal comes.  Children inherit what is ignored, so ``conftest.py`` puts the handlers back: tests that
send SIGINT also pass in the background.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from command_line import ROOT, SMALL, run_cli

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.kernels.compiler import deferred_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")

CTRL_C = b"\x03"
BOTH = pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])

# A command that gets a signal, or several one after the other, when it calls a function for the n-th time.
SABOTAGE = """
import functools, importlib, os, sys
module, path, numbers, at, *arguments = sys.argv[1:]
owner = importlib.import_module(module)
*parents, name = path.split(".")
owner = functools.reduce(getattr, parents, owner)
function, calls = getattr(owner, name), 0
def interrupted(*positional, **named):
    global calls
    calls += 1
    if calls == int(at):
        print("now", file=sys.stderr, flush=True)
        for number in numbers.split(","):
            os.kill(os.getpid(), int(number))
    return function(*positional, **named)
setattr(owner, name, interrupted)
from charrnn.__main__ import main
sys.argv[1:] = arguments
main()
"""


def ignoring(*numbers):
    """A ``preexec_fn`` for a process that is started to ignore signals."""

    def ignore():
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    return ignore


def interrupt(moment, numbers, *arguments, ignored=(), **environment):
    """Run a command that gets signals at a moment "module:function:call"; it must have come to that.

    ``numbers`` is a signal or a list of signals, ``ignored`` are those that the process is started to ignore.
    """
    module, path, at = moment.split(":")
    numbers = numbers if isinstance(numbers, list) else [numbers]
    settings = [module, path, ",".join(str(int(number)) for number in numbers), at, *arguments]
    process = subprocess.run(
        [sys.executable, "-c", SABOTAGE, *map(str, settings)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
        preexec_fn=ignoring(*ignored),
    )
    assert "now\n" in process.stderr, process.stderr
    assert "Traceback" not in process.stderr
    assert "Error" not in process.stderr
    return process


def names(folder):
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("moment", "number", "status"),
    [
        ("numba.core.dispatcher:Dispatcher.compile:2", signal.SIGINT, 130),
        ("charrnn.kernels.compiler:os.fdopen:1", signal.SIGTERM, 143),
    ],
)
def test_while_compiling(tmp_path, text, moment, number, status):
    cache = tmp_path / "cache"
    options = ["--out", tmp_path / "out", *SMALL, "--steps", 3]
    process = interrupt(moment, number, "train", text, *options, CHARRNN_CACHE=str(cache))
    assert process.returncode == status
    assert "Compiling" in process.stderr
    assert not any((tmp_path / "out").glob("*")), "a run that has not begun leaves nothing"
    assert not [name for name in names(cache) if Path(name).name.startswith("tmp")]


# Python 3.11 turns an exception in ``__set_name__`` into a RuntimeError, and swallows one in an import lock's callback.
EARLY = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000): pass
            except BaseException:
                raise RuntimeError("Error calling __set_name__") from None
sys.meta_path.insert(0, Finder())
from charrnn.__main__ import main
main()
"""


def test_while_click_is_imported():
    process = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=60, check=False)
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "")


def test_signals_wait_for_a_compilation():
    """A Ctrl-C that LLVM's callbacks lose is a crash: 1 in 500 at random moments of taking kernels from the cache."""
    done = False
    with pytest.raises(KeyboardInterrupt), deferred_signals():
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@BOTH
def test_while_encoding_a_large_text(tmp_path, number, status):
    path = tmp_path / "large.txt"
    path.write_bytes(b"now " * (17 << 20))
    cache = {"CHARRNN_CACHE": str(tmp_path / "cache")}
    moment = "charrnn.text.decoding:Vocabulary.look_up:3"
    process = interrupt(moment, number, "train", path, "--out", tmp_path / "out", *SMALL, **cache)
    assert process.returncode == status
    assert names(tmp_path) == ["large.txt"]


def test_while_standard_input_has_nothing_to_give(model):
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", "corpus", "stats", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(1.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (143, -signal.SIGTERM)  # killed, if Python had not started yet
    assert b"Traceback" not in process.communicate()[1]


READERS = [
    ("charrnn.inference.sampler:Sampler.draw:2", ["sample", "MODEL", "--length", 20_000]),
    ("charrnn.network.network:Network.losses:3", ["evaluate", "MODEL", "TEXT"]),
    ("charrnn.analysis.baselines:compressions:1", ["baselines", "MODEL"]),
    ("charrnn.network.network:Network.forward:2", ["inspect", "MODEL", "TEXT"]),
    ("charrnn.network.network:Network.loss_and_gradient:3", ["bench", *SMALL]),
    ("charrnn.display.terminal.console:Terminal.show:1", ["info", "MODEL"]),
]


@pytest.mark.parametrize(("moment", "arguments"), READERS, ids=lambda value: value[0] if type(value) is list else "")
def test_while_reading_and_writing_with_a_model(model, text, moment, arguments):
    arguments = [{"MODEL": model, "TEXT": text}.get(argument, argument) for argument in arguments]
    before = names(model.parent)
    number = signal.SIGINT if len(moment) % 2 else signal.SIGTERM
    assert interrupt(moment, number, *arguments).returncode == 128 + number
    assert names(model.parent) == before


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_while_writing_a_corpus(tmp_path, number):
    number = getattr(signal, number)
    process = interrupt(
        "charrnn.text.python_source:os.fsync:1", number, "corpus", "python", "--output", tmp_path / "a.txt"
    )
    assert process.returncode == 128 + number
    assert names(tmp_path) == []


SAVING = ["--save-every", 2, "--eval-every", 4, "--diagnose"]


@pytest.mark.parametrize(
    "moment",
    [
        "charrnn.training.trainer:diagnose:1",
        "charrnn.training.validation:evaluate:2",
        "charrnn.training.validation:Sampler.draw:1",
        "charrnn.system.files:os.fsync:6",
        "charrnn.training.optimizer:Optimizer.update:5",
    ],
)
def test_once_in_training_is_saved(tmp_path, text, moment):
    process = interrupt(
        moment, signal.SIGTERM, "train", text, "--out", tmp_path, *SMALL, *SAVING, "--sample-every", 3, "--steps", 1000
    )
    assert process.returncode == 143
    assert "Stopping after this step" in process.stderr
    assert "--resume" in process.stderr
    step = Checkpoint.load(tmp_path / "fables" / "last.safetensors").counters["step"]
    assert f'"step":{step},'.encode() in (tmp_path / "fables" / "metrics.jsonl").read_bytes().replace(b" ", b"")
    assert not [name for name in names(tmp_path) if name.endswith(".tmp")]


@pytest.mark.parametrize(
    ("moment", "times"), [("charrnn.system.files:os.fsync:9", 3), ("charrnn.system.files:Path.replace:5", 2)]
)
def test_twice_while_saving_leaves_a_whole_checkpoint(tmp_path, text, moment, times):
    process = interrupt(
        moment, [signal.SIGINT] * times, "train", text, "--out", tmp_path, *SMALL, *SAVING, "--steps", 1000
    )
    assert process.returncode == 130
    if times == 2:
        assert "left at once" in process.stderr
        assert "--resume --name fables" in process.stderr
    last = tmp_path / "fables" / "last.safetensors"
    step = Checkpoint.load(last).counters["step"]
    assert step % 2 == 0
    again = run_cli("train", "--name", "fables", "--out", tmp_path, "--resume", "--steps", step + 3, "-q")
    assert again.returncode == 0, again.stderr
    assert Checkpoint.load(last).counters["step"] == step + 3


# Moments of `train`: it compiles kernels, takes a step, evaluates, writes a checkpoint.
MOMENTS_OF_TRAIN = [
    "numba.core.dispatcher:Dispatcher.compile:2",
    "charrnn.training.optimizer:Optimizer.update:5",
    "charrnn.training.validation:evaluate:2",
    "charrnn.system.files:os.fsync:6",
]
IGNORABLE = [signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)]


def saves_and_end(folder):
    """The reasons and steps of the saves of ``last``, and the reason and step of the end, from a run's log."""
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    saved = [(record["reason"], record["step"]) for record in records if record["event"] == "saved"]
    saves = [save for save in saved if save[0] != "best"]
    return saves, (records[-1]["event"], records[-1]["reason"], records[-1]["step"])


@pytest.mark.parametrize("number", IGNORABLE)
@pytest.mark.parametrize("moment", MOMENTS_OF_TRAIN)
def test_training_that_was_started_to_ignore_a_signal_goes_on_to_its_end(tmp_path, text, moment, number):
    """A run in the background (``&``, ``nohup``) must outlive a Ctrl-C and the end of the terminal that began it."""
    options = ["--out", tmp_path, *SMALL, "--steps", 30, "--eval-every", 4, "--save-every", 10]
    process = interrupt(moment, [number] * 3, "train", text, *options, ignored=[number])
    assert process.returncode == 0
    assert "Stopping" not in process.stderr
    assert saves_and_end(tmp_path / "fables")[1] == ("finished", "completed", 30)
    assert Checkpoint.load(tmp_path / "fables" / "last.safetensors").counters["step"] == 30


@pytest.mark.parametrize("moment", MOMENTS_OF_TRAIN[1:3])
def test_sigterm_ends_training_that_ignores_ctrl_c_with_one_save(tmp_path, text, moment):
    """SIGTERM is how a run in the background is stopped.  An ignored SIGINT before it does not count as the first."""
    options = ["--out", tmp_path, *SMALL, "--steps", 1_000_000, "--eval-every", 4, "--save-every", 500_000]
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGINT]
    process = interrupt(moment, signals, "train", text, *options, ignored=[signal.SIGINT])
    assert process.returncode == 143
    assert process.stderr.count("Stopping after this step") == 1
    assert "--resume" in process.stderr
    saves, (event, reason, step) = saves_and_end(tmp_path / "fables")
    assert saves == [("interrupted", step)]
    assert (event, reason) == ("finished", "interrupted")
    assert Checkpoint.load(tmp_path / "fables" / "last.safetensors").counters["step"] == step
    again = run_cli("train", "--name", "fables", "--out", tmp_path, "--resume", "--steps", step + 3, "-q")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("number", IGNORABLE)
@pytest.mark.parametrize(("moment", "arguments"), [READERS[0], READERS[1]], ids=["sample", "evaluate"])
def test_a_reader_that_was_started_to_ignore_a_signal_goes_on_to_its_end(model, text, moment, arguments, number):
    arguments = [{"MODEL": model, "TEXT": text}.get(argument, argument) for argument in arguments]
    process = interrupt(moment, number, *arguments, ignored=[number])
    assert process.returncode == 0
    assert process.stdout
    process = interrupt(moment, [number, signal.SIGTERM], *arguments, ignored=[number])
    assert process.returncode == 143


def test_tests_that_send_signals_pass_in_a_test_run_that_was_started_to_ignore_them():
    """A signal to the test process itself, one to a child, and one to a child that is to ignore it."""
    chosen = "wait_for_a_compilation or (writing_a_corpus and SIG) or (on_to_its_end and update and training)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__, "-k", chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
        preexec_fn=ignoring(*IGNORABLE),
    )
    assert process.returncode == 0, process.stdout
    assert "6 passed" in process.stdout


class PseudoTerminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments, **environment):
        import pty
        import termios

        self.near, far = pty.openpty()
        self.before = termios.tcgetattr(self.near)
        environment = {**os.environ, "TERM": "xterm-256color", "LINES": "24", "COLUMNS": "100", **environment}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "charrnn", *map(str, arguments)],
            stdin=far,
            stdout=far,
            stderr=far,
            env=environment,
            preexec_fn=_with_terminal,
        )
        os.close(far)
        self.output = b""
        # All the time, as a terminal does: a Ctrl-C drops what has not been read.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with contextlib.suppress(OSError):  # the other side is closed
            while data := os.read(self.near, 4096):
                self.output += data

    def wait_for(self, what, seconds=60):
        """Wait until ``what`` has been written."""
        deadline = time.monotonic() + seconds
        while what not in self.output:
            assert time.monotonic() < deadline and self._reader.is_alive(), self.output
            time.sleep(0.01)

    def press(self, key):
        """Type a key."""
        os.write(self.near, key)

    def end(self):
        """Wait for the command's end; its exit status."""
        status = self.process.wait(60)
        self._reader.join()
        assert b"Traceback" not in self.output
        return status

    def cursor_is_shown(self):
        """Whether the last word on the cursor was to show it."""
        return self.output.rfind(b"\x1b[?25h") > self.output.rfind(b"\x1b[?25l")

    def settings(self):
        """What the terminal does with input and output now: echo, lines, signals."""
        import termios

        return termios.tcgetattr(self.near)


def _with_terminal():
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C is a key only on a terminal that controls


@pytest.fixture
def on_a_terminal():
    """Starts commands on pseudo-terminals."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, **environment):
            terminal = PseudoTerminal(*arguments, **environment)
            stack.callback(os.close, terminal.near)
            return terminal

        yield start


@pytest.mark.parametrize("presses", [1, 2, 3])
def test_ctrl_c_on_a_terminal_restores_it(tmp_path, text, on_a_terminal, presses):
    terminal = on_a_terminal("train", text, "--out", tmp_path, *SMALL, "--steps", 1_000_000)
    terminal.wait_for(b"\x1b[?25l")  # the live display hides the cursor
    terminal.wait_for(b"loss")
    terminal.press(CTRL_C)
    for _ in range(presses - 1):
        time.sleep(0.02)
        # Not as keys: one that comes last drops what the terminal has not read yet, and with it the cursor.
        terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 130
    assert terminal.cursor_is_shown()
    assert terminal.settings() == terminal.before


def test_impatience_does_not_change_the_status(tmp_path, text, on_a_terminal):
    """Ctrl-C until the end: also while Python itself shuts down."""
    terminal = on_a_terminal("train", text, "--out", tmp_path, *SMALL, "--steps", 1_000_000)
    terminal.wait_for(b"loss")
    terminal.press(CTRL_C)
    terminal.wait_for(b"resume")  # the last words: the run is saved
    while terminal.process.poll() is None:
        terminal.press(CTRL_C)
        time.sleep(0.001)
    assert terminal.end() == 130


def test_ctrl_c_while_the_kernels_compile_restores_the_terminal(tmp_path, text, on_a_terminal):
    cache = str(tmp_path / "cache")
    terminal = on_a_terminal("train", text, "--out", tmp_path, *SMALL, CHARRNN_CACHE=cache)
    terminal.wait_for(b"Compiling")
    terminal.press(CTRL_C)
    assert terminal.end() == 130
    assert terminal.cursor_is_shown()


@pytest.mark.skipif(not Path("/usr/bin/less").exists(), reason="needs less")
def test_a_pager_gives_the_terminal_back(model, text, on_a_terminal):
    terminal = on_a_terminal("inspect", model, text, "--cell", "0:3", PAGER="/usr/bin/less", LESS="R")
    terminal.wait_for(b"\x1b[?1h")  # the pager has the terminal …
    terminal.press(CTRL_C)
    time.sleep(0.3)
    assert terminal.process.poll() is None  # … and Ctrl-C is its own affair
    assert terminal.settings() != terminal.before
    terminal.process.terminate()
    assert terminal.end() == 143
    assert terminal.settings() == terminal.before
