"""The folder for the Hugging Face Hub: its files, its card, and no claim that nobody has measured."""

import json
import math
from dataclasses import replace

import foreign
import numpy as np
import pytest
import safetensors.numpy
from forgeries import CORPUS, COUNTERS, load, make

from charrnn.checkpoints.foreign.to_huggingface import folder_files, validation_loss
from charrnn.checkpoints.foreign.to_pytorch import module_source

BEST = {"counters": COUNTERS | {"step": 1, "best_val_loss": 1.25, "best_step": 1}, "state": None}


@pytest.fixture
def best():
    """A checkpoint whose weights were scored."""
    return replace(make(), **BEST)


def card(checkpoint, name="fox"):
    return folder_files(checkpoint, name)["README.md"].decode()


def test_the_files(best):
    files = folder_files(best, "fox")
    assert files.keys() == {"char_lstm.py", "config.json", "vocabulary.json", "model.safetensors", "README.md"}
    config = json.loads(files["config.json"])
    assert config["vocab_size"] == best.model.vocabulary
    assert config["hidden_size"] == 5
    assert config["num_hidden_layers"] == 2
    assert config["symbols"] == "characters"
    assert json.loads(files["vocabulary.json"]) == best.vocabulary.to_list()
    assert files["char_lstm.py"] == module_source("lstm")
    tensors = safetensors.numpy.load(files["model.safetensors"])
    np.testing.assert_array_equal(tensors["head.weight"].T, best.parameters["w_out"])
    assert {"lstm.weight_ih_l0", "lstm.bias_hh_l1", "head.bias"} < tensors.keys()
    assert b'"format":"pt"' in files["model.safetensors"][:10_000]


def test_the_weights_are_a_checkpoint_without_folders(best):
    found = load(folder_files(best, "fox")["model.safetensors"])
    assert found.vocabulary == best.vocabulary
    assert found.corpus["paths"] == ["naïve.txt"]
    assert not found.optimizer
    assert all(np.array_equal(found.parameters[name], best.parameters[name]) for name in best.parameters)


def test_the_card_has_the_metrics_of_these_weights(best):
    text = card(best)
    assert text.startswith("---\n")
    assert "1.2500 nats per character (1.8034 bits)" in text
    assert f"value: {1.25 / math.log(2):.4f}" in text
    assert "# license:" in text
    assert "\nlicense:" not in text
    assert "naïve.txt" in text
    assert "/texts" not in text


@pytest.mark.parametrize(
    "unscored",
    [
        {"state": {"h": np.zeros((2, 3, 5), np.float32), "c": np.zeros((2, 3, 5), np.float32)}},  # of a last checkpoint
        {"counters": BEST["counters"] | {"step": 2}},
        {"counters": BEST["counters"] | {"best_val_loss": None, "best_step": None}},
        {"counters": {}},
    ],
)
def test_a_card_without_a_measurement_claims_none(best, unscored):
    found = replace(best, **unscored)
    assert validation_loss(best) == 1.25
    assert validation_loss(found) is None
    assert "nats" not in card(found)
    assert "model-index" not in card(found)


def test_a_stranger_s_names_cannot_write_the_card(best):
    name = "a\n---\nlicense: mit\n---\n# <b>`|[x](y)\x1b"
    text = card(replace(best, corpus=CORPUS | {"sources": [name], "paths": [name]}), name)
    assert text.count("\n---\n") == 1
    assert "\nlicense" not in text
    assert not {"\x1b", "<", "["} & set(text.split("## Use it")[0])
    assert max(map(len, text.splitlines())) < 500


def test_a_model_of_bytes():
    files = folder_files(foreign.bytes_checkpoint(), "fox")
    assert json.loads(files["config.json"])["symbols"] == "bytes"
    assert all(isinstance(each, int) for each in json.loads(files["vocabulary.json"]))
    assert "byte by byte" in files["README.md"].decode()


def test_the_hub_s_library_reads_the_card(best):
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    data = hub.ModelCard(card(best, "my: fox")).data
    assert data.pipeline_tag == "text-generation"
    assert data.model_name == "my: fox"
    assert {each.metric_type: each.metric_value for each in data.eval_results}["loss"] == 1.25
    assert data.eval_results[0].dataset_name == "naïve.txt"


@pytest.mark.parametrize("name", foreign.MODELS)
def test_the_module_loads_the_folder_s_weights(tmp_path, monkeypatch, name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    made = foreign.checkpoint(foreign.MODELS[name])
    for each, data in folder_files(made, "fox").items():
        (tmp_path / each).write_bytes(data)
    kind = made.model.cell if made.model.cell in ("gru", "rnn", "transformer") else "lstm"
    assert f"from char_{kind} import load" in card(made)
    namespace = {"__name__": f"char_{kind}"}
    exec(compile((tmp_path / f"char_{kind}.py").read_text(), f"char_{kind}.py", "exec"), namespace)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"][0] in namespace
    model = namespace["load"](str(tmp_path / "model.safetensors"))
    assert "".join(map(chr, model.vocabulary.tolist())) == "".join(made.vocabulary.symbols)
    found = {each: value for each, value in model.state_dict().items() if "." in each}  # weights
    tensors = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(value, torch.from_numpy(tensors[each])) for each, value in found.items())


def test_the_settings_of_a_transformer_have_its_heads_and_context():
    sizes = {"lstm": (None, None), "transformer": (4, 64), "transformer of one layer with odd heads": (3, 7)}
    for name, expected in sizes.items():
        config = json.loads(folder_files(foreign.checkpoint(foreign.MODELS[name]), "fox")["config.json"])
        assert (config.get("num_attention_heads"), config.get("context")) == expected


def test_the_module_loads_a_folder_of_a_model_of_bytes(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    made = foreign.bytes_checkpoint()
    for each, data in folder_files(made, "fox").items():
        (tmp_path / each).write_bytes(data)
    namespace = {"__name__": "char_lstm"}
    exec(compile((tmp_path / "char_lstm.py").read_text(), "char_lstm.py", "exec"), namespace)
    model = namespace["load"](str(tmp_path / "model.safetensors"))
    assert model.vocabulary.dtype == torch.uint8
    assert model.vocabulary.tolist() == made.vocabulary.to_list()
