"""Runs by their names: ``charrnn runs``, names as checkpoints, the greeting."""

import json
import shutil

import pytest
from click.testing import CliRunner
from command_line import invoke, succeed

from charrnn.checkpoints.run_folder import RunFolder
from charrnn.commands import charrnn
from charrnn.commands.types import CheckpointPath


@pytest.fixture
def here(tmp_path, monkeypatch, model):
    """A working folder with a complete run, one that was interrupted, a model in a file and a damaged run."""
    runs = tmp_path / "checkpoints"
    for name in ("whole", "stopped", "damaged"):
        shutil.copytree(model, runs / name)
    shutil.copy(model / "best.safetensors", runs / "given.safetensors")
    log = runs / "stopped" / "metrics.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if "finished" not in line))
    (runs / "damaged" / "last.safetensors").write_bytes(b"\xff" * 100)
    (runs / "no run").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listed(*arguments):
    return {each["name"]: each for each in map(json.loads, succeed("runs", *arguments, "--json").stdout.splitlines())}


def test_a_list_of_runs(here, model):
    found = listed()
    states = {name: each["state"] for name, each in found.items()}
    assert states == {"whole": "complete", "stopped": "unfinished", "given": "a file", "damaged": "unreadable"}
    assert found == listed("checkpoints")
    whole = found["whole"]
    assert whole["text"] == "fables.txt"
    assert whole["step"] == 150
    assert whole["best_val_loss"] == json.loads(succeed("info", model, "--json").stdout)["progress"]["best_val_loss"]
    assert found["stopped"]["resumable"]
    assert not whole["resumable"]
    shown = succeed("runs").stdout
    assert f"{whole['best_val_loss']:.4f}" in shown
    assert "stopped is not finished: charrnn train --resume --name stopped" in shown
    shutil.copytree(here / "checkpoints" / "stopped", here / "checkpoints" / "later")
    shown = succeed("runs").stdout
    assert "2 runs are not finished; go on with one: charrnn train --resume --name " in shown


def test_a_run_that_is_being_trained(here):
    """It is not offered to be resumed: the process that trains it has locked its folder."""
    with RunFolder(here / "checkpoints" / "stopped").locked():
        assert listed()["stopped"]["state"] == "training"
        assert not listed()["stopped"]["resumable"]
        assert "--resume" not in succeed("runs").stdout
        assert "--resume" not in CliRunner().invoke(charrnn, []).stdout
        assert "training" in succeed("compare", "stopped", "whole", "--length", 0).stdout
    assert listed()["stopped"]["state"] == "unfinished"


def test_a_list_of_another_folder_and_a_hostile_log(here):
    (here / "checkpoints").rename(here / "my runs")
    log = here / "my runs" / "whole" / "metrics.jsonl"
    log.write_text('{"event": "finished", "reason": "completed", "mixed_val_loss": "\\u001b[31m"}\n')
    shown = succeed("runs", "my runs").stdout
    assert "--name stopped --out" in shown
    assert "\x1b" not in shown
    assert listed("my runs")["whole"]["mixed_val_loss"] is None


@pytest.mark.parametrize("number", ["NaN", "1e999", '1.5, "mixed_val_loss": 1.5'])
def test_an_end_that_no_run_writes_is_no_end(here, number):
    log = here / "checkpoints" / "whole" / "metrics.jsonl"
    log.write_text(f'{{"event": "finished", "reason": "completed", "mixed_val_loss": {number}}}\n')
    assert listed()["whole"]["mixed_val_loss"] is None
    assert listed()["whole"]["resumable"]


def test_a_folder_without_runs(here):
    (here / "empty").mkdir()
    assert "no runs yet" in succeed("runs", "empty").stderr
    assert invoke("runs", "nowhere").exit_code == 1
    shutil.rmtree(here / "checkpoints")
    assert "no runs yet" in succeed("runs").stderr
    assert succeed("runs", "--json").stdout == ""


def test_a_name_is_enough(here, model):
    text = succeed("sample", model, "--seed", 5, "-n", 50).stdout
    for name in ("whole", "given", here / "checkpoints" / "whole"):
        assert succeed("sample", name, "--seed", 5, "-n", 50).stdout == text
    shutil.copytree(here / "checkpoints" / "stopped", here / "whole")  # a path goes before a name
    (here / "whole" / "best.safetensors").unlink()
    assert succeed("info", "whole").stdout.splitlines()[0].split()[-1].startswith("whole")
    assert "runs in checkpoints: damaged, given, stopped, whole" in invoke("sample", "nobody").stderr
    assert "Runs in checkpoints: damaged, given, stopped, whole." in invoke("sample").stderr
    assert invoke("sample", "no run").exit_code == 1


def test_completion_offers_names(here):
    found = CheckpointPath().shell_complete(None, None, "w")
    assert [each.value for each in found if each.type == "plain"] == ["whole"]


def test_the_greeting_says_what_is_next(here):
    greet = CliRunner().invoke(charrnn, []).stdout
    assert "charrnn train --resume --name stopped" in greet
    assert "charrnn inspect" in greet
    assert "charrnn demo" not in greet
    for name in ("stopped", "damaged", "whole"):
        shutil.rmtree(here / "checkpoints" / name)
    assert "charrnn inspect given" in CliRunner().invoke(charrnn, []).stdout
    (here / "checkpoints" / "given").mkdir()  # a run goes before a file
    assert "checkpoints/given.safetensors" in CliRunner().invoke(charrnn, []).stdout.replace("\\", "/")
    shutil.rmtree(here / "checkpoints")
    greet = CliRunner().invoke(charrnn, []).stdout
    assert "charrnn demo" in greet
    assert "charrnn train TEXT" in greet
    assert "charrnn inspect fables" in greet


def test_a_model_comes_along(here, monkeypatch):
    """It has its name wherever one is, unless a run has this name; its held-out text comes along too."""
    written = succeed("sample", "fables", "--seed", 1, "-n", 50).stdout
    scored = json.loads(succeed("evaluate", "fables", "--json").stdout)
    assert scored["part"] == "validation"
    assert scored["loss"] < 1.5
    assert CheckpointPath().shell_complete(None, None, "fab")[0].value == "fables"
    shutil.copytree(here / "checkpoints" / "whole", here / "checkpoints" / "fables")
    assert succeed("sample", "fables", "--seed", 1, "-n", 50).stdout != written


def test_a_name_that_is_nearly_right(here):
    assert "did you mean whole?" in invoke("sample", "whloe").stderr
    assert "did you mean fables?" in invoke("sample", "fable").stderr
    assert "train --resume --name stopped" in invoke("train", "--resume").stderr
    refused = invoke("train", "--resume", "--name", "stoped").stderr
    assert "nothing to resume" in refused and "did you mean stopped?" in refused
    assert "did you mean fables" not in invoke("info", "whole/tables").stderr  # of a folder it is not known
    assert "did you mean given?" in invoke("info", "given.safetensor").stderr
    slip = invoke("inspect", "finds", "whole")
    assert slip.exit_code == 2 and "Did you mean the command 'find'?" in slip.stderr
    assert "no such checkpoint" in invoke("inspect", "--", "finds").stderr


def test_a_file_is_found_without_its_ending(here):
    assert succeed("info", "checkpoints/given").stdout == succeed("info", "given").stdout
    shutil.copy(here / "checkpoints" / "given.safetensors", here / "beside.safetensors")
    assert "LSTM" in succeed("info", "beside").stdout  # a file in this folder, too
    assert "has no log" in invoke("log", "given").stderr


def test_text_from_a_pipe_is_called_standard_input(here):
    piped = ("--name", "piped", "--hidden", 8, "--layers", 1, "--steps", 2, "--threads", 1, "-q")
    succeed("train", "-", *piped, input="The fox said no. " * 40)
    assert listed()["piped"]["text"] == "-"
    (line,) = (line for line in succeed("runs").stdout.splitlines() if line.startswith("piped"))
    assert line.endswith("standard input")
    assert "standard input (680 characters)" in succeed("info", "piped").stdout


@pytest.mark.parametrize("columns", ["30", "70"])
def test_a_path_and_a_checksum_are_whole_off_a_terminal(here, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    about = json.loads(succeed("info", "whole", "--json").stdout)
    words = succeed("info", "whole").stdout.split()
    assert about["corpus"]["sha256"] in words
    assert about["path"] in words
