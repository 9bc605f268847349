"""Tests of the statistics of a text, also with bad bytes."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import write

from charrnn.errors import CorpusError
from charrnn.text import sources
from charrnn.text.sources import Source
from charrnn.text.statistics import BadByte, text_statistics
from charrnn.text.vocabulary import REPLACEMENT


@pytest.mark.parametrize("block", [1, 3, 1 << 20])
def test_statistics(tmp_path, monkeypatch, block):
    monkeypatch.setattr(sources, "BLOCK", block)
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
        patch.setattr(sources, "BLOCK", block)
        found = text_statistics(Source.from_data(text.encode(), "text"))
    lines = text.split("\n")
    lengths = [len(line) for line in lines]
    assert found.lines == len(lines) - (lines[-1] == "")
    assert found.longest_line == (max(lengths), lengths.index(max(lengths)) + 1)
    assert found.crlf_lines == text.count("\r\n")


@pytest.mark.parametrize("block", [1, 2, 3, 5, 100])
def test_statistics_of_a_file_with_bad_bytes(tmp_path, monkeypatch, block):
    monkeypatch.setattr(sources, "BLOCK", block)
    found = text_statistics(write(tmp_path / "a.txt", b"ok\nbad \xe9t\xe9, \xe2\x82 end"))
    assert found.problem == BadByte(offset=7, line=2, byte=0xE9, count=4)
    assert found.counts[REPLACEMENT] == 3
    assert found.characters == len("ok\nbad ?t?, ? end")


def test_statistics_of_empty_files_and_of_utf_16(tmp_path):
    found = text_statistics(write(tmp_path / "a.txt", b""))
    assert (found.bytes, found.characters, found.lines, found.longest_line) == (0, 0, 0, (0, 1))
    found = text_statistics(write(tmp_path / "a.txt", "abc".encode("utf-16") + b"\x00"), "utf-16")
    assert found.has_bom
    assert found.counts["a"] == 1
    assert found.problem.offset == 8
    with pytest.raises(CorpusError, match="folder"):
        text_statistics(tmp_path)
    with pytest.raises(CorpusError, match="cannot be read"):
        text_statistics(tmp_path / "missing")
