"""The LSTM with coupled gates; its loss and gradient are compared with the oracle's in test_network.py."""

import numpy as np
import pytest
from command_line import SMALL, succeed
from teams import every_thread_works

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.inference.sampler import Choice, Sampler
from charrnn.inference.stream_team import TOGETHER
from charrnn.inspection.clamping import clamp
from charrnn.network.network import Network


def network(threads=1, embedding=None):
    made = Network(ModelConfig(23, 37, 2, embedding, "coupled-lstm"), seed=3, threads=threads)
    for name in ("b_l0", "b_l1"):
        made.parameters[name][:] = np.random.default_rng(1).normal(0, 2, made.parameters[name].shape)
    made.parameters_changed()
    return made


def test_it_starts_with_the_bias_of_its_forget_gate():
    made = Network(ModelConfig(23, 37, 2, cell="coupled-lstm"), seed=3, forget_bias=2.5)
    for layer in range(2):
        f, g, o = np.split(made.parameters[f"b_l{layer}"], 3)
        assert (f == 2.5).all()
        assert not (g.any() or o.any())


@pytest.mark.parametrize("embedding", [None, 7])
def test_c_is_a_mean_of_what_it_was_and_the_candidate(embedding):
    made, x = network(embedding=embedding), np.random.default_rng(0).integers(23, size=400).astype(np.int32)
    found = made.trace(x, made.initial_state(1))
    assert "i" not in found
    c, f, g = (found[name].astype(float) for name in "cfg")
    before = np.concatenate([np.zeros_like(c[:1]), c[:-1]])
    np.testing.assert_allclose(c, f * before + (1 - f) * g, atol=1e-6)
    assert 0.9 < np.abs(c).max() <= 1


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("embedding", [None, 7])
def test_a_step_of_the_sampler_has_the_bits_of_a_window(threads, embedding):
    made, prime = network(threads, embedding), np.arange(20, dtype=np.int32)
    sampler = Sampler(made, prime, 1, Choice(0.0))
    if threads > 1:
        sampler._strategies.next = lambda: TOGETHER
    with every_thread_works(threads):
        drawn = sampler.draw(40)[:, 0]
    text = np.concatenate([prime, drawn]).astype(np.int32)
    logits = made.forward(text[:-1, None], made.initial_state(1))[:, 0]
    assert np.array_equal(logits[19:].argmax(axis=1), drawn)
    assert sampler._logits[0, 0, :23].tobytes() == logits[-1].tobytes()


def test_a_held_cell_keeps_its_value_to_the_bit():
    held = {(0, 5): 0.7312345, (1, 0): -2.25, (1, 18): 0.0}
    made = clamp(network(), held)
    state, rng = made.initial_state(5), np.random.default_rng(4)
    for steps in (1, 40, 17):
        made.forward(rng.integers(0, 23, (steps, 5), np.int32), state)
        for (layer, unit), value in held.items():
            assert (made.signal("c")[:, :, layer, unit] == np.float32(value)).all()


def test_a_run_keeps_its_cell(tmp_path, text):
    train = ("train", text, "--out", tmp_path, *SMALL, "-q", "--name", "run")
    succeed(*train, "--steps", 20, "--cell", "coupled-lstm")
    checkpoint = Checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert checkpoint.model.cell == "coupled-lstm"
    assert checkpoint.parameters["w_hh_l1"].shape == (20, 60)
    succeed(*train, "--steps", 30, "--resume")
    assert "coupled LSTM" in succeed("info", tmp_path / "run").stdout
    assert len(succeed("sample", tmp_path / "run", "--length", 40, "--seed", 1).stdout) == 40
    succeed("inspect", "saturation", tmp_path / "run", text)
