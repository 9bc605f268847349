"""Reading a text with a model, and choosing the cells that are worth a look."""

import numpy as np
import pytest

from charrnn import load
from charrnn.errors import ConfigError
from charrnn.inspection.gallery import gallery, line_bounds, most_varied, scores
from charrnn.inspection.reading import Reading, read

TEXT = 'He told us "come in out of the rain, all of you" and then he left.\n' * 12


def reading_of(cells):
    """A reading of one layer with the given ``cells``, each (N,)."""
    ids = np.array([ord(sign) for sign in TEXT], np.int32)
    return Reading(TEXT, ids, "c", np.stack(cells, axis=1)[:, None], np.zeros((len(TEXT), 1)), None)


@pytest.fixture
def planted(rng):
    quote = np.cumsum([sign == '"' for sign in TEXT]) % 2 * 1.8 - 0.9
    echo = np.array([0.9 if sign in "aeiou" else -0.9 for sign in TEXT])
    flicker = rng.choice([-0.9, 0.9], len(TEXT))
    still = rng.normal(0, 1e-3, len(TEXT)).cumsum()
    return reading_of([echo, flicker, quote, still, -quote])


def test_a_cell_that_keeps_a_value_comes_first_and_echo_noise_and_stillness_do_not(planted):
    ranked = scores(planted)[0]
    assert ranked.argmax() in (2, 4)
    assert ranked[2] > 0.3
    assert max(ranked[0], ranked[1], ranked[3]) < 0.1


def test_the_gallery_leaves_out_cells_that_show_the_same(planted):
    cells = gallery(planted, 5)
    units = [cell.unit for cell in cells]
    assert len({2, 4} & set(units)) == 1
    assert [cell.score for cell in cells] == sorted((cell.score for cell in cells), reverse=True)
    assert len(gallery(planted, 2)) == 2


def test_the_most_varied_stretch_is_where_values_change():
    values = np.zeros((100, 2))
    values[40:60:2, 0] = 1
    assert most_varied(values, [(0, 20), (30, 50), (40, 60), (80, 100)]) == (40, 60)


def test_line_bounds():
    assert line_bounds("ab\nc\n\nd") == [0, 3, 5, 6, 7]
    assert line_bounds("ab\n") == [0, 3]
    assert line_bounds("ab") == [0, 2]


def test_a_reading_has_the_activations(model, text):
    found = load(model)
    part = text.read_text()[:300]
    whole = found.activations(part)
    for signal in "chifgo":
        reading = read(found, found.encode(part), signal)
        expected = np.tanh(whole["c"]) if signal == "c" else whole[signal]
        np.testing.assert_allclose(reading.values, expected, atol=1e-6)
        assert reading.text == part
    surprise = reading.surprise()
    assert np.isnan(surprise[0])
    loss = found.loss(part) / np.log(2)
    assert np.nanmean(surprise) == pytest.approx(loss, rel=1e-5)
    ids, chances = reading.guesses(5)
    assert ids.shape == chances.shape == (300, 5)
    assert (np.diff(chances, axis=1) <= 0).all()


def test_what_is_not_there_is_refused(model, text):
    found = load(model)
    ids = found.encode(text.read_text()[:50])
    for options in ({"offset": 50}, {"offset": -1}, {"signal": "x"}, {"length": 0}):
        with pytest.raises(ConfigError):
            read(found, ids, **options)
    with pytest.raises(ConfigError, match="no cell 2:0"):
        read(found, ids).cell(2, 0)
