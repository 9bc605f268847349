"""Checkpoints: round trips, names and layout, damage."""

import json
import os
import stat
import sys

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from charrnn.checkpoint import Checkpoint, from_torch, to_torch
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CheckpointError
from charrnn.files import write_durably
from charrnn.parameters import parameter_shapes
from charrnn.runs import RunFolder, open_checkpoint
from charrnn.text.vocabulary import Vocabulary

CORPUS = {
    **{"sources": ["naïve.txt"], "paths": ["/texts/naïve.txt"], "sha256": "00", "characters": 9},
    **{"as_bytes": False, "encoding": "utf-8", "min_count": 1, "max_vocab": 1000},
}


def make(embedding=None, symbols="\nabcdé🦊", with_run=True):
    rng = np.random.default_rng(4)
    model = ModelConfig(len(symbols), 5, 2, embedding)
    parameters = {name: rng.normal(size=shape).astype(np.float32) for name, shape in parameter_shapes(model).items()}
    moments = {slot: {name: rng.random(value.shape, np.float32) for name, value in parameters.items()} for slot in "mv"}
    return Checkpoint(
        model,
        Vocabulary(symbols),
        parameters,
        TrainConfig(lr=0.1),
        {"step": 3},
        [{"step": 1, "val_loss": 2.5}],
        CORPUS,
        moments if with_run else {},
        tuple(rng.random((2, 2, 3, 5), np.float32)) if with_run else None,
    )


@pytest.mark.parametrize("embedding", [None, 4])
@pytest.mark.parametrize("with_run", [True, False])
def test_what_is_saved_is_loaded(tmp_path, embedding, with_run):
    saved = make(embedding, with_run=with_run)
    saved.save(tmp_path / "a.safetensors")
    loaded = Checkpoint.load(tmp_path / "a.safetensors")
    for name in ("model", "vocabulary", "training", "progress", "history", "corpus"):
        assert getattr(loaded, name) == getattr(saved, name)
    for group, expected in [
        (loaded.parameters, saved.parameters),
        *((loaded.optimizer[s], saved.optimizer[s]) for s in saved.optimizer),
    ]:
        assert group.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(group[name], expected[name])
    if with_run:
        np.testing.assert_array_equal(loaded.state, saved.state)
    else:
        assert loaded.state is None


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


@given(st.sampled_from(sorted(parameter_shapes(ModelConfig(6, 3, 3, 2)))))
def test_every_parameter_survives_the_renaming(name):
    value = np.random.default_rng(1).random(parameter_shapes(ModelConfig(6, 3, 3, 2))[name], np.float32)
    np.testing.assert_array_equal(from_torch(name, to_torch(name, value)), value)


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    path = tmp_path_factory.mktemp("healthy") / "a.safetensors"
    make().save(path)
    return path.read_bytes()


def test_truncation_at_every_length_of_the_header_and_through_the_body(healthy, tmp_path):
    path = tmp_path / "a.safetensors"
    header = 8 + int.from_bytes(healthy[:8], "little")
    for length in [*range(0, header, 7), *range(header, len(healthy), 97), len(healthy) - 1]:
        path.write_bytes(healthy[:length])
        with pytest.raises(CheckpointError, match=r"^[^\n]*$"):
            Checkpoint.load(path)


def test_every_flipped_byte_is_noticed(healthy, tmp_path):
    path = tmp_path / "a.safetensors"
    expected = make()
    for place in range(0, len(healthy), 13):
        damaged = bytearray(healthy)
        damaged[place] ^= 0x04
        path.write_bytes(damaged)
        try:
            loaded = Checkpoint.load(path)
        except CheckpointError as error:
            assert "\n" not in str(error)
        else:
            # Only the padding of the header may change without a difference.
            assert loaded.corpus == expected.corpus
            assert damaged[place] in b"\t$ "


def rewrite(data, change):
    """The file with its metadata changed by ``change`` and a checksum that fits."""
    from charrnn.checkpoint import checksum

    tensors = safetensors.numpy.load(data)
    size = int.from_bytes(data[:8], "little")
    about = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["charrnn"])
    change(about, tensors)
    text = json.dumps(about)
    return safetensors.numpy.save(tensors, {"charrnn": text, "sha256": checksum(text, tensors)})


def changed(place, value):
    def change(about, tensors):
        *path, last = place.split(".")
        target = about
        for part in path:
            target = target[part]
        target[last] = value

    return change


def tensor(name, value):
    return lambda about, tensors: tensors.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("format", 2), "format 2"),
        (changed("config.hidden", 10**9), "hidden must be"),
        (changed("config.hidden", -1), "hidden must be"),
        (changed("config.hidden", 6), "state has shape"),
        (changed("config.hiden", 6), "did you mean 'hidden'"),
        (changed("config.layers", True), "layers must be"),
        (changed("vocabulary", ["a", "a"]), None),
        (changed("vocabulary", ["a", "b"]), "2 characters for a model of 7"),
        (changed("vocabulary", [["a"]]), None),
        (changed("training.lr", "fast"), "lr must be"),
        (changed("progress", 3), "malformed"),
        (changed("progress.step", "x"), "not a number"),
        (changed("history", [5]), "malformed"),
        (changed("history", [{"step": "1"}]), "not a number"),
        (changed("corpus", {"sha256": "00"}), "sources"),
        (changed("corpus.encoding", 5), "encoding"),
        (changed("corpus.sources", [5]), "sources"),
        (tensor("head.bias", np.zeros(6, np.float32)), "float32 \\(7,\\)"),
        (tensor("head.bias", np.zeros(7)), "float64"),
        (tensor("head.bias", np.full(7, np.nan, np.float32)), "not finite"),
        (tensor("optimizer.m.zzz", np.zeros(7, np.float32)), "zzz"),
        (tensor("state.h", np.zeros((2, 3), np.float32)), None),
        (lambda about, tensors: tensors.pop("lstm.weight_hh_l1"), "missing"),
        (lambda about, tensors: about.pop("config"), "config"),
    ],
)
def test_malformed_content_is_one_line(healthy, tmp_path, change, message):
    path = tmp_path / "a.safetensors"
    path.write_bytes(rewrite(healthy, change))
    with pytest.raises(CheckpointError, match=message) as caught:
        Checkpoint.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_other_files_are_not_checkpoints(tmp_path):
    cases = {
        "empty": b"",
        "text": b"To be, or not to be" * 10,
        "huge header": (2**60).to_bytes(8, "little") + b"{}",
        "foreign": safetensors.numpy.save({"x": np.zeros(3, np.float32)}),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError):
            Checkpoint.load(tmp_path / name)
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
    with pytest.raises(CheckpointError, match=f"{tmp_path} has the run run"):
        open_checkpoint(tmp_path / "rum")
