"""Lines of files that come in pieces, are hostile, grow, are cut off and replaced."""

import codecs
import os
import threading

import pytest

from charrnn.errors import CorpusError
from charrnn.text.line_cutter import LONGEST, Change, Following, Line, LineCutter, blocks, opened


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


# ---- files that grow


class Reader:
    """Reads what is there of a file that is followed."""

    def __init__(self, path, last=1000, codec="utf-8"):
        self.file = Following(str(path), codec, last)
        self._blocks = self.file.blocks()

    def now(self):
        """The bytes, and the changes, up to the next moment when there is nothing to read."""
        found = []
        while (each := next(self._blocks)) is not Change.IDLE:
            found.append(each)
        return found


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn.text.line_cutter._POLL", 0.001)
    return tmp_path / "log"


@pytest.fixture
def read():
    """Makes readers, and closes their files."""
    made = []

    def make(*arguments):
        made.append(Reader(*arguments))
        return made[-1]

    yield make
    for each in made:
        each.file.close()


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def test_a_file_that_grows(path, read):
    path.write_bytes(b"one\n")
    reader = read(path)
    assert reader.now() == [b"one\n"]
    assert reader.now() == []
    append(path, b"tw")
    append(path, b"o\n")
    assert b"".join(reader.now()) == b"two\n"


def test_a_file_that_is_cut_off(path, read):
    path.write_bytes(b"one\ntwo\n")
    reader = read(path)
    reader.now()
    path.write_bytes(b"x\n")
    assert reader.now() == [Change.CUT, b"x\n"]
    path.write_bytes(b"")
    assert reader.now() == [Change.CUT]


@pytest.mark.parametrize("gone_first", [True, False])
def test_a_file_that_is_replaced(path, gone_first, read):
    path.write_bytes(b"one\n")
    reader = read(path)
    reader.now()
    path.rename(path.with_suffix(".1"))
    append(path.with_suffix(".1"), b"last\n")  # by a program that still has it open
    if gone_first:
        assert reader.now() == [b"last\n"]
        assert reader.now() == []
    path.write_bytes(b"new\n")
    assert reader.now() == [*([] if gone_first else [b"last\n"]), Change.REPLACED, b"new\n"]


def test_a_folder_in_its_place_is_not_read(path, read):
    path.write_bytes(b"one\n")
    reader = read(path)
    path.unlink()
    path.mkdir()
    assert reader.now() == [b"one\n"]
    assert reader.now() == []


@pytest.mark.parametrize("last", [1, 2, 5, 99])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_it_begins_with_the_last_lines(path, last, end, read):
    lines = [b"line %d" % number for number in range(1, 21)]
    path.write_bytes(b"\n".join(lines) + end)
    reader = read(path, last)
    assert reader.file.first == max(21 - last, 1)
    assert b"".join(reader.now()) == b"\n".join(lines[-last:]) + end


def test_far_back_it_begins_with_a_whole_line(path, monkeypatch, read):
    monkeypatch.setattr("charrnn.text.line_cutter._BACK", 50)
    path.write_bytes(b"".join(b"line %02d\n" % number for number in range(1, 21)))
    reader = read(path)
    assert b"".join(reader.now()) == b"".join(b"line %02d\n" % number for number in range(15, 21))
    assert reader.file.first == 15


def test_an_empty_file_and_wide_encodings_are_read_from_the_start(path, read):
    path.write_bytes(b"")
    assert read(path).now() == []
    path.write_bytes("one\ntwo\n".encode("utf-16"))
    reader = read(path, 1, "utf-16")
    assert reader.file.first == 1 and reader.now() == [path.read_bytes()]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_read_to_its_end(path):
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"one\ntwo\n",))
    writer.start()
    file = Following(str(path), "utf-8", 1)
    assert not file.grows and b"".join(file.blocks()) == b"one\ntwo\n"
    writer.join()
    file.close()
