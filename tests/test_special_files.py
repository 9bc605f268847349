"""Pipes, devices, links and folders where a file is expected: one line, at once, and nothing is read without end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import FABLES, SMALL, invoke, run_cli, succeed

from charrnn.checkpoints.checkpoint import Checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to be in, with a text and a run of it."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(FABLES.read_text("utf-8")[:3000], "utf-8")
    train("--steps", 4)
    return tmp_path


def train(*options):
    sizes = [] if "--resume" in options else SMALL
    return invoke("train", "text.txt", "--out", "runs", *sizes, *options, "-q")


RUN = Path("runs", "text")


def replaced(name, kind):
    """A file of the run is something else now."""
    path = RUN / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(kind)
    return path


def said_at_once(*arguments, **options):
    """The one line of an error of a process that ends within some seconds."""
    begun = time.monotonic()
    result = run_cli(*arguments, **options)
    assert time.monotonic() - begun < 60
    assert result.returncode == 1, result.stderr
    *_, line = result.stderr.decode().splitlines()
    assert line.startswith("Error: ")
    return line


RESUME = ("train", "text.txt", "--out", "runs", "--resume", "--steps", "8", "-q")


@pytest.mark.parametrize("kind", ["pipe", "/dev/full", "/dev/zero", "folder"])
def test_a_log_that_is_no_file_is_neither_read_nor_written(kind):
    replaced("metrics.jsonl", kind)
    line = said_at_once(*RESUME)
    assert "metrics.jsonl: it is not a regular file: move it away" in line
    assert "metrics.jsonl" in said_at_once("inspect", "history", RUN, "text.txt", "-q")


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero", "folder"])
def test_a_last_checkpoint_that_is_no_file_is_refused_before_anything_is_repaired(kind):
    train("--steps", 8, "--resume")  # so that there is a previous one
    replaced("last.safetensors", kind)
    line = said_at_once(*RESUME[:-3], "--steps", "12")
    assert "last.safetensors: it is not a regular file: move it away" in line


@pytest.mark.parametrize("name", ["best.safetensors", "previous.safetensors", "metrics.jsonl", "steps"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
@pytest.mark.parametrize("options", [["--resume", "--steps", 8], ["--force", "--steps", 8]])
def test_what_is_in_the_way_of_a_run_is_said_before_it_changes_anything(name, kind, options):
    if (name, kind) == ("steps", "folder"):
        (RUN / "steps").mkdir()
        name = "steps/00000004.safetensors"
    path = replaced(name, kind)
    before = (RUN / "last.safetensors").read_bytes()
    result = train(*options)
    assert (result.exit_code, result.stderr) == (1, f"Error: {path}: it is not a regular file: move it away\n") or (
        name == "steps" and result.stderr == f"Error: {path}: it is not a folder: move it away\n"
    )
    assert (RUN / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_a_lock_that_is_no_file(kind):
    replaced(".lock", kind)
    assert "cannot be written (it is not a regular file)" in said_at_once(*RESUME)


def test_a_last_checkpoint_that_is_a_link_is_followed(here):
    (RUN / "last.safetensors").rename(here / "elsewhere.safetensors")
    (RUN / "last.safetensors").symlink_to(here / "elsewhere.safetensors")
    before = (here / "elsewhere.safetensors").read_bytes()
    assert train("--resume", "--steps", 8).exit_code == 0
    assert (RUN / "last.safetensors").is_symlink()
    assert (here / "elsewhere.safetensors").read_bytes() != before


def test_a_link_to_itself_is_named_as_a_link():
    Path("loop.txt").symlink_to("loop.txt")
    assert said_at_once("train", "loop.txt") == (
        "Error: loop.txt: a link that leads to no file: remove it, or name the file itself"
    )


@pytest.mark.parametrize("kind", ["pipe", "/dev/zero"])
def test_masks_and_settings_that_are_no_files(here, kind):
    path = here / "special"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(kind)
    wish = ("inspect", "find", RUN, "text.txt", "--mask", path, "-q")
    assert "special: cannot be read (it is not a regular file)" in said_at_once(*wish)
    assert "special: cannot be read (it is not a regular file)" in said_at_once("train", "text.txt", "--config", path)


def test_a_mask_that_is_far_too_long_is_not_read_whole(here):
    with (here / "mask.txt").open("wb") as file:
        file.truncate(2**40)  # a hole
    line = said_at_once("inspect", "find", RUN, "text.txt", "--mask", "mask.txt", "-q")
    assert "mask.txt: cannot be read (it has more than" in line


def test_a_device_is_no_prime():
    assert "/dev/zero: this is a device" in said_at_once("sample", RUN, "--prime-file", "/dev/zero", "-q")
    with Path("/dev/zero").open("rb") as zeros:
        assert "standard input: this is a device" in said_at_once("sample", RUN, "--prime-file", "-", "-q", stdin=zeros)
        assert "standard input: this is a device" in said_at_once("evaluate", RUN, "-", "-q", stdin=zeros)


def test_of_a_long_prime_the_end_is_read(here):
    with (here / "prime.txt").open("wb") as file:
        file.truncate(2**40)  # a hole of a terabyte: reading it whole would take all memory
        file.seek(0, os.SEEK_END)
        file.write("ä".encode() * 600_000)  # the cut goes between characters, or through one
        file.write(b"the fox")
    wish = ("sample", RUN, "--seed", "1", "--length", "20", "--temperature", "0", "--unknown", "skip")
    result = succeed(*wish, "--prime-file", "prime.txt")
    assert result.stdout == succeed(*wish, "--prime", "the fox").stdout
    assert "the model reads the last 1,000,000 of 1,099,512,827,783 bytes" in result.stderr


def test_of_a_long_pipe_the_end_is_read():
    wish = ("sample", RUN, "--seed", "1", "--length", "20", "--temperature", "0", "--unknown", "skip")
    result = succeed(*wish, "--prime-file", "-", input=b"\xc3\xa4" * 5_000_000 + b"the fox")
    assert result.stdout == succeed(*wish, "--prime", "the fox").stdout
    assert "standard input: the model reads the last 1,000,000 of 10,000,007 bytes" in result.stderr


def test_a_pipe_that_is_larger_than_an_eighth_of_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr("charrnn.system.memory.installed", lambda: 80_000_000)
    result = invoke("evaluate", RUN, "-", input=b"the fox " * 2_000_000)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: standard input: more than 0.0 GB came, an eighth of this machine's memory")


@pytest.mark.parametrize("option", ["text", "prime"])
def test_waiting_for_a_pipe_ends_on_the_first_signal(here, option):
    os.mkfifo("pipe")
    command = ("train", "pipe", "--out", "runs") if option == "text" else ("sample", RUN, "--prime-file", "pipe")
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", *map(str, command)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    time.sleep(3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()


@pytest.mark.parametrize("command", ["train", "train --json", "sample"])
@pytest.mark.parametrize("reader", ["stopped", "absent"])
def test_a_terminal_that_has_stopped_holds_no_command_up(here, command, reader):
    """Ctrl-S stops a terminal's output; a terminal that nobody reads stops, too."""
    import pty

    words = command.split()
    if words[0] == "train":
        sizes = ["--hidden", "8", "--layers", "1", "--batch-size", "1", "--seq-len", "8", "--threads", "1"]
        words += ["text.txt", "--name", "long", "--steps", "1000000", *sizes]
    else:
        words += [str(RUN), "--length", "100000000"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-m", "charrnn", *words], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while len(seen) < 10_000:  # it is at work
        seen += os.read(ours, 65_536)
    if reader == "stopped":
        os.write(ours, b"\x13")
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(timeout=60) == 143
    finally:
        process.kill()
        os.close(ours)
    if words[0] == "train":
        log = here / "checkpoints" / "long" / "metrics.jsonl"
        logged = [json.loads(line) for line in log.read_text().splitlines()]
        saved = Checkpoint.load(log.with_name("last.safetensors")).counters["step"]
        assert saved == max(record["step"] for record in logged) > 0


@pytest.mark.parametrize("stalled", ["stdout", "both"])
def test_a_run_whose_reader_stalls_saves_and_ends_on_the_first_signal(here, stalled):
    sizes = ["--hidden", "8", "--layers", "1", "--batch-size", "1", "--seq-len", "8", "--threads", "1"]
    command = [sys.executable, "-m", "charrnn", "train", "text.txt", "--name", "long", "--steps", "100000", "--json"]
    stderr = subprocess.PIPE if stalled == "stdout" else subprocess.STDOUT
    process = subprocess.Popen([*command, *sizes], stdout=subprocess.PIPE, stderr=stderr)
    log = here / "checkpoints" / "long" / "metrics.jsonl"
    size, before = 0, -1
    while size != before or not size:  # until the pipe is full, and nothing is written any more
        time.sleep(0.5)
        before, size = size, log.stat().st_size if log.exists() else 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    saved = Checkpoint.load(log.with_name("last.safetensors")).counters["step"]
    assert saved == max(record["step"] for record in logged) > 20
    process.stdout.close()
    if process.stderr:
        assert b"Stopping after this step" in process.stderr.read()
        process.stderr.close()


def test_what_is_in_the_way_of_a_file_is_said_before_the_work(here, monkeypatch):
    (here / "folder.svg").mkdir()
    result = invoke("inspect", "saturation", RUN, "text.txt", "-o", "folder.svg")
    assert result.exit_code == 2
    (here / "link.svg").symlink_to(here / "nowhere" / "a.svg")
    result = invoke("inspect", "saturation", RUN, "text.txt", "-o", "link.svg")
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr
    os.mkfifo("pipe.svg")
    result = invoke("inspect", "saturation", RUN, "text.txt", "-o", "pipe.svg")
    assert result.exit_code == 2
    assert "there is something else that is called so" in result.stderr
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)  # the superuser may write everywhere
    result = invoke("export", RUN, "model.safetensors")
    assert result.exit_code == 2
    assert "is read-only" in result.stderr


@pytest.mark.parametrize("command", ["saturation", "errors", "distance", "draw"])
def test_a_missing_library_is_said_before_the_work(monkeypatch, command):
    monkeypatch.setattr("charrnn.system.libraries.find_spec", lambda name: None)
    monkeypatch.setattr("charrnn.model.load", lambda *arguments, **options: pytest.fail("the work has begun"))
    result = invoke("inspect", command, RUN, "text.txt", "-o", "figure.png")
    assert (result.exit_code, result.stdout) == (1, "")
    assert (
        result.stderr
        == "Error: PNG needs matplotlib: pip install matplotlib, where charrnn is installed; SVG needs nothing\n"
    )
