"""The checkpoint that comes with the project: it stays readable, and says what it said when it was made."""

from pathlib import Path

import numpy as np
import pytest
from command_line import FABLES, ROOT, invoke, succeed

import charrnn
from charrnn.checkpoint import Checkpoint
from charrnn.runs import load_checkpoint

SHAKESPEARE = ROOT / "checkpoints" / "shakespeare.safetensors"
SENTENCE = "ROMEO:\nBut, soft! what light through yonder window breaks?\n"
LOSS = 1.31436  # nats per character


@pytest.fixture(scope="module")
def shakespeare():
    return charrnn.load(SHAKESPEARE, threads=1)


def test_it_says_what_it_said_when_it_was_made(shakespeare):
    assert shakespeare.loss(SENTENCE) == pytest.approx(LOSS, abs=1e-4)


def test_it_writes(shakespeare):
    text = shakespeare.sample("ROMEO:\n", length=200, temperature=0.7, seed=1)
    assert len(text) == 200
    assert sum(word in text for word in (" the ", " to ", " and ", " my ", " of ", " is ")) >= 2


def test_it_does_better_on_the_text_beside_it_than_on_another(shakespeare):
    held_out = (ROOT / "corpora" / "shakespeare.txt").read_text("utf-8")
    assert len(held_out) == 111_540
    assert shakespeare.loss(held_out[:3000]) < 1.6
    letters = "".join(letter for letter in FABLES.read_text("utf-8")[:3000] if letter in shakespeare.vocabulary)
    assert shakespeare.loss(letters) > 1.6


def test_it_is_small_and_tells_nothing_of_the_machine_it_was_made_on():
    data = SHAKESPEARE.read_bytes()
    assert len(data) < 4_000_000
    found = Checkpoint.load(SHAKESPEARE)
    assert found.corpus["paths"] == found.corpus["sources"] == ["tinyshakespeare"]
    assert not found.optimizer
    assert found.state is None
    header = data[: int.from_bytes(data[:8], "little")]
    assert not any(place in header for place in (b"/work", b"/tmp", b"/home", b"/root", b"C:"))


def test_an_export_has_the_weights_and_no_places(model, tmp_path):
    file = tmp_path / "given.safetensors"
    assert "wrote" in succeed("export", model, file).stderr
    given, own = Checkpoint.load(file), load_checkpoint(model)
    assert Path(own.corpus["paths"][0]).is_absolute()
    assert given.corpus["paths"] == given.corpus["sources"] == ["fables.txt"]
    assert all(np.array_equal(given.parameters[name], own.parameters[name]) for name in own.parameters)
    assert not given.optimizer
    assert str(tmp_path.parent).encode() not in file.read_bytes()
    assert len(succeed("sample", file, "--length", 50, "--seed", 1).stdout.strip("\n")) > 0
    assert succeed("sample", file, "--seed", 1).stdout == succeed("sample", model, "--seed", 1).stdout


def test_an_export_replaces_nothing_unasked(model, tmp_path):
    file = tmp_path / "given.safetensors"
    file.write_bytes(b"mine")
    result = invoke("export", model, file)
    assert result.exit_code == 1
    assert "give --force" in result.stderr
    assert file.read_bytes() == b"mine"
    succeed("export", model, file, "--force")
    assert Checkpoint.load(file).model.hidden == 20


def test_an_export_has_a_name_that_is_known(model, tmp_path):
    result = invoke("export", model, tmp_path / "given.pt")
    assert result.exit_code == 2
    assert ".safetensors" in result.stderr


def test_only_weights_are_exported_from_what_a_resume_needs(model, tmp_path):
    succeed("export", model / "last.safetensors", tmp_path / "last.safetensors")
    assert Checkpoint.load(tmp_path / "last.safetensors").state is None
