"""How much of a text stands in another text, against a search for every stretch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.analysis.novelty import matches, novelty
from charrnn.errors import ConfigError
from charrnn.system import memory

SYMBOLS = st.lists(st.integers(0, 2), max_size=60)


def ids(symbols):
    return np.array(symbols, np.uint8)


def longest_known(text, training, last):
    """The length of the longest end of text[: last + 1] that is in the training text, by searching for each."""
    return next(n for n in range(last + 1, -1, -1) if bytes(text[last + 1 - n : last + 1]) in bytes(training))


@given(SYMBOLS.filter(len), SYMBOLS)
def test_every_match_is_the_longest_and_stands_where_reported(text, training):
    text, training = ids(text), ids(training)
    known, end = matches(text, training)
    assert list(known) == [longest_known(text, training, last) for last in range(len(text))]
    for last, (length, behind) in enumerate(zip(known, end, strict=True)):
        assert bytes(training[behind - length : behind]) == bytes(text[last + 1 - length : last + 1])


@given(SYMBOLS.filter(len), SYMBOLS)
def test_shares_agree_with_a_search(text, training):
    text, training = ids(text), ids(training)
    found = novelty(text, training, (1, 2, 3, 7))
    for n, share in found.shares.items():
        grams = [bytes(text[k : k + n]) for k in range(len(text) - n + 1)]
        new = [gram not in bytes(training) for gram in grams]
        assert share == (pytest.approx(np.mean(new)) if grams else None)
    copied = bytes(text[found.start : found.start + found.longest])
    assert copied == bytes(training[found.place : found.place + found.longest])


def test_a_copy_a_new_text_and_a_long_training_text(rng):
    training = rng.integers(4, size=2_500_000).astype(np.uint8)  # more than two blocks
    for place in (0, 2**20 - 150, 2_499_700):
        copy = novelty(training[place : place + 300], training)
        assert set(copy.shares.values()) == {0.0}
        assert (copy.longest, copy.start, copy.place) == (300, 0, place)
    mixed = np.concatenate([rng.integers(4, size=200), training[10**6 : 10**6 + 100], rng.integers(4, size=200)])
    found = novelty(mixed.astype(np.uint8), training)
    assert 100 <= found.longest < 120
    assert found.start <= 200 and found.start + found.longest >= 300
    assert found.shares[50] == pytest.approx(1 - (found.longest - 49) / (500 - 49))
    assert novelty(ids([7, 8, 9]), training).shares[1] == 1


def test_a_text_too_large_for_memory_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(memory, "installed", lambda: 10**6)
    with pytest.raises(ConfigError, match="--length"):
        novelty(np.arange(5000), np.arange(9))


def test_an_empty_text_is_refused():
    with pytest.raises(ConfigError, match="empty"):
        novelty(ids([]), ids([1, 2]))
