"""The checkpoint that comes with the project: it stays readable, and says what it said when it was made."""

from pathlib import Path

import numpy as np
import pytest
from command_line import FABLES, ROOT, invoke, succeed

import charrnn
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import load_checkpoint

PYTHON = ROOT / "checkpoints" / "python.safetensors"
CODE = '''def read(path):
    """Return the text of a file."""
    with open(path) as file:
        return file.read()
'''
LOSS = 0.79617  # nats per character


@pytest.fixture(scope="module")
def python():
    return charrnn.load(PYTHON, threads=1)


def test_it_says_what_it_said_when_it_was_made(python):
    assert python.loss(CODE) == pytest.approx(LOSS, abs=1e-4)


def test_it_writes(python):
    text = python.sample("    def ", length=300, temperature=0.8, seed=1)
    assert len(text) == 300
    assert sum(word in text for word in ("return", "self", "if ", "\n        ", "(", "def ")) >= 3


def test_it_does_better_on_code_than_on_fables(python):
    code, fables = (
        "".join(letter for letter in path.read_text("utf-8")[:3000] if letter in python.vocabulary)
        for path in (ROOT / "charrnn" / "training" / "schedule.py", FABLES)
    )
    assert python.loss(code) < 2.1 < 2.3 < python.loss(fables)


def test_it_is_small_and_tells_nothing_of_the_machine_it_was_made_on():
    data = PYTHON.read_bytes()
    assert len(data) < 4_000_000
    found = Checkpoint.load(PYTHON)
    assert found.corpus["paths"] == found.corpus["sources"] == ["python"]
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
    result = invoke("export", model, tmp_path / "given.pth")
    assert result.exit_code == 2
    assert ".safetensors" in result.stderr


def test_only_weights_are_exported_from_what_a_resume_needs(model, tmp_path):
    succeed("export", model / "last.safetensors", tmp_path / "last.safetensors")
    assert Checkpoint.load(tmp_path / "last.safetensors").state is None
