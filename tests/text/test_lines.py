"""Lines of files and pipes: any ends, any lengths, hostile bytes, in blocks."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import CorpusError
from charrnn.text.growing_file import Following
from charrnn.text.lines import LONGEST, Line, LineCutter, blocks, opened
from charrnn.text.lines import cut as parts


def cut(data, sizes=(1 << 30,), codec="utf-8", **how):
    """All lines of ``data``, which comes in blocks of ``sizes`` again and again."""
    cutter, lines, start, turn = LineCutter(codec, **how), [], 0, 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        lines += cutter.feed(data[start : start + size])
        start, turn = start + size, turn + 1
    return lines + cutter.feed(b"", final=True)


def texts(lines):
    return [line.text for line in lines]


HOSTILE = (
    "The fox\r\n\r\nsnow ☃ 🦊\n".encode()
    + b"\xff\xfe\x80 \0\0 \x1b[31m\xe2\x98\n"
    + b"x" * (2 * LONGEST)
    + b"\r\n"
    + b"y" * (LONGEST + 1)
    + b"\n\n"
    + b"z" * LONGEST
)


@pytest.mark.parametrize("codec", ["utf-8", "latin-1", "cp1252", None])
@pytest.mark.parametrize("drop_cr", [True, False])
def test_lines_do_not_depend_on_where_blocks_end(rng, codec, drop_cr):
    whole = cut(HOSTILE, codec=codec, drop_cr=drop_cr)
    for sizes in ([LONGEST - 1], [LONGEST], [1000, 7], rng.integers(1, 4000, 50).tolist()):
        assert cut(HOSTILE, sizes, codec, drop_cr=drop_cr) == whole
    small = HOSTILE[:60]
    assert cut(small, [1], codec, drop_cr=drop_cr) == cut(small, codec=codec, drop_cr=drop_cr)


def test_what_the_lines_are():
    lines = cut(HOSTILE, drop_cr=True)
    assert texts(lines[:3]) == ["The fox", "", "snow ☃ 🦊"]
    assert lines[3].text.encode("utf-8", "surrogateescape") == b"\xff\xfe\x80 \0\0 \x1b[31m\xe2\x98"
    assert [(line.number, len(line.text), line.is_ended) for line in lines[4:]] == [
        (5, LONGEST, False),
        (5, LONGEST, False),  # the carriage return is a part of its own
        (5, 0, True),
        (6, LONGEST, False),
        (6, 1, True),
        (7, 0, True),
        (8, LONGEST, True),
    ]
    assert cut(b"a\r\nb\r") == [Line(1, "a\r"), Line(2, "b\r")]
    assert cut(b"a\r\nb\r", drop_cr=True) == [Line(1, "a"), Line(2, "b")]


def test_the_memory_of_a_line_without_end_is_bounded():
    cutter = LineCutter("utf-8")
    for _ in range(40):
        for line in cutter.feed(b"a" * 100_000):
            assert line == Line(1, "a" * LONGEST, False)
        assert len(cutter._rest) <= LONGEST


def test_no_lines_and_a_last_line_without_an_end():
    assert cut(b"") == []
    assert cut(b"\n") == [Line(1, "")]
    assert cut(b"a") == [Line(1, "a")]
    assert cut(b"a\n") == [Line(1, "a")]
    assert cut(b"\xe2\x98", codec="utf-8")[0].text.encode("utf-8", "surrogateescape") == b"\xe2\x98"


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_part_of_the_first_line(codec):
    data = "The fox\nhen".encode("utf-8-sig" if codec == "utf-8" else codec)
    for sizes in ([1], [3], [100]):
        assert texts(cut(data, sizes)) == ["The fox", "hen"]
    assert cut(codecs.BOM_UTF8 + b"a", codec=None) == [Line(1, codecs.BOM_UTF8 + b"a")]


def test_bytes_that_an_encoding_lacks_become_replacement_characters():
    assert texts(cut(b"a\x81b\n", codec="cp1252")) == ["a\ufffdb"]
    assert texts(cut(b"\x00\xd8a\x00", codec="utf-16-le"))[0].startswith("\ufffd")


def test_a_text_that_must_have_a_byte_order_mark_and_has_none():
    with pytest.raises(CorpusError, match=r"a.txt: this is not utf-32 .*: pass another --encoding"):
        LineCutter("utf-32", name="a.txt").feed(b"The fox\n")


def test_files_and_what_is_none(tmp_path):
    file = tmp_path / "a"
    file.write_bytes(b"one\ntwo")
    with opened(str(file)) as (stream, size):
        assert size == 7 and b"".join(blocks(stream, "a")) == b"one\ntwo"
    for name, message in ((tmp_path, "folder"), ("/dev/zero", "device"), (tmp_path / "none", "no such file")):
        with pytest.raises(CorpusError, match=message), opened(str(name)):
            pass
        with pytest.raises(CorpusError, match=message):
            Following(str(name), "utf-8", 10)


# ---- lines of bytes, in short parts


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode), st.integers(1, 30), st.integers(4, 20))
def test_any_bytes_in_any_blocks(data, size, longest):
    lines = cut(data, [size], None, drop_cr=True, longest=longest)
    assert lines == cut(data, codec=None, drop_cr=True, longest=longest)
    assert all(len(line.text) <= longest for line in lines)
    expected = data.split(b"\n")
    assert [line.number for line in lines if line.is_ended] == list(range(1, len(expected) + bool(expected[-1])))
    whole = {number: b"" for number, _, _ in lines}
    for line in lines:
        whole[line.number] += line.text
    assert list(whole.values()) == [line.removesuffix(b"\r") for line in expected if line or line is not expected[-1]]


def test_no_character_is_cut():
    for longest in range(4, 12):
        found = list(parts("aé漢🦊".encode() * 5, longest))
        assert "".join(each.decode() for each in found) == "aé漢🦊" * 5
    assert list(parts(b"\x80" * 9, 4)) == [b"\x80" * 4, b"\x80" * 4, b"\x80"]
    assert list(parts(b"", 4)) == [b""]


class Slow:
    """A pipe that has some bytes at a time."""

    def __init__(self, data, size):
        self.rest, self.size = data, size

    def read1(self, size):
        found, self.rest = self.rest[: self.size], self.rest[self.size :]
        return found

    read = read1


def test_what_a_pipe_has_is_taken_as_soon_as_it_is_there():
    stream = Slow(b"one\ntwo\n", 4)
    assert next(blocks(stream, "it")) == b"one\n"
    assert stream.rest == b"two\n"
