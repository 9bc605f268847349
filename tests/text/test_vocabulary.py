"""Tests of the vocabulary: symbols to ids and back, and its messages about unknown symbols."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CheckpointError, ConfigError, CorpusError, VocabularyError
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary

CHARACTERS = st.characters(exclude_categories=["Cs"])


@given(st.text(CHARACTERS, min_size=1))
def test_decoding_gives_back_the_encoded_characters(text):
    vocabulary = Vocabulary(set(text))
    ids = vocabulary.encode(text)
    assert ids.dtype == np.int32
    assert ids.shape == (len(text),)
    assert [vocabulary.symbols[i] for i in ids] == list(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode(ids.astype(vocabulary.dtype)) == text


@given(st.binary(min_size=1))
def test_decoding_gives_back_the_encoded_bytes(data):
    vocabulary = Vocabulary(set(data))
    assert vocabulary.is_bytes
    assert vocabulary.decode(vocabulary.encode(data)) == data


def test_long_texts_are_looked_up_in_blocks(monkeypatch, rng):
    monkeypatch.setattr("charrnn.text.vocabulary._BLOCK", 7)
    text = "".join(rng.choice(list("abcdé🙂"), 50))
    vocabulary = Vocabulary("abcdé🙂")
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_symbols_are_sorted_and_compared():
    vocabulary = Vocabulary("hello"[:3] + "o")
    assert vocabulary.symbols == ("e", "h", "l", "o")
    assert len(vocabulary) == 4
    assert vocabulary == Vocabulary("oleh")
    assert vocabulary != Vocabulary("ole")
    assert "h" in vocabulary
    assert "x" not in vocabulary
    assert Vocabulary([3, 1]).symbols == (1, 3)


def test_a_vocabulary_is_frozen():
    with pytest.raises(AttributeError):
        Vocabulary("ab").symbols = ("c",)


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(1, np.uint8), (256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, np.uint32)],
)
def test_the_smallest_dtype_is_taken(size, dtype):
    assert Vocabulary(map(chr, range(0x10000, 0x10000 + size))).dtype == dtype


@pytest.mark.parametrize(
    ("symbols", "error"),
    [
        ("", ValueError),
        ("aa", ValueError),
        (["ab"], ValueError),
        ([""], ValueError),
        (["\ud800"], ValueError),
        ([256], ValueError),
        ([-1], ValueError),
        ([True], TypeError),
        (["a", 1], TypeError),
        ([1, "a"], TypeError),
        ([1.0], TypeError),
        ([None], TypeError),
    ],
)
def test_bad_symbols_are_refused_from_code_and_from_files(symbols, error):
    with pytest.raises(error):
        Vocabulary(symbols)
    with pytest.raises(CheckpointError, match="damaged vocabulary"):
        Vocabulary.from_list(list(symbols))


@pytest.mark.parametrize("value", [None, "abc", {"a": 1}, 5, ("a",)])
def test_only_a_list_is_read_from_a_file(value):
    with pytest.raises(CheckpointError, match="a list was expected"):
        Vocabulary.from_list(value)


def test_a_file_keeps_its_own_order():
    vocabulary = Vocabulary.from_list(["c", "a", "b"])
    assert vocabulary.to_list() == ["c", "a", "b"]
    assert vocabulary.encode("abc").tolist() == [1, 2, 0]
    assert vocabulary.decode([0, 1, 2]) == "cab"
    assert vocabulary != Vocabulary("abc")


@pytest.mark.parametrize("symbols", ["a\n\0🙂é", [0, 10, 255]])
def test_the_list_goes_through_json(symbols):
    vocabulary = Vocabulary(symbols)
    assert Vocabulary.from_list(json.loads(json.dumps(vocabulary.to_list()))) == vocabulary


def test_unknown_characters_are_named_visibly_at_most_five():
    with pytest.raises(VocabularyError) as caught:
        Vocabulary("abc").encode("aé\x1b\u202eaéXYZ\ud800")
    message = str(caught.value)
    assert "'é' (U+00E9), '\\x1b' (U+001B), '\\u202e' (U+202E), 'X' (U+0058), 'Y' (U+0059) and 2 more" in message
    assert "\x1b" not in message
    assert "\n" not in message
    assert "--unknown" in message


def test_unknown_bytes_are_named():
    with pytest.raises(VocabularyError, match="byte 0xC3, byte 0xA9"):
        Vocabulary(b"abc").encode("é")


@pytest.mark.parametrize(
    ("symbols", "text", "expected"),
    [
        ("a", "ab", "learned 1 other character; remove it from"),
        ("ab", "cdc", "learned 2 other characters; remove them from"),
        (b"a", b"abb", "learned 1 other byte; remove it from"),
        (b"ab", b"cd", "learned 2 other bytes; remove them from"),
    ],
)
def test_messages_about_one_symbol_use_the_singular(symbols, text, expected):
    with pytest.raises(VocabularyError, match=expected):
        Vocabulary(symbols).encode(text)


def test_unknown_symbols_are_skipped_or_replaced():
    assert Vocabulary("abc").encode("xaybz", unknown="skip").tolist() == [0, 1]
    assert Vocabulary(b"abc").encode(b"xaybz", unknown="skip").tolist() == [0, 1]
    vocabulary = Vocabulary("ab" + REPLACEMENT)
    assert vocabulary.decode(vocabulary.encode("xaé", unknown="replace")) == REPLACEMENT + "a" + REPLACEMENT
    with pytest.raises(VocabularyError):
        vocabulary.encode("x")
    with pytest.raises(ValueError, match="unknown must be"):
        vocabulary.encode("x", unknown="ignore")


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [(REPLACEMENT + "? \na", REPLACEMENT), ("a? \n", "?"), ("a \n", " "), ("a\n", "\n"), ("ab", "a")],
)
def test_the_replacement_of_an_unknown_character(symbols, expected):
    vocabulary = Vocabulary(symbols)
    assert vocabulary.symbols[vocabulary.replacement] == expected
    if REPLACEMENT not in symbols:
        vocabulary = Vocabulary(symbols.encode())
        assert vocabulary.symbols[vocabulary.replacement] == ord(expected)


def test_text_and_bytes_are_not_mixed_up():
    with pytest.raises(TypeError):
        Vocabulary("ab").encode(b"ab")
    assert Vocabulary("é".encode()).encode("é").tolist() == [1, 0]
    with pytest.raises(VocabularyError, match=r"U\+D800"):
        Vocabulary(b"ab").encode("a\ud800")


def test_empty_texts():
    assert Vocabulary("a").encode("").shape == (0,)
    assert Vocabulary("a").decode([]) == ""
    assert Vocabulary(b"a").decode(np.zeros(0, np.int32)) == b""


@pytest.mark.parametrize("ids", [[2], [-1], [0, 300]])
def test_ids_out_of_range_are_refused(ids):
    with pytest.raises(ValueError, match="ids must be from 0 to 1"):
        Vocabulary("ab").decode(ids)


def test_ids_must_be_integers():
    with pytest.raises(TypeError):
        Vocabulary("ab").decode([0.5])


def test_rare_characters_share_one_symbol():
    counts = {"a": 9, "b": 3, "c": 2, "d": 1}
    assert Vocabulary.from_counts(counts).symbols == ("a", "b", "c", "d")
    assert Vocabulary.from_counts(counts, min_count=3).symbols == ("a", "b", REPLACEMENT)
    assert Vocabulary.from_counts({"a": 9, REPLACEMENT: 1}, min_count=2).symbols == ("a", REPLACEMENT)
    assert Vocabulary.from_counts({10: 1, 7: 1}).symbols == (7, 10)
    assert Vocabulary.from_counts({10: 1, 7: 1}, min_count=3).symbols == (7, 10)


@pytest.mark.parametrize(
    ("counts", "options", "error", "message"),
    [
        ({}, {}, CorpusError, "no text"),
        ({"a": 2}, {"min_count": 3}, CorpusError, "rarer than --min-count 3"),
        ({"\udc80": 2}, {}, CorpusError, r"U\+DC80"),
        ({"a": 2}, {"min_count": 0}, ConfigError, "--min-count"),
        ({"a": 2}, {"max_size": 0}, ConfigError, "--max-vocab"),
        ({65: 2, 66: 1}, {"max_size": 1}, CorpusError, "--max-vocab 2"),
    ],
)
def test_counts_without_a_vocabulary_are_refused(counts, options, error, message):
    with pytest.raises(error, match=message):
        Vocabulary.from_counts(counts, **options)


@given(
    st.dictionaries(st.sampled_from("abcdefghij" + REPLACEMENT), st.integers(1, 6), min_size=3),
    st.integers(1, 8),
)
def test_the_advised_min_count_is_the_smallest_that_works(counts, max_size):
    if len(counts) <= max_size:
        return
    with pytest.raises(CorpusError) as caught:
        Vocabulary.from_counts(counts, max_size=max_size)
    message = str(caught.value)
    assert "--bytes" in message
    assert f"--max-vocab {len(counts)}" in message
    working = []
    for min_count in range(2, 8):
        try:
            vocabulary = Vocabulary.from_counts(counts, min_count, max_size)
        except CorpusError:
            continue
        if vocabulary.symbols != (REPLACEMENT,):
            working.append(min_count)
    if working:
        assert f"--min-count {working[0]}" in message
    else:
        assert "--min-count" not in message
