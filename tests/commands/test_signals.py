"""Ctrl-C and SIGTERM, at chosen moments: what is left behind, the exit status, the terminal."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from command_line import SMALL, run_cli

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.kernels.compiler import deferred_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")

CTRL_C = b"\x03"
BOTH = pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])

# A command that gets a signal, or several at once, when it calls a function for the n-th time.
SABOTAGE = """
import functools, importlib, os, sys
module, path, number, at, times, *arguments = sys.argv[1:]
owner = importlib.import_module(module)
*parents, name = path.split(".")
owner = functools.reduce(getattr, parents, owner)
function, calls = getattr(owner, name), 0
def interrupted(*positional, **named):
    global calls
    calls += 1
    if calls == int(at):
        print("now", file=sys.stderr, flush=True)
        for _ in range(int(times)):
            os.kill(os.getpid(), int(number))
    return function(*positional, **named)
setattr(owner, name, interrupted)
from charrnn.__main__ import main
sys.argv[1:] = arguments
main()
"""


def interrupt(moment, number, *arguments, times=1, **environment):
    """Run a command that gets a signal at a moment "module:function:call"; it must have come to that."""
    module, path, at = moment.split(":")
    settings = [module, path, int(number), at, times, *arguments]
    process = subprocess.run(
        [sys.executable, "-c", SABOTAGE, *map(str, settings)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
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
    ("charrnn.analysis.baselines:compressions:1", ["evaluate", "MODEL", "--baselines"]),
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
        moment, signal.SIGINT, "train", text, "--out", tmp_path, *SMALL, *SAVING, "--steps", 1000, times=times
    )
    assert process.returncode == 130
    last = tmp_path / "fables" / "last.safetensors"
    step = Checkpoint.load(last).counters["step"]
    assert step % 2 == 0
    again = run_cli("train", "--name", "fables", "--out", tmp_path, "--resume", "--steps", step + 3, "-q")
    assert again.returncode == 0, again.stderr
    assert Checkpoint.load(last).counters["step"] == step + 3


def test_signals_that_are_to_be_ignored_are(tmp_path, text):
    command = [sys.executable, "-m", "charrnn", "train", text, "--out", tmp_path, *SMALL, "--steps", "400"]
    process = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # what a shell's & does
    )
    log = tmp_path / "fables" / "metrics.jsonl"
    while process.poll() is None and not (log.exists() and log.read_text().count("\n") > 20):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert b"Stopping" not in process.communicate(timeout=60)[1]
    assert process.returncode == 0


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
