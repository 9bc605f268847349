"""Tests of checkpoint files: round trips, names and layout of tensors, writing."""

import os
import stat
import sys

import numpy as np
import pytest
import safetensors.numpy
from forgeries import make
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoints.checkpoint import LARGEST, Checkpoint
from charrnn.checkpoints.pytorch import from_torch, to_torch, torch_shapes
from charrnn.checkpoints.run_folder import RunFolder, open_checkpoint
from charrnn.config import ModelConfig
from charrnn.errors import CheckpointError
from charrnn.network.cells import CELLS, parameter_shapes
from charrnn.system.files import write_durably
from charrnn.text.vocabulary import Vocabulary


@pytest.mark.parametrize("embedding", [None, 4])
@pytest.mark.parametrize("with_run", [True, False])
def test_what_is_saved_is_loaded(tmp_path, embedding, with_run):
    saved = make(embedding, with_run=with_run)
    saved.save(tmp_path / "a.safetensors")
    loaded = Checkpoint.load(tmp_path / "a.safetensors")
    for name in ("model", "vocabulary", "training", "counters", "history", "corpus"):
        assert getattr(loaded, name) == getattr(saved, name)
    for group, expected in [
        (loaded.parameters, saved.parameters),
        *((loaded.optimizer[s], saved.optimizer[s]) for s in saved.optimizer),
    ]:
        assert group.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(group[name], expected[name])
    if with_run:
        for name, array in saved.state.items():
            np.testing.assert_array_equal(loaded.state[name], array)
    else:
        assert loaded.state is None


UNREADABLE = {
    "a weight that is too large": lambda it: it.parameters["w_out"].fill(1e19),
    "a weight that is no number": lambda it: it.parameters["w_out"].fill(np.nan),
    "an infinite moment": lambda it: it.optimizer["v"]["w_out"].fill(np.inf),
    "an infinite state": lambda it: it.state["h"].fill(np.inf),
    "a moment too few": lambda it: it.optimizer["v"].pop("w_out"),
    "a rate of zero": lambda it: it.counters.update(rate_scale=0.0),
    "a vocabulary of another size": lambda it: setattr(it, "model", ModelConfig(8, 5, 2)),
    "a history that is none": lambda it: it.history.append({"step": 1}),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_could_not_be_read_is_not_written(tmp_path, what):
    """The reader's own checks come before the previous file goes."""
    path, previous = tmp_path / "last.safetensors", tmp_path / "previous.safetensors"
    make().save(path)
    before = path.read_bytes()
    checkpoint = make()
    UNREADABLE[what](checkpoint)
    with pytest.raises(CheckpointError, match=r"last\.safetensors: cannot be written"):
        checkpoint.save(path, previous)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]


@given(st.floats(0.0, 2.0**127, width=32), st.floats(0.0, 2.0**127, width=32))
def test_what_is_written_can_be_read(tmp_path_factory, weight, moment):
    checkpoint, path = make(), tmp_path_factory.mktemp("saved") / "a.safetensors"
    checkpoint.parameters["w_hh_l0"].fill(weight)
    checkpoint.optimizer["v"]["w_hh_l0"].fill(moment)
    try:
        checkpoint.save(path)
    except CheckpointError:
        assert weight > LARGEST
        assert not path.exists()
    else:
        assert Checkpoint.load(path).parameters["w_hh_l0"].max() == np.float32(weight)


def test_names_and_layout_are_pytorch_s(tmp_path):
    checkpoint = make(embedding=4, with_run=False)
    checkpoint.save(tmp_path / "a.safetensors")
    tensors = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    assert {name: value.shape for name, value in tensors.items()} == {
        "embedding.weight": (7, 4),
        "lstm.weight_ih_l0": (20, 4),
        "lstm.weight_hh_l0": (20, 5),
        "lstm.bias_ih_l0": (20,),
        "lstm.bias_hh_l0": (20,),
        "lstm.weight_ih_l1": (20, 5),
        "lstm.weight_hh_l1": (20, 5),
        "lstm.bias_ih_l1": (20,),
        "lstm.bias_hh_l1": (20,),
        "head.weight": (7, 5),
        "head.bias": (7,),
    }
    np.testing.assert_array_equal(tensors["lstm.weight_ih_l1"], checkpoint.parameters["w_ih_l1"].T)
    np.testing.assert_array_equal(tensors["lstm.bias_ih_l0"], checkpoint.parameters["b_l0"])
    assert not tensors["lstm.bias_hh_l0"].any()
    np.testing.assert_array_equal(tensors["head.weight"], checkpoint.parameters["w_out"].T)


def test_pytorch_loads_it_and_computes_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    from charrnn.model import Model

    checkpoint = make(embedding=4, with_run=False)
    checkpoint.save(tmp_path / "a.safetensors")
    tensors = {
        name: torch.tensor(value) for name, value in safetensors.numpy.load_file(tmp_path / "a.safetensors").items()
    }
    twin = torch.nn.ModuleDict(
        {"embedding": torch.nn.Embedding(7, 4), "lstm": torch.nn.LSTM(4, 5, 2), "head": torch.nn.Linear(5, 7)}
    )
    twin.load_state_dict(tensors)
    ids = np.array([1, 5, 2, 2, 0, 6], np.int32)
    expected = twin["head"](twin["lstm"](twin["embedding"](torch.tensor(ids).long()[:, None]))[0]).detach().numpy()
    network = Model.from_checkpoint(checkpoint).network
    np.testing.assert_allclose(network.forward(ids[:, None], network.initial_state(1)), expected, atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "capped-lstm", "coupled-lstm", "rnn", "gru"])
def test_every_parameter_survives_the_renaming(cell):
    for name, shape in parameter_shapes(ModelConfig(6, 3, 3, 2, cell)).items():
        value = np.random.default_rng(1).random(shape, np.float32)
        tensors = to_torch(name, value, CELLS[cell])
        assert {each: tensor.shape for each, tensor in tensors.items()} == torch_shapes(name, shape, CELLS[cell])
        np.testing.assert_array_equal(from_torch(name, tensors, CELLS[cell]), value)


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_pytorch_loads_a_gru_and_an_rnn_and_computes_the_same(tmp_path, rng, cell):
    torch = pytest.importorskip("torch", reason="PyTorch itself computes")
    from charrnn.model import Model

    model = ModelConfig(7, 5, 2, 4, cell)
    parameters = {name: rng.normal(0, 0.5, shape).astype("f4") for name, shape in parameter_shapes(model).items()}
    checkpoint = Checkpoint(model, Vocabulary("abcdefg"), parameters=parameters)
    checkpoint.save(tmp_path / "a.safetensors")
    tensors = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    module = getattr(torch.nn, cell.upper())(4, 5, 2)
    twin = torch.nn.ModuleDict({"embedding": torch.nn.Embedding(7, 4), cell: module, "head": torch.nn.Linear(5, 7)})
    twin.load_state_dict({name: torch.tensor(value) for name, value in tensors.items()})
    ids = np.array([1, 5, 2, 2, 0, 6], np.int32)
    expected = twin["head"](twin[cell](twin["embedding"](torch.tensor(ids).long()[:, None]))[0]).detach().numpy()
    network = Model.from_checkpoint(Checkpoint.load(tmp_path / "a.safetensors")).network
    np.testing.assert_allclose(network.forward(ids[:, None], network.initial_state(1)), expected, atol=1e-6)


def test_a_path_without_a_checkpoint_is_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        open_checkpoint(tmp_path / "nothing")
    with pytest.raises(CheckpointError, match="no checkpoint in this folder"):
        open_checkpoint(tmp_path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_durably(path, b"old")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new")
    with pytest.raises(CheckpointError, match="No space"):
        make().save(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
def test_files_have_the_mode_of_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write_durably(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_a_folder_prefers_its_best_checkpoint(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    assert not folder.exists()
    make().save(folder.last)
    assert folder.exists()
    assert open_checkpoint(folder.path)[0] == folder.last
    make().save(folder.best)
    assert open_checkpoint(folder.path)[0] == folder.best
    assert open_checkpoint(folder.last)[0] == folder.last
    with pytest.raises(CheckpointError, match="did you mean run"):
        open_checkpoint(tmp_path / "rum")
