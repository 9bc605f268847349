"""The id cache: what is kept on disk, when it is used again, and what happens without it."""

import codecs
import io
import json
import os

import numpy as np
import pytest
from texts import CYRILLIC, failure, read_back, write

from charrnn.errors import VocabularyError
from charrnn.text import corpus as module
from charrnn.text import sources
from charrnn.text.corpus import open_corpus
from charrnn.text.sources import Source
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corpora"


@pytest.fixture
def streamed(monkeypatch):
    """Every text, however small, goes through the id cache in tiny blocks."""
    monkeypatch.setattr(module, "STREAM_FROM", 0)
    monkeypatch.setattr(sources, "BLOCK", 7)


@pytest.fixture
def opened(monkeypatch):
    """Names of the sources that are read, in order."""
    names = []
    blocks = Source.blocks
    monkeypatch.setattr(Source, "blocks", lambda self: names.append(self.name) or blocks(self))
    return names


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
