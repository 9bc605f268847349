"""``charrnn identify``: learning a folder, answers for lines and files, and what stands in the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import invoke, run_cli, succeed

from charrnn.checkpoints.model_set import ModelSet

ENGLISH = "The fox saw the grapes and said: they are sour. A crow sat in the tree with a piece of cheese.\n"
GERMAN = "Der Fuchs sah die Trauben und sagte: sie sind sauer. Eine Krähe saß auf dem Baum mit Käse.\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to work in, with a folder of two texts."""
    monkeypatch.chdir(tmp_path)
    Path("tongues").mkdir()
    Path("tongues/english.txt").write_text(ENGLISH * 300)
    Path("tongues/german.text").write_text(GERMAN * 300)
    Path("letter.txt").write_bytes("die Krähe sah Käse\n\nthe cheese is sour\r\nxq zvkj wqxz jjkq vxzq\n".encode())
    return tmp_path


@pytest.fixture
def learnt(folder):
    """The same, with a set of models."""
    succeed("identify", "--learn", "tongues", "-q")
    return folder


def refusal(*arguments, status=1, **options):
    result = invoke("identify", *arguments, **options)
    assert result.exit_code == status, result.stderr
    assert status == 2 or result.stderr.count("\n") == 1, result.stderr
    assert not [*Path().glob(".*.tmp"), *Path().glob("checkpoints/.*.tmp")]
    return result.stderr


def records(*arguments):
    return [json.loads(line) for line in succeed("identify", *arguments, "--json").stdout.splitlines()]


def test_a_folder_is_learnt_and_found_by_its_name(folder):
    said = succeed("identify", "--learn", "tongues/")
    assert "english" in said.stdout and "100 % of" in said.stdout
    assert "charrnn identify --model tongues FILE" in said.stderr
    found = succeed("identify", "--model", "tongues", "letter.txt")
    rows = [line.split("\t") for line in found.stdout.splitlines()]
    assert [row[0] for row in rows] == ["german", "-", "english", "none"]
    assert [row[4] for row in rows] == ["die Krähe sah Käse", "", "the cheese is sour", "xq zvkj wqxz jjkq vxzq"]
    assert float(rows[0][1]) > 0.8 and 0 < float(rows[0][3]) < 0.2 and rows[0][2] in ("none", "english")
    assert "letter.txt: 4 lines: german 1, english 1, none 1, 1 empty" in found.stderr
    assert "models for charrnn identify" in succeed("runs").stdout
    assert records_of_runs()[0]["state"] == "a set"


def records_of_runs():
    return [json.loads(line) for line in succeed("runs", "--json").stdout.splitlines()]


def test_json_of_lines_of_files_and_of_learning(learnt):
    first, empty, second, none = records("--model", "tongues", "letter.txt")
    assert (first["file"], first["line"], first["name"], first["text"]) == (
        "letter.txt",
        1,
        "german",
        "die Krähe sah Käse",
    )
    assert first["characters"] == 18 and 0 < first["bpc"] < 5
    assert next(iter(first["probabilities"])) == "german" and sum(first["probabilities"].values()) == pytest.approx(
        1, abs=1e-4
    )
    assert first["probability"] == pytest.approx(first["probabilities"]["german"], abs=1e-6)
    assert (empty["name"], empty["probability"], empty["characters"]) == (None, None, 0)
    assert (second["name"], second["line"], none["name"]) == ("english", 3, "none")
    whole = records("--model", "tongues", "--whole", "tongues/english.txt", "tongues/german.text")
    assert [(each["name"], each["lines"]) for each in whole] == [("english", 300), ("german", 300)]
    (about,) = records("--learn", "tongues", "-o", "again.safetensors")
    assert about["size"] == Path("again.safetensors").stat().st_size
    assert [(each["name"], each["right"] == each["pieces"] > 0) for each in about["models"]] == [
        ("english", True),
        ("german", True),
    ]
    again, first = (ModelSet.load(Path(each)) for each in ("again.safetensors", "checkpoints/tongues.safetensors"))
    assert {name: text.tobytes() for name, text in again.texts.items()} == {
        name: text.tobytes() for name, text in first.texts.items()
    }


def test_standard_input_whole_files_and_several(learnt):
    found = succeed("identify", "--model", "tongues", input=GERMAN.encode())
    assert found.stdout.startswith("german\t") and "standard input: 1 line: german 1" in found.stderr
    found = succeed("identify", "--model", "tongues", "letter.txt", "tongues/english.txt")
    assert found.stdout.startswith("letter.txt\tgerman\t") and "\ntongues/english.txt\tenglish\t" in found.stdout
    found = succeed("identify", "--model", "tongues", "--whole", "tongues/english.txt", "letter.txt")
    assert "english" in found.stdout and "letter.txt" in found.stdout
    assert succeed("identify", "--model", "tongues", input=b"").stdout == ""
    (empty,) = [json.loads(succeed("identify", "--model", "tongues", "--whole", "--json", input=b"").stdout)]
    assert (empty["name"], empty["characters"]) == (None, 0)


def test_checkpoints_by_name_beside_a_set(learnt, model):
    found = records("--model", f"tales={model}", "--model", "tongues", "letter.txt")
    assert set(found[0]["probabilities"]) == {"tales", "english", "german", "none"}
    found = records("--model", model, "letter.txt")
    assert set(found[0]["probabilities"]) == {"fables", "none"}
    with_ngrams = records("--model", f"a={model}", "letter.txt", "--ngrams")
    alone = records("--model", f"a={model}", "letter.txt")
    assert with_ngrams[2]["bpc"] != alone[2]["bpc"]
    assert "two models are called german" in refusal("--model", "tongues", "--model", f"german={model}", "letter.txt")
    assert "names of its own" in refusal("--model", "x=tongues", "letter.txt")


def test_priors_none_and_temperature(learnt):
    def first(*arguments):
        return records("--model", "tongues", "letter.txt", *arguments)[0]["probabilities"]

    usual = first()
    assert first("--prior", "english=1e9")["english"] > usual["english"]
    assert first("--none", "0")["none"] == 0 and first("--none", "0.9")["none"] > usual["none"]
    assert max(first("--temperature", "500").values()) < 0.4
    assert "no model 'latin'" in refusal("--model", "tongues", "--prior", "latin=2", "letter.txt")
    for wrong in ("latin", "=", "german=x", "german=-1", "german=nan"):
        refusal("--model", "tongues", "--prior", wrong, "letter.txt", status=2)


def test_a_terminal_gets_one_short_line_for_each(learnt):
    from charrnn.display.reports.identification import answer_line

    about = records("--model", "tongues", "letter.txt")[0]
    for columns in (200, 100, 60, 40, 20, 5, 1):
        line = answer_line(about, "die Kr\x1b[2Jähe " * 50, 7, columns)
        assert line.cell_len <= max(columns, 16) and "\x1b" not in line.plain
        assert line.plain.startswith("german")


# ---- what stands in the way --------------------------------------------------------------------------------


def test_wrong_usage(learnt):
    for arguments in (
        (), ("letter.txt",), ("--learn", "tongues", "--model", "tongues"), ("--learn", "tongues", "letter.txt"),
        ("--learn", "tongues", "--whole"), ("--model", "tongues", "-o", "x.safetensors"), ("--model", ""),
        ("--model", "tongues", "--force"), ("--model", "none=tongues", "letter.txt"), ("--model", "a=", "letter.txt"),
        ("--learn", "tongues", "-o", "x.txt"), ("--learn", "tongues", "-o", "none/x.safetensors"),
        ("--model", "a\x1b=tongues", "letter.txt"), ("--model", "tongues", "--none", "1"),
    ):  # fmt: skip
        assert "\x1b" not in refusal(*arguments, status=2)


def test_folders_that_are_odd(folder):
    assert "not a folder" in refusal("--learn", "letter.txt")
    assert "not a folder" in refusal("--learn", "missing")
    Path("one").mkdir()
    assert "no text in this folder" in refusal("--learn", "one")
    Path("one/a.txt").touch()
    Path("one/.hidden").write_text("x")
    Path("one/below").mkdir()
    Path("one/dead").symlink_to("nowhere")
    message = refusal("--learn", "one")
    assert "1 empty file is left out" in message and "1 folder is left out" in message and "dead link" in message
    Path("one/b.txt").write_text("a single short text")
    said = succeed("identify", "--learn", "one").stderr
    assert "1 empty file is left out, first one/a.txt" in said
    assert next(each["name"] for each in records("--model", "one", "letter.txt")[:1]) in ("b", "none")
    Path("one/b.md").write_text("another")
    assert "one/b.md and one/b.txt would be two models of one name" in refusal("--learn", "one", "--force")
    Path("one/b.md").rename("one/none.md")
    assert "none of them" in refusal("--learn", "one", "--force")
    Path("one/none.md").rename("one/\x1b[2J.md")
    assert "\x1b" not in refusal("--learn", "one", "--force")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_pipe_in_the_folder_is_not_waited_for(folder):
    os.mkfifo("tongues/pipe")
    said = succeed("identify", "--learn", "tongues").stderr
    assert "1 pipe, device or dead link is left out" in said
    assert "missing: no such file" in refusal("--model", "tongues", "missing")
    assert "this is a folder" in refusal("--model", "tongues", "tongues")
    assert "this is a device" in refusal("--model", "tongues", "/dev/zero")
    assert refusal("--model", "tongues/pipe", "letter.txt")


def test_a_set_is_replaced_only_by_force_and_never_half(learnt):
    path = Path("checkpoints/tongues.safetensors")
    before = path.read_bytes()
    assert "is there already" in refusal("--learn", "tongues")
    Path("tongues/empty").touch()
    Path("tongues/german.md").write_text("x")
    refusal("--learn", "tongues", "--force")
    assert path.read_bytes() == before
    Path("tongues/german.md").unlink()
    Path("tongues/third.txt").write_text("un deux trois " * 100)
    succeed("identify", "--learn", "tongues", "--force", "-q")
    assert path.read_bytes() != before


def test_damaged_and_forged_sets_and_other_files(learnt):
    data = Path("checkpoints/tongues.safetensors").read_bytes()
    for name, damaged in (("cut", data[:-5]), ("flipped", data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])):
        Path(f"{name}.safetensors").write_bytes(damaged)
        assert "damaged" in refusal("--model", f"{name}.safetensors", "letter.txt")
    assert "a text, not a checkpoint" in refusal("--model", "letter.txt", "letter.txt")
    result = invoke("sample", "checkpoints/tongues.safetensors")
    assert result.exit_code == 1 and "only charrnn identify reads" in result.stderr
    # A folder of texts does not hide the set of its name, for any command.
    assert "only charrnn identify reads" in invoke("evaluate", "tongues").stderr


def test_one_file_that_fails_does_not_keep_the_others_from_it(learnt):
    result = invoke("identify", "--model", "tongues", "missing", "letter.txt", "gone")
    assert result.exit_code == 1
    assert [line[:24] for line in result.stderr.splitlines()[-2:]] == [
        "Error: missing: no such ",
        "Error: gone: no such fil",
    ]
    assert "letter.txt\tgerman" in result.stdout


def test_hostile_text_keeps_its_bytes_in_a_pipe(learnt):
    lines = [b"\xff\xfe\0\x1b[2J", b"\xed\xa0\x80\xf0\x9f", b"\t\t", b"die Kr\xe4he", b"\x00" * 300]
    Path("odd").write_bytes(b"\n".join(lines))
    result = run_cli("identify", "--model", "tongues", "odd")
    assert result.returncode == 0
    assert [line.split(b"\t", 4)[4] for line in result.stdout.splitlines()] == lines
    for each in records("--model", "tongues", "odd"):
        assert each["text"].encode()


def test_one_endless_line_needs_little_memory_and_can_be_stopped(learnt):
    script = "import sys\nwhile True: sys.stdout.write('die Trauben sind sauer ' * 1000)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as endless:
        command = [sys.executable, "-m", "charrnn", "identify", "--model", "tongues", "--threads", "1", "-q"]
        with subprocess.Popen(command, stdin=endless.stdout, stdout=subprocess.PIPE) as process:
            endless.stdout.close()
            sizes = []
            for _ in range(2):
                time.sleep(3)
                status = Path(f"/proc/{process.pid}/status")
                if status.exists():
                    sizes.append(
                        int(next(x for x in status.read_text().splitlines() if x.startswith("VmRSS")).split()[1])
                    )
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 143
            endless.kill()
    assert all(size < 500_000 for size in sizes)


def test_a_line_longer_than_what_is_shown_is_scored_whole(learnt):
    Path("long").write_text("die Trauben sind sauer " * 1000 + "\nthe grapes")
    first, second = records("--model", "tongues", "long")
    assert (first["characters"], len(first["text"]), first["name"]) == (23_000, 10_000, "german")
    assert (second["line"], second["text"]) == (2, "the grapes")
