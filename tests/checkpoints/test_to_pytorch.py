"""Models in PyTorch: the state dict and the module that is written beside it, in the real library if it is there."""

import ast
import difflib
import importlib.util
import os
import subprocess
import sys

import foreign
import numpy as np
import pytest
from command_line import invoke, succeed
from forgeries import make

from charrnn.checkpoints.foreign.to_pytorch import class_name, module_source, weights_file
from charrnn.errors import ConfigError
from charrnn.model import Model

LINES = {
    "lstm": 60,
    "gru": 60,
    "rnn": 60,
    "capped-lstm": 80,
    "coupled-lstm": 80,
    "transformer": 130,
}  # fewer than so many


@pytest.fixture
def torch():
    library = pytest.importorskip("torch", reason="PyTorch is not installed")
    library.set_num_threads(1)  # tiny operations in two threads wait for each other
    return library


def write(folder, made):
    """The module and the weights, in files; returns the imported module and the path of the weights."""
    module, weights = folder / "model.py", folder / "model.pt"
    module.write_bytes(module_source(made.model.cell))
    weights.write_bytes(weights_file(made))
    spec = importlib.util.spec_from_file_location("exported", module)
    imported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(imported)
    return imported, weights


@pytest.mark.parametrize("name", foreign.MODELS)
def test_logits_are_the_networks(torch, tmp_path, name):
    made = foreign.checkpoint(foreign.MODELS[name])
    module, weights = write(tmp_path, made)
    model = module.load(str(weights))

    @torch.no_grad()
    def run(x, state):
        logits, state = model(torch.from_numpy(x), state)
        return logits.numpy(), state

    text = (
        foreign.TEXT[:9000] if name.startswith(("capped", "coupled")) else foreign.TEXT
    )  # a loop in Python takes its time
    assert foreign.compare(made, run, text) < 1e-5


def test_the_file_is_a_state_dict_of_tensors_with_the_vocabulary(torch, tmp_path):
    made = foreign.checkpoint(foreign.MODELS["lstm"])
    module, weights = write(tmp_path, made)
    found = torch.load(weights, weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in found.values())
    assert "".join(map(chr, found["vocabulary"].tolist())) == "".join(made.vocabulary.symbols)
    model = module.load(str(weights))
    assert not model.load_state_dict(found).missing_keys
    with torch.no_grad():
        model.head.bias += 1
    torch.save(model.state_dict(), tmp_path / "tuned.pt")  # after training in PyTorch
    tuned = module.load(str(tmp_path / "tuned.pt"))
    assert torch.equal(tuned.head.bias, model.head.bias)


@pytest.mark.parametrize("name", foreign.MODELS)
def test_a_sample_is_drawn_from_the_networks_probabilities(torch, tmp_path, name):
    """At a temperature near 0 both write the likeliest character."""
    made = foreign.checkpoint(foreign.MODELS[name])
    module, weights = write(tmp_path, made)
    expected = Model.from_checkpoint(made, threads=1).sample("The fox", length=60, temperature=0)
    assert module.load(str(weights)).sample("The fox", 60, 1e-6) == expected


def test_a_model_of_bytes_reads_and_writes_text(torch, tmp_path):
    made = foreign.bytes_checkpoint()
    module, weights = write(tmp_path, made)
    expected = Model.from_checkpoint(made, threads=1).sample(b"The fox", length=60, temperature=0)
    assert module.load(str(weights)).sample("The fox", 60, 1e-6) == expected.decode()


@pytest.mark.parametrize("cell", LINES)
def test_the_module_runs_as_a_script(torch, tmp_path, text, cell):
    train = ("train", text, "--hidden", 16, "--steps", 20, "--cell", cell, "-q", "--threads", 1)
    succeed(*train, "--out", tmp_path, "--name", "fox")
    assert "fox.pt" in succeed("export", tmp_path / "fox", tmp_path / "fox.pt").stderr
    away = tmp_path / "away"  # where charrnn cannot be imported from
    away.mkdir()
    for name in ("fox.pt", "fox.py"):
        (tmp_path / name).rename(away / name)
    process = subprocess.run(
        [sys.executable, "-P", "fox.py", "fox.pt", "the ", "40", "0.8"],
        cwd=away,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.startswith("the ")
    assert len(process.stdout) == len("the ") + 40 + len("\n")


@pytest.mark.parametrize("cell", LINES)
def test_the_module_imports_nothing_of_charrnn_and_is_short(cell):
    tree = ast.parse(module_source(cell))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} - {"math"} == {"json", "sys", "torch", "safetensors"}
    lines = [line for line in module_source(cell).decode().splitlines() if line.strip()]
    assert len(lines) < LINES[cell]


def test_the_two_modules_differ_in_their_cells_only():
    plain, capped = (module_source(cell).decode() for cell in ("lstm", "capped-lstm"))
    before, after = capped.split("class CappedLSTM")
    without = before + "class CharLSTM" + after.split("class CharLSTM")[1]
    for word, other in (("capped_lstm", "lstm"), ("CappedLSTM", "nn.LSTM"), ("capped LSTM", "LSTM")):
        without = without.replace(word, other)
    assert list(difflib.unified_diff(plain.splitlines(), without.splitlines())) == []


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_a_module_of_another_cell_does_not_speak_of_an_lstm(cell):
    source = module_source(cell).decode()
    assert f"nn.{cell.upper()}(inputs, hidden, layers)" in source
    assert f"class {class_name(cell)}(nn.Module)" in source
    assert "lstm" not in source.lower()
    assert "c are" not in source
    assert "(h, c)" not in source


def test_the_module_of_coupled_gates_speaks_of_them():
    source = module_source("coupled-lstm").decode()
    assert "class CoupledLSTM(nn.GRU)" in source
    assert "input gate is 1 - f" in source
    assert "f, g, o = (z + h @ w_hh.T).chunk(3" in source
    assert "c = f * c + (1 - f) * g.tanh()" in source
    assert "capped" not in source.lower()
    assert "torch.minimum" not in source


def test_a_transformer_tells_its_heads_and_context(torch, tmp_path):
    made = foreign.checkpoint(foreign.MODELS["transformer of one layer with odd heads"])
    module, weights = write(tmp_path, made)
    found = torch.load(weights, weights_only=True)
    assert (found["heads"].item(), found["context"].item()) == (3, 7)
    model = module.load(str(weights))
    _, (kept, position) = model(torch.zeros(20, 2, dtype=torch.int64))
    assert [tuple(each.shape) for each in kept[0]] == 2 * [(2, 3, 6, 5)]
    assert position == 20
    made.shared().save(tmp_path / "model.safetensors")
    assert torch.equal(module.load(str(tmp_path / "model.safetensors")).head.weight, model.head.weight)


def test_a_cell_without_a_module_is_refused():
    with pytest.raises(ConfigError, match="no module of PyTorch for the cell elman"):
        module_source("elman")


@pytest.mark.parametrize("name", ["torch.pt", "random.pt", "json.pt"])
def test_a_module_that_would_hide_another_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr("charrnn.system.libraries.find_spec", lambda library: True)
    make().save(tmp_path / "a.safetensors")
    result = invoke("export", tmp_path / "a.safetensors", tmp_path / name)
    assert result.exit_code == 1
    assert "choose another name" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors"]


def test_tensors_have_the_weights(torch, tmp_path):
    made = make(embedding=3)
    found = torch.load(write(tmp_path, made)[1], weights_only=True)
    np.testing.assert_array_equal(found["embedding.weight"].numpy(), made.parameters["embedding"])
    np.testing.assert_array_equal(found["head.weight"].numpy().T, made.parameters["w_out"])
