"""Commands where something that is usually there is not: a home, a cache, a locale, asserts, the right time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import SMALL

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.system import folders

# Several commands in one process, since a process takes longer to start than the commands to run.
COMMANDS = """
import sys, warnings
# Numba opens /proc/cpuinfo in whatever encoding.
warnings.filterwarnings("ignore", category=EncodingWarning, module="numba")
from charrnn.commands import charrnn
while len(sys.argv) > 1:
    end = sys.argv.index(";", 1)
    arguments, sys.argv[1 : end + 1] = sys.argv[1:end], []
    print("==", arguments[0], flush=True)
    status = charrnn.main(arguments, prog_name="charrnn", standalone_mode=False)
    if status:
        sys.exit(f"{arguments}: exit status {status}")
"""

TEXT = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\nআমার সোনার বাংলা 🦊\n"


def run(commands, *, flags=(), script=COMMANDS, without=(), folder=None, **environment):
    """Go through commands in a process with this environment; what it wrote."""
    environment = {name: value for name, value in {**os.environ, **environment}.items() if name not in without}
    arguments = [str(argument) for command in commands for argument in (*command, ";")]
    process = subprocess.run(
        [sys.executable, *flags, "-c", script, *arguments],
        capture_output=True,
        timeout=120,
        check=False,
        env=environment,
        cwd=folder,
    )
    assert process.returncode == 0, process.stderr.decode(errors="replace")
    return process


def everything(out, text):
    """A run's life, and what is done with its model."""
    model = out / "run"
    return [
        ["train", text, "--out", out, "--name", "run", *SMALL, "--steps", 4, "--eval-every", 2, "--save-every", 2],
        ["train", "--out", out, "--name", "run", "--resume", "--steps", 6],
        ["sample", model, "--length", 50, "--seed", 1],
        ["sample", model, "--length", 20, "--compare", "0.5,1"],
        ["inspect", model, text, "--cell", "0:3", "--length", 200],
        ["inspect", model, text, "--surprise", "--predictions", "--length", 100],
        ["evaluate", model, text],
        ["baselines", model, text],
        ["info", model],
        ["corpus", "list"],
        ["corpus", "stats", text],
    ]


@pytest.fixture
def foxes(tmp_path):
    """A text with characters that ASCII does not have."""
    return written(tmp_path / "Füchse.txt")


def written(path):
    path.write_text(TEXT * 60, encoding="utf-8")
    return path


def tensors(out):
    checkpoint = Checkpoint.load(out / "run" / "last.safetensors")
    return {name: value.tobytes() for name, value in checkpoint.parameters.items()}


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The tensors of the run in the usual environment."""
    out = tmp_path_factory.mktemp("usual")
    run(everything(out, written(out / "Füchse.txt")))
    return tensors(out)


def test_every_warning_is_an_error(tmp_path, foxes):
    # Also where a file is opened in an encoding that depends on the locale.
    run(everything(tmp_path, foxes), flags=["-W", "error", "-bb", "-X", "dev", "-X", "warn_default_encoding"])


def test_without_asserts(tmp_path, foxes, usual):
    run(everything(tmp_path, foxes), flags=["-O"])
    assert tensors(tmp_path) == usual


LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.skipif(sys.platform == "win32", reason="locales of POSIX")
@pytest.mark.parametrize("streams", [{"PYTHONIOENCODING": "ascii"}, {}], ids=["ASCII streams", "the locale's streams"])
def test_without_a_locale(tmp_path, foxes, streams):
    process = run(everything(tmp_path, foxes), **LOCALE, **streams)
    sampled = process.stdout.partition(b"== sample")[2].partition(b"== sample")[0]
    assert len(sampled.decode("utf-8").strip("\n")) >= 40
    assert process.stderr.isascii()


def test_the_clock_may_go_back(tmp_path, foxes, usual):
    backwards = (
        "import itertools, time\n"
        "seconds = itertools.count(2e9, -3600)\n"
        "time.time = lambda: next(seconds)\n"
        "time.time_ns = lambda: int(next(seconds) * 1e9)\n"
    )
    run(everything(tmp_path, foxes), script=backwards + COMMANDS)
    assert tensors(tmp_path) == usual
    log = (tmp_path / "run" / "metrics.jsonl").read_text("utf-8")
    elapsed = [json.loads(line).get("elapsed_s", 0) for line in log.splitlines()]
    assert min(elapsed) >= 0
    assert max(elapsed) < 3600


@pytest.mark.skipif(sys.platform == "win32", reason="homes of POSIX")
@pytest.mark.parametrize("home", [None, "/nonexistent", "/dev/null"])
def test_without_a_home(tmp_path, foxes, home):
    # The cache stays, or each test would compile.
    gone = ["HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "CHARRNN_CORPORA"]
    environment = {} if home is None else {"HOME": home}
    commands = everything(tmp_path, foxes)[:3]
    run(commands, without=[name for name in gone if name not in environment], folder=tmp_path, **environment)
    assert sorted(path.name for path in tmp_path.iterdir()) == [foxes.name, "run"]


@pytest.mark.skipif(sys.platform == "win32", reason="homes of POSIX")
def test_a_user_whom_the_system_does_not_know_gets_no_folder_of_that_name(monkeypatch):
    """Where nothing says what ``~`` is, it must not become a folder beside the user's files."""
    import pwd

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "CHARRNN_CACHE", "CHARRNN_CORPORA"):
        monkeypatch.delenv(name, raising=False)
    for folder in (folders.cache_folder(), folders.corpora_folder()):
        assert folder.is_absolute()
        assert not Path(*folder.parts[:2]).is_relative_to("/tmp")  # others could put code there
        with pytest.raises(OSError, match="Not a directory"):
            folder.mkdir(parents=True)


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors of POSIX")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(model, closed):
    for command in ("info", "sample --length 10"):
        process = subprocess.run(
            ["sh", "-c", f'"$0" -m charrnn {command} "$1" {closed}', sys.executable, str(model)],
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert b"Traceback" not in process.stderr
        # What has nowhere to go is no success.
        assert process.returncode == (1 if closed.startswith(">") or " >" in closed else 0)
        if closed == ">&-":
            assert process.stderr == b"Error: standard output: it is closed\n"
