"""Which characters made a prediction: the contributions add up, and are what integrated gradients are."""

from dataclasses import replace

import numpy as np
import pytest
from elman import ElmanCell
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.explanation.attribution import TOLERANCE, Attributor
from charrnn.explanation.cells import EQUATIONS
from charrnn.network.cells import CELLS
from charrnn.network.network import Network

SHAPES = [(1, None), (2, None), (1, 3), (3, 5)]
CASES = [(cell, *shape) for cell in EQUATIONS for shape in SHAPES if cell != "transformer" or shape[1] is None]


def made(cell, layers=1, embedding=None, hidden=6, vocabulary=5, seed=1):
    config = ModelConfig(vocabulary, hidden, layers, cell=cell, embedding=embedding)
    if cell == "transformer":
        config = replace(config, heads=2, context=4)
    network = Network(config, seed=seed, threads=1)
    network.parameters.flat[:] *= 1.5
    network.parameters_changed()
    return Attributor(config, network.parameters), network


@pytest.mark.parametrize(("cell", "layers", "embedding"), CASES)
def test_contributions_add_up_over_characters_and_over_cells(cell, layers, embedding):
    attributor, _ = made(cell, layers, embedding)
    found = attributor.attribute([1, 0, 2, 2, 3, 4, 1], 3, cells=6)
    change = found.score - found.score_of_nothing
    assert abs(found.contributions.sum() - change) <= TOLERANCE
    assert abs(found.by_cell.sum() - change) < 1e-12
    assert sorted(found.cells) == list(range(6))
    np.testing.assert_allclose(found.through.sum(axis=0), found.contributions, atol=1e-12)
    np.testing.assert_allclose(found.through.sum(axis=1), found.by_cell[found.cells], atol=2e-5)
    assert np.all(np.diff(np.abs(found.by_cell[found.cells])) <= 0)
    assert found.probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize(("cell", "layers", "embedding"), CASES)
def test_scores_are_the_network_s_logits_without_their_mean(cell, layers, embedding):
    attributor, network = made(cell, layers, embedding)
    ids = np.array([1, 0, 2, 4], np.int32)
    expected = network.log_probabilities(ids[:, None], network.initial_state(1))[-1, 0]
    scores = attributor.scores(ids)
    np.testing.assert_allclose(scores, expected - expected.mean(), atol=2e-5)
    found = attributor.attribute(ids, 2)
    assert found.score == scores[2]
    np.testing.assert_allclose(np.log(found.probabilities), expected, atol=2e-5)


@pytest.mark.parametrize("cell", EQUATIONS)
def test_a_contribution_is_the_integral_of_the_gradient(cell):
    """By finite differences, with a rule of its own for the integral: the mean over many midpoints."""
    attributor, _ = made(cell, 2)
    points = 40_000 if cell == "capped-lstm" else 400  # its gradient jumps on the way
    ids, target, distance = [1, 3, 2], 4, 1e-5
    found = attributor.attribute(ids, target).contributions
    nothing, rows = attributor._nothing, attributor._rows
    middles = (np.arange(points) + 0.5) / points
    for t in range(len(ids)):
        inputs = [nothing + middles[:, None] * (rows[each] - nothing) for each in ids]
        ends = []
        for sign in (1, -1):
            moved = list(inputs)
            moved[t] = inputs[t] + sign * distance * (rows[ids[t]] - nothing)
            ends.append(attributor._read(moved)[0] @ attributor._w_out[:, target])
        assert found[t] == pytest.approx((ends[0] - ends[1]).mean() / (2 * distance), abs=1e-5)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.integers(0, 4), st.integers(0, 1000))
def test_they_add_up_for_any_text(ids, target, seed):
    attributor, _ = made("lstm", seed=seed)
    found = attributor.attribute(ids, target, cells=2)
    assert abs(found.contributions.sum() - found.score + found.score_of_nothing) <= 1e-4
    assert found.through.shape == (2, len(ids))


def test_what_cannot_be_explained_is_refused(monkeypatch):
    monkeypatch.setitem(CELLS, "elman", ElmanCell())
    with pytest.raises(ConfigError, match="cell is elman"):
        Attributor(ModelConfig(4, 4, 1, cell="elman"), {})
    with pytest.raises(ConfigError, match="no character before"):
        made("rnn")[0].attribute([], 0)


def test_they_add_up_where_the_score_jumps_along_the_way():
    """With large weights gates are steps, and a fixed number of points misses what happens between them."""
    config = ModelConfig(5, 8, 2, cell="lstm")
    network = Network(config, seed=3, threads=1)
    attributor = Attributor(config, {name: 6 * np.asarray(value) for name, value in network.parameters.items()})
    ids = np.random.default_rng(1).integers(5, size=20)
    found = attributor.attribute(ids, 2)
    assert abs(found.contributions.sum() - found.score + found.score_of_nothing) <= 1e-4
