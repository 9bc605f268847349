"""Guess numbers by Monte Carlo, against all lines of a small model, counted."""

import itertools
import math

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.guess_numbers import GuessNumbers, drawn_lines, guess_numbers
from charrnn.inference.line_losses import line_losses
from charrnn.inference.mixture import Mixture
from charrnn.inference.ngrams import Ngrams
from charrnn.network.network import Network

V, NEWLINE = 3, 0
LONGEST = 9  # letters of the lines that are enumerated


def network(seed):
    """A network over a line end and two letters, with unequal probabilities."""
    found = Network(ModelConfig(V, 6, 1), seed=seed, threads=1)
    rng = np.random.default_rng(seed)
    found.set_parameters({name: rng.normal(0, 0.9, view.shape) for name, view in found.parameters.items()})
    return found


def models():
    ngrams = Ngrams(V, 3)
    ngrams.learn(np.array([0, 1, 2, 1, 0, 1, 1, 0, 2, 1, 0, 1, 2, 2, 1, 0] * 3, np.int32))
    return network(1), Ensemble([network(1), network(2)]), Mixture(network(3), ngrams, (0.7, 0.4))


@pytest.fixture(scope="module", params=range(3), ids=["network", "ensemble", "mixture"])
def counted(request):
    """A model, all its lines of up to ``LONGEST`` letters, and -log p of each."""
    model = models()[request.param]
    lines = [
        np.array([*letters, NEWLINE], np.int32)
        for length in range(LONGEST + 1)
        for letters in itertools.product(range(1, V), repeat=length)
    ]
    return model, lines, np.array([each.sum(dtype=float) for each in line_losses(model, lines, NEWLINE)])


def test_the_estimates_are_the_numbers_of_likelier_lines(counted):
    model, lines, nats = counted
    assert 0.7 < np.exp(-nats).sum() < 1  # most lines are among them
    estimates = guess_numbers(model, NEWLINE, 20_000, seed=3)
    # A longer line is less likely than its own beginning may be. Ranks are exact while no line of more letters is
    # likelier: each further letter has at most this probability.
    order = np.argsort(nats)
    surely = int(np.searchsorted(nats[order], nats[[len(line) > LONGEST for line in lines]].min()))
    assert surely > 20
    checked = 0
    for rank in range(1, surely, max(surely // 40, 1)):
        found = estimates.estimate(nats[order[rank]])
        exact = int((nats < nats[order[rank]] * (1 - 1e-9)).sum())
        assert abs(found.count - exact) <= 4.5 * found.error * found.count + 1e-6, (rank, found, exact)
        checked += 1
    assert checked > 20


def test_the_error_is_that_of_repeated_estimates(counted):
    model, _, nats = counted
    line = float(np.sort(nats)[40])
    found = [guess_numbers(model, NEWLINE, 500, seed=1000 * seed).estimate(line) for seed in range(60)]
    counts = np.array([each.count for each in found])
    told = np.mean([each.error * each.count for each in found])
    assert 0.7 < counts.std(ddof=1) / told < 1.4


def test_nothing_is_likelier_than_the_likeliest_line():
    numbers = GuessNumbers(np.array([1.0, 2.0, 2.0, 5.0]))
    for nats in (0.5, 1.0, 1.0 + 1e-12):
        found = numbers.estimate(nats)
        assert found.count == 0 and found.log2 == -math.inf and math.isnan(found.error)


def test_the_formula():
    numbers = GuessNumbers(np.log([2.0, 10.0, 10.0, 1000.0]))
    found = numbers.estimate(math.log(500.0))
    assert found.count == pytest.approx((2 + 10 + 10) / 4)
    each = np.array([2, 10, 10, 0])
    assert found.error == pytest.approx(each.std() / 2 / each.mean())
    assert numbers.estimate(math.log(10.0)).count == pytest.approx(0.5)  # equal ones are not likelier
    assert numbers.estimate(math.inf).count == pytest.approx(1022 / 4)


def test_lines_of_thousands_of_bits_do_not_overflow():
    found = GuessNumbers(np.array([2000.0, 3000.0, 4000.0])).estimate(3500.0)
    assert found.count == math.inf
    assert found.log2 == pytest.approx((3000 - math.log(3)) / math.log(2))
    assert 0 < found.error < 1


def test_a_line_that_is_no_number_has_no_estimate():
    assert math.isnan(GuessNumbers(np.array([1.0])).estimate(math.nan).error)


def test_lines_are_drawn_with_their_probabilities():
    model = network(1)
    lines = drawn_lines(model, NEWLINE, 4000, seed=5)
    assert len(lines) == 4000
    assert all(line[-1] == NEWLINE and (line[:-1] != NEWLINE).all() for line in lines)
    for letters in ([], [1], [2], [1, 2]):
        line = np.array([*letters, NEWLINE], np.int32)
        p = math.exp(-line_losses(model, [line], NEWLINE)[0].sum())
        share = np.mean([np.array_equal(each, line) for each in lines])
        assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / 4000)


def test_a_line_that_does_not_end_is_cut():
    model = network(1)
    model.parameters["b_out"][NEWLINE] = -50
    model.parameters_changed()
    lines = drawn_lines(model, NEWLINE, 300, longest=37)
    assert [len(line) for line in lines] == [37] * 300


def test_the_same_seed_draws_the_same_lines():
    drawn = [[line.tolist() for line in drawn_lines(network(2), NEWLINE, 300, seed)] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
