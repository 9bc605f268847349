"""Scores of lines: ways to read, what a character counts, learning, guess numbers."""

import math

import numpy as np
import pytest
from forgeries import make
from teams import every_thread_works

import charrnn
from charrnn.config import DynamicEvaluationConfig, ModelConfig
from charrnn.errors import ConfigError, VocabularyError
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.line_losses import line_losses
from charrnn.inference.loss import losses
from charrnn.inference.mixture import Mixture
from charrnn.inference.ngrams import Ngrams
from charrnn.inference.online_mixture import OnlineMixture
from charrnn.inference.robust_z import RobustZ
from charrnn.inference.word_peaks import WordPeaks
from charrnn.model.line_scores import UNKNOWN_BITS, LineScorer
from charrnn.network.network import Network
from charrnn.text.vocabulary import Vocabulary

LETTERS = "\n abcdefgh"


def new_model(symbols=LETTERS, seed=3, threads=1, hidden=20, kind="network"):
    """A model over characters, or the bytes that they have."""
    vocabulary = Vocabulary(symbols)
    network = Network(ModelConfig(len(vocabulary), hidden, 1), seed=seed, threads=threads)
    if kind == "network":
        return charrnn.Model(network, vocabulary)
    ngrams = Ngrams(len(vocabulary), 5)
    ngrams.learn(np.random.default_rng(1).integers(len(vocabulary), size=2000).astype(np.int32))
    other = Network(ModelConfig(len(vocabulary), hidden, 1), seed=seed + 1, threads=threads)
    made = {"mixture": lambda: Mixture(network, ngrams, (0.6, 0.4)), "ensemble": lambda: Ensemble([network, other])}
    return charrnn.Model(made[kind](), vocabulary)


def new_lines(rng, count=300, letters=LETTERS[1:]):
    return ["".join(rng.choice(list(letters), size=rng.integers(30))) for _ in range(count)]


def joined(lines):
    return "".join(f"{line}\n" for line in lines)


def nats(scores):
    return np.concatenate([score.character_bits for score in scores]) * math.log(2)


KINDS = pytest.mark.parametrize("kind", ["network", "mixture", "ensemble"])


@KINDS
def test_in_order_the_lines_are_one_text(rng, kind):
    model, lines = new_model(kind=kind), new_lines(rng)
    found = model.score(lines)
    assert [score.text for score in found] == lines
    assert [score.characters for score in found] == [len(line) + 1 for line in lines]
    wanted = losses(model.network, model.encode(joined(lines)), 0, batch=64)
    np.testing.assert_allclose(nats(found), wanted, rtol=1e-6)
    for score in found:
        assert score.bits == pytest.approx(score.character_bits.sum(dtype=float), rel=1e-5)
        assert score.bits_per_character == score.bits / score.characters
        assert score.peak == pytest.approx(score.character_bits.max())
        assert score.unknown == 0 and score.guesses is None


@KINDS
def test_alone_each_line_begins_anew(rng, kind):
    model, lines = new_model(kind=kind), new_lines(rng)
    found = model.score(lines, alone=True)
    wanted = np.concatenate(line_losses(model.network, [model.encode(f"{line}\n") for line in lines], 0))
    np.testing.assert_allclose(nats(found), wanted, rtol=1e-6)
    order = rng.permutation(len(lines))
    again = model.score([lines[k] for k in order], alone=True)
    assert [score.bits for score in again] == [found[k].bits for k in order]


@KINDS
def test_as_they_come_the_bits_do_not_depend_on_how_many_come_at_once(rng, kind):
    model, lines = new_model(kind=kind), [*new_lines(rng), "abc" * 300, ""]
    whole = LineScorer(model, "as they come").score(lines)
    scorer, found = LineScorer(model, "as they come"), []
    while lines[len(found) :]:
        found += scorer.score(lines[len(found) : len(found) + int(rng.integers(1, 40))])
    assert [(score.bits, score.z) for score in found] == [(score.bits, score.z) for score in whole]
    wanted = losses(model.network, model.encode(joined(lines)), 0, batch=1)
    np.testing.assert_allclose(nats(whole), wanted, rtol=1e-6)


def test_blocks_in_order_go_on_where_the_last_one_ended(rng):
    model, lines = new_model(), new_lines(rng)
    scorer = LineScorer(model)
    found = [score for start in range(0, 300, 50) for score in scorer.score(lines[start : start + 50])]
    whole = LineScorer(model, "as they come").score(lines)
    np.testing.assert_allclose(nats(found), nats(whole), atol=2e-3)
    scorer.begin()
    assert scorer.score(lines[:5])[0].bits == found[0].bits


def test_z_is_of_the_bits_per_character_of_the_lines_before(rng):
    model, lines = new_model(), new_lines(rng)
    found, robust = model.score(lines), RobustZ()
    assert [score.z for score in found] == [robust.add(score.bits_per_character) for score in found]
    assert [score.z is None for score in found] == [True] * 20 + [False] * 280


def test_unknown_characters_count_20_bits_and_are_read_as_the_replacement(rng):
    model = new_model()
    for how in ({}, {"alone": True}, {"learn": True}):
        known, unknown = (model.score(["ab", line, "cd"], **how) for line in ("a  b", "aé☃b"))
        assert unknown[1].unknown == 2 and known[1].unknown == 0
        assert list(unknown[1].character_bits[1:3]) == [UNKNOWN_BITS] * 2
        assert unknown[1].bits == pytest.approx(known[1].bits - known[1].character_bits[1:3].sum() + 40, rel=1e-6)
        assert unknown[2].unknown == 0
    # A space is what the vocabulary has in place of an unknown character.
    assert model.score(["a b", "cd"])[1].bits == model.score(["a☃b", "cd"])[1].bits
    assert model.score(["\ud800\udcff\0"])[0].unknown == 3


def test_lines_of_bytes():
    model = new_model([10, *b" abc", 0xC3, 0xA9])
    for lines in ([b"ab\xc3\xa9", b"", b"\xff\0"], ["abé", "", b"\xff\0"]):
        found = model.score(lines)
        assert [score.text for score in found] == lines
        assert [(score.characters, score.unknown) for score in found] == [(5, 0), (1, 0), (3, 2)]
    with pytest.raises(VocabularyError, match="half a character"):
        model.score(["\ud800"])
    with pytest.raises(TypeError, match="str, not bytes"):
        new_model().score([b"ab"])


def test_a_model_without_line_ends():
    model = new_model("abc")
    for how in ({}, {"alone": True}, {"learn": True}):
        found = model.score(["ab", "", "c", ""], **how)
        assert [score.characters for score in found] == [2, 0, 1, 0]
        assert [score.bits for score in found][1::2] == [0, 0]
        assert found[1].bits_per_character == found[1].peak == 0
        assert model.score(["", ""], **how)[0].bits == 0
    with pytest.raises(ConfigError, match="line end"):
        model.score(["ab"], guesses=100)


def test_a_part_of_a_line_has_no_line_end():
    found = LineScorer(new_model(), "as they come").score(["ab", "cd", "ab"], [False, True, True])
    assert [score.characters for score in found] == [2, 3, 3]


def test_no_lines():
    for how in ({}, {"alone": True}, {"learn": True}):
        assert new_model().score([], **how) == []


def test_the_bits_are_the_same_for_any_number_of_threads(rng):
    lines, found = new_lines(rng), []
    for threads in (1, 2, 3):
        model = new_model(threads=threads)
        with every_thread_works(threads):
            found.append([score.bits for how in ("in order", "alone") for score in LineScorer(model, how).score(lines)])
    assert found[0] == found[1] == found[2]


# ---- learning


@pytest.mark.parametrize("kind", ["network", "mixture"])
def test_a_model_learns_from_lines_and_has_its_old_weights_again(kind):
    model = new_model(kind=kind)
    network = model.network.network if kind == "mixture" else model.network
    weights, lines = network.parameters.flat.copy(), ["abc cba", "gag bed"] * 60
    before, learnt = model.score(lines), model.score(lines, learn=True)
    assert np.array_equal(network.parameters.flat, weights)
    assert learnt[0].bits == pytest.approx(before[0].bits, rel=1e-6)  # nothing is learnt before it is scored
    assert sum(score.bits for score in learnt[-20:]) < 0.95 * sum(score.bits for score in before[-20:])


@pytest.mark.parametrize("kind", ["network", "mixture"])
def test_what_is_learnt_does_not_depend_on_how_many_lines_come_at_once(rng, kind):
    lines, found = [*new_lines(rng, 60), "abc" * 200, *new_lines(rng, 20)], []
    for sizes in ([81], [1], [7, 2]):
        scorer, scores = LineScorer(new_model(kind=kind)), []
        with scorer.learning(DynamicEvaluationConfig(lr=1e-2)):
            while lines[len(scores) :]:
                scores += scorer.score(lines[len(scores) : len(scores) + sizes[len(scores) % len(sizes)]])
        found.append([score.bits for score in scores])
    assert found[0] == found[1] == found[2]


def test_ngrams_stop_learning_when_they_have_learnt_enough(monkeypatch):
    monkeypatch.setattr("charrnn.inference.online_mixture.most_symbols", lambda seconds: 2050)
    model = new_model(kind="mixture")
    found = model.score(["abc cba"] * 50, learn=True)
    assert model.network.ngrams.learnt == 2048
    assert np.isfinite([score.bits for score in found]).all()


def test_what_cannot_learn_is_refused():
    with pytest.raises(ConfigError, match="single network"):
        new_model(kind="ensemble").score(["a"], learn=True)
    with pytest.raises(ConfigError, match="each line alone"):
        new_model().score(["a"], alone=True, learn=True)


@pytest.mark.parametrize("both_ways", [False, True])
def test_weights_that_are_no_longer_numbers_are_said(monkeypatch, both_ways):
    def diverge(learner):
        learner.network.parameters.flat.fill(np.nan)
        learner.network.parameters_changed()

    monkeypatch.setattr("charrnn.training.dynamic_evaluation.DynamicLearner.update", diverge)
    model = new_model()
    with pytest.raises(ConfigError, match="no longer numbers"):
        model.score(["abc abc"] * 50, learn=True, both_ways=both_ways)
    assert np.isfinite(model.network.parameters.flat).all()


# ---- both ways


@pytest.mark.parametrize("kind", ["network", "mixture"])
def test_both_ways_a_probability_is_the_mean_of_two_readings(rng, monkeypatch, kind):
    """The mean of its probability in order and its probability from the last line to the first."""
    lines = new_lines(rng, 40)
    before = new_model(kind=kind).score(lines, learn=True)
    found = new_model(kind=kind).score(lines, both_ways=True)
    # n-grams of the training text do not learn what is read from the end
    monkeypatch.setattr("charrnn.model.line_scores.OnlineMixture", lambda *given: OnlineMixture(*given[:2], False))
    behind = new_model(kind=kind).score(lines[::-1], learn=True)[::-1]
    for score, one, other in zip(found, before, behind, strict=True):
        wanted = 1 - np.log2(2.0**-one.character_bits + 2.0**-other.character_bits)
        assert score.character_bits == pytest.approx(wanted, rel=1e-5, abs=1e-6)
        assert score.text == one.text
        assert score.bits == pytest.approx(score.character_bits.sum(), rel=1e-5)


def test_what_comes_again_later_is_less_odd(rng):
    lines = [*new_lines(rng, 60, "abc "), "hgfe hgfe", *new_lines(rng, 20, "abc "), "fehg fehg fehg"]
    lines += [line for each in new_lines(rng, 20, "abc ") for line in (each, "hgfe hgfe")]
    found = {}
    for both_ways in (False, True):
        scores = new_model(kind="mixture").score(lines, learn=True, both_ways=both_ways)
        found[both_ways] = scores[60].bits_per_character - scores[81].bits_per_character
    assert found[True] < found[False] - 0.2


def test_both_ways_learns_text_after_text_and_leaves_the_weights(rng):
    model, lines = new_model(), ["abc cba", "gag bed"] * 30
    weights, scorer = model.network.parameters.flat.copy(), LineScorer(model)
    with scorer.learning(both_ways=True):
        one = scorer.score(lines)
        scorer.begin()
        other = scorer.score(lines)
    assert sum(score.bits for score in other) < sum(score.bits for score in one)
    assert np.array_equal(model.network.parameters.flat, weights)
    assert [score.bits for score in model.score(lines, both_ways=True)] == [score.bits for score in one]
    with pytest.raises(ConfigError, match="each line alone"):
        model.score(lines, alone=True, both_ways=True)


def test_both_ways_with_nothing_to_read_and_what_the_model_does_not_know():
    assert new_model().score([], both_ways=True) == []
    assert [score.bits for score in new_model("abc").score(["", "ab", ""], both_ways=True)][::2] == [0.0, 0.0]
    (score,) = new_model().score(["a?b"], both_ways=True)
    assert score.unknown == 1
    assert score.character_bits[1] == UNKNOWN_BITS


def test_the_parts_of_a_long_line_stay_in_their_order():
    lines = ["bead" * 3, "ab" * 40, "cd" * 50, "gh"]
    joined_up = [lines[0], lines[1] + lines[2], lines[3]]
    found = []
    for parts, ended in ((lines, [True, False, True, True]), (joined_up, None)):
        scorer = LineScorer(new_model())
        with scorer.learning(DynamicEvaluationConfig(steps=1000), both_ways=True):  # no update before the end
            found.append(nats(scorer.score(parts, ended)))
    assert np.array_equal(*found)


@pytest.mark.parametrize("both_ways", [False, True])
def test_after_the_block_nothing_is_learnt(rng, both_ways):
    model, lines = new_model(), new_lines(rng, 60)
    weights, scorer = model.network.parameters.flat.copy(), LineScorer(model)
    with scorer.learning(both_ways=both_ways):
        scorer.score(lines)
    assert nats(scorer.score(lines)) == pytest.approx(nats(model.score(lines)), rel=1e-4, abs=1e-5)
    assert np.array_equal(model.network.parameters.flat, weights)


def test_the_progress_of_both_ways(rng):
    scorer, lines, seen = LineScorer(new_model()), new_lines(rng, 30), []
    with scorer.learning(both_ways=True):
        scorer.score(lines, progress=lambda done, total: seen.append((done, total)))
    size = len(joined(lines))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) == 60
    assert {total for _, total in seen} == {2 * size} == {seen[-1][0]}


# ---- guess numbers


def test_guesses_rise_with_the_bits():
    model = new_model("\nab", seed=1)
    found = sorted(model.score(["a", "b", "ab", "abab", "b" * 40, ""], guesses=3000), key=lambda score: score.bits)
    counts = [score.guesses.count for score in found]
    assert counts == sorted(counts)
    assert counts[0] < 2 < counts[-1]
    for one, other in zip(found, model.score([score.text for score in found], guesses=3000), strict=True):
        assert one.guesses == other.guesses or math.isnan(one.guesses.error)
    assert model.score(["ax"], guesses=100)[0].guesses.count == math.inf  # the model never writes an x


def test_a_line_does_not_count_as_likelier_than_itself():
    """The most drawn line of all: its own draws are no guesses before it."""
    model = new_model("\nab", seed=1)
    likeliest = min(model.score(["", "a", "b"], alone=True), key=lambda score: score.bits)
    assert model.score([likeliest.text], guesses=2000)[0].guesses.count == 0


def test_the_mean_of_a_checkpoint_without_a_text(tmp_path):
    make().save(tmp_path / "a.safetensors")
    found = charrnn.load(tmp_path / "a.safetensors").score(["ab", "ba"])
    assert len(found) == 2 and all(score.bits > 0 for score in found)


@KINDS
def test_words_are_computed_from_the_bits(rng, kind):
    model, lines = new_model(kind=kind), new_lines(rng)
    found, words = model.score(lines, words=True), WordPeaks()
    assert [score.words for score in found] == [words.add(score.text, score.character_bits) for score in found]
    assert all(score.words is None for score in model.score(lines[:5]))


def test_words_of_a_model_of_bytes():
    model = new_model([10, *b" abc", 0xC3, 0xA9])
    for lines in ([b"ab \xc3\xa9 c", b"", b"a \xff\0"], ["ab é c", "", b"a \xff\0"]):
        found, words = model.score(lines, words=True), WordPeaks()
        data = [line.encode() if isinstance(line, str) else line for line in lines]
        wanted = [words.add(each, score.character_bits, score.unknown) for each, score in zip(data, found, strict=True)]
        assert [score.words for score in found] == wanted
        assert found[2].words > 2**0.5 * (20 / 3)  # two unknown bytes
