"""``charrnn explain``: the step, the refusals, the page."""

import json
import re

import pytest
from command_line import invoke, succeed

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import load_checkpoint
from charrnn.config import ModelConfig
from charrnn.network.network import Network
from charrnn.sanitise import visible
from charrnn.text.vocabulary import Vocabulary


def records(*arguments):
    return [json.loads(line) for line in succeed("explain", *arguments, "--json").stdout.splitlines()]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "transformer"])
def test_a_step_of_a_small_network(cell):
    (found,) = records("hello", "--cell", cell)
    assert (found["step"], found["reads"], found["next"]) == (2, "e", "l")
    shown = succeed("explain", "hello", "--cell", cell).stdout
    assert "Step 2, forward: it reads e, and l comes next" in shown
    assert "by finite difference" in shown
    differences = [line for section in found["back"] for line in section["lines"] if line["differences"]]
    assert len(differences) > 10
    assert all(line["differences"] == pytest.approx(line["values"], abs=1e-9) for line in differences)
    assert records("hello", "--cell", cell.upper(), "--seed", 1) == [found]
    assert records("hello", "--cell", cell, "--seed", 2) != [found]


def test_steps_and_units_are_chosen():
    assert [record["step"] for record in records("hello", "--step", "all")] == [1, 2, 3, 4]
    (found,) = records("hello", "--step", 3, "--units", "4,2,4")
    assert found["forward"][0]["columns"] == ["unit 4", "unit 2"]
    (found,) = records("ab")
    assert found["step"] == 1


def test_a_trained_model(model):
    (found,) = records("The fox", "--checkpoint", model, "--units", "3,20", "--layer", 1)
    assert (found["reads"], found["next"]) == ("h", "e")
    assert found["forward"][0]["columns"] == ["unit 3", "unit 20"]
    assert "layer 2" in succeed("explain", "The fox", "--checkpoint", model).stdout
    assert Checkpoint.load(model / "best.safetensors").model.layers == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hello", "--step", 5], "--step 5: there are 4 steps"),
        (["hello", "--step", 0], "at least 1"),
        (["hello", "--step", "x"], "not a valid"),
        (["hello", "--units", 5], "--units 5: there are 4 units"),
        (["hello", "--units", "1,,2"], "not a valid"),
        (["hello", "--layer", 1], "--layer chooses a layer of a --checkpoint"),
        (["hello", "--hidden", 17], "at most 16"),
        (["x"], "two characters or more"),
        ([""], "two characters or more"),
        (["x" * 101], "too long to explain"),
        (["hi", "--step", 2], "--step 2: there is 1 step."),
    ],
)
def test_refusals(arguments, message):
    result = invoke("explain", *arguments)
    assert result.exit_code in (1, 2)
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 4


def test_the_network_is_small_or_trained(model):
    for flag, value in (("--cell", "gru"), ("--hidden", 3), ("--seed", 1)):
        result = invoke("explain", "The", "--checkpoint", model, flag, value)
        assert result.exit_code == 2
        assert f"{flag} is for the small network" in result.stderr
    result = invoke("explain", "The\x1bfox", "--checkpoint", model)
    assert result.exit_code == 1
    assert result.stderr == visible(result.stderr)


@pytest.mark.parametrize("hidden", [1, 2, 3, 6])
def test_a_small_transformer_of_any_width(hidden):
    (found,) = records("hello", "--cell", "transformer", "--hidden", hidden)
    labels = [line["label"] for section in found["forward"] for line in section["lines"]]
    assert ("weight, head 2" in labels) == (hidden == 6)


@pytest.mark.parametrize("cell", ["lstm", "transformer"])
def test_the_page_has_all_steps_and_no_script(tmp_path, cell):
    path = tmp_path / "page.html"
    text = "a<b>&\x1b\u202e<script>"
    shown = succeed("explain", text, "--html", path, "--cell", cell)
    assert "wrote" in shown.stderr
    page = path.read_text("ascii")
    assert re.findall(r'<section id="step-(\d+)">', page) == [str(n) for n in range(1, len(text))]
    assert "<script" not in page
    assert "<b>" not in page
    assert "default-src 'none'" in page
    assert "\x1b" not in page
    assert re.findall(r" style=| on\w+=|https?:", page) == []


def test_a_hostile_text_is_shown_harmlessly():
    shown = succeed("explain", "a\x1b]0;t\x07\u202e\n b").stdout
    assert shown == visible(shown)


def test_a_model_that_cannot_be_explained_and_a_text_that_it_does_not_know(model, tmp_path):
    result = invoke("explain", "The 漢", "--checkpoint", model)
    assert result.exit_code == 1
    assert "does not know '漢'" in result.stderr
    assert "--unknown" not in result.stderr  # explain has no such option
    config = ModelConfig(3, 8, 1, cell="transformer", heads=2, context=8)
    path = tmp_path / "attention.safetensors"
    Checkpoint(config, Vocabulary("abc"), parameters=Network(config, seed=1).parameters).save(path)
    assert (
        "attention: Transformer, 1 layer of 8 units, trained" in succeed("explain", "abc", "--checkpoint", path).stdout
    )
    (found,) = succeed("inspect", "because", path, "--text", "abcba", "--json").stdout.splitlines()
    assert len(json.loads(found)["contributions"]) == 5
    assert "LSTM, 2 layers of" in succeed("explain", "The", "--checkpoint", model).stdout


def test_a_checkpoint_in_the_folder_that_one_works_in_has_the_name_of_its_run(tmp_path, model, monkeypatch):
    folder = tmp_path / "foxes"
    folder.mkdir()
    load_checkpoint(model).save(folder / "best.safetensors")
    monkeypatch.chdir(folder)
    assert "foxes: LSTM, 2 layers of" in succeed("explain", "The", "--checkpoint", "best.safetensors").stdout
