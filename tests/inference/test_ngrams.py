"""N-grams against a plain count of all grams, and what they need."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.analysis.ngrams import probabilities
from charrnn.inference.ngrams import Ngrams, discounts, new_readers
from charrnn.system.threads import Team

ALONE = Team(1)


def counted(text, order):
    """For each length of a context the counts of all grams, and how many grams have a count of 1 to 4 (K, 5)."""
    by_length, counts = [], np.zeros((order, 5), int)
    for n in range(order):
        grams = [(tuple(text[k : k + n + 1]), text[k - 1] if k else None) for k in range(len(text) - n)]
        if n == order - 1:
            found = Counter(gram for gram, _ in grams)
        else:
            before = defaultdict(set)
            for gram, left in grams:
                before[gram].add(left)
            found = Counter({gram: len(left) for gram, left in before.items()})
        for count in found.values():
            if count < 5:
                counts[n, count] += 1
        by_length.append(found)
    return by_length, counts


def expected(text, context, order, vocabulary):
    """p of each symbol after ``context``, straight from the equation."""
    by_length, counts = counted(text, order)
    taken, p = discounts(counts), np.full(vocabulary, 1 / vocabulary)
    for n in range(min(order, len(context) + 1)):
        last = tuple(context[len(context) - n :])
        c = np.array([by_length[n][(*last, symbol)] for symbol in range(vocabulary)])
        if not c.sum():
            break
        d = taken[n][np.minimum(c, 3)] * (c > 0)
        p = (c - d + d.sum() * p) / c.sum()
    return p


texts = st.integers(1, 5).flatmap(
    lambda size: st.tuples(st.just(size), st.lists(st.integers(0, size - 1), min_size=1, max_size=120))
)


@settings(max_examples=80)
@given(texts, st.integers(1, 9), st.integers(0, 3), st.data())
def test_they_are_those_of_the_equation_however_they_learn(drawn, order, repeats, data):
    vocabulary, text = drawn
    text = (text * (repeats + 1))[:200]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=3)))
    ngrams = Ngrams(vocabulary, order)
    for first, last in zip([0, *cuts], [*cuts, len(text)], strict=True):
        ngrams.learn(np.array(text[first:last], np.int32))
    begin = data.draw(st.integers(0, len(text) - 1))
    more = data.draw(st.lists(st.integers(0, vocabulary - 1), max_size=12))
    read = (text[begin : begin + 25] + more)[:30]
    logs = ngrams.read(np.array(read, np.int32)[:, None], new_readers(1), ALONE)
    for k in range(len(read)):
        np.testing.assert_allclose(np.exp(logs[k, 0]), expected(text, read[: k + 1], order, vocabulary), rtol=1e-5)
    assert ngrams.learnt == len(text)


def test_readers_are_independent_and_threads_change_nothing():
    rng = np.random.default_rng(1)
    ngrams = Ngrams(7)
    ngrams.learn(np.tile(rng.integers(0, 7, 300), 3).astype(np.int32))
    x = rng.integers(0, 7, (40, 5)).astype(np.int32)
    together = ngrams.read(x, new_readers(5), Team(3))
    assert np.allclose(np.exp(together.astype(np.float64)).sum(axis=-1), 1, atol=1e-6)
    for column in range(5):
        readers = new_readers(1)
        parts = [
            ngrams.read(x[rows, column : column + 1].copy(), readers, ALONE) for rows in (slice(13), slice(13, 40))
        ]
        np.testing.assert_array_equal(np.concatenate(parts)[:, 0], together[:, column])


def test_on_a_text_they_are_as_good_as_the_n_grams_of_the_baselines():
    text = np.frombuffer(("the fox and the heron, the fox and the crow; " * 40).encode(), np.uint8) % 32
    rng = np.random.default_rng(2)
    text = np.where(rng.random(len(text)) < 0.1, rng.integers(0, 32, len(text)), text).astype(np.int32)
    training, scored = text[:1400], text[1400:]
    ngrams = Ngrams(32, 6)
    ngrams.learn(training)
    logs = ngrams.read(text[1399:-1, None].copy(), new_readers(1), ALONE)[:, 0]
    loss = -logs[np.arange(len(scored)), scored].mean()
    by_order = list(probabilities(training, scored, training[-1:], 32, 6))
    assert loss == pytest.approx(-np.log(by_order[-1]).mean(), abs=0.01)


def test_a_reader_at_the_end_has_read_what_was_learnt():
    text = np.random.default_rng(3).integers(0, 3, 200).astype(np.int32)
    ngrams, readers = Ngrams(3, 5), new_readers(1)
    ngrams.learn(text[:150])
    ngrams.learn(text[150:], settle=False)
    ngrams.begin_at_end(readers)
    read = new_readers(1)
    ngrams.read(text[:, None].copy(), read, ALONE)
    x = np.array([[1], [0], [2], [1]], np.int32)
    np.testing.assert_array_equal(ngrams.read(x, readers, ALONE), ngrams.read(x, read, ALONE))


@pytest.mark.parametrize("order", [2, 8, 24])
def test_memory_does_not_grow_with_the_order(order):
    ngrams = Ngrams(4, order)
    ngrams.learn(np.random.default_rng(4).integers(0, 4, 100_000).astype(np.int32))
    assert ngrams.nbytes < 200 * 100_000


def test_n_grams_that_have_learnt_nothing_guess():
    logs = Ngrams(5).read(np.zeros((3, 1), np.int32), new_readers(1), ALONE)
    np.testing.assert_allclose(np.exp(logs), 0.2)


@settings(max_examples=40)
@given(texts, st.integers(1, 9), st.integers(1, 6), st.data())
def test_the_likeliest_symbols_are_those_that_reading_expects(drawn, order, count, data):
    vocabulary, text = drawn
    count = min(count, vocabulary)
    ngrams = Ngrams(vocabulary, order)
    ngrams.learn(np.array(text, np.int32))
    x = np.array(data.draw(st.lists(st.integers(0, vocabulary - 1), min_size=2, max_size=40)), np.int32)
    logs = ngrams.read(x[:, None], new_readers(1), ALONE)[:-1, 0]
    cut, readers = data.draw(st.integers(0, len(x))), new_readers(1)
    parts = [ngrams.read_likeliest(part, readers, count) for part in (x[:cut], x[cut:])]
    ids, q = (np.concatenate(found) for found in zip(*parts, strict=True))
    assert ids.shape == q.shape == (len(x), count)
    for k in range(1, len(x)):
        p = np.exp(logs[k - 1].astype(float))
        best = np.sort(p)[::-1][:count]
        assert len(set(ids[k])) == count
        np.testing.assert_allclose(p[ids[k]], best, rtol=1e-5)
        np.testing.assert_allclose(q[k], best / best.sum(), rtol=1e-5)
