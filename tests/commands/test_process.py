"""What only a real process shows: imports, signals, pipes, full disks, locales."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import ROOT, SMALL, run_cli


def test_help_is_quick_and_imports_neither_numba_nor_numpy():
    script = (
        "import sys; from charrnn.commands import charrnn as c\n"
        "try: c.main(sys.argv[1:], prog_name='charrnn')\n"
        "except SystemExit as e: print([m for m in ('numba', 'numpy', 'rich', 'safetensors') if m in sys.modules])"
    )
    for arguments in (
        ["--help"],
        ["train", "-h"],
        ["sample", "--help"],
        ["inspect", "-h"],
        ["inspect", "find", "--help-all"],
        ["corpus", "-h"],
        ["export", "-h"],
        ["log", "-h"],
    ):
        process = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
        )
        assert process.stdout.endswith("[]\n"), process.stdout + process.stderr


def test_cli_py_runs_from_a_clone():
    process = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "--version"], capture_output=True, text=True, check=False
    )
    assert process.stdout.startswith("charrnn ")


def test_a_typo_gets_a_suggestion():
    process = run_cli("smaple")
    assert process.returncode == 2
    assert b"Did you mean 'sample'?" in process.stderr


def test_a_closed_pipe_is_quiet(model):
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", "sample", str(model), "--length", "300000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", [["sample", "MODEL"], ["info", "MODEL", "--json"], ["--help"], ["corpus", "list"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_behind_stdout_is_one_line(model, command, unbuffered):
    words = [str(model) if word == "MODEL" else word for word in command]
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            [sys.executable, "-m", "charrnn", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )
    assert process.returncode == 1
    assert process.stderr.count(b"\n") == 1
    assert b"No space left" in process.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_the_run_can_be_resumed(tmp_path, text, number, status):
    command = [sys.executable, "-m", "charrnn", "train", str(text), "--out", str(tmp_path), *SMALL]
    process = subprocess.Popen(
        [*command, "--steps", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log = tmp_path / "fables" / "metrics.jsonl"
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not (log.exists() and log.read_text().count('"step"') > 20):
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert "--resume" in errors
    assert "Traceback" not in errors
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert events[-1]["event"] == "finished"
    assert events[-1]["reason"] == "interrupted"
    done = events[-1]["step"]
    again = run_cli("train", "--name", "fables", "--out", tmp_path, "--resume", "--steps", done + 5, "-q")
    assert again.returncode == 0, again.stderr
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines() if '"step", "step"' in line]
    assert steps == list(range(1, done + 6))


def test_output_is_utf8_whatever_the_locale(tmp_path):
    path = tmp_path / "bengali.txt"
    path.write_text("আমার সোনার বাংলা 🦊\n" * 40, encoding="utf-8")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    assert run_cli("train", path, "--out", tmp_path, *SMALL, "--steps", 3, "-q", env=environment).returncode == 0
    process = run_cli("sample", tmp_path / "bengali", "--length", 200, "--seed", 1, env=environment)
    assert process.returncode == 0
    assert len(process.stdout.decode("utf-8")) == 200
