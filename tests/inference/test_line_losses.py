"""The losses of lines that are read side by side: the bits of each line read alone."""

import numpy as np
import pytest
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.line_losses import batches, line_losses
from charrnn.inference.loss import losses
from charrnn.inference.mixture import Mixture
from charrnn.inference.ngrams import Ngrams
from charrnn.network.cells import CELLS
from charrnn.network.network import Network

V, NEWLINE = 11, 3


def network(cell="lstm", seed=2, threads=2, hidden=20, layers=2):
    return Network(ModelConfig(V, hidden, layers, cell=cell), seed=seed, threads=threads)


def models(threads=2):
    """A network, an ensemble, and a mixture of each with n-grams."""
    one, other = network(threads=threads), network("gru", 5, threads, 33)
    ngrams = Ngrams(V, 5)
    ngrams.learn(np.random.default_rng(1).integers(V, size=3000).astype(np.int32))
    both = Ensemble([one, other])
    return one, both, Mixture(one, ngrams, (0.7, 0.3)), Mixture(both, ngrams, (0.6, 0.4))


@pytest.fixture
def lines(rng):
    """Lines of 0 to 40 ids, and a few long ones, in random order."""
    lengths = rng.permutation([*rng.integers(40, size=90), 0, 1, 1, 150, 333])
    return [rng.integers(V, size=length).astype(np.int32) for length in lengths]


def one_by_one(model, lines, before):
    """What ``losses`` finds in each line."""
    scorable = len([0][: before is not None])
    return [
        losses(model, line, before, batch=1) if len(line) + scorable > 1 else np.zeros(0, np.float32) for line in lines
    ]


def same(found, wanted):
    return len(found) == len(wanted) and all(map(np.array_equal, found, wanted))


@pytest.mark.parametrize("before", [NEWLINE, None])
@pytest.mark.parametrize("cell", CELLS)
def test_each_line_has_the_bits_of_that_line_alone(lines, cell, before):
    model = network(cell)
    found = line_losses(model, lines, before)
    assert all(each.dtype == np.float32 for each in found)
    assert [len(each) for each in found] == [max(len(line) - (before is None), 0) for line in lines]
    assert same(found, one_by_one(model, lines, before))


@pytest.mark.parametrize("number", range(4))
def test_ensembles_and_mixtures_have_the_bits_of_each_line_alone(lines, number):
    model = models()[number]
    assert same(line_losses(model, lines, NEWLINE), one_by_one(model, lines, NEWLINE))


@pytest.mark.parametrize(("batch", "steps"), [(1, 64), (2, 7), (5, 1), (64, 1000)])
@pytest.mark.parametrize("cell", CELLS)
def test_the_bits_do_not_depend_on_rows_and_steps(lines, cell, batch, steps):
    model = network(cell)
    assert same(line_losses(model, lines, NEWLINE, batch, steps), line_losses(model, lines, NEWLINE))


@pytest.mark.parametrize("cell", CELLS)
def test_the_bits_do_not_depend_on_the_other_lines(lines, cell):
    model = network(cell)
    whole = line_losses(model, lines, NEWLINE)
    order = np.random.default_rng(3).permutation(len(lines))[:31]
    assert same(line_losses(model, [lines[k] for k in order], NEWLINE), [whole[k] for k in order])


def test_the_bits_do_not_depend_on_the_number_of_threads(lines):
    found = []
    for threads in (1, 2, 3):
        with every_thread_works(threads) as watch:
            found.append([line_losses(model, lines, NEWLINE) for model in models(threads)])
        assert max(watch.workers("network")) == threads
    for other in found[1:]:
        assert all(map(same, other, found[0]))


def test_no_lines_and_lines_without_a_character_have_no_losses():
    model = network()
    assert line_losses(model, [], NEWLINE) == []
    for before in (NEWLINE, None):
        found = line_losses(model, [np.zeros(0, np.int32)] * 3, before)
        assert [each.shape for each in found] == [(0,)] * 3


def test_progress_counts_characters_to_the_end(lines):
    calls = []
    line_losses(network(), lines, NEWLINE, progress=lambda done, total: calls.append((done, total)))
    total = sum(map(len, lines))
    assert calls == sorted(calls)
    assert calls[-1] == (total, total)
    assert {last for _, last in calls} == {total}


def test_what_cannot_be_read_is_refused():
    model, line = network(), np.array([1, 2], np.int32)
    with pytest.raises(ConfigError, match="at least 1"):
        line_losses(model, [line], NEWLINE, batch=0)
    with pytest.raises(ConfigError, match="at least 1"):
        line_losses(model, [line], NEWLINE, steps=0)
    with pytest.raises(ConfigError, match="ids must be from 0"):
        line_losses(model, [np.array([-1, 2], np.int32)], NEWLINE)
    with pytest.raises(ConfigError, match="targets must be below 11"):
        line_losses(model, [np.array([2, V], np.int32)], NEWLINE)


def test_a_negative_last_id_is_refused():
    """To a network a negative target is a place that does not count."""
    with pytest.raises(ConfigError, match="ids must be from 0"):
        line_losses(network(), [np.array([2, -1], np.int32)], NEWLINE)


@pytest.mark.parametrize("most", [1, 3, 8, 64])
def test_batches_have_every_line_once_the_longest_first_and_lengths_alike(rng, most):
    lengths = rng.permutation([*rng.integers(100, size=500), 10_000, 0, 3]).astype(np.int64)
    found = list(batches(lengths, most))
    rows = np.concatenate(found)
    assert sorted(rows) == list(np.flatnonzero(lengths))
    assert (np.diff(lengths[rows]) <= 0).all()
    assert all(len(each) <= most and lengths[each[-1]] >= 3 / 4 * lengths[each[0]] for each in found)
    if most == 64:
        assert {len(each) for each in found} <= {64, 32, 16, 8, 4, 2, 1}


def test_batches_of_lines_of_one_length_are_full():
    assert [len(each) for each in batches(np.full(200, 5), 64)] == [64, 64, 64, 8]
