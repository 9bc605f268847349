"""``charrnn compress`` and ``decompress``: files, pipes, models, tests and lists; what stands in the way; signals."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import ROOT, invoke, run_cli, succeed


@pytest.fixture
def folder(tmp_path, text, monkeypatch):
    """A folder to work in, with a text and no runs."""
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_bytes(text.read_bytes()[:3000] + b"\r\n\xff\xef\xbb\xbf")
    return tmp_path


def refusal(*arguments, status=1):
    result = invoke(*arguments)
    assert result.exit_code == status, result.stderr
    assert status == 2 or result.stderr.count("\n") == 1, result.stderr
    assert not list(Path().glob(".*.tmp"))
    return result.stderr


def test_there_and_back(folder, model):
    original = Path("a.txt").read_bytes()
    said = succeed("compress", "a.txt", "--model", model).stderr
    assert "3,006 bytes, compressed" in said and "a.txt.crnn" in said
    assert Path("a.txt").read_bytes() == original
    packed = Path("a.txt.crnn").read_bytes()
    assert len(packed) < 0.65 * len(original)
    assert "a.txt is there already" in refusal("decompress", "a.txt.crnn", "--model", model)
    Path("a.txt").unlink()
    succeed("decompress", "a.txt.crnn", "--model", model)
    assert Path("a.txt").read_bytes() == original
    Path("a.txt").write_bytes(b"x")
    succeed("decompress", "a.txt.crnn", "--model", model, "--force")
    assert Path("a.txt").read_bytes() == original
    succeed("decompress", "a.txt.crnn", "--model", model, "-o", "b", "-q")
    assert Path("b").read_bytes() == original


def test_each_error_is_said_once_and_keeps_no_other_file_from_it(folder, model):
    Path("b").write_bytes(b"x")
    result = invoke("compress", "missing", "a.txt", "gone", "b", "--model", model)
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert [error.split(":")[1] for error in errors] == [" missing", " gone"]
    assert Path("a.txt.crnn").exists() and Path("b.crnn").exists()


def test_several_files_and_json(folder, model):
    Path("b").write_bytes(b"")
    found = succeed("compress", "a.txt", "b", "--model", model, "--json").stdout.splitlines()
    records = [json.loads(line) for line in found]
    assert [record["file"] for record in records] == ["a.txt", "b"]
    assert [record["original"] for record in records] == [3006, 0]
    assert [Path(record["output"]).stat().st_size for record in records] == [each["compressed"] for each in records]
    listed = [
        json.loads(line) for line in succeed("decompress", "-l", "--json", "a.txt.crnn", "b.crnn").stdout.splitlines()
    ]
    assert [(each["original"], each["model"], each["method"]) for each in listed] == [
        (3006, "fables", "model"),
        (0, "fables", "model"),
    ]
    assert "3,006" in succeed("decompress", "-l", "a.txt.crnn").stdout
    assert succeed("decompress", "-t", "a.txt.crnn", "b.crnn", "--model", model).stderr.count("OK") == 2


def test_a_damaged_file_among_others(folder, model):
    Path("b.txt").write_bytes(b"The fox")
    succeed("compress", "a.txt", "b.txt", "--model", model, "-q")
    damaged = bytearray(Path("a.txt.crnn").read_bytes())
    damaged[200] ^= 1
    Path("a.txt.crnn").write_bytes(damaged)
    result = invoke("decompress", "-t", "a.txt.crnn", "b.txt.crnn", "--model", model)
    assert result.exit_code == 1
    assert "a.txt.crnn: damaged" in result.stderr and "b.txt.crnn: OK" in result.stderr
    Path("a.txt").unlink()
    assert "damaged" in refusal("decompress", "a.txt.crnn", "--model", model)
    assert not Path("a.txt").exists()
    listed = invoke("decompress", "-l", "a.txt.crnn", "b.txt.crnn")
    assert listed.exit_code == 1 and "b.txt.crnn" in listed.stdout


def test_the_model_is_found_inside_and_among_the_runs(folder, model):
    succeed("compress", "a.txt", "--model", model, "--with-model", "-o", "inside", "-q")
    succeed("decompress", "inside", "-o", "back", "-q")
    assert Path("back").read_bytes() == Path("a.txt").read_bytes()
    succeed("compress", "a.txt", "--model", model, "-q")
    said = refusal("decompress", "a.txt.crnn", "-o", "c")
    assert "with the model 'fables'" in said and "give it with --model" in said
    Path("checkpoints").mkdir()
    Path("checkpoints/moved").symlink_to(model)
    succeed("decompress", "a.txt.crnn", "-o", "c", "-q")
    assert Path("c").read_bytes() == Path("a.txt").read_bytes()
    bundled = ROOT / "checkpoints" / "fables.safetensors"
    assert "is another model" in refusal("decompress", "a.txt.crnn", "-o", "d", "--model", bundled)


def test_pipes_and_from_scratch(folder, text):
    data = text.read_bytes()[:700]
    packed = run_cli("compress", input=data)
    assert packed.returncode == 0, packed.stderr
    back = run_cli("decompress", input=packed.stdout)
    assert back.returncode == 0, back.stderr
    assert back.stdout == data
    assert b"standard input: 700 bytes" in packed.stderr
    empty = run_cli("compress", "-q", input=b"")
    assert empty.stderr == b""
    assert run_cli("decompress", "-q", input=empty.stdout).stdout == b""
    broken = run_cli("decompress", input=packed.stdout[:-3])
    assert broken.returncode == 1 and broken.stderr.count(b"\n") == 1
    assert data.startswith(broken.stdout)


def test_online(folder, model):
    succeed("compress", "a.txt", "--model", model, "--online", "--ngrams", "--online-lr", "1e-3", "-q")
    listed = succeed("decompress", "-l", "a.txt.crnn").stdout
    assert "learning on, n-grams" in listed
    succeed("decompress", "a.txt.crnn", "--model", model, "-o", "b", "-q")
    assert Path("b").read_bytes() == Path("a.txt").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compress", "a.txt", "--with-model"], "--with-model needs --model"),
        (["compress", "a.txt", "--ngrams"], "--ngrams needs --model"),
        (["compress", "a.txt", "--online"], "--online needs --model"),
        (["compress", "a.txt", "--online-lr", "1"], "--online needs --model"),
        (["compress", "a.txt", "--model", "MODEL", "--from-scratch"], "exclude each other"),
        (["compress", "a.txt", "b", "-o", "c"], "-o names one file"),
        (["compress", "a.txt", "a.txt"], "given twice"),
        (["compress", "a.txt", "-o", "-", "--json"], "give -o"),
        (["compress", "a.txt", "--streams", "0"], "--streams"),
        (["decompress", "a.txt"], "does not end in .crnn. If compress wrote it, name the file"),
        (["decompress", "a.txt", "-t", "-l"], "exclude each other"),
        (["decompress", "a.txt", "-t", "-o", "x"], "write no file"),
    ],
)
def test_wrong_usage(folder, model, arguments, message):
    assert message in refusal(*(str(model) if each == "MODEL" else each for each in arguments), status=2)


def test_what_cannot_be_read_or_written(folder, model):
    assert "No such file" in refusal("compress", "missing", "--model", model)
    Path("folder").mkdir()
    assert "this is a folder" in refusal("compress", "folder", "--model", model)
    assert "folder: this is a folder" in refusal("compress", "a.txt", "--model", model, "-o", "folder")
    if os.name != "nt":
        assert "this is a device" in refusal("compress", "/dev/zero", "--model", model, "-o", "x")
    assert "cannot be written" in refusal("compress", "a.txt", "--model", model, "-o", "nowhere/x")
    assert "not a file that charrnn compress wrote" in refusal("decompress", "a.txt", "-o", "x")
    assert not Path("x").exists()
    assert "one stream" in refusal("compress", "a.txt", "--streams", "2", "-o", "x")
    assert not Path("x").exists()


def test_a_terminal_gets_no_compressed_data(folder, model, monkeypatch):
    monkeypatch.setattr("charrnn.display.terminal.console._is_terminal", lambda stream: True)
    assert "not written to a terminal" in refusal("compress", "a.txt", "--model", model, "-o", "-", status=2)


INTERRUPTED = """
import os, signal, sys
from charrnn.compression import container
from charrnn.kernels import range_coder
import charrnn.compression.blocks as blocks
go, calls = blocks.BlockCoder._adapt_steps, []
def interrupted(self, seconds):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), int(number))
    return go(self, seconds)
number, sys.argv = sys.argv[1], ["charrnn", *sys.argv[2:]]
blocks.BlockCoder._adapt_steps = interrupted
from charrnn.__main__ import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_half_file(folder, model, number, status):
    command = [sys.executable, "-c", INTERRUPTED, str(int(number)), "compress", "a.txt", "--model", str(model)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt"]
