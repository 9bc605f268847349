"""The n-grams, against the textbook's formula with dictionaries, one context at a time."""

import tracemalloc
from collections import Counter

import numpy as np
import pytest

from charrnn.analysis import ngrams
from charrnn.analysis.ngrams import discounts, probabilities
from charrnn.errors import ConfigError
from charrnn.system import memory


class Dictionaries:
    """Interpolated modified Kneser-Ney as Chen & Goodman (1999) write it down."""

    def __init__(self, training, vocabulary, orders):
        self.vocabulary = vocabulary
        text = tuple(training)
        self.counts = [
            Counter(text[k : k + order] for k in range(len(text) - order + 1)) for order in range(orders + 2)
        ]
        # N1+(· w): how many different symbols stand before a gram.
        self.preceded = [Counter(gram[1:] for gram in counts) for counts in self.counts[1:]]

    @staticmethod
    def discount(counts):
        n = [sum(count == k for count in counts.values()) for k in range(5)]
        share = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.5
        of = {0: 0.0}
        for k in (1, 2, 3):
            of[k] = k - (k + 1) * share * n[k + 1] / n[k] if n[k] else share
            if not 0 < of[k] <= k:
                of[k] = share
        return lambda count: of[min(count, 3)]

    def probability(self, context, symbol, top=True):
        order = len(context) + 1
        counts = self.counts[order] if top else self.preceded[order]
        followers = {gram: count for gram, count in counts.items() if gram[:-1] == context}
        lower = self.probability(context[1:], symbol, False) if context else 1 / self.vocabulary
        total = sum(followers.values())
        if not total:
            return lower
        discount = self.discount(counts)
        count = counts[(*context, symbol)]
        return (count - discount(count) + sum(map(discount, followers.values())) * lower) / total


def by_order(*arguments, **options):
    return np.array(list(probabilities(*arguments, **options)))


@pytest.mark.parametrize(("size", "symbols"), [(200, 3), (60, 5), (9, 2)])
def test_every_probability_is_the_textbook_s(rng, size, symbols):
    text = rng.integers(symbols, size=size).astype(np.uint8) ** 2 % symbols
    training, before, scored = text[: size // 2], text[size // 2 - 3 : size // 2], text[size // 2 :]
    found = by_order(training, scored, before, symbols, 4)
    reference = Dictionaries(training.tolist(), symbols, 4)
    followed = [*before.tolist(), *scored.tolist()]
    for k, symbol in enumerate(scored.tolist()):
        assert found[0][k] == 1 / symbols
        for order in range(1, len(found)):
            context = tuple(followed[3 + k - order + 1 : 3 + k])
            assert found[order][k] == pytest.approx(reference.probability(context, symbol), rel=1e-12)


@pytest.mark.parametrize("size", [1, 2, 5, 3000])
def test_probabilities_sum_to_one_and_none_is_zero(rng, size):
    training = (rng.integers(7, size=size) * rng.integers(2, size=size)).astype(np.uint8)
    for _ in range(5):
        before = rng.integers(9, size=8)  # 7 and 8 are not in the training text
        chances = [by_order(training, np.array([symbol]), before, 9, 6)[:, 0] for symbol in range(9)]
        assert len(chances[0]) == min(size, 6) + 1
        np.testing.assert_allclose(np.sum(chances, axis=0), 1, rtol=1e-12)
        assert np.min(chances) > 0


def test_a_context_that_is_cut_short_uses_a_lower_order(rng):
    training, scored = rng.integers(4, size=(2, 200))
    found, reference = by_order(training, scored, scored[:0], 4, 5), Dictionaries(training.tolist(), 4, 5)
    first, second = scored[:2].tolist()
    for order in (2, 3, 4, 5):
        assert found[order][0] == pytest.approx(reference.probability((), first, top=False), rel=1e-12)
        assert found[order][1] == pytest.approx(reference.probability((first,), second, top=order == 2), rel=1e-12)
    np.testing.assert_array_equal(by_order(training, scored[4:], scored[:4], 4, 5), found[:, 4:])


def test_a_repeated_text_is_learnt_by_heart_and_noise_is_not(rng):
    period = rng.integers(6, size=40)
    training, scored = np.tile(period, 50), np.tile(period, 5)
    losses = -np.log(by_order(training, scored, training, 6)).mean(axis=1)
    assert losses[12] < 0.01 < losses[1]
    noise = rng.integers(6, size=(2, 5000))
    losses = -np.log(by_order(noise[0], noise[1], noise[0], 6)).mean(axis=1)
    assert losses.min() > np.log(6) - 0.01
    assert losses[0] == pytest.approx(np.log(6))


def test_discounts_are_positive_and_at_most_the_count():
    for counts in ([1], [5, 5], [1, 2, 3, 4], [1, 1, 2], [2, 2, 3], [1] + [3] * 50, [1] * 9 + [2] + [3] * 90):
        found = discounts(np.array(counts))
        assert found[0] == 0
        assert (found[1:] > 0).all() and (found[1:] <= [1, 2, 3]).all()


def test_a_text_too_large_for_memory_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(memory, "installed", lambda: 10**6)
    with pytest.raises(ConfigError, match="--fit"):
        by_order(np.zeros(100_000, np.uint8), np.zeros(9, np.uint8), np.zeros(0, np.uint8), 2)


def test_blocks_and_sorting_apart_change_no_bit(rng, monkeypatch):
    text = rng.integers(5, size=3000) * rng.integers(2, size=3000)
    expected = by_order(text[:2000], text[2000:], text[:2000], 5, 6)
    monkeypatch.setattr(ngrams, "_BLOCK", 37)
    np.testing.assert_array_equal(by_order(text[:2000], text[2000:], text[:2000], 5, 6), expected)
    # As if the text were so long that a gram and its place do not fit into one word.
    sort = ngrams._sort
    monkeypatch.setattr(ngrams, "_sort", lambda keys, limit: sort(keys, 2**62))
    np.testing.assert_array_equal(by_order(text[:2000], text[2000:], text[:2000], 5, 6), expected)


@pytest.mark.parametrize("sizes", [(200_000, 1000), (1000, 200_000)])
def test_ngrams_need_no_more_memory_than_they_say(rng, sizes):
    text = rng.choice(60, sum(sizes), p=rng.dirichlet(np.ones(60) / 5)).astype(np.uint8)
    tracemalloc.start()
    for _ in probabilities(text[: sizes[0]], text[sizes[0] :], text[:0], 60):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    need = sizes[0] * ngrams.BYTES_A_SYMBOL + sizes[1] * ngrams.BYTES_A_SCORED_SYMBOL
    assert 0.6 * need < peak < 1.1 * need + 30 * ngrams._BLOCK


def test_progress_is_reported_to_the_end(rng):
    calls = []
    training, scored, before = np.split(rng.integers(3, size=60), [40, 57])
    by_order(training, scored, before, 3, 4, lambda *call: calls.append(call))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
