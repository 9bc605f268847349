"""From files to ids: decoding, joining, the id cache, splits and statistics."""

import codecs
import hashlib
import io
import json
import os
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import ConfigError, CorpusError, VocabularyError
from charrnn.text import corpus as module
from charrnn.text.corpus import Source, check_encoding, open_corpus, split
from charrnn.text.statistics import BadByte, text_statistics
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary

CYRILLIC = "Мороз и солнце; день чудесный!\nЕщё ты дремлешь, друг прелестный\n"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CHARRNN_CORPORA", str(tmp_path / "corpora"))
    return tmp_path / "cache" / "corpora"


@pytest.fixture
def streamed(monkeypatch):
    """Every text, however small, goes through the id cache in tiny blocks."""
    monkeypatch.setattr(module, "STREAM_FROM", 0)
    monkeypatch.setattr(module, "BLOCK", 7)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_back(corpus):
    return corpus.vocabulary.decode(corpus.ids)


def failure(*arguments, error=CorpusError, **options):
    with pytest.raises(error) as caught:
        open_corpus(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


# Reading


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


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "koi8-r", "cp1251"])
@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_encodings(tmp_path, monkeypatch, encoding, block):
    monkeypatch.setattr(module, "BLOCK", block)
    path = write(tmp_path / "poem.txt", CYRILLIC.encode(encoding))
    assert read_back(open_corpus([path], encoding=encoding)) == CYRILLIC


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), block=st.integers(1, 9))
def test_blocks_do_not_show(tmp_path_factory, text, block):
    path = write(tmp_path_factory.mktemp("text") / "a.txt", text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
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
        patch.setattr(module, "BLOCK", block)
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


@pytest.mark.parametrize("block", [1, 2, 100])
def test_marks_and_line_ends_are_noted(tmp_path, monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
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


def test_folders(tmp_path):
    folder = tmp_path / "texts"
    write(folder / "b.txt", "b")
    write(folder / "a" / "z.txt", "az")
    write(folder / "a.txt", "a")
    write(folder / ".hidden", "hidden")
    write(folder / ".git" / "config", "hidden")
    write(folder / "image.png", b"\x89PNG\0\0")
    corpus = open_corpus([folder])
    assert read_back(corpus) == "az\na\nb"
    assert corpus.notes == (f"1 binary file skipped in {folder}",)
    assert corpus.sources == (str(folder),)


def test_folders_in_wide_encodings_are_not_binary(tmp_path):
    write(tmp_path / "texts" / "a.txt", "ab".encode("utf-16"))
    assert read_back(open_corpus([tmp_path / "texts"], encoding="utf-16")) == "ab"


def test_folders_without_text(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "binary" / "a", b"\0")
    assert "no text files" in failure([tmp_path / "empty"])
    assert "no text files" in failure([tmp_path / "binary"])


def test_standard_input(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt", "file")
    corpus = open_corpus(["-", path], stdin=io.BytesIO(b"piped"))
    assert read_back(corpus) == "piped\nfile"
    assert corpus.sources == ("-", str(path))
    assert "standard input: byte 0xFF at offset 3 (line 2)" in failure(["-"], stdin=io.BytesIO(b"ab\n\xff"))
    assert "only once" in failure(["-", "-"], stdin=io.BytesIO(b"piped"))
    monkeypatch.setattr(sys, "stdin", None)
    assert "closed" in failure(["-"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_read_once():
    reader, writer = os.pipe()
    os.write(writer, b"hello")
    os.close(writer)
    try:
        assert read_back(open_corpus([f"/dev/fd/{reader}"])) == "hello"
    finally:
        os.close(reader)


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF8])
def test_nothing_to_learn_from(tmp_path, content, streamed):
    assert "no text" in failure([write(tmp_path / "a.txt", content)])
    given_one = failure([write(tmp_path / "a.txt", content)], vocabulary=Vocabulary("a"))
    assert "no text" in given_one
    assert "no text" in failure(["-"], stdin=io.BytesIO(b""))
    assert "no text was given" in failure([])


def test_missing_files_get_a_guess(tmp_path):
    write(tmp_path / "letters.txt", "a")
    assert failure([tmp_path / "leters.txt"]).endswith(f"did you mean {tmp_path / 'letters.txt'}?")
    assert failure(["tinyshakespear"]).endswith("did you mean tinyshakespeare?")
    assert "charrnn corpus list" in failure(["zzzzzzzzzzzz"])
    assert "charrnn corpus get tinyshakespeare" in failure(["tinyshakespeare"])
    for impossible in ("a\0b", "x" * 5000, str(tmp_path / "letters.txt" / "below")):
        assert "no such file" in failure([impossible])
    assert "empty name" in failure([""])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files(tmp_path):
    path = write(tmp_path / "texts" / "a.txt", "a")
    path.chmod(0)
    assert "cannot read" in failure([path])
    assert "cannot read" in failure([path.parent])


def test_catalog_names(tmp_path, monkeypatch):
    write(tmp_path / "corpora" / "names.txt", "emma\nolivia")
    corpus = open_corpus(["names"])
    assert read_back(corpus) == "emma\nolivia"
    assert corpus.sources == ("names",)
    write(tmp_path / "here" / "names", "a file of that name")
    monkeypatch.chdir(tmp_path / "here")
    assert read_back(open_corpus(["names"])) == "a file of that name"


def test_python_is_built_on_demand(tmp_path, monkeypatch):
    library = tmp_path / "lib"
    write(library / "abc.py", "import os\n")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(library)})
    assert read_back(open_corpus(["python"])) == "import os\n"
    assert (tmp_path / "corpora" / "python.txt").read_bytes() == b"import os\n"


# Vocabulary


@pytest.mark.usefixtures("streamed")
def test_rare_characters_become_one(tmp_path):
    path = write(tmp_path / "a.txt", "aabbbéüü")
    corpus = open_corpus([path], min_count=3)
    assert read_back(corpus) == f"{REPLACEMENT * 2}bbb{REPLACEMENT * 3}"
    (note,) = corpus.notes
    assert note.startswith("5 rare characters (3 distinct) turned into")
    assert "U+FFFD" in note


def test_too_many_characters_name_the_file_and_the_way_out(tmp_path):
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
    assert corpus.ids.tolist() == [2, 1, 0] * 4
    assert corpus.vocabulary == vocabulary
    again = open_corpus([path], vocabulary=vocabulary)
    assert again.ids.tolist() == corpus.ids.tolist()
    assert again.vocabulary == vocabulary
    assert open_corpus([path], vocabulary=Vocabulary("abc")).ids.tolist() == [0, 1, 2] * 4


@pytest.mark.parametrize("block", [1, 4, 100])
def test_unknown_characters_are_located(tmp_path, monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
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


def test_unknown_characters_become_the_model_s_own_symbol_for_them(tmp_path):
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


def test_bytes_have_no_rare_ones(tmp_path):
    failure([write(tmp_path / "a.txt", "ab")], as_bytes=True, min_count=2, error=ConfigError)


# The id cache


def test_large_texts_are_mapped(tmp_path, cache, streamed):
    path = write(tmp_path / "a.txt", codecs.BOM_UTF8 + (CYRILLIC * 3).encode())
    corpus = open_corpus([path])
    assert isinstance(corpus.ids, np.memmap)
    assert not corpus.ids.flags.writeable
    assert read_back(corpus) == CYRILLIC * 3
    assert sorted(file.suffix for file in cache.iterdir()) == [".ids", ".json"]


@pytest.mark.parametrize("as_bytes", [False, True])
def test_streamed_and_in_memory_are_the_same(tmp_path, monkeypatch, as_bytes):
    path = write(tmp_path / "a.txt", codecs.BOM_UTF8 + (CYRILLIC * 3).encode() + b"\r\n")
    plain = open_corpus([path, path], as_bytes=as_bytes)
    monkeypatch.setattr(module, "STREAM_FROM", 0)
    mapped = open_corpus([path, path], as_bytes=as_bytes)
    assert isinstance(mapped.ids, np.memmap)
    assert plain.ids.tolist() == mapped.ids.tolist()
    for field in ("vocabulary", "sha256", "sources", "notes"):
        assert getattr(plain, field) == getattr(mapped, field)


@pytest.fixture
def opened(monkeypatch):
    """Names of the sources that are read, in order."""
    names = []
    blocks = Source.blocks
    monkeypatch.setattr(Source, "blocks", lambda self: names.append(self.name) or blocks(self))
    return names


@pytest.mark.usefixtures("streamed")
def test_the_second_start_reads_nothing(tmp_path, opened):
    path = write(tmp_path / "a.txt", codecs.BOM_UTF8 + CYRILLIC.encode())
    first = open_corpus([path])
    assert opened == [str(path)] * 2
    again = open_corpus([path])
    assert opened == [str(path)] * 2
    assert again.ids.tolist() == first.ids.tolist()
    for field in ("vocabulary", "sha256", "sources", "notes"):
        assert getattr(again, field) == getattr(first, field)


@pytest.mark.usefixtures("streamed")
def test_other_options_are_not_mixed_up(tmp_path):
    path = write(tmp_path / "a.txt", "aab\n")
    assert read_back(open_corpus([path])) == "aab\n"
    assert read_back(open_corpus([path], as_bytes=True)) == b"aab\n"
    assert read_back(open_corpus([path], min_count=2)) == f"aa{REPLACEMENT * 2}"
    assert read_back(open_corpus([path], encoding="ascii")) == "aab\n"
    assert "more than 2" in failure([path], max_vocab=2)
    assert read_back(open_corpus([path], vocabulary=Vocabulary("ab"), unknown="skip")) == "aab"
    assert read_back(open_corpus([path], vocabulary=Vocabulary("ab"), unknown="replace")) == "aaba"


@pytest.mark.usefixtures("streamed")
def test_where_files_end_is_not_mixed_up(tmp_path):
    one, rest = write(tmp_path / "1.txt", "a"), write(tmp_path / "2.txt", "bc\n")
    assert read_back(open_corpus([one, rest])) == "a\nbc\n"
    write(one, "ab")
    write(rest, "c\n")
    assert read_back(open_corpus([one, rest])) == "ab\nc\n"


def test_a_changed_file_is_read_anew_and_its_old_ids_are_deleted(tmp_path, cache, streamed):
    path = write(tmp_path / "a.txt", "old text")
    open_corpus([path])
    write(path, "new text")
    os.utime(path, ns=(1, 1))
    assert read_back(open_corpus([path])) == "new text"
    assert sorted(file.suffix for file in cache.iterdir()) == [".ids", ".json"]


def test_a_touched_file_keeps_its_ids(tmp_path, cache, streamed):
    path = write(tmp_path / "a.txt", "text")
    open_corpus([path])
    os.utime(path, ns=(1, 1))
    open_corpus([path])
    assert read_back(open_corpus([path])) == "text"
    assert sorted(file.suffix for file in cache.iterdir()) == [".ids", ".json"]


def damage_side(content):
    return lambda ids, side: side.write_text(content)


def change_side(**changes):
    return lambda ids, side: side.write_text(json.dumps({**json.loads(side.read_text()), **changes}))


@pytest.mark.parametrize(
    "damage",
    [
        damage_side(""),
        damage_side("{"),
        damage_side("[]"),
        damage_side("null"),
        damage_side("[" * 100_000),
        lambda ids, side: side.write_bytes(b"\xff\xfe"),
        change_side(vocabulary=None),
        change_side(vocabulary=["a", "a"]),
        change_side(ids=None),
        change_side(ids="../../a.txt"),
        change_side(ids="0" * 64 + ".ids"),
        change_side(bytes=1),
        change_side(bytes="many"),
        change_side(dtype="<f8"),
        change_side(sha256=7),
        change_side(sha256="x"),
        change_side(notes="none"),
        change_side(notes=[1]),
        change_side(files=[]),
        lambda ids, side: ids.write_bytes(b""),
        lambda ids, side: ids.write_bytes(ids.read_bytes()[:-1]),
        lambda ids, side: ids.unlink(),
    ],
)
def test_a_damaged_cache_is_rebuilt(tmp_path, cache, streamed, opened, damage):
    path = write(tmp_path / "a.txt", "some text")
    open_corpus([path])
    (ids,), (side,) = cache.glob("*.ids"), cache.glob("*.json")
    sound = side.read_bytes()
    damage(ids, side)
    opened.clear()
    assert read_back(open_corpus([path])) == "some text"
    assert opened == [str(path)] * 2
    assert side.read_bytes() == sound
    assert path.read_bytes() == b"some text"


def test_an_unusable_cache_is_done_without(tmp_path, cache, streamed):
    write(cache.parent, "a file in the way")
    path = write(tmp_path / "a.txt", "some text")
    for vocabulary in (None, Vocabulary("some tx")):
        corpus = open_corpus([path], vocabulary=vocabulary)
        assert read_back(corpus) == "some text"
        (note,) = corpus.notes
        assert "kept in memory" in note


def test_a_full_disk_is_done_without(tmp_path, cache, streamed, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    corpus = open_corpus([write(tmp_path / "a.txt", "some text")])
    assert read_back(corpus) == "some text"
    assert "No space left" in corpus.notes[0]
    assert list(cache.iterdir()) == []


def test_a_failure_leaves_nothing_behind(tmp_path, cache, streamed):
    path = write(tmp_path / "a.txt", "some text é")
    failure([path], vocabulary=Vocabulary("some tx"), error=VocabularyError)
    assert list(cache.iterdir()) == []


def test_what_is_piped_is_not_cached(cache, monkeypatch):
    monkeypatch.setattr(module, "STREAM_FROM", 1)
    assert read_back(open_corpus(["-"], stdin=io.BytesIO(b"some text"))) == "some text"
    assert not cache.exists()


@pytest.mark.parametrize("change", ["same text", "some TEXT", "some text and more", ""])
def test_a_file_that_changes_while_it_is_read(tmp_path, streamed, monkeypatch, change):
    path = write(tmp_path / "a.txt", "some text")
    counts = module._Reading.counts

    def count_then_change(self):
        found = counts(self)
        write(path, change)
        return found

    monkeypatch.setattr(module._Reading, "counts", count_then_change)
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
def test_bad_splits(fractions):
    with pytest.raises(ConfigError, match="split"):
        split(100, fractions)


# Statistics


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_statistics(tmp_path, monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    text = "ab\r\nlonger line é\n\x1b[0m\u202e\r\r\n" + "a" * 10 + "\ttail"
    path = write(tmp_path / "a.txt", codecs.BOM_UTF8 + text.encode())
    found = text_statistics(path)
    assert found.bytes == 3 + len(text.encode())
    assert found.characters == len(text)
    assert found.distinct == len(set(text))
    assert found.counts == {c: text.count(c) for c in text}
    assert found.lines == 4
    assert found.longest_line == (15, 4)
    assert found.crlf_lines == 2
    assert found.has_bom
    assert found.controls == {"\x1b": 1, "\u202e": 1}
    assert found.problem is None
    assert "a" not in found.rare
    assert "é" in found.rare
    assert found.encoding == "utf-8"


@given(text=st.text(st.sampled_from("ab\n\ré"), max_size=40), block=st.integers(1, 9))
def test_lines_are_counted_whatever_the_blocks(text, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = text_statistics(Source.from_data(text.encode(), "text"))
    lines = text.split("\n")
    lengths = [len(line) for line in lines]
    assert found.lines == len(lines) - (lines[-1] == "")
    assert found.longest_line == (max(lengths), lengths.index(max(lengths)) + 1)
    assert found.crlf_lines == text.count("\r\n")


@pytest.mark.parametrize("block", [1, 2, 3, 5, 100])
def test_statistics_of_a_file_with_bad_bytes(tmp_path, monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    found = text_statistics(write(tmp_path / "a.txt", b"ok\nbad \xe9t\xe9, \xe2\x82 end"))
    assert found.problem == BadByte(offset=7, line=2, byte=0xE9, count=4)
    assert found.counts[REPLACEMENT] == 3
    assert found.characters == len("ok\nbad ?t?, ? end")


def test_statistics_of_nothing_and_of_wide_files(tmp_path):
    found = text_statistics(write(tmp_path / "a.txt", b""))
    assert (found.bytes, found.characters, found.lines, found.longest_line) == (0, 0, 0, (0, 1))
    found = text_statistics(write(tmp_path / "a.txt", "abc".encode("utf-16") + b"\x00"), "utf-16")
    assert found.has_bom
    assert found.counts["a"] == 1
    assert found.problem.offset == 8
    with pytest.raises(CorpusError, match="folder"):
        text_statistics(tmp_path)
    with pytest.raises(CorpusError, match="cannot read"):
        text_statistics(tmp_path / "missing")
