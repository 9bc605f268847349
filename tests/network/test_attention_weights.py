"""The weights of attention, as they can be looked at, against the oracle."""

import numpy as np
import pytest
import transformer_reference as oracle

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.network.network import Network


def network_of(hidden=24, layers=2, heads=3, context=9, vocabulary=7, seed=5):
    config = ModelConfig(vocabulary, hidden, layers, cell="transformer", heads=heads, context=context)
    network = Network(config, seed=seed, threads=1)
    network.parameters.flat *= 2 / np.sqrt(3)  # sharper attention than that of a new network
    network.parameters_changed()
    return network


def by_distance(weights, positions, context):
    """The oracle's weights (N, T, K), of which the last T keys are the queries' own, as (T, N, C)."""
    number, steps, keys = weights.shape
    found = np.zeros((steps, number, context))
    for t in range(steps):
        for back in range(min(context, positions[t] + 1)):
            found[t, :, back] = weights[:, t, keys - steps + t - back]
    return found


@pytest.mark.parametrize(
    ("steps", "batch", "sizes"),
    [
        (5, 2, {}),  # a window shorter than the context
        (23, 2, {}),  # a longer one
        (70, 1, {"context": 80}),  # a context of more than a panel
        (6, 3, {"hidden": 9, "heads": 3, "context": 4}),  # heads of three columns, of which one is not rotated
        (6, 1, {"hidden": 3, "heads": 3, "context": 2}),  # heads of one column
        (9, 2, {"hidden": 200, "heads": 1}),  # a head of several panels
    ],
)
def test_weights_are_the_oracles_in_windows_that_follow_each_other(steps, batch, sizes, rng):
    network = network_of(**sizes)
    context, heads = network.config.context, network.config.heads
    parameters = {name: view.astype(float) for name, view in network.parameters.items()}
    ours, theirs = network.initial_state(batch), oracle.empty_state(2, batch, context, network.config.hidden)
    for length in (steps, max(steps // 2, 1), steps):  # the second window uses a part of the workspace
        x = rng.integers(7, size=(length, batch)).astype(np.int32)
        network.read(x, ours)
        _, theirs, trace = oracle.forward(parameters, x, theirs, heads)
        for k, layer in enumerate(trace["layers"]):
            found = network.attention_weights(k)
            assert found.dtype == np.float32
            for b, (_, _, _, weights, positions, _) in enumerate(layer.attention):
                np.testing.assert_allclose(found[:, b], by_distance(weights, positions, context), atol=1e-5)
            np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)


def test_weights_do_not_depend_on_the_number_of_threads(rng):
    x = rng.integers(7, size=(40, 5)).astype(np.int32)
    found = []
    for threads in (1, 3):
        network = network_of()
        network.team = type(network.team)(threads)
        network.read(x, network.initial_state(5))
        found.append(network.attention_weights(1))
    np.testing.assert_array_equal(*found)


def test_a_recurrent_network_has_none():
    network = Network(ModelConfig(5, 8, 1), threads=1)
    network.read(np.zeros((2, 1), np.int32), network.initial_state(1))
    with pytest.raises(ConfigError, match="LSTM has no attention: only a Transformer has heads"):
        network.attention_weights(0)


def test_a_silenced_head_has_no_effect(rng):
    network = network_of()
    x, columns = rng.integers(7, size=(20, 1)).astype(np.int32), slice(8, 16)
    network.cell.silence_head(network.parameters, network.config, 0, 1)
    network.parameters_changed()
    before = network.forward(x, network.initial_state(1))
    for part in range(3):  # its queries, keys and values
        view = network.parameters["w_qkv_l0"][:, part * 24 : part * 24 + 24]
        view[:, columns] = rng.normal(size=(24, 8))
    network.parameters_changed()
    np.testing.assert_array_equal(network.forward(x, network.initial_state(1)), before)
    assert not network.parameters["w_att_l0"][columns].any()
    assert network.parameters["w_att_l0"][:8].all() and network.parameters["w_att_l0"][16:].all()
