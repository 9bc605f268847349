"""The LSTM with a capped input gate; its loss and gradient are compared with the oracle's in test_network.py."""

import json

import numpy as np
import pytest
from command_line import SMALL, invoke, succeed
from teams import every_thread_works

import charrnn
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.inference.sampler import Choice, Sampler
from charrnn.inspection.clamping import clamp
from charrnn.network.network import Network

CONFIG = ModelConfig(23, 37, 2, cell="capped-lstm")


def network(threads=1):
    made = Network(CONFIG, seed=3, threads=threads)
    for name in ("b_l0", "b_l1"):
        made.parameters[name][:] = np.random.default_rng(1).normal(0, 2, made.parameters[name].shape)
    made.parameters_changed()
    return made


def test_the_input_gate_leaves_room_for_the_forget_gate():
    """i is at most 1 - f, often exactly that, and c never leaves -1 to 1."""
    made, x = network(), np.random.default_rng(0).integers(23, size=400).astype(np.int32)
    found = made.trace(x, made.initial_state(1))
    room = np.float32(1) - found["f"]
    assert (found["i"] <= room).all()
    assert 0.1 < (found["i"] == room).mean() < 0.9
    assert 0.9 < np.abs(found["c"]).max() <= 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_step_of_the_sampler_has_the_bits_of_a_window(threads):
    made, prime = network(threads), np.arange(20, dtype=np.int32)
    with every_thread_works(threads):
        drawn = Sampler(made, prime, 1, Choice(0.0)).draw(60)[:, 0]
    text = np.concatenate([prime, drawn]).astype(np.int32)
    logs = made.log_probabilities(text[:-1, None], made.initial_state(1))[:, 0]
    assert np.array_equal(logs[19:].argmax(axis=1), drawn)


def test_a_run_keeps_its_cell(tmp_path, text):
    train = ("train", text, "--out", tmp_path, *SMALL, "-q", "--name", "run")
    succeed(*train, "--steps", 20, "--cell", "capped-lstm")
    assert Checkpoint.load(tmp_path / "run" / "last.safetensors").model.cell == "capped-lstm"
    assert "capped LSTM" in succeed("info", tmp_path / "run").stdout
    assert json.loads(succeed("info", tmp_path / "run", "--json").stdout)["config"]["cell"] == "capped-lstm"
    refused = invoke(*train, "--steps", 30, "--cell", "lstm", "--resume")
    assert refused.exit_code == 1
    assert "--cell: capped-lstm in the checkpoint, lstm asked" in refused.stderr
    succeed(*train, "--steps", 30, "--resume")
    refused = invoke(*train, "--force", "--steps", 5, "--cell", "lstm", "--init-from", tmp_path / "run")
    assert "settles --cell" in refused.stderr
    assert len(succeed("sample", tmp_path / "run", "--length", 40, "--seed", 1).stdout) == 40


def test_it_is_inspected_and_ablated(tmp_path, text):
    """c is shown as it is, without tanh, and a clamped cell keeps its value."""
    succeed("train", text, "--out", tmp_path, *SMALL, "-q", "--name", "run", "--steps", 40, "--cell", "capped-lstm")
    model = charrnn.load(tmp_path / "run")
    shown = succeed("inspect", tmp_path / "run", text, "--cell", "1:3", "--length", 200, "--json").stdout
    expected = model.activations(text.read_text()[:200])["c"][:, 1, 3]
    np.testing.assert_allclose(json.loads(shown)["values"], expected, rtol=1e-5, atol=1e-7)
    assert "c, what the cell remembers" in succeed("inspect", tmp_path / "run", text, "--cell", "1:3").stdout
    held = clamp(model.network, {(1, 3): 0.75})
    traced = held.trace(model.encode(text.read_text()[:200]), held.initial_state(1))
    assert (traced["c"][:, 1, 3] == np.float32(0.75)).all()
    ablated = succeed("inspect", "ablate", tmp_path / "run", text, "--cell", "1:3", "--where", "the", "--samples", 0)
    assert "1:3" in ablated.stdout
    succeed("inspect", "saturation", tmp_path / "run", text)
