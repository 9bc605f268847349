"""Tests of the id cache: its files, when they are used again, and what happens without a usable cache."""

import codecs
import io
import json
import os
import time

import numpy as np
import pytest
from texts import CYRILLIC, failure, read_back, write

from charrnn.errors import CorpusError, VocabularyError
from charrnn.system.files import lock_file
from charrnn.text import corpus as module
from charrnn.text import id_cache, sources
from charrnn.text.corpus import open_corpus
from charrnn.text.id_file import IdFile
from charrnn.text.sources import Source
from charrnn.text.vocabulary import REPLACEMENT, Vocabulary


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "corpora"


@pytest.fixture
def streamed(monkeypatch):
    """Send every text, even a small one, through the id cache in tiny blocks."""
    monkeypatch.setattr(module, "STREAM_FROM", 0)
    monkeypatch.setattr(sources, "BLOCK", 7)


@pytest.fixture
def opened(monkeypatch):
    """The names of the sources that are read, in order."""
    names = []
    blocks = Source.blocks
    monkeypatch.setattr(Source, "blocks", lambda self: names.append(self.name) or blocks(self))
    return names


def test_large_texts_are_in_a_file(tmp_path, cache, streamed):
    path = write(tmp_path / "a.txt", codecs.BOM_UTF8 + (CYRILLIC * 3).encode())
    corpus = open_corpus([path])
    assert isinstance(corpus.ids, IdFile)
    assert read_back(corpus) == CYRILLIC * 3
    assert sorted(file.suffix for file in cache.iterdir()) == [".ids", ".json"]


@pytest.mark.parametrize("as_bytes", [False, True])
def test_streamed_and_in_memory_are_the_same(tmp_path, monkeypatch, as_bytes):
    path = write(tmp_path / "a.txt", codecs.BOM_UTF8 + (CYRILLIC * 3).encode() + b"\r\n")
    plain = open_corpus([path, path], as_bytes=as_bytes)
    monkeypatch.setattr(module, "STREAM_FROM", 0)
    filed = open_corpus([path, path], as_bytes=as_bytes)
    assert isinstance(filed.ids, IdFile)
    assert plain.ids.tolist() == np.asarray(filed.ids).tolist()
    for field in ("vocabulary", "sha256", "sources", "notes"):
        assert getattr(plain, field) == getattr(filed, field)


@pytest.mark.usefixtures("streamed")
def test_the_second_start_reads_nothing(tmp_path, opened):
    path = write(tmp_path / "a.txt", codecs.BOM_UTF8 + CYRILLIC.encode())
    first = open_corpus([path])
    assert opened == [str(path)] * 2
    again = open_corpus([path])
    assert opened == [str(path)] * 2
    assert np.asarray(again.ids).tolist() == np.asarray(first.ids).tolist()
    for field in ("vocabulary", "sha256", "sources", "notes"):
        assert getattr(again, field) == getattr(first, field)


@pytest.mark.usefixtures("streamed")
def test_other_options_have_other_entries(tmp_path):
    path = write(tmp_path / "a.txt", "aab\n")
    assert read_back(open_corpus([path])) == "aab\n"
    assert read_back(open_corpus([path], as_bytes=True)) == b"aab\n"
    assert read_back(open_corpus([path], min_count=2)) == f"aa{REPLACEMENT * 2}"
    assert read_back(open_corpus([path], encoding="ascii")) == "aab\n"
    assert "more than 2" in failure([path], max_vocab=2)
    assert read_back(open_corpus([path], vocabulary=Vocabulary("ab"), unknown="skip")) == "aab"
    assert read_back(open_corpus([path], vocabulary=Vocabulary("ab"), unknown="replace")) == "aaba"


@pytest.mark.usefixtures("streamed")
def test_texts_with_the_same_bytes_but_other_file_borders_are_not_mixed_up(tmp_path):
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


def json_becomes(content):
    return lambda ids, json_file: json_file.write_text(content)


def json_with(**changes):
    return lambda ids, json_file: json_file.write_text(json.dumps({**json.loads(json_file.read_text()), **changes}))


@pytest.mark.parametrize(
    "damage",
    [
        json_becomes(""),
        json_becomes("{"),
        json_becomes("[]"),
        json_becomes("null"),
        json_becomes("[" * 100_000),
        lambda ids, json_file: json_file.write_bytes(b"\xff\xfe"),
        json_with(vocabulary=None),
        json_with(vocabulary=["a", "a"]),
        json_with(ids=None),
        json_with(ids="../../a.txt"),
        json_with(ids="0" * 64 + ".ids"),
        json_with(bytes=1),
        json_with(bytes="many"),
        json_with(dtype="<f8"),
        json_with(sha256=7),
        json_with(sha256="x"),
        json_with(notes="none"),
        json_with(notes=[1]),
        json_with(files=[]),
        lambda ids, json_file: ids.write_bytes(b""),
        lambda ids, json_file: ids.write_bytes(ids.read_bytes()[::-1]),
        lambda ids, json_file: ids.write_bytes(b"\xff" + ids.read_bytes()[1:]),
        lambda ids, json_file: ids.write_bytes(ids.read_bytes()[:-1]),
        lambda ids, json_file: ids.unlink(),
    ],
)
def test_a_damaged_cache_is_rebuilt(tmp_path, cache, streamed, opened, damage):
    path = write(tmp_path / "a.txt", "some text")
    open_corpus([path])
    (ids,), (json_file,) = cache.glob("*.ids"), cache.glob("*.json")
    sound = json_file.read_bytes()
    damage(ids, json_file)
    opened.clear()
    assert read_back(open_corpus([path])) == "some text"
    assert opened == [str(path)] * 2
    assert json_file.read_bytes() == sound
    assert path.read_bytes() == b"some text"


def test_without_a_usable_cache_the_text_is_kept_in_memory(tmp_path, cache, streamed):
    write(cache.parent, "a file in the way")
    path = write(tmp_path / "a.txt", "some text")
    for vocabulary in (None, Vocabulary("some tx")):
        corpus = open_corpus([path], vocabulary=vocabulary)
        assert read_back(corpus) == "some text"
        (note,) = corpus.notes
        assert "kept in memory" in note


def test_on_a_full_disk_the_text_is_kept_in_memory(tmp_path, cache, streamed, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    corpus = open_corpus([write(tmp_path / "a.txt", "some text")])
    assert read_back(corpus) == "some text"
    assert "No space left" in corpus.notes[0]
    assert list(cache.iterdir()) == []


def test_after_an_error_no_file_is_left(tmp_path, cache, streamed):
    path = write(tmp_path / "a.txt", "some text é")
    failure([path], vocabulary=Vocabulary("some tx"), error=VocabularyError)
    assert list(cache.iterdir()) == []


def test_a_piped_text_is_not_cached(cache, monkeypatch):
    monkeypatch.setattr(module, "STREAM_FROM", 1)
    assert read_back(open_corpus(["-"], stdin=io.BytesIO(b"some text"))) == "some text"
    assert not cache.exists()


def test_temporary_files_of_killed_processes_are_removed_and_of_living_ones_are_not(tmp_path, cache, streamed):
    dead, living = write(cache / "tmpdead.part", "half"), write(cache / "tmpliving.part", "half")
    with living.open("r+b") as file:
        lock_file(file)
        open_corpus([write(tmp_path / "a.txt", "some text")])
        assert living.exists()
    assert not dead.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no time of the last change of anything")
def test_a_changed_file_with_its_old_times_is_read_anew(tmp_path, streamed):
    path = write(tmp_path / "a.txt", "old text")
    open_corpus([path])
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    time.sleep(0.02)
    write(path, "new text")
    os.utime(path, ns=times)
    assert read_back(open_corpus([path])) == "new text"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_ids_in_a_file_are_like_an_array(tmp_path, dtype, rng):
    array = rng.integers(0, 200, 1000).astype(dtype)
    write(tmp_path / "ids", array.tobytes())
    ids = IdFile(tmp_path / "ids", np.dtype(dtype))
    columns = rng.integers(0, 990, 5) + np.arange(9)[:, None]
    cases = [slice(None), slice(10, 20), slice(-5, None), slice(20, 10), slice(0, 99, 7), slice(2000, 3000)]
    cases += [0, -1, np.int64(7), columns, columns[:, :0], rng.integers(-1000, 1000, (3, 4, 2)), array < 100]
    for where in cases:
        found = np.asarray(ids[where])
        assert found.dtype == dtype
        assert np.array_equal(found, array[where])
        assert found.flags.c_contiguous or isinstance(where, slice)
    assert np.array_equal(np.asarray(ids[100:900][50:])[5:10], array[155:160])
    assert np.array_equal(ids[100:900][columns % 700], array[100:900][columns % 700])
    assert len(ids) == 1000
    assert np.array_equal(ids.astype(np.int32), array)
    for beyond in (1000, -1001, np.array([5, 1000])):
        with pytest.raises(IndexError, match="1,000 ids"):
            ids[beyond]


def test_a_failing_disk_is_an_error_of_one_line(tmp_path, monkeypatch):
    write(tmp_path / "ids", bytes(100))
    ids = IdFile(tmp_path / "ids", np.dtype(np.uint8))

    def fail(*arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("charrnn.text.id_file._OpenFile._read_once", fail)
    with pytest.raises(
        CorpusError, match=r"ids: delete this file and try again, it cannot be read \(Input/output error\)"
    ):
        ids[3]


def test_id_files_that_were_used_longest_ago_are_removed(tmp_path, cache, streamed, opened, monkeypatch):
    paths = [write(tmp_path / f"{name}.txt", name * 100) for name in "abc"]
    for hours, path in zip((3, 2), paths, strict=False):
        file = open_corpus([path]).ids.path
        os.utime(file, (time.time() - 3600 * hours,) * 2)
    open_corpus([paths[0]])  # now the second one is the one that was used longest ago
    monkeypatch.setattr(id_cache, "MOST_BYTES", 150)
    open_corpus([paths[2]])
    assert len(list(cache.glob("*.ids"))) == 2
    opened.clear()
    for path in (paths[2], paths[0]):
        open_corpus([path])
    assert opened == []
    open_corpus([paths[1]])
    assert opened
