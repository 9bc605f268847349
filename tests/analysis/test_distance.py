"""Losses at closing signs, by the distance to the opening signs."""

import numpy as np
import pytest

from charrnn import load
from charrnn.analysis.distance import closings, distances
from charrnn.analysis.ngrams import probabilities
from charrnn.errors import ConfigError
from charrnn.inference.loss import losses


def pairs(text):
    found = closings(text).items()
    return {kind: list(zip((at - back).tolist(), at.tolist(), strict=True)) for kind, (at, back) in found}


def test_brackets_nest_and_strays_are_left_out():
    assert pairs("(a(b)c)[)]")["()"] == [(2, 4), (0, 6)]
    assert pairs(")(x)") == {"()": [(1, 3)]}
    assert pairs("f(g[0]{}) “so “he” said”") == {
        "()": [(1, 8)],
        "[]": [(3, 5)],
        "{}": [(6, 7)],
        "“”": [(14, 17), (10, 23)],
    }
    assert pairs("no signs") == {}


def test_a_stray_quote_does_no_lasting_harm():
    assert pairs('"a" b "c"') == {'""': [(0, 2), (6, 8)]}
    assert pairs('a " stray\n\n"quoted" and "more"')['""'] == [(11, 18), (24, 29)]
    assert pairs('"two\nlines"')['""'] == [(0, 10)]


def test_lines_are_measured_from_end_to_end():
    assert pairs("ab\ncde\n\nf")["newline"] == [(2, 6), (6, 7)]


@pytest.fixture(scope="module")
def reader(model):
    return load(model, threads=1)


def test_bins_hold_the_losses_at_the_closing_signs(reader, text):
    ids = reader.encode(text.read_text())
    training, scored = ids[:14_000], ids[14_000:]
    found = distances(reader, scored, training, training, order=4)
    loss = losses(reader.network, scored, int(training[-1])).astype(float)
    baseline = -np.log(list(probabilities(training, scored, training, len(reader.vocabulary), 4))[4])
    assert (found.order, found.characters) == (4, 6000)
    assert (found.loss, found.baseline) == pytest.approx((loss.mean(), baseline.mean()))
    quotes = pairs(text.read_text())['""']
    assert sum(each.count for each in found.kinds['""']) == sum(at >= 14_000 for _, at in quotes) > 20
    for each in found.kinds['""']:
        assert each.stop == 2 * each.start
        own = [at - 14_000 for begin, at in quotes if at >= 14_000 and each.start <= at - begin < each.stop]
        assert each.count == len(own)
        assert (each.loss, each.baseline) == pytest.approx((loss[own].mean(), baseline[own].mean()))
        assert each.gain == pytest.approx(each.baseline - each.loss)
        if len(own) > 1:
            assert each.loss_error == pytest.approx(loss[own].std(ddof=1) / len(own) ** 0.5)
        else:
            assert each.loss_error is each.gain_error is None


def test_the_best_order_is_taken_and_one_that_is_too_high_is_the_highest(reader, text):
    ids = reader.encode(text.read_text())
    best = distances(reader, ids[14_000:], ids[:14_000])
    others = [distances(reader, ids[14_000:], ids[:14_000], order=order).baseline for order in (2, 3, 5)]
    assert best.baseline <= min(others)
    assert distances(reader, ids[15_000:], ids[:3], order=9).order == 3
    with pytest.raises(ConfigError, match="no training text"):
        distances(reader, ids, ids[:0])
