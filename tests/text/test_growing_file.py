"""Files that grow while they are read, are cut off and replaced."""

import os
import threading

import pytest

from charrnn.text.growing_file import Change, Following


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
    monkeypatch.setattr("charrnn.text.growing_file._POLL", 0.001)
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
    monkeypatch.setattr("charrnn.text.growing_file._BACK", 50)
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
