"""From bytes to one text: decoding, joining, and symbols that are bad or unknown."""

import codecs
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import CYRILLIC, failure, read_back, write

from charrnn.errors import CorpusError, VocabularyError
from charrnn.text import sources
from charrnn.text.corpus import open_corpus
from charrnn.text.decoding import check_encoding
from charrnn.text.statistics import text_statistics
from charrnn.text.vocabulary import Vocabulary


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "koi8-r", "cp1251"])
@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_encodings(tmp_path, monkeypatch, encoding, block):
    monkeypatch.setattr(sources, "BLOCK", block)
    path = write(tmp_path / "poem.txt", CYRILLIC.encode(encoding))
    assert read_back(open_corpus([path], encoding=encoding)) == CYRILLIC


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), block=st.integers(1, 9))
def test_blocks_do_not_show(tmp_path_factory, text, block):
    path = write(tmp_path_factory.mktemp("text") / "a.txt", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK", block)
        expected = text.removeprefix("\ufeff")
        if expected:
            assert read_back(open_corpus([path])) == expected
        else:
            assert "no text" in failure([path])


@given(
    before=st.text(st.sampled_from("aé\n🙂"), max_size=12),
    after=st.text(st.sampled_from("aé\n"), max_size=6),
    bad=st.sampled_from([b"\xff", b"\x80", b"\xc3a", b"\xe2\x82", b"\xf0\x9f\x99", b"\xed\xa0\x80"]),
    block=st.integers(1, 12),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_a_bad_byte_is_located_whatever_the_blocks(tmp_path_factory, before, after, bad, block, encoding):
    start = codecs.BOM_UTF8 if encoding == "utf-8-sig" else b""
    data = start + before.encode() + bad + after.encode()
    path = write(tmp_path_factory.mktemp("text") / "letters.txt", data)
    offset = len(start + before.encode())
    line = before.count("\n") + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "BLOCK", block)
        message = failure([path], encoding=encoding)
        problem = text_statistics(path, encoding).problem
    assert f"letters.txt: byte 0x{bad[0]:02X} at offset {offset} (line {line}) is not UTF-8" in message
    assert "--bytes" in message
    assert (problem.offset, problem.line, problem.byte) == (offset, line, bad[0])


def test_the_message_about_a_bad_byte(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "letters.txt", b"one\ntwo \xe9\n")
    place = "letters.txt: byte 0xE9 at offset 8 (line 2) is not UTF-8"
    expected = f"{place}; pass --encoding latin-1 (or another), or --bytes"
    assert failure(["letters.txt"]) == expected
    assert read_back(open_corpus(["letters.txt"], encoding="latin-1")) == "one\ntwo é\n"


def test_a_bad_byte_in_other_encodings(tmp_path):
    path = write(tmp_path / "a.txt", "ab\ncd".encode("utf-16-le") + b"\x00\xd8")
    message = failure([path], encoding="utf-16-le")
    assert "byte 0x00 at offset 10 (line 2) is not UTF-16-LE; pass another --encoding" in message
    path = write(tmp_path / "b.txt", "あい\n".encode("shift_jis") + b"\x81\xff")
    assert "byte 0x81 at offset 5 (line 2) is not shift_jis" in failure([path], encoding="shift_jis")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_wide_file_is_recognised_by_its_mark(tmp_path, encoding):
    path = write(tmp_path / "a.txt", "hello".encode(encoding))
    assert f"pass --encoding {encoding}" in failure([path])
    assert read_back(open_corpus([path], encoding=encoding)) == "hello"


def test_unknown_encodings():
    assert check_encoding("UTF8") == "utf-8"
    for name, guess in [
        ("latn-1", "latin-1"),
        ("utf-88", "utf-8"),
        ("rot13", ""),
        ("a\0b", ""),
        ("\ud800", ""),
        ("", ""),
    ]:
        with pytest.raises(CorpusError, match="unknown encoding") as caught:
            check_encoding(name)
        assert guess in str(caught.value)


@pytest.mark.parametrize("name", ["base64", "base-64", "bz2", "hex", "quopri", "rot13", "uu", "zip", "zlib"])
def test_only_text_encodings_are_suggested(name):
    with pytest.raises(CorpusError, match="for example utf-8") as caught:
        check_encoding(name)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("block", [1, 2, 100])
def test_marks_and_line_ends_are_noted(tmp_path, monkeypatch, block):
    monkeypatch.setattr(sources, "BLOCK", block)
    path = write(tmp_path / "a.txt", codecs.BOM_UTF8 + b"a\r\nb\xef\xbb\xbf\r\n")
    corpus = open_corpus([path])
    assert read_back(corpus) == "a\r\nb\ufeff\r\n"
    mark, line_ends = corpus.notes
    assert "byte-order mark was dropped" in mark
    assert "CRLF" in line_ends
    assert "kept" in line_ends
    assert all(str(path) in note for note in corpus.notes)
    assert open_corpus([write(tmp_path / "b.txt", b"a\rb\n")]).notes == ()


def test_notes_do_not_list_a_hundred_files(tmp_path):
    for index in range(100):
        write(tmp_path / "texts" / f"{index:03}.txt", b"a\r\n")
    (note,) = open_corpus([tmp_path / "texts"]).notes
    assert "100 files, first" in note


def test_texts_are_joined_by_a_newline_if_there_is_none(tmp_path):
    contents = ["one", "two\n", "", "three", "\nfour"]
    paths = [write(tmp_path / f"{index}.txt", content) for index, content in enumerate(contents)]
    for as_bytes, expected in ((False, "one\ntwo\nthree\n\nfour"), (True, b"one\ntwo\nthree\n\nfour")):
        corpus = open_corpus(paths, as_bytes=as_bytes)
        assert read_back(corpus) == expected
        assert corpus.sha256 == hashlib.sha256("".join(contents).encode()).hexdigest()
    assert len(open_corpus(paths).sources) == 5


@pytest.mark.parametrize("block", [1, 4, 100])
def test_unknown_characters_are_located(tmp_path, monkeypatch, block):
    monkeypatch.setattr(sources, "BLOCK", block)
    first = write(tmp_path / "a.txt", "ab\nab")
    second = write(tmp_path / "b.txt", "ab\nba\nabé")
    vocabulary = Vocabulary("ab\n")
    message = failure([first, second], vocabulary=vocabulary, error=VocabularyError)
    assert message.startswith(f"{second}, line 3: the model does not know 'é' (U+00E9)")
    skipped = open_corpus([first, second], vocabulary=vocabulary, unknown="skip")
    assert read_back(skipped) == "ab\nab\nab\nba\nab"
    assert skipped.notes == ("1 unknown character (1 distinct) left out",)
    replaced = open_corpus([first, second], vocabulary=vocabulary, unknown="replace")
    assert read_back(replaced) == "ab\nab\nab\nba\nab\n"
