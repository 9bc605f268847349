"""Posteriors of several models: units, the background, characters that are not known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import ModelConfig
from charrnn.inference.byte_ngrams import ByteNgrams
from charrnn.inference.identification import (
    Lines,
    NetworkLines,
    NgramLines,
    own_losses,
    posteriors,
    totals,
)
from charrnn.inference.line_losses import line_losses
from charrnn.network.network import Network
from charrnn.system.threads import Team
from charrnn.text.vocabulary import Vocabulary

ODD = [b"abc", "é漢🦊".encode(), b"", b"\xff\xc3(\xed\xb2\x80", "añ".encode() + b"\xe6", b"\0\r\t"]


def learnt(text):
    return ByteNgrams(np.frombuffer(text, np.uint8))


class Fixed:
    """A model that gives every character the same probability; 0 to those it does not know."""

    def __init__(self, p, unknown=""):
        self.p, self.unknown = p, {ord(each) for each in unknown}

    def losses(self, lines):
        return np.where(np.isin(lines.points, list(self.unknown)), np.inf, -math.log(self.p))


def test_characters_and_bytes_of_lines_belong_together():
    lines = Lines.of(ODD)
    assert lines.data.tobytes() == b"".join(ODD)
    texts = [line.decode("utf-8", "surrogateescape") for line in ODD]
    assert np.diff(lines.ends).tolist() == list(map(len, texts))
    assert [chr(point) for point in lines.points] == list("".join(texts))
    ends = [*lines.firsts[1:], len(lines.data)]
    found = [lines.data[first:end].tobytes() for first, end in zip(lines.firsts, ends, strict=True)]
    assert found == [each.encode("utf-8", "surrogateescape") for each in "".join(texts)]


@given(st.lists(st.binary(max_size=12), max_size=5))
def test_any_bytes_are_lines(data):
    lines = Lines.of(data)
    assert lines.bounds[-1] == len(lines.data) == sum(map(len, data))
    assert lines.ends[-1] == len(lines.points) == len(lines.firsts)
    found = totals([NgramLines(learnt(b"abcabc")), Fixed(0.1)], lines)
    assert found.shape == (len(data), 3)
    assert np.isfinite(found).all()


def test_own_losses_count_the_characters_before():
    lines = Lines.of([b"aab", b"", "a漢a".encode(), b"\xff\x80a\xff"])
    expected = []
    for line in ("aab", "a漢a", "\udcff\udc80a\udcff"):
        for k, each in enumerate(line):
            guess = 0.5 / 96 if each < "\x7f" else 0.25 / 128 if each >= "\udc80" else 0.25 / 150_000
            expected.append(-math.log((line[:k].count(each) + 32 * guess) / (k + 32)))
    np.testing.assert_allclose(own_losses(lines), expected)


def test_random_bytes_are_like_none_of_the_models():
    texts = {
        "greek": "Το καράβι φεύγει αύριο το πρωί. ",
        "hindi": "जहाज़ कल सुबह निकलेगा। ",
        "english": "The ship leaves. ",
    }
    models = [NgramLines(learnt(text.encode() * 40)) for text in texts.values()]
    lines = [np.random.default_rng(seed).bytes(size) for seed, size in enumerate((300, 2000))]
    lines = [line.replace(b"\n", b" ") for line in lines]
    chances = posteriors(totals(models, Lines.of(lines)), np.full(4, 1 / 4))
    assert chances.argmax(axis=1).tolist() == [3, 3]
    own = posteriors(totals(models, Lines.of([text.strip().encode() for text in texts.values()])), np.full(4, 1 / 4))
    assert own.argmax(axis=1).tolist() == [0, 1, 2]


def test_totals_follow_the_equations():
    lines = Lines.of([b"xy", b"", b"xxz"])
    one, two = Fixed(0.5, "z"), Fixed(0.2)
    u = np.exp(-own_losses(lines))
    p = np.array([[0.5, 0.5, 0.5, 0.5, 0.0], [0.2] * 5, u])
    q = p.mean(axis=0)
    logs = -np.log(np.array([0.97 * p[0] + 0.03 * q, 0.97 * p[1] + 0.03 * q, q]))
    expected = np.array([logs[:, :2].sum(axis=1), np.zeros(3), logs[:, 2:].sum(axis=1)])
    for line, part in ((0, slice(2)), (2, slice(2, None))):
        expected[line, 2] = -math.log(0.97 * q[part].prod() + 0.03 * u[part].prod())
    np.testing.assert_allclose(totals([one, two], lines), expected)
    assert totals([one, two], Lines.of([])).shape == (0, 3)
    assert totals([one, two], Lines.of([b"", b""])).tolist() == [[0.0] * 3] * 2


def test_posteriors_are_those_of_bayes_with_a_temperature():
    losses, prior = np.array([[1.0, 4.0, 7.0], [5000.0, 1.0, 1.0]]), np.array([0.5, 0.25, 0.25])
    found = posteriors(losses, prior, 3.0)
    weights = prior * np.exp(-losses[0] / 3)
    np.testing.assert_allclose(found[0], weights / weights.sum())
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found[1].tolist() == [0.0, 0.5, 0.5]
    assert posteriors(losses, np.array([0.0, 1.0, 0.0]))[0].tolist() == [0.0, 1.0, 0.0]


def test_threads_and_company_change_no_bit():
    texts = [b"the fox and the grapes " * 30, b"der fuchs und die trauben " * 30, bytes(range(256)) * 3]
    models = [NgramLines(learnt(text)) for text in texts]
    lines = [b"the grapes", *ODD, b"die trauben", bytes(range(256))]
    alone = np.concatenate([totals(models, Lines.of([line])) for line in lines])
    np.testing.assert_array_equal(totals(models, Lines.of(lines), Team(1)), totals(models, Lines.of(lines), Team(3)))
    np.testing.assert_array_equal(totals(models, Lines.of(lines)), totals(models, Lines.of(lines), Team(3)))
    np.testing.assert_allclose(totals(models, Lines.of(lines)), alone, rtol=1e-12)


def test_a_network_of_bytes_and_ngrams_score_characters():
    network = Network(ModelConfig(256, 6, 1), seed=2, threads=1)
    vocabulary = Vocabulary(range(256))
    lines = Lines.of(ODD)
    ids = [np.frombuffer(line, np.uint8).astype(np.int32) for line in ODD]
    each = np.concatenate(line_losses(network, ids, 10))
    expected = np.add.reduceat(each.astype(np.float64), lines.firsts)
    np.testing.assert_allclose(NetworkLines(network, vocabulary).losses(lines), expected, rtol=1e-6)
    found = NgramLines(learnt(b"abcabcabd")).losses(lines)
    assert found.shape == (len(lines.points),) and (found > 0).all()


def test_what_a_network_of_characters_does_not_know_is_impossible_unless_it_has_learnt_a_replacement():
    lines = Lines.of([b"ab", "b漢a".encode(), b"\xff"])
    for symbols, known in (("\nab", np.inf), ("\nab\ufffd", None)):
        vocabulary = Vocabulary(symbols)
        network = Network(ModelConfig(len(symbols), 6, 1), seed=2, threads=1)
        found = NetworkLines(network, vocabulary).losses(lines)
        assert np.isfinite(found[[0, 1, 2, 4]]).all()
        if known == np.inf:
            assert np.isinf(found[[3, 5]]).all()
        else:
            ids = [vocabulary.encode(text) for text in ("ab", "b\ufffda", "\ufffd")]
            each = np.concatenate(line_losses(network, ids, vocabulary.line_start))
            np.testing.assert_allclose(found[[3, 5]], each[[3, 5]] + math.log(150_000), rtol=1e-6)


def test_a_character_that_only_some_models_know_is_no_proof():
    """A single foreign letter in a long line must not decide."""
    knows_all, knows_less = Fixed(0.2), Fixed(0.4, "ж")
    line = "a" * 20 + "ж"
    found = totals([knows_all, knows_less], Lines.of([line.encode()]))
    assert found[0, 1] < found[0, 0] < found[0, 2] + 20


@pytest.mark.parametrize("count", [1, 5])
def test_none_explains_what_each_model_finds_unlikely(count):
    texts = [b"the fox saw the grapes and the crow ", b"der fuchs sah die trauben ", b"le renard a vu les raisins "]
    texts += [b"la volpe vide le uve e il corvo ", b"lisica vidi grozdje in vrano "]
    models = [NgramLines(learnt(text * 20)) for text in texts[:count]]
    lines = Lines.of([b"the crow saw the fox", b"xq zvkj wqxz jjkq vxzq"])
    found = totals(models, lines)
    assert found[0].argmin() == 0
    assert found[1].argmin() == count
