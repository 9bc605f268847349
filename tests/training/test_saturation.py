"""How often gates are at their ends."""

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.network.network import Network
from charrnn.training.diagnosis import saturation


@pytest.fixture(scope="module")
def network():
    made = Network(ModelConfig(7, hidden=18, layers=2), seed=3, threads=1)
    made.parameters.flat[:] *= 2.5  # so that gates come to their ends, yet a far past is forgotten
    made.parameters_changed()
    return made


def test_counts_are_those_of_the_trace(network, rng):
    ids = rng.integers(0, 7, 700).astype(np.uint8)  # too short for a second batch row
    found = saturation(network, ids)
    signals = network.trace(ids, network.initial_state(1))
    signals["tanh_c"] = np.tanh(signals["c"])
    assert found.characters == 700
    for name, low in (("i", 0.1), ("f", 0.1), ("o", 0.1), ("g", -0.9), ("tanh_c", -0.9)):
        np.testing.assert_allclose(found.low[name], (signals[name] < low).mean(axis=0))
        np.testing.assert_allclose(found.high[name], (signals[name] > 0.9).mean(axis=0))
        assert found.high[name].max() > 0.01


def test_several_batch_rows_count_every_character_once(network, rng):
    ids = rng.integers(0, 7, 5000).astype(np.uint8)
    one, many = (saturation(network, ids, batch=batch, steps=50) for batch in (1, 4))
    for name in one.low:
        np.testing.assert_allclose(one.low[name], many.low[name], atol=0.003)
        np.testing.assert_allclose(one.high[name], many.high[name], atol=0.003)
        # A share is a whole number of characters.
        np.testing.assert_allclose(many.low[name] * 5000, np.rint(many.low[name] * 5000), atol=1e-6)


def test_an_empty_text_is_refused(network):
    with pytest.raises(ConfigError, match="empty"):
        saturation(network, np.zeros(0, np.uint8))
