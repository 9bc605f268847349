"""Texts that obey: they match, they are as likely as they should be, and what was masked is what is told."""

import functools
import itertools
import math
import re

import numpy as np
import pytest
from expressions import ALPHABET, compiled, expressions
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.inference.constraint import constraint_of, constraint_of_line
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.mixture import Mixture
from charrnn.inference.ngrams import Ngrams
from charrnn.inference.sampler import Choice, Sampler
from charrnn.inference.stream_team import TOGETHER
from charrnn.network.cells import CELLS
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

SMALL = Vocabulary("ab\n")
LARGE = Vocabulary(ALPHABET)
BYTES = Vocabulary(range(256))


@functools.cache
def network(vocabulary, cell="lstm", seed=1, threads=1):
    heads = {"heads": 2, "context": 7} if cell == "transformer" else {}
    found = Network(ModelConfig(len(vocabulary), 8, 1, cell=cell, **heads), seed=seed, threads=threads)
    for values in dict(found.parameters.items()).values():
        values *= 4  # probabilities that differ
    return found


@functools.cache
def model(kind):
    """A network over SMALL, an ensemble, or a mixture."""
    if kind == "ensemble":
        return Ensemble([network(SMALL), network(SMALL, "gru", 2)])
    if kind == "mixture":
        ngrams = Ngrams(3, 3)
        ngrams.learn(np.array([1, 2, 0, 1, 1, 2, 2, 0, 2, 1, 2, 1, 0] * 3, np.int32))
        return Mixture(network(SMALL), ngrams, (0.7, 0.4))
    return network(SMALL, kind)


def expected_texts(model, expression, length, prime, temperature=1.0, top_k=0):
    """Every text with its probability and its bits, by brute force from the definition."""
    pattern, longest = re.compile(expression), 7
    every = ["".join(each) for size in range(longest + 1) for each in itertools.product("ab\n", repeat=size)]
    matching = [each for each in every if pattern.fullmatch(each)]
    found = {}

    def go_on(text, probability, bits):
        ids = np.array([*prime, *SMALL.encode(text)], np.int32)[:, None]
        logs = model.log_probabilities(ids, model.initial_state(1))[-1, 0]
        may_follow = [
            any(each.startswith(text + sign) and len(each) <= length for each in matching) for sign in SMALL.symbols
        ]
        if not any(may_follow):
            found[text] = found.get(text, 0) + probability, bits
            return
        newline = SMALL.symbols.index("\n")
        may_end = text in matching and not any(each.startswith(text + "\n") for each in matching)
        permitted = np.array(may_follow)
        permitted[newline] |= may_end
        bits -= math.log2(np.exp(logs[permitted]).sum())
        weights = np.where(permitted, np.exp((logs - logs[permitted].max()) / temperature), 0)
        if top_k:
            weights[np.argsort(-weights, kind="stable")[top_k:]] = 0
        weights /= weights.sum()
        for k, weight in enumerate(weights):
            if weight > 0 and k == newline and may_end:
                found[text] = found.get(text, (0, 0))[0] + probability * weight, bits
            elif weight > 0:
                go_on(text + SMALL.symbols[k], probability * weight, bits)

    go_on("", 1.0, 0.0)
    return found


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn", "transformer", "ensemble", "mixture"])
@pytest.mark.parametrize("choice", [Choice(), Choice(0.6, top_k=2)], ids=str)
@pytest.mark.parametrize(("expression", "length"), [("(ab|ba|a)*b?", 5), (r"(a|b\n)+|bb", 4), ("a{0,2}b?", 9)])
def test_texts_are_as_likely_as_masked_probabilities_say(kind, choice, expression, length):
    prime, draws = [0, 2], 8000
    expected = expected_texts(model(kind), expression, length, prime, choice.temperature, choice.top_k)
    assert math.isclose(sum(probability for probability, _ in expected.values()), 1)
    sampler = Sampler(model(kind), prime, draws, choice, 3, constraint_of(SMALL, length, expression))
    ids = sampler.draw(length + 2)
    assert sampler.ended
    texts = [SMALL.decode(column[column >= 0]) for column in ids.T]
    assert set(texts) <= expected.keys()
    for text, (probability, _) in expected.items():
        assert abs(texts.count(text) / draws - probability) < 0.02, text
    bits = [expected[text][1] for text in texts]
    np.testing.assert_allclose(sampler.masked.bits, bits, atol=2e-5)
    assert (sampler.masked.choices >= [len(text) for text in texts]).all()


def test_the_share_is_the_mean_probability_that_was_masked():
    logs = network(SMALL).log_probabilities(np.array([[0], [2]], np.int32), network(SMALL).initial_state(1))[-1, 0]
    sampler = Sampler(network(SMALL), [0, 2], 1, Choice(0.3), 1, constraint_of(SMALL, 1, "b"))
    assert sampler.draw(1).tolist() == [[2]]
    assert sampler.masked.choices.tolist() == [1]
    assert math.isclose(sampler.masked.share[0], 1 - math.exp(logs[2]), abs_tol=1e-6)
    assert math.isclose(sampler.masked.bits[0], -logs[2] / math.log(2), abs_tol=1e-5)


def test_what_is_permitted_anyway_changes_nothing():
    free = Sampler(network(LARGE), [1], 5, seed=3)
    bound = Sampler(network(LARGE), [1], 5, seed=3, constraint=constraint_of(LARGE, 80, r"[\s\S]*"))
    np.testing.assert_array_equal(bound.draw(80), free.draw(80))
    assert bound.ended
    assert not free.ended
    assert (bound.masked.share == 0).all()
    assert (bound.masked.bits == 0).all()
    assert len(free.masked.choices) == 0


@settings(max_examples=150)
@given(
    expression=expressions(), cell=st.sampled_from(sorted(CELLS)), is_bytes=st.booleans(), spare=st.integers(0, 12),
    temperature=st.sampled_from([0, 0.5, 1, 3]), seed=st.integers(0, 99), without=st.sampled_from(["", "", "a", "é "]),
)  # fmt: skip
def test_every_text_matches_and_keeps_to_the_length(expression, cell, is_bytes, spare, temperature, seed, without):
    vocabulary = BYTES if is_bytes else LARGE
    try:
        length = int(constraint_of(vocabulary, 10**6, expression, without).automaton.distance[0]) + spare
    except ConfigError as error:
        assume(not str(error).startswith("no text matches"))
        raise
    constraint = constraint_of(vocabulary, length, expression, without)
    choice = Choice(temperature, top_k=3 * (seed % 2), min_p=0.2 * (seed % 3 == 0))
    sampler = Sampler(network(vocabulary, cell), [1], 3, choice, seed, constraint)
    ids = sampler.draw(length + 1)
    assert sampler.ended
    for column in ids.T:
        size = int((column >= 0).sum())
        assert size <= length
        assert (column[size:] == -1).all()
        text = vocabulary.decode(column[:size])
        text = text.decode() if is_bytes else text
        assert compiled(expression).fullmatch(text)
        assert not set(text) & set(without)
    if length:
        with pytest.raises(ConfigError, match="the shortest text that matches"):
            constraint_of(vocabulary, length - spare - 1, expression, without)


@pytest.mark.parametrize("length", [1, 7, 60])
def test_a_text_that_can_go_on_has_exactly_the_length(length):
    sampler = Sampler(network(LARGE), [1], 20, seed=1, constraint=constraint_of(LARGE, length, r"(a|b|[\s\S])*"))
    assert (sampler.draw(length + 3)[:length] >= 0).all()
    # An even number of characters: one fewer where the length is odd.
    sampler = Sampler(network(SMALL), [1], 20, seed=1, constraint=constraint_of(SMALL, length, r"([\s\S]{2})*"))
    assert ((sampler.draw(length) >= 0).sum(axis=0) == length // 2 * 2).all()


@given(chunks=st.lists(st.integers(1, 9), min_size=1, max_size=6), streams=st.integers(1, 7), threads=st.integers(1, 5))
def test_a_seed_means_a_text_for_any_chunks_streams_and_threads(chunks, streams, threads):
    constraint = constraint_of(LARGE, 40, r"(\w+ )*\w{3}")
    network = functools.partial(Network, ModelConfig(len(LARGE), 24, 2), seed=8)
    alone = Sampler(network(threads=1), [1, 2], 1, seed=11, constraint=constraint)
    expected = alone.draw(sum(chunks))[:, 0]
    with every_thread_works(threads) as watch:
        sampler = Sampler(network(threads=threads), [1, 2], streams, seed=11, constraint=constraint)
        drawn = np.concatenate([sampler.draw(chunk) for chunk in chunks])
    assert watch.most >= min(threads, streams)
    np.testing.assert_array_equal(drawn[:, 0], expected)
    assert sampler.masked.bits[0] == alone.masked.bits[0]
    assert sampler.masked.share[0] == alone.masked.share[0]


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_that_write_one_text_together_write_the_same_and_end(threads):
    config, constraint = ModelConfig(len(LARGE), 70, 3), constraint_of(LARGE, 50, r"\w{10,20}\.")
    alone = Sampler(Network(config, seed=4, threads=1), [1, 2], seed=11, constraint=constraint)
    together = Sampler(Network(config, seed=4, threads=threads), [1, 2], seed=11, constraint=constraint)
    together._strategies.next = lambda: TOGETHER
    for characters in (1, 30, 7):
        expected = alone.draw(characters)
        with every_thread_works(threads) as watch:
            np.testing.assert_array_equal(together.draw(characters), expected)
        assert watch.workers("sampler") == {threads}
    assert alone.ended
    assert together.ended


def test_characters_that_are_left_out_do_not_end_a_text():
    for vocabulary in (LARGE, BYTES):
        sampler = Sampler(network(vocabulary), [1], 4, seed=1, constraint=constraint_of(vocabulary, 5, without="a漢é"))
        ids = sampler.draw(3000)
        assert (ids >= 0).all()
        assert not sampler.ended
        for column in ids.T:
            text = vocabulary.decode(column)
            assert not any(each in text for each in (map(str.encode, "a漢é") if vocabulary is BYTES else "a漢é"))
        assert (sampler.masked.choices == 3000).all()
        assert (sampler.masked.share > 0).all()


def test_the_empty_text_ends_at_once():
    sampler = Sampler(network(SMALL), [1], 2, constraint=constraint_of(SMALL, 5, ""))
    assert sampler.ended
    assert (sampler.draw(4) == -1).all()
    assert sampler.masked.share.tolist() == [0, 0]


def test_lines_begin_with_their_prime():
    constraint = constraint_of_line(LARGE, 6, LARGE.encode("ab"), "ab[^x]{1,9}")
    ids = Sampler(network(LARGE), LARGE.encode("\nab"), 9, seed=1, constraint=constraint).draw(6)
    for column in ids.T:
        text = LARGE.decode(column[column >= 0])
        assert re.fullmatch("ab[^x]{1,9}", "ab" + text)
        assert "\n" not in text
    without = Sampler(
        network(LARGE),
        LARGE.encode("\nab"),
        9,
        seed=1,
        constraint=constraint_of_line(LARGE, 60, LARGE.encode(""), None, "c"),
    )
    ids = without.draw(60)
    assert (without.masked.choices == np.minimum((ids >= 0).sum(axis=0) + 1, 60)).all()  # none behind the end
    for prime, match, without in (("ac", "ab.*", ""), ("ab", None, "b")):
        with pytest.raises(ConfigError, match="begins with the prime"):
            constraint_of_line(LARGE, 6, LARGE.encode(prime), match, without)
    with pytest.raises(ConfigError, match="no line matches"):
        constraint_of_line(LARGE, 6, LARGE.encode(""), r"a\nb")
    with pytest.raises(ConfigError, match="newline"):
        constraint_of_line(LARGE, 6, LARGE.encode(""), None, "\n")


def test_a_vocabulary_without_a_newline_writes_to_the_length():
    vocabulary = Vocabulary("ab")
    sampler = Sampler(network(vocabulary), [1], 9, seed=1, constraint=constraint_of(vocabulary, 12, "[ab]*"))
    assert (sampler.draw(12) >= 0).all()
