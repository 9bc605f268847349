"""Automata: the texts that they accept are those that Python's re matches."""

import contextlib
import itertools
import re
import time
import tracemalloc

import numpy as np
import pytest
from expressions import ALPHABET, accepts, compiled, expressions, fragments
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from charrnn.errors import ConfigError
from charrnn.text.automaton import avoiding, matching
from charrnn.text.code_ranges import category, complement, contains
from charrnn.text.expression import parse
from charrnn.text.vocabulary import Vocabulary

CHARACTERS, BYTES = Vocabulary(ALPHABET), Vocabulary(range(256))
texts = st.text(st.sampled_from(ALPHABET), max_size=6)


def automaton_or_none(expression, vocabulary, without=""):
    """None if no text matches."""
    try:
        return matching(expression, vocabulary, without)
    except ConfigError as error:
        assert str(error).startswith(("no text matches", "no line matches")), str(error)
        return None


@settings(max_examples=300)
@given(expressions(), st.lists(texts, min_size=5, max_size=5), st.sampled_from(["", "a", "é\n", "🦊"]))
def test_an_automaton_accepts_what_matches(expression, some, without):
    pattern = compiled(expression)
    for vocabulary in (CHARACTERS, BYTES):
        automaton = automaton_or_none(expression, vocabulary, without)
        for text in some:
            expected = pattern.fullmatch(text) is not None and not set(text) & set(without)
            assert (automaton is not None and accepts(automaton, vocabulary.encode(text).tolist())) == expected, text


@settings(max_examples=300)
@given(fragments(), st.lists(texts, min_size=3, max_size=3))
def test_what_is_accepted_means_what_it_means_in_python(expression, some):
    try:
        parse(expression)
    except ConfigError as error:
        assert "\n" not in str(error)
        return
    pattern = compiled(expression)
    automaton = automaton_or_none(expression, CHARACTERS)
    for text in some:
        found = automaton is not None and accepts(automaton, CHARACTERS.encode(text).tolist())
        assert found == (pattern.fullmatch(text) is not None), text


@given(expressions(8))
def test_the_distance_is_that_to_the_nearest_end(expression):
    automaton = automaton_or_none(expression, CHARACTERS)
    assume(automaton is not None)
    for state, distance in enumerate(automaton.distance):
        assert distance >= 0
        behind = automaton.following[state]
        nearest = automaton.distance[behind[behind >= 0]].min(initial=np.iinfo(np.int32).max - 1)
        assert distance in (0, nearest + 1)
    shortest = automaton.distance[0]
    if shortest <= 3:
        every = (itertools.product(range(len(CHARACTERS)), repeat=size) for size in range(shortest + 1))
        found = next(ids for ids in itertools.chain(*every) if accepts(automaton, ids))
        assert len(found) == shortest
        assert compiled(expression).fullmatch(CHARACTERS.decode(np.array(found, int)))


@pytest.mark.parametrize("expression", [r"\w*", ".*", r"[^a]*", r"\D*", r"[\s\S]*", "[é-🦊]*"])
def test_every_character_in_utf8(expression):
    automaton, pattern = matching(expression, BYTES), re.compile(expression)
    rng = np.random.default_rng(1)
    points = np.concatenate([np.arange(0x3000), rng.integers(0x3000, 0x110000, 3000), [0xFFFF, 0x10000, 0x10FFFF]])
    for point in points[(points < 0xD800) | (points > 0xDFFF)].tolist():
        assert accepts(automaton, chr(point).encode()) == (pattern.fullmatch(chr(point)) is not None), hex(point)


@given(st.binary(max_size=5))
def test_only_utf8_is_accepted(data):
    try:
        data.decode()
        expected = True
    except UnicodeDecodeError:
        expected = False
    assert accepts(matching(r"[\s\S]*", BYTES), data) == expected


@pytest.mark.parametrize("letter", "dsw")
def test_categories_are_those_of_python(letter):
    points = np.r_[0:0xD800, 0xE000:0x110000]
    text = points.astype("<u4").tobytes().decode("utf-32-le")
    expected = np.zeros(len(points), bool)
    for found in re.finditer(rf"\{letter}", text):
        expected[found.start()] = True
    np.testing.assert_array_equal(contains(category(letter), points), expected)
    np.testing.assert_array_equal(contains(complement(category(letter)), points), ~expected)
    assert complement(complement(category(letter))) == category(letter)


@pytest.mark.parametrize(
    ("expression", "place", "what"),
    [
        ("a(?=b)", 2, "look-ahead"),
        ("a(?!b)", 2, "look-ahead"),
        ("(?<=a)b", 1, "look-behind"),
        (r"(a)\1", 4, "(aa|bb)"),
        ("(?P<x>a)(?P=x)", 9, "(aa|bb)"),
        ("(?i)a", 1, "[Aa]"),
        ("(?i:a)", 1, "[Aa]"),
        ("(?>a)", 1, "(?:"),
        ("a*+", 2, "leave the + out"),
        ("a**", 3, "nothing to repeat"),
        ("*", 1, "nothing to repeat"),
        ("(a", 1, "without its )"),
        ("a)", 2, "without its ("),
        ("[a", 1, "without its ]"),
        ("[b-a]", 2, "in order"),
        (r"[a-\d]", 2, "in order"),
        ("[[:alpha:]]+", 2, "[A-Za-z]"),
        ("a{3,2}", 2, "larger number"),
        ("a{4000000000,3999999999}", 2, "larger number"),
        (r"\bword\b", 1, "not supported"),
        (r"\q", 1, "means nothing"),
        ("a\\", 2, "backslash at the end"),
        (r"\x1", 1, "hexadecimal"),
        (r"\ud800", 1, "no character"),
        (r"\N{no such name}", 1, "name of a character"),
        ("a^b", 2, "leave ^ out"),
        ("(a$)", 3, "leave $ out"),
        ("a$b", 3, "follows $"),
        ("(?P<1>a)", 1, "name of a group"),
        ("(?a", 1, "no group that Python knows"),
        ("\udc80", 1, "UTF-8"),
        ("(" * 200, 101, "more than 100 deep"),
        ("(?#a", 1, "comment"),
        (r"(?#\)", 1, "comment"),
    ],
)
def test_what_is_refused_is_told_with_its_place(expression, place, what):
    with pytest.raises(ConfigError) as caught:
        parse(expression)
    message = str(caught.value)
    assert f"at character {place}: " in message
    assert what in message
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize(
    "expression",
    [
        "(a|b)*a(a|b){20}",
        "((a{100}){100}){100}",
        "a{1,100000}",
        "a{99999999999999999999}",
        "(){999999999}",
        "((){1000}){1000}",
        "(a?){9000}",
        "(a*){9000}b(a?){5000}",
        ".*a.{14}",
        "(.*a){40}.{20}",
        "a" * 100_000,
        "|".join("ab"[k % 2] + "b" * (k % 97) for k in range(30_000)),
        "(|)" * 60_000,
        "|" * 130_000 + "a{20000}",
    ],
    ids=lambda each: each[:20],
)
@pytest.mark.parametrize("vocabulary", [CHARACTERS, BYTES], ids=["characters", "bytes"])
def test_automata_that_explode_are_refused_in_time_and_memory(expression, vocabulary):
    matching("a", BYTES)
    begun = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError, match=r"needs more than 10,000 states|20,000 parts"):
            matching(expression, vocabulary)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < 20


@pytest.mark.parametrize(
    "expression",
    [
        r"[^é\W]" + "9" * 5000,
        "|".join(map(chr, range(0x4E00, 0x4E00 + 9000))),
        "".join(f"[{chr(point)}{chr(point + 5000)}]" for point in range(0x4E00, 0x4E00 + 2900)),
        "|".join(rf"[\w{chr(0x2500 + k)}]" for k in range(400)),
        r"[\w]{2,25}",
        "".join(rf"\w{chr(0x4E00 + k)}\W" for k in range(60)),
    ],
    ids=lambda each: each[:20],
)
def test_large_expressions_for_bytes_take_little_memory(expression):
    category("w")
    begun = time.process_time()
    tracemalloc.start()
    try:
        with contextlib.suppress(ConfigError):
            matching(expression, BYTES)
        assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    finally:
        tracemalloc.stop()
    assert time.process_time() - begun < 30


def test_large_automata_that_fit():
    lines = matching(r"[^\n]{1,80}(\n[^\n]{1,80}){30}", CHARACTERS)
    assert lines.following.shape[0] == 31 * 81
    assert lines.distance[0] == 61
    assert matching(".{1,9000}", CHARACTERS).distance[-1] == 0
    assert matching("(a*){3000}", CHARACTERS).following.shape[0] == 1
    assert accepts(matching(f"{'(' * 99}a{')' * 99}", CHARACTERS), CHARACTERS.encode("a"))


def test_counts_with_many_zeros():
    automaton = matching(f"a{{{'0' * 9000}2}}", CHARACTERS)
    assert [accepts(automaton, CHARACTERS.encode("a" * size)) for size in range(4)] == [False, False, True, False]


def test_states_that_lead_nowhere_are_not_there():
    automaton = matching("a+x|b", CHARACTERS)  # no x in the vocabulary
    assert accepts(automaton, CHARACTERS.encode("b"))
    assert automaton.read(CHARACTERS.encode("a")) == -1
    assert (automaton.distance >= 0).all()


@pytest.mark.parametrize(
    ("expression", "vocabulary", "without", "message"),
    [
        ("ax", CHARACTERS, "", "no text matches the expression: the model does not know 'x' (U+0078)"),
        ("[xyz]€", CHARACTERS, "", "no text matches the expression: the model does not know 'x' (U+0078), 'y' (U+0079)"
         ", 'z' (U+007A), '€' (U+20AC)"),
        ("[b-a]?", Vocabulary("x"), "", "in order"),
        ("a", CHARACTERS, "ab", "no text matches the expression without 'ab'"),
        ("a\n", CHARACTERS, "\n", "no line matches the expression"),
        ("ax", CHARACTERS, "a\nb", "no line matches the expression without 'ab': the model does not know 'x' (U+0078)"),
        ("é", Vocabulary(range(128)), "", "no text matches the expression: the model does not know 'é' (U+00E9)"),
        (r"[^\s\S]", CHARACTERS, "", "no text matches the expression"),
        (r"\d", Vocabulary("ab"), "", "no text matches the expression"),
    ],
)  # fmt: skip
def test_why_no_text_matches(expression, vocabulary, without, message):
    with pytest.raises(ConfigError) as caught:
        matching(expression, vocabulary, without)
    assert message in str(caught.value)


@given(st.text(st.sampled_from(ALPHABET), max_size=4), texts)
def test_characters_that_are_avoided(characters, text):
    for vocabulary in (CHARACTERS, BYTES):
        automaton = avoiding(characters, vocabulary)
        assert accepts(automaton, vocabulary.encode(text).tolist()) == (not set(characters) & set(text))


@pytest.mark.parametrize("vocabulary", [CHARACTERS, BYTES], ids=["characters", "bytes"])
def test_half_a_character_cannot_be_avoided(vocabulary):
    for call in (lambda: avoiding("a\udcff", vocabulary), lambda: matching("a", vocabulary, "\ud800")):
        with pytest.raises(ConfigError, match="half a character"):
            call()


def test_avoiding_leaves_other_bytes_alone():
    automaton = avoiding("é", BYTES)
    assert accepts(automaton, b"\xc3\xc3\xa8\xff\xa9")
    assert not accepts(automaton, b"\xc3\xc3\xa9")
    with pytest.raises(ConfigError, match="nothing is left"):
        avoiding("ab", Vocabulary("ab"))
