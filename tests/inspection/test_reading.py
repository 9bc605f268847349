"""Reading a text with a model: in one batch row, in several, in parts, and some cells alone."""

import numpy as np
import pytest

import charrnn
from charrnn.errors import ConfigError
from charrnn.inspection.reading import read, read_all, read_cells, read_in_parts


@pytest.fixture(scope="module")
def network(model):
    return charrnn.load(model, threads=1)


def test_tracks_equal_a_reading(network, text):
    ids = network.encode(text.read_text())
    reading = read(network, ids, "h", 700, 5000)
    found = read_cells(network, ids, [(0, 3), (1, 7)], "h", 700, 5000, guesses=4)
    assert np.array_equal(found.ids, reading.ids)
    assert np.allclose(found.values, reading.values[:, [0, 1], [3, 7]], atol=1e-3)
    assert np.allclose(found.surprise, reading.surprise(), atol=5e-3)
    assert np.allclose(found.chances, reading.guesses(4)[1], atol=1e-3)


def test_reading_in_many_batch_rows_equals_reading_in_one(network, text):
    ids = network.encode(text.read_text())
    one, batch = read(network, ids, "c", 0, 5000), read_all(network, ids, "c", 0, 5000)
    assert batch.text == one.text
    assert batch.before is None
    assert np.allclose(batch.values, one.values, atol=1e-3)
    assert np.allclose(batch.log_probabilities, one.log_probabilities, atol=5e-3)


def test_only_the_first_character_of_a_text_has_no_surprise(network, text):
    ids = network.encode(text.read_text())
    assert np.isnan(read_cells(network, ids, [(0, 0)], length=40).surprise).tolist() == [True, *[False] * 39]
    assert not np.isnan(read_cells(network, ids, [(0, 0)], offset=1, length=40).surprise).any()


def test_missing_cells_places_and_signals_are_refused(network, text, monkeypatch):
    ids = network.encode(text.read_text())
    for cell in ((2, 0), (0, 20), (-1, 0)):
        with pytest.raises(ConfigError, match="there is no cell"):
            read_cells(network, ids, [cell])
    with pytest.raises(ConfigError, match="nothing at offset"):
        read_cells(network, ids, [(0, 0)], offset=len(ids))
    with pytest.raises(ConfigError, match="signal must be"):
        read_cells(network, ids, [(0, 0)], signal="z")
    monkeypatch.setattr("charrnn.inspection.reading.LARGEST", 1000)
    with pytest.raises(ConfigError, match="give a --length up to"):
        read_all(network, ids)


def test_readings_in_parts_equal_one_reading(network, text):
    ids = network.encode(text.read_text()[:5000])
    whole = read(network, ids, "h", 300, 4000)
    parts = list(read_in_parts(network, ids, "h", 300, 4000, part=700))
    assert len(parts) > 5
    assert all(part.text.endswith("\n") for part in parts[:-1])
    assert "".join(part.text for part in parts) == whole.text
    np.testing.assert_allclose(np.concatenate([part.values for part in parts]), whole.values, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([part.surprise() for part in parts]), whole.surprise(), atol=1e-4)
