"""Whatever a user may give: one line that says what, where and what to do, and exit status 1 or 2."""

import gzip
import io
import itertools
import os
import sys
import zipfile
from pathlib import Path

import pytest
from command_line import SMALL, invoke, run_cli, succeed

SENTENCE = "the quick brown fox jumps over the lazy dog\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder to be in, with a good text in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARRNN_CORPORA", str(tmp_path / "corpora"))
    write("ok.txt", SENTENCE * 9)
    return tmp_path


def write(name, content):
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def refused(*arguments, status=1, **options):
    """The one line that a command ends with, and nothing of the kind of an exception."""
    result = invoke(*arguments, **options)
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status
    assert result.stdout == ""
    *before, line = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert status == 2 or not before
    return line.removeprefix("Error: ")


def trained(*arguments):
    succeed("train", "ok.txt", "--out", "runs", *SMALL, "--steps", 2, "-q", *arguments)
    return "runs/ok"


# Texts


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../outside.txt", "hello")
        archive.writestr("/etc/absolute.txt", "hello")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it.txt: there is no text in it"),
        (b"\xef\xbb\xbf", "it.txt: there is no text in it"),
        (b"a", "it.txt: fewer than 2 characters: there is nothing to predict; give a longer text"),
        (b"one\ntwo \xe9\n", "it.txt: byte 0xE9 at offset 8 (line 2) is not UTF-8; pass --encoding latin-1"),
        (SENTENCE.encode("utf-16"), "byte-order mark of UTF-16; pass --encoding utf-16, or --bytes"),
        (SENTENCE.encode("utf-16-le"), "every other byte is a NUL, as in UTF-16; pass --encoding utf-16-le"),
        (SENTENCE.encode("utf-16-be"), "every other byte is a NUL, as in UTF-16; pass --encoding utf-16-be"),
        (b"hello\0world", "binary, not a text (it has a NUL at offset 5); name a text, or pass --bytes"),
        (bytes(range(1, 256)), "byte 0x80 at offset 127 (line 2) is not UTF-8"),
        (gzip.compress(b"hello"), "a gzip file, not a text; unpack it first, or pass --bytes"),
        (zipped(), "a zip archive or an office document, not a text; unpack it"),
        (b"%PDF-1.7\n%\xe2\xe3\n", "a PDF, not a text; export its text first"),
        (b"\x89PNG\r\n\x1a\n\0", "an image, not a text; name a text"),
        (b"a" * 257 + b"ustar\0", "a tar archive, not a text; unpack it first"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 1500))), "1,500 distinct symbols are more than 1,000"),
    ],
    ids=itertools.count(),  # archives have the time in them, and all workers of a test run must see the same names
)
def test_texts_that_are_none(here, content, message):
    write("it.txt", content)
    assert message in refused("train", "it.txt", "--out", "runs")
    assert not (here / "runs" / "it").exists()
    assert sorted(path.name for path in here.iterdir() if path.name != "runs") == ["it.txt", "ok.txt"]


def test_a_vocabulary_that_is_too_large_comes_with_what_would_do():
    line = refused("train", "ok.txt", "--max-vocab", 5)
    assert "--encoding" in line
    assert "--max-vocab 28" in line
    assert "--min-count" in line
    assert "lower it" in refused("train", "ok.txt", "--min-count", 1000)


def test_texts_that_are_not_there(here):
    (here / "folder").mkdir()
    assert "folder: there are no text files in this folder" in refused("train", "folder")
    assert "okk.txt: no such file or text: did you mean ok.txt?" in refused("train", "okk.txt")
    assert "ok.txt/below: no such file" in refused("train", "ok.txt/below")
    assert "standard input: there is no text in it" in refused("train", "-", input=b"")
    assert "an empty name" in refused("train", "", "--name", "x")
    assert "x" * 300 in refused("train", "x" * 300, "--name", "x")
    assert "Missing argument 'TEXT...'" in refused("train", status=2)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there are no devices here")
@pytest.mark.parametrize("command", [["train"], ["corpus", "stats"]])
def test_devices_are_not_read(command):
    assert "/dev/zero: this is a device: name a file, or pipe" in refused(*command, "/dev/zero")


@pytest.mark.parametrize("name", ["with space.txt", "ünï ☃.txt", "-dash.txt", "[red]a.txt", "%s{0}.txt"])
def test_odd_names_are_names(here, name):
    write(name, SENTENCE * 9)
    succeed("train", "--out", "runs", *SMALL, "--steps", 1, "-q", "--", name)
    assert (here / "runs" / name.removesuffix(".txt") / "last.safetensors").exists()
    write(name, b"ab\xff")
    assert refused("train", "--name", "x", "--", name).startswith(f"{name}: byte 0xFF at offset 2")


@pytest.mark.parametrize("command", [["train"], ["corpus", "stats"], ["inspect"]])
@pytest.mark.parametrize("name", ["-dash.txt", "--dash", "-q\x1b[31m"])
def test_a_name_that_looks_like_an_option_comes_with_how_to_write_it(here, command, name):
    result = run_cli(*command, name, cwd=here)
    assert result.returncode == 2
    assert b"To name the file" not in result.stderr
    write(name, SENTENCE * 9)
    result = run_cli(*command, name, cwd=here)
    assert result.returncode == 2
    assert b"No such option" in result.stderr
    assert b"To name the file %s put ./ before it, or --" % repr(name).encode() in result.stderr


def test_the_advice_is_about_the_option_that_is_not_there(here):
    write("-n", SENTENCE)
    result = run_cli("sample", "model", "-n", 5, "--lenght", 4, cwd=here)
    assert result.returncode == 2
    assert b"--lenght" in result.stderr and b"To name the file" not in result.stderr
    result = run_cli("train", "--" + "x" * 5000, cwd=here)
    assert result.returncode == 2
    assert b"No such option" in result.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_with_a_name_is_a_text(here):
    os.mkfifo("pipe")
    code = f"open('pipe', 'w').write({SENTENCE!r} * 9)"
    os.spawnl(os.P_NOWAIT, sys.executable, sys.executable, "-c", code)
    succeed("train", "pipe", "--out", "runs", *SMALL, "--steps", 1, "-q")
    os.wait()


# Sizes


def test_a_text_shorter_than_a_window_is_trained_on_with_a_note():
    write("short.txt", "abc" * 20)
    result = succeed("train", "short.txt", "--out", "runs", "--hidden", 8, "--steps", 1, "--threads", 1)
    assert "the training part has only 54 characters: " in result.stderr
    assert "steps instead of 16 of 64" in result.stderr


@pytest.mark.parametrize(
    ("split", "part"),
    [("99.9/0.1/0", "1 of 396 characters for validation"), ("0.1/99.9/0", "0 of 396 characters for t")],
)
def test_parts_that_are_too_small(split, part):
    line = refused("train", "ok.txt", "--split", split)
    assert line.startswith(f"ok.txt: --split {split} leaves {part}")
    assert "give that part more" in line


def test_a_schedule_without_the_part_that_it_needs():
    assert "needs a validation part" in refused("train", "ok.txt", "--schedule", "plateau", "--split", "100/0/0")


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["train", "ok.txt", "--hidden", 60_000, "--layers", 64], "choose a smaller hidden size"),
        (["train", "ok.txt", "--hidden", 65_000, "--batch-size", 1_000_000, "--seq-len", 10], "choose a smaller"),
        (["bench", "--hidden", 65_000, "--layers", 64], "choose a smaller hidden size"),
        (["sample", "nowhere", "--count", 100_000, "--length", 1_000_000_000], "ask for a smaller --count or --length"),
    ],
)
def test_absurd_sizes_come_with_the_memory_they_would_need(here, monkeypatch, arguments, advice):
    monkeypatch.setattr("charrnn.system.memory.installed", lambda: 16 * 10**9)
    line = refused(*arguments)
    assert " GB, and this machine has 16.0: " in line
    assert advice in line
    assert not (here / "checkpoints" / "ok").exists()


def test_sizes_beyond_a_small_text_are_not_refused_for_the_memory_that_they_will_not_take(here, monkeypatch):
    monkeypatch.setattr("charrnn.system.memory.installed", lambda: 10**9)
    sizes = ["--batch-size", 1_000_000, "--seq-len", 1_000_000]
    small = ["--hidden", 8, "--layers", 1, "-q"]
    succeed("train", "ok.txt", *sizes, *small, "--steps", 2)
    succeed("train", "--resume", "--name", "ok", "--steps", 3, "-q")
    (here / "long.txt").write_text("abcdefgh " * 300_000)
    assert " GB, and this machine has 1.0: choose a smaller" in refused("train", "long.txt", *sizes, *small)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "ok.txt", "--hidden", "0"], "'--hidden': 0 must be at least 1 and at most 65,536."),
        (["train", "ok.txt", "--hidden", "9" * 30], "must be at least 1 and at most 65,536."),
        (["train", "ok.txt", "--hidden", "1.5"], "'--hidden': '1.5' is not a valid whole number"),
        (["train", "ok.txt", "--layers", "65"], "65 must be at least 1 and at most 64."),
        (["train", "ok.txt", "--steps", "-3"], "-3 must be at least 1."),
        (["inspect", "draw", "fables"], "Name the file to write, as in -o cells.svg."),
        (["inspect", "page", "fables"], "Name the file to write, as in -o cells.html."),
        (["train", "ok.txt", "--epochs", "0"], "0.0 must be at least 1e-06 and at most 1,000,000."),
        (["train", "ok.txt", "--lr", "-1"], "-1.0 must be at least 0 and at most 1,000."),
        (["train", "ok.txt", "--lr", "nan"], "'nan' is not a finite number."),
        (["train", "ok.txt", "--clip", "-inf"], "'-inf' is not a finite number."),
        (["train", "ok.txt", "--time-budget", "0"], "more than nothing"),
        (["train", "ok.txt", "--time-budget", "nan"], "not a duration like 90s"),
        (["sample", "x", "-t", "-1"], "'-t' / '--temperature': -1.0 must be at least 0."),
        (["sample", "x", "-t", "nan"], "'-t' / '--temperature': 'nan' is not a finite number."),
        (["sample", "x", "-t", "inf"], "'inf' is not a finite number."),
        (["sample", "x", "-t", ""], "'' is not a valid number"),
        (["sample", "x", "--compare", "0.5,nan"], "'--compare': 'nan' is not a finite number."),
        (["sample", "x", "--compare", "0.5,,1"], "'--compare': '' is not a valid number"),
        (["sample", "x", "--top-p", "0"], "0.0 must be above 0 and at most 1."),
        (["sample", "x", "--min-p", "nan"], "not a finite number"),
        (["sample", "x", "--length", "0"], "0 must be at least 1"),
        (["sample", "x", "--count", "0"], "0 must be at least 1"),
        (["sample", "x", "--threads", "5000"], "5000 must be at least 1 and at most 1,024."),
        (["sample", "x", "--stop", ""], "--stop needs a text that is not empty."),
        (["sample", ""], "an empty name: give a run, or a file."),
        (["sample", "x", "--with", ""], "an empty name"),
        (["novelty", "x", "-t", "nan"], "not a finite number"),
        (["evaluate", "x", "--online", "--online-lr", "2"], "2.0 must be at least 0 and at most 1."),
        (["bench", "--batch-size", "1000000000"], "must be at least 1 and at most 1,000,000."),
        (["corpus", "python", "--limit", "0"], "0 must be at least 1."),
    ],
)
def test_numbers_out_of_range_are_told_the_range(arguments, message):
    assert message in refused(*arguments, status=2)


# Models


@pytest.mark.parametrize("command", ["sample", "evaluate", "inspect", "info", "bench", "train"])
def test_models_that_are_none(here, command):
    (here / "folder").mkdir()

    def line(name):
        if command == "train":
            return refused("train", "ok.txt", "--init-from", name)
        return refused(command, name, *(["ok.txt"] if command in ("evaluate", "inspect") else []))

    hint = (
        "give the name or the folder of a run, or a checkpoint file; "
        "charrnn train TEXT makes a run, and fables is a model that comes with charrnn"
    )
    assert line("nowhere") == f"nowhere: no such checkpoint; {hint}"
    assert line("folder") == f"folder: no checkpoint in this folder; {hint}"
    assert line("ok.txt") == "ok.txt: a text, not a checkpoint: charrnn train makes a model of it"
    Path("damaged").write_bytes(b"\xff" * 100)
    assert line("damaged").startswith("damaged: not a checkpoint, or a damaged one")


def test_a_folder_of_runs_is_not_one_of_them():
    trained()
    assert refused("sample", "runs") == "runs: no checkpoint in this folder; runs in runs: ok"
    assert refused("sample", "runs/okay") == "runs/okay: no such checkpoint; did you mean ok?"


def test_what_a_model_does_not_know():
    model = trained()
    write("new.txt", "the fox\nmeets Жук")
    expected = "new.txt, line 2: the model does not know 'Ж' (U+0416), 'у' (U+0443), 'к' (U+043A): "
    assert expected in refused("evaluate", model, "new.txt")
    assert "pass --unknown skip or --unknown replace" in refused("inspect", model, "new.txt")
    assert "'Ж' (U+0416)" in refused("sample", model, "--prime", "Ж")
    line = refused("train", "new.txt", "--init-from", model)
    assert expected in line
    assert line.endswith("or --grow-vocabulary to have the model learn new ones")
    write("new.txt", b"\xff")
    # No advice to read bytes, which a model of characters cannot.
    assert refused("evaluate", model, "new.txt").endswith("is not UTF-8; pass --encoding latin-1 (or another)")
    assert refused("sample", model, "--prime-file", "new.txt").endswith("at offset 0 is not UTF-8; convert it first")


# Where things are written


def test_a_name_that_exists():
    trained()
    line = refused("train", "ok.txt", "--out", "runs")
    assert line == "runs/ok: a run is there; --resume to go on, --force to replace it, or --name another"
    trained("--force")
    assert refused("corpus", "python", "-o", "ok.txt").startswith("ok.txt: is there already: give --force")


def test_output_that_cannot_be_written(here):
    write("file", "x")
    assert "'--out': Directory 'file' is a file" in refused("train", "ok.txt", "--out", "file", status=2)
    assert refused("train", "ok.txt", "--out", "file/below") == "file/below/ok: cannot be written (Not a directory)"
    assert "file/x: cannot be written (file is not a folder)" in refused("corpus", "python", "-o", "file/x")
    (here / "folder").mkdir()
    for name in ("folder", ""):
        assert "this is a folder: name a file in it with --output" in refused("corpus", "python", "-o", name)
    assert "cannot be written (File name too long)" in refused("train", "ok.txt", "--name", "x" * 300)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everything")
def test_a_folder_that_may_not_be_written(here):
    (here / "mine").mkdir(mode=0o500)
    assert "cannot be written (Permission denied)" in refused("train", "ok.txt", "--out", "mine")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\\b", "c:x", "a\nb", "a\x1bb"])
def test_names_that_no_folder_may_have(name):
    assert "cannot be a folder's name" in refused("train", "ok.txt", "--name", name, status=2)


# A process of its own


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "empty.txt"], 1, b"Error: empty.txt: there is no text in it\n"),
        (["train", "ok.txt", "--hidden", "60000", "--layers", "64"], 1, b" GB, and this machine has "),
        (["sample", "nowhere"], 1, b"Error: nowhere: no such checkpoint; "),
        (["sample", "nowhere", "-t", "nan"], 2, b"'nan' is not a finite number."),
        (["corpus", "get", "../x"], 1, b"Error: '../x' is not in the catalog: "),
    ],
)
def test_a_process_ends_with_one_line_and_the_right_status(arguments, status, message):
    write("empty.txt", b"")
    process = run_cli(*arguments)
    assert process.returncode == status
    assert process.stdout == b""
    assert message in process.stderr
    assert b"Traceback" not in process.stderr
    assert status == 2 or process.stderr.count(b"\n") == 1


LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([LONG], 2),
        ([f"--{LONG}"], 2),
        (["sample", LONG], 1),
        (["sample", "x", "--unknown", LONG], 2),
        (["train", "ok.txt", "--hidden", LONG], 2),
        (["train", "ok.txt", "--name", LONG], 1),
        (["corpus", "get", LONG], 1),
        (["export", "x", LONG + ".pdf"], 2),
    ],
)
def test_a_message_does_not_repeat_a_long_argument_whole(arguments, status):
    process = run_cli(*arguments)
    assert process.returncode == status
    assert b"Error: " in process.stderr
    assert len(process.stderr.decode()) < 2000
    assert " characters left out) … ".encode() in process.stderr


@pytest.mark.parametrize("command", [("train",), ("corpus", "stats")])
@pytest.mark.parametrize("data", [b"\x82\0\x01\0ab\n", b"ab\0\0\n\xff\xff", b"a\0\0\0b\0\0\0\n\0\0\0"])
def test_utf_32_without_its_mark_is_one_line(tmp_path, command, data):
    text = tmp_path / "it.txt"
    text.write_bytes(data)
    result = invoke(*command, text, "--encoding", "utf-32")
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "--encoding" in result.stderr
