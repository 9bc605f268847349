"""Patterns of attention, against plain loops."""

import numpy as np
import pytest

from charrnn.errors import ConfigError
from charrnn.inspection.head_patterns import BY_NAME, NAMES, PATTERNS
from charrnn.inspection.hypotheses import hypothesis, quotes
from charrnn.inspection.passage import Passage

TEXT = 'The fox said, "Come (in [now])."\n\nthe 2nd (fox\n\nran] off) "so\nsoon"; abcabcab, o’clock’ aaa'


def named(name, text):
    """What a pattern names for each character of a text: the place, or None."""
    back = BY_NAME[name].back(Passage.from_string(text))
    return [None if distance < 0 else place - distance for place, distance in enumerate(back.tolist())]


def last_like(text, place, length):
    """The last earlier place where the same characters end, or None."""
    for other in range(place - 1, length - 2, -1):
        if text[other - length + 1 : other + 1] == text[place - length + 1 : place + 1]:
            return other
    return None


@pytest.mark.parametrize("text", [TEXT, "", "a", "aa", "abcab", "ab" * 40])
def test_repetitions(text):
    same = [last_like(text, place, 1) for place in range(len(text))]
    assert named("same-character", text) == same
    for name, length in (("induction", 1), ("induction-3", 3)):
        last = [last_like(text, place, length) if place >= length - 1 else None for place in range(len(text))]
        after = [None if other is None or other + 1 == place else other + 1 for place, other in enumerate(last)]
        assert named(name, text) == after


def test_distances():
    assert named("itself", "abc") == [0, 1, 2]
    assert named("previous", "abc") == [None, 0, 1]
    assert named("previous-2", "abc") == [None, None, 0]
    # A passage from the middle of a text: there is a character before its first one.
    assert BY_NAME["previous"].back(Passage.from_string("ab", 7)).tolist() == [1, 1]


def test_lines_and_words():
    assert named("line-start", "ab\nc\n\nd") == [None, None, None, 2, 2, 4, 5]
    assert named("word-start", "to be_1 o’c’ x") == [None, 0, None, None, 3, 3, 3, None, None, 8, 8, None, None, None]


def test_opening_signs():
    text = 'a "b (c) d" e [f (g] h) i'
    quote, round_, square, inner = 2, 5, 14, 17
    expected = dict.fromkeys(range(3, 6), quote) | dict.fromkeys(range(6, 8), round_) | {8: quote, 9: quote, 10: quote}
    expected |= dict.fromkeys(range(15, 18), square) | {18: inner, 19: inner}  # ] has closed both
    assert named("opening", text) == [expected.get(place) for place in range(len(text))]


def test_an_empty_line_closes_everything():
    assert named("opening", "(a\nb\n\nc") == [None, 0, 0, 0, 0, 0, None]
    assert named("opening", '"a\nb\n\nc') == [None, 0, 0, 0, 0, 0, None]


def test_the_opening_of_a_quotation_is_known_wherever_the_text_is_inside():
    passage = Passage.from_string(TEXT.replace("(", " ").replace("[", " "))
    inside = quotes(passage)
    back = BY_NAME["opening"].back(passage)
    np.testing.assert_array_equal(back[1:] > 0, inside[:-1])
    assert {chr(passage.codes[place - back[place]]) for place in np.flatnonzero(back > 0)} == {'"'}


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.name)
def test_no_pattern_names_a_later_character(pattern):
    passage = Passage.from_string(TEXT)
    back = pattern.back(passage)
    assert back.shape == (len(TEXT),)
    assert (back <= np.arange(len(TEXT))).all() and (back >= -1).all()
    if pattern.distance is None:
        assert (back != 0).all()
    applies = pattern.applies(5).label(passage)
    np.testing.assert_array_equal(applies, (back >= 0) & (back < 5))


def test_names():
    assert len(set(NAMES)) == len(PATTERNS)
    with pytest.raises(ConfigError, match="did you mean 'previous'"):
        hypothesis("previos", NAMES)
    with pytest.raises(ConfigError, match="itself, previous"):
        hypothesis("x", NAMES)
