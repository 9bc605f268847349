"""Tests of reading files into ids, in memory and streamed: options, vocabularies, progress, splits."""

import codecs
import hashlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import CYRILLIC, failure, read_back, write

from charrnn.errors import ConfigError, VocabularyError
from charrnn.text import corpus as module
from charrnn.text import sources
from charrnn.text.corpus import open_corpus, split
from charrnn.text.decoding import Pass
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary


@pytest.fixture
def streamed(tmp_path, monkeypatch):
    """Send every text, even a small one, through the id cache in tiny blocks."""
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "STREAM_FROM", 0)
    monkeypatch.setattr(sources, "BLOCK", 7)


def test_a_file_is_read_as_it_is(tmp_path):
    path = write(tmp_path / "poem.txt", CYRILLIC)
    corpus = open_corpus([path])
    assert read_back(corpus) == CYRILLIC
    assert corpus.ids.dtype == np.uint8
    assert corpus.ids.ndim == 1
    assert not corpus.ids.flags.writeable
    assert len(corpus) == len(CYRILLIC)
    assert corpus.vocabulary == Vocabulary(set(CYRILLIC))
    assert corpus.sha256 == hashlib.sha256(CYRILLIC.encode()).hexdigest()
    assert corpus.sources == (str(path),)
    assert corpus.notes == ()
    assert open_corpus(str(path)).sources == (str(path),)


def test_bytes_are_read_as_they_are(tmp_path):
    data = codecs.BOM_UTF8 + "é\r\n".encode() + b"\xff\0"
    corpus = open_corpus([write(tmp_path / "data", data)], as_bytes=True)
    assert corpus.vocabulary.is_bytes
    assert read_back(corpus) == data
    assert corpus.notes == ()


def test_a_large_vocabulary_takes_two_bytes_an_id(tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 400)))
    corpus = open_corpus([write(tmp_path / "a.txt", text)])
    assert corpus.ids.dtype == np.uint16
    assert read_back(corpus) == text


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF8])
def test_an_empty_text_is_refused(tmp_path, content, streamed):
    assert "no text" in failure([write(tmp_path / "a.txt", content)])
    given_one = failure([write(tmp_path / "a.txt", content)], vocabulary=Vocabulary("a"))
    assert "no text" in given_one
    assert "no text" in failure(["-"], stdin=io.BytesIO(b""))
    assert "no text was given" in failure([])


@pytest.mark.parametrize("change", ["same text", "some TEXT", "some text and more", ""])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, streamed, monkeypatch, change):
    path = write(tmp_path / "a.txt", "some text")
    counts = Pass.counts

    def count_then_change(self):
        found = counts(self)
        write(path, change)
        return found

    monkeypatch.setattr(Pass, "counts", count_then_change)
    assert "changed while it was read" in failure([path])


def test_progress_counts_all_passes(tmp_path, streamed):
    path = write(tmp_path / "a.txt", "some text of some length")
    for vocabulary, passes in ((None, 2), (Vocabulary(set("some text of some length")), 1)):
        calls = []
        open_corpus(
            [path],
            vocabulary=vocabulary,
            progress=lambda done, total, calls=calls: calls.append((done, total)),
        )
        assert calls == sorted(calls)
        assert calls[-1] == (24 * passes, 24 * passes)


# Vocabulary


@pytest.mark.usefixtures("streamed")
def test_rare_characters_become_one(tmp_path):
    path = write(tmp_path / "a.txt", "aabbbéüü")
    corpus = open_corpus([path], min_count=3)
    assert read_back(corpus) == f"{REPLACEMENT * 2}bbb{REPLACEMENT * 3}"
    (note,) = corpus.notes
    assert note.startswith("5 rare characters (3 distinct) turned into")
    assert "U+FFFD" in note


def test_the_error_about_too_many_characters_names_the_file_and_the_options(tmp_path):
    path = write(tmp_path / "a.txt", "".join(map(chr, range(0x4E00, 0x4E00 + 1100))) + "\u4e00" * 5)
    message = failure([path])
    assert message.startswith(f"{path}: 1,100 distinct symbols are more than 1,000")
    assert "--max-vocab 1100" in message
    assert "--min-count 2" in message
    assert len(open_corpus([path], max_vocab=1100).vocabulary) == 1100
    assert len(open_corpus([path], min_count=2).vocabulary) == 2


def test_a_given_vocabulary_is_used_in_its_order(tmp_path, streamed):
    vocabulary = Vocabulary.from_list(["c", "b", "a"])
    path = write(tmp_path / "a.txt", "abcabcabcabc")
    corpus = open_corpus([path], vocabulary=vocabulary)
    assert np.asarray(corpus.ids).tolist() == [2, 1, 0] * 4
    assert corpus.vocabulary == vocabulary
    again = open_corpus([path], vocabulary=vocabulary)
    assert np.asarray(again.ids).tolist() == np.asarray(corpus.ids).tolist()
    assert again.vocabulary == vocabulary
    assert np.asarray(open_corpus([path], vocabulary=Vocabulary("abc")).ids).tolist() == [0, 1, 2] * 4


def test_unknown_characters_become_the_replacement_character_of_the_model(tmp_path):
    path = write(tmp_path / "a.txt", "abz")
    vocabulary = Vocabulary("ab" + REPLACEMENT)
    corpus = open_corpus([path], vocabulary=vocabulary)
    assert read_back(corpus) == "ab" + REPLACEMENT
    assert "1 unknown character" in corpus.notes[0]
    failure([path], vocabulary=vocabulary, unknown="error", error=VocabularyError)


def test_a_vocabulary_decides_between_characters_and_bytes(tmp_path):
    path = write(tmp_path / "a.txt", "é")
    assert read_back(open_corpus([path], vocabulary=Vocabulary("é".encode()))) == "é".encode()
    message = failure([path], vocabulary=Vocabulary("é"), as_bytes=True, error=ConfigError)
    assert "--bytes" in message
    assert "line 1" in failure([path], vocabulary=Vocabulary(b"abc"), error=VocabularyError)


def test_min_count_is_refused_for_bytes(tmp_path):
    failure([write(tmp_path / "a.txt", "ab")], as_bytes=True, min_count=2, error=ConfigError)


# Splits


def test_splits():
    assert split(1_115_394, "90/10/0") == (
        slice(0, 1_003_854),
        slice(1_003_854, 1_115_394),
        slice(1_115_394, 1_115_394),
    )
    assert split(1_115_394, "90/10") == split(1_115_394, (90, 10, 0))
    assert split(10, "80/10/10") == (slice(0, 8), slice(8, 9), slice(9, 10))
    assert split(1000, "99.5/0.5") == split(1000, (99.5, 0.5)) == (slice(0, 995), slice(995, 1000), slice(1000, 1000))
    assert split(10, " 100 / 0 ") == (slice(0, 10), slice(10, 10), slice(10, 10))


@given(st.integers(0, 10**12), st.integers(1, 100), st.integers(0, 100))
def test_splits_are_contiguous_and_exact(length, first, second):
    second = min(second, 100 - first)
    train, validation, test = split(length, (first, second, 100 - first - second))
    assert (train.start, test.stop) == (0, length)
    assert train.stop == validation.start == length * first // 100
    assert validation.stop == test.start == length * (first + second) // 100


@pytest.mark.parametrize(
    "fractions",
    [
        "",
        "100",
        "90/5",
        "0/100",
        "110/-10",
        "50/25/15/10",
        "nan/100",
        "90/x",
        "1e2/0",
        "inf/0",
        (float("nan"), 100),
        (1e-9, 100),
        "９０/10",
    ],
)
def test_bad_splits_are_refused(fractions):
    with pytest.raises(ConfigError, match="split"):
        split(100, fractions)
