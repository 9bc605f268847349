"""The first weights: their bounds, means and variances by name, for every choice."""

import math

import numpy as np
import pytest
from command_line import SMALL, invoke, succeed

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import INITS, ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.network.initialisation import initialise
from charrnn.network.parameters import Parameters

V, H, E = 70, 50, 12


def start(init, seed=3, embedding=None, forget_bias=1.0):
    config = ModelConfig(V, H, 2, embedding)
    parameters = Parameters(config)
    parameters.flat[:] = 0
    initialise(parameters, config, seed, init, forget_bias)
    return parameters


def expected_bound(init, name, embedding):
    if init == "uniform":
        return 1 / math.sqrt(H)
    if init == "xavier":
        rows = {"w_ih_l0": embedding or V}.get(name, H)
        return math.sqrt(6 / (rows + (V if name == "w_out" else H)))
    return {"w_ih_l0": math.sqrt(3 / (embedding or 1)), "w_out": 5 / math.sqrt(H)}.get(name, 1 / math.sqrt(H))


def assert_uniform(values, bound):
    """Within ±bound and near it at both ends, mean and variance within five standard errors of a uniform's."""
    n = values.size
    assert np.abs(values).max() <= np.float32(bound)
    assert values.max() > bound * (1 - 10 / n)
    assert values.min() < -bound * (1 - 10 / n)
    variance = bound**2 / 3
    assert abs(values.mean()) < 5 * math.sqrt(variance / n)
    # The fourth moment of a uniform is bound⁴/5, so its square has the variance bound⁴ (1/5 - 1/9).
    assert abs(np.square(values, dtype=float).mean() - variance) < 5 * bound**2 * math.sqrt((1 / 5 - 1 / 9) / n)


@pytest.mark.parametrize("embedding", [None, E])
@pytest.mark.parametrize("init", INITS)
def test_every_matrix_has_the_distribution_that_is_promised(init, embedding):
    for name, view in start(init, embedding=embedding).items():
        if not name.startswith("w_") or (init == "orthogonal" and name.startswith("w_hh")):
            continue
        for block in [view] if name == "w_out" else np.split(view, 4, axis=1):
            assert_uniform(block, expected_bound(init, name, embedding))


@pytest.mark.parametrize("init", INITS)
def test_an_embedding_is_standard_normal(init):
    values = start(init, embedding=E)["embedding"].ravel()
    assert abs(values.mean()) < 5 / math.sqrt(values.size)
    assert abs(values.var() - 1) < 5 * math.sqrt(2 / values.size)
    assert 2.5 < np.abs(values).max() < 5


@pytest.mark.parametrize("forget_bias", [1.0, 0.0, -2.5])
@pytest.mark.parametrize("init", INITS)
def test_biases(init, forget_bias):
    parameters = start(init, forget_bias=forget_bias)
    for name in ("b_l0", "b_l1", "b_out"):
        bias = parameters[name].copy()
        if name != "b_out":
            i, f, g, o = np.split(bias, 4)
            assert np.all(f == np.float32(forget_bias))
            bias = np.concatenate([i, g, o])
        if init == "uniform":
            assert_uniform(bias, 1 / math.sqrt(H))
        else:
            assert not bias.any()


def test_orthogonal_blocks_are_orthogonal_and_differ():
    parameters = start("orthogonal")
    blocks = [q for layer in range(2) for q in np.split(parameters[f"w_hh_l{layer}"].astype(float), 4, axis=1)]
    for q in blocks:
        assert np.abs(q.T @ q - np.eye(H)).max() < 1e-6
        assert np.abs(q @ q.T - np.eye(H)).max() < 1e-6
        # Entries of one that is drawn evenly have mean 0 and variance 1/H; so has the trace, of variance 1.
        assert abs(q.mean()) < 5 / math.sqrt(H * q.size)
        assert abs(np.trace(q)) < 5
    assert all(np.abs(a - b).max() > 0.1 for number, a in enumerate(blocks) for b in blocks[:number])
    # Without settled signs, QR would leave the diagonals of most blocks negative.
    diagonals = np.concatenate([np.diag(q) for q in blocks])
    assert abs(diagonals.mean()) < 5 / math.sqrt(H * diagonals.size)


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru", 3)])
def test_other_cells_start_gate_by_gate_without_a_forget_bias(init, cell, gates):
    config = ModelConfig(V, H, 2, cell=cell)
    parameters = Parameters(config)
    initialise(parameters, config, 3, init, forget_bias=2.5)
    for name in ("w_ih_l0", "w_ih_l1", "w_hh_l0", "w_hh_l1"):
        for block in np.split(parameters[name], gates, axis=1):
            if init == "orthogonal" and name.startswith("w_hh"):
                assert np.abs(block.T.astype(float) @ block - np.eye(H)).max() < 1e-6
            else:
                assert_uniform(block, expected_bound(init, name, None))
    if init == "uniform":
        assert_uniform(parameters["b_l0"], 1 / math.sqrt(H))
    else:
        assert not parameters["b_l0"].any()


@pytest.mark.parametrize("init", INITS)
def test_gaps_stay_zero_and_seeds_differ(init):
    first, again, other = start(init), start(init), start(init, seed=4)
    inside = np.zeros(first.flat.size, bool)
    for begin, end in first.ranges.values():
        inside[begin:end] = True
    assert not inside.all()
    assert not first.flat[~inside].any()
    assert first.flat.tobytes() == again.flat.tobytes()
    for name in ("w_ih_l0", "w_hh_l0", "w_ih_l1", "w_hh_l1", "w_out"):
        assert not np.array_equal(first[name], other[name])


def test_the_default_has_not_changed_a_bit():
    """Drawn in the order of the buffer, matrices alone, from one generator: models of earlier versions come again."""
    generator = np.random.default_rng(5)
    for name, view in start(TrainConfig().init, seed=5).items():
        if name.startswith("w_"):
            bound = {"w_ih_l0": math.sqrt(3), "w_out": 5 / math.sqrt(H)}.get(name, 1 / math.sqrt(H))
            assert np.array_equal(view, generator.uniform(-bound, bound, view.shape).astype(np.float32)), name


def test_unknown_choices_and_wild_biases_are_refused():
    with pytest.raises(ConfigError, match="unit, uniform, xavier, orthogonal"):
        start("he")
    for settings in ({"init": "he"}, {"forget_bias": math.nan}, {"forget_bias": 1000}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            TrainConfig(**settings)


def test_train_starts_as_told_and_a_resume_cannot_start_otherwise(tmp_path, text):
    options = [*SMALL, "--out", tmp_path, "--name", "r", "-q"]
    succeed("train", text, *options, "--lr", 0, "--steps", 1, "--init", "xavier", "--forget-bias", 2.5)
    checkpoint = Checkpoint.load(tmp_path / "r" / "last.safetensors")
    assert checkpoint.training.init == "xavier"
    expected = Parameters(checkpoint.model)
    initialise(expected, checkpoint.model, 1, "xavier", 2.5)
    for name, view in expected.items():
        assert np.array_equal(checkpoint.parameters[name], view), name
    succeed("train", "--resume", *options, "--steps", 2, "--init", "xavier")
    result = invoke("train", "--resume", *options, "--steps", 3, "--forget-bias", 1)
    assert result.exit_code == 1
    assert "--forget-bias: 2.5 in the checkpoint, 1.0 asked" in result.stderr


def test_first_weights_are_not_chosen_for_a_model_that_has_some(tmp_path, text, model):
    for option in (["--init", "unit"], ["--forget-bias", 1]):
        result = invoke("train", text, "--out", tmp_path, "--init-from", model, *option, "--steps", 2)
        assert result.exit_code == 2
        assert f"{option[0]} is for new weights: leave it out with --init-from" in result.stderr
    result = invoke("train", text, "--out", tmp_path, "--init", "he")
    assert result.exit_code == 2
    assert "'he' is not one of 'unit', 'uniform', 'xavier', 'orthogonal'" in result.stderr
