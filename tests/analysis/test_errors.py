"""The chain of oracles, against asking each oracle about one character after the other."""

import re

import numpy as np
import pytest

from charrnn import load
from charrnn.analysis.errors import MEMORIES, analyse_errors, count_words
from charrnn.analysis.ngrams import probabilities
from charrnn.analysis.surprise import Kind, kinds, words
from charrnn.errors import ConfigError
from charrnn.text.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def reader(model):
    return load(model, threads=1)


@pytest.fixture(scope="module")
def halves(reader, text):
    ids = reader.encode(text.read_text())
    return ids[:14_000], ids[14_000:17_000]


def first_oracles(reader, training, scored):
    """By group and name, the places that each oracle removes; also the losses (M,)."""
    text = reader.vocabulary.decode(np.concatenate([training, scored]))
    known = re.findall(r"\w+", text[: len(training)])
    spans = {k: match.span() for match in re.finditer(r"\w+", text) for k in range(*match.span())}
    state = reader.network.initial_state(1)
    every = np.concatenate([training[-1:], scored])
    log_p = reader.network.trace(every[:-1], state)["log_probabilities"]
    chance = np.exp(log_p[np.arange(len(scored)), scored])
    grams = list(probabilities(training, scored, training, len(reader.vocabulary), 9))

    def name(k):
        for order in range(1, 10):
            if grams[order][k] >= 0.5:
                return "n-gram", f"order {order}"
        at = k + len(training)
        if at in spans:
            start, stop = spans[at]
            for memory in MEMORIES:
                if at > start and text[start:stop] in text[max(start - memory, 0) : start]:
                    return "memory", f"{memory:,} characters"
            if text[start:stop] not in known:
                return "rare word", "never seen"
            if known.count(text[start:stop]) <= 5:
                return "rare word", "seen 1 to 5 times"
        for group, name, signs in (
            ("first of a word", "after a space", " \t"),
            ("first of a word", "after a quote", "\"'‘’“”"),
            ("first of a line", "after a line end", "\n"),
        ):
            if text[at - 1] in signs:
                return group, name
        if not text[at].isalnum() and not text[at].isspace():
            return "punctuation", "punctuation"
        lacks = next(step for step in (0.1, 0.2, 0.3, 0.4, 0.5) if chance[k] >= 0.5 - step)
        return "the rest", f"lacks up to {lacks:g}"

    taken = {}
    for k in np.flatnonzero(chance < 0.5):
        taken.setdefault(name(k), []).append(k)
    return taken, -np.log(chance)


def test_every_error_is_taken_by_the_first_oracle_that_would_fix_it(reader, halves):
    training, scored = halves
    found = analyse_errors(reader, scored, training, training)
    expected, loss = first_oracles(reader, training, scored)
    assert found.characters == len(scored)
    assert found.loss == pytest.approx(loss.sum(), rel=1e-3)
    assert found.errors == sum(share.errors for share in found.shares)
    assert found.error_loss == pytest.approx(sum(share.loss for share in found.shares))
    for share in found.shares:
        places = expected.pop((share.group, share.name), [])
        # One reads in several batch rows and the other in a single row: their first states differ a little.
        assert abs(share.errors - len(places)) <= 3, share
        assert share.loss == pytest.approx(loss[places].sum(), rel=0.02, abs=5)
    assert not expected
    assert {share.group for share in found.shares if share.errors} >= {"n-gram", "memory", "rare word", "the rest"}


def test_memory_reaches_back_before_the_text(reader, halves):
    training, scored = halves
    groups = []
    for before in (training, training[-1:]):
        shares = analyse_errors(reader, scored[:1000], training, before).shares
        groups.append(sum(share.errors for share in shares if share.group == "memory"))
    assert groups[0] > groups[1]


def test_words_are_counted_over_the_ends_of_blocks(monkeypatch):
    text = "a fox and a fox's den, foxes " * 40
    vocabulary = Vocabulary(set(text))
    ids = vocabulary.encode(text)
    for block in (7, 13, 1 << 20):
        monkeypatch.setattr("charrnn.analysis.errors._BLOCK", block)
        assert count_words(vocabulary, ids, {"fox", "a", "foxes", "s"}) == {"fox": 80, "a": 80, "foxes": 40, "s": 40}


def test_symbols_are_told_apart():
    signs = "aЖ9_\u0301 \t\u00a0\n\"'”.,(+$\x00"
    word, space, end, quote, sign, other = (
        *(Kind.WORD, Kind.SPACE, Kind.LINE_END),
        *(Kind.QUOTE, Kind.PUNCTUATION, Kind.OTHER),
    )
    vocabulary = Vocabulary(signs)
    found = dict(zip(vocabulary.symbols, kinds(vocabulary), strict=True))
    assert [found[each] for each in signs] == [word] * 5 + [space] * 3 + [end] + [quote] * 3 + [sign] * 5 + [other]
    of_bytes = Vocabulary(b"a \xd0")
    assert list(kinds(of_bytes)) == [Kind.SPACE, Kind.WORD, Kind.WORD]
    starts, stops = words(np.array([True, True, False, True]))
    assert (starts.tolist(), stops.tolist()) == ([0, 3], [2, 4])


def test_without_a_training_text(reader, halves):
    with pytest.raises(ConfigError, match="no training text"):
        analyse_errors(reader, halves[1], halves[0][:0])
