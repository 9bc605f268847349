"""The RNN and the GRU as cells; their loss and gradient are compared with the oracle's in test_network.py."""

import json

import numpy as np
import pytest
from command_line import SMALL, invoke, succeed
from teams import every_thread_works

import charrnn
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.sampler import Choice, Sampler
from charrnn.inference.stream_team import TOGETHER
from charrnn.inspection.clamping import clamp
from charrnn.network.network import Network

CELLS = ("rnn", "gru")


def network(cell, threads=1, hidden=37, layers=2, embedding=None):
    """A network with lively biases."""
    made = Network(ModelConfig(23, hidden, layers, embedding, cell), seed=3, threads=threads)
    for name, view in made.parameters.items():
        if name.startswith("b_"):
            view[:] = np.random.default_rng(1).normal(0, 0.5, view.shape)
    made.parameters_changed()
    return made


def ids(count, seed=0):
    return np.random.default_rng(seed).integers(23, size=count).astype(np.int32)


def test_the_signals_of_a_gru_obey_its_equations():
    made, x = network("gru"), ids(200)
    found = made.trace(x, made.initial_state(1))
    h, r, z, n = (found[name].astype(float) for name in "hrzn")
    before = np.concatenate([np.zeros_like(h[:1]), h[:-1]])
    np.testing.assert_allclose(h, (1 - z) * n + z * before, atol=1e-6)
    hidden = made.config.hidden
    for layer in range(2):
        w_ih, w_hh, b = (made.parameters[f"{name}_l{layer}"].astype(float) for name in ("w_ih", "w_hh", "b"))
        from_x = (h[:, 0] @ w_ih if layer else w_ih[x]) + b[: 3 * hidden]
        from_h = before[:, layer] @ w_hh
        for gate, signal in enumerate((r, z)):
            columns = slice(gate * hidden, (gate + 1) * hidden)
            expected = 1 / (1 + np.exp(-from_x[:, columns] - from_h[:, columns]))
            np.testing.assert_allclose(signal[:, layer], expected, atol=1e-5)
        candidate = from_x[:, 2 * hidden :] + r[:, layer] * (from_h[:, 2 * hidden :] + b[3 * hidden :])
        np.testing.assert_allclose(n[:, layer], np.tanh(candidate), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("hidden", "layers", "embedding"), [(37, 2, None), (130, 2, 5), (1, 1, None), (64, 3, 9)])
def test_a_step_of_the_sampler_has_the_bits_of_a_window(cell, threads, hidden, layers, embedding):
    made, prime = network(cell, threads, hidden, layers, embedding), np.arange(20, dtype=np.int32)
    sampler = Sampler(made, prime, 1, Choice(0.0))
    if threads > 1:
        sampler._strategies.next = lambda: TOGETHER
    with every_thread_works(threads) as watch:
        drawn = np.concatenate([sampler.draw(20)[:, 0], sampler.draw(13)[:, 0]])
    assert watch.workers("sampler") == {threads}
    text = np.concatenate([prime, drawn]).astype(np.int32)
    logits = made.forward(text[:-1, None], made.initial_state(1))[:, 0]
    assert np.array_equal(logits[19:].argmax(axis=1), drawn)
    assert sampler._logits[0, 0, :23].tobytes() == logits[-1].tobytes()


@pytest.mark.parametrize("embedding", [None, 7])
def test_a_held_unit_of_a_gru_keeps_its_value_to_the_bit(embedding):
    held = {(0, 5): 0.7312345, (1, 0): -1.0, (1, 18): 0.0, (1, 3): 1.0, (0, 36): 1e-30}
    made = clamp(network("gru", embedding=embedding), held)
    state = made.initial_state(5)
    for steps in (1, 40, 17):
        made.forward(ids(5 * steps).reshape(steps, 5), state)
        h, z = made.signal("h"), made.signal("z")
        for (layer, unit), value in held.items():
            assert (h[:, :, layer, unit] == np.float32(value)).all()
            assert (z[:, :, layer, unit] == 1).all()


def test_a_held_unit_of_an_rnn_has_its_value_but_for_rounding():
    held = {(0, 5): 0.7312345, (1, 0): -1.0, (1, 18): 0.0, (1, 3): 1.0, (0, 36): -0.999}
    made = clamp(network("rnn"), held)
    made.forward(ids(90).reshape(30, 3), made.initial_state(3))
    for (layer, unit), value in held.items():
        np.testing.assert_allclose(made.signal("h")[:, :, layer, unit], value, rtol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_h_is_held_between_minus_one_and_one(cell):
    with pytest.raises(ConfigError, match=r"h is from -1 to 1, not 1\.5"):
        clamp(network(cell), {(0, 0): 1.5})


@pytest.mark.parametrize(("cell", "title"), [("rnn", "RNN"), ("gru", "GRU")])
def test_a_run_is_resumed_sampled_inspected_and_ablated(tmp_path, text, cell, title):
    train = ("train", text, "--out", tmp_path, *SMALL, "-q", "--name", "run")
    succeed(*train, "--steps", 20, "--cell", cell)
    run = tmp_path / "run"
    assert Checkpoint.load(run / "last.safetensors").model.cell == cell
    assert f"{title}, 2 x 20" in succeed("info", run).stdout
    refused = invoke(*train, "--steps", 30, "--cell", "lstm", "--resume")
    assert f"--cell: {cell} in the checkpoint, lstm asked" in refused.stderr
    succeed(*train, "--steps", 30, "--resume")
    assert len(succeed("sample", run, "--length", 40, "--seed", 1).stdout) == 40
    model = charrnn.load(run)
    shown = succeed("inspect", run, text, "--cell", "1:3", "--length", 200, "--json").stdout
    expected = model.activations(text.read_text()[:200])["h"][:, 1, 3]
    np.testing.assert_allclose(json.loads(shown)["values"], expected, rtol=1e-5, atol=1e-7)
    succeed("inspect", "saturation", run, text)
    ablated = succeed(
        "inspect", "ablate", run, text, "--cell", "1:3", "--at", 0.5, "--samples", 0, "--others", 2
    ).stdout
    assert "Clamped: 1:3 " in ablated
    assert " at h = 0.5" in ablated
