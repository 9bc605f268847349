"""A reading from Python: all signals, parts of it, and how a notebook shows it."""

import numpy as np
import pytest

import charrnn
from charrnn.errors import ConfigError, VocabularyError
from charrnn.inspection.reading import read_all
from charrnn.model.reading import scores

TEXT = '"Come in," said the fox. The heron sat down.\n' * 4


@pytest.fixture(scope="module")
def fables(model):
    return charrnn.load(model, threads=1)


@pytest.fixture(scope="module")
def reading(fables):
    return fables.read(TEXT)


def test_it_has_what_activations_has(fables, reading):
    expected = fables.activations(TEXT)
    np.testing.assert_array_equal(reading.log_probabilities, expected.pop("log_probabilities"))
    assert reading.signals.keys() == expected.keys() == set("chifgo")
    for name, values in expected.items():
        np.testing.assert_array_equal(reading.signals[name], values)
    np.testing.assert_array_equal(reading.values, np.tanh(expected["c"]))
    assert (reading.signal, reading.text, len(reading)) == ("c", TEXT, len(TEXT))


def test_it_has_what_inspect_reads(fables, reading):
    found = read_all(fables, fables.encode(TEXT))
    np.testing.assert_allclose(found.values, reading.values, atol=1e-5)
    np.testing.assert_allclose(found.surprise(), reading.surprise(), atol=1e-3)
    assert type(found) is type(reading)


def test_the_mean_surprise_is_the_loss(fables, reading):
    assert np.nanmean(reading.surprise()) == pytest.approx(fables.evaluate(TEXT).bpc, abs=1e-4)
    assert np.isnan(reading.surprise()[0])


def test_a_part_knows_what_was_expected_before_it(reading):
    part = reading[50:80]
    assert part.text == TEXT[50:80]
    np.testing.assert_array_equal(part.surprise(), reading.surprise()[50:80])
    np.testing.assert_array_equal(part.signals["f"], reading.signals["f"][50:80])
    np.testing.assert_array_equal(part[5:9].cell(1, 3), reading.cell(1, 3)[55:59])
    assert np.isnan(reading[:20].surprise()[0])
    assert len(reading[-10:]) == 10
    for wrong in (slice(9, 3), slice(0, 9, 2), slice(len(TEXT), None)):
        with pytest.raises(ConfigError, match="at least one character"):
            reading[wrong]
    with pytest.raises(TypeError, match=r"reading\[100:200\]"):
        reading[3]


def test_a_notebook_shows_the_cell_with_the_most_structure(reading):
    layer, unit = reading.most_structured()
    assert scores(reading)[layer, unit] == scores(reading).max()
    page = reading._repr_html_()
    assert page == reading.coloured(layer, unit)._repr_html_()
    assert f"cell {layer}:{unit}, signal c" in page


def test_a_cell_can_be_chosen(reading):
    shown = reading.coloured(1, 3)
    assert shown.title == "cell 1:3, signal c"
    np.testing.assert_array_equal(shown.values, reading.cell(1, 3))
    for wrong in ((2, 0), (0, 20), (-1, 0)):
        with pytest.raises(ConfigError, match="there is no cell"):
            reading.coloured(*wrong)


@pytest.mark.parametrize("signal", "chifgo")
def test_a_cell_has_every_signal_of_a_reading_as_it_is_shown(fables, signal):
    for shown in ("c", "f"):
        reading = fables.read(TEXT, signal=shown)[20:60]
        expected = fables.read(TEXT, signal=signal)[20:60].values[:, 1, 3]
        np.testing.assert_array_equal(reading.cell(1, 3, signal), expected)


def test_a_signal_that_a_reading_does_not_have_is_told(fables, reading):
    with pytest.raises(ConfigError, match="signal must be one of c, h, i, f, g, o, not 'z'"):
        reading.cell(1, 3, "z")
    kept = read_all(fables, fables.encode(TEXT), signal="f", others=["o"])
    np.testing.assert_allclose(kept.cell(1, 3, "o"), reading.cell(1, 3, "o"), atol=1e-5)
    with pytest.raises(ConfigError, match="signal must be one of f, o, not 'c'"):
        kept.cell(1, 3, "c")


def test_gates_and_surprise_have_one_colour(fables, reading):
    assert fables.read(TEXT, signal="f").coloured(0, 0).low is None
    surprising = reading.coloured_by_surprise()
    assert surprising.low is None
    assert surprising.values[1] * 8 == pytest.approx(reading.surprise()[1])
    assert "surprise" in surprising._repr_html_()


def test_a_text_of_one_character_can_be_shown(fables):
    reading = fables.read("T")
    assert "T" in reading._repr_html_()
    assert repr(reading) == "<Reading of 1 character: signal c of 2 x 20 cells>"


def test_a_mixture_shows_the_cells_of_its_network(text):
    alone = charrnn.train(text, hidden=20, seq_len=16, batch_size=8, steps=20, threads=1)
    both = alone.mixed()
    np.testing.assert_array_equal(both.read(TEXT).values, alone.read(TEXT).values)
    seen = both.activations(TEXT)
    np.testing.assert_array_equal(seen["f"], alone.activations(TEXT)["f"])
    np.testing.assert_array_equal(seen["log_probabilities"], both.read(TEXT).log_probabilities)
    assert np.nanmean(both.read(TEXT).surprise()) == pytest.approx(both.evaluate(TEXT).bpc, abs=1e-4)
    assert both.mixed() is both


def test_a_model_of_bytes_reads_bytes():
    model = charrnn.train("Ünï\n".encode() * 200, hidden=8, steps=5, threads=1)
    reading = model.read("Ü\n")
    assert reading.text == "Ü\n".encode().decode("latin-1")
    assert "&#195;" in reading._repr_html_()


def test_what_cannot_be_read_says_why(fables, model, monkeypatch):
    for look in (fables.read, fables.activations):
        with pytest.raises(VocabularyError, match="an empty text has nothing to read"):
            look("")
        with pytest.raises(ConfigError, match="an ensemble has no cells of its own"):
            getattr(charrnn.load(model, model), look.__name__)(TEXT)
    with pytest.raises(VocabularyError, match="☃"):
        fables.read("snow ☃")
    assert fables.read("snow ☃", unknown="skip").text == "snow "
    with pytest.raises(ConfigError, match="signal must be one of"):
        fables.read(TEXT, signal="z")
    monkeypatch.setattr("charrnn.model.model.LARGEST", 5000)
    with pytest.raises(ConfigError, match=r"too much for the memory: give at most \d+ characters"):
        fables.read(TEXT)
