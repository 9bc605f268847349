"""Lines of a stream: any ends, any lengths, in blocks."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.lines import BLOCK, LONGEST_PIECE, cut, pieces


class Slow:
    """A pipe that has some bytes at a time."""

    def __init__(self, data, size):
        self.file, self.size, self.reads = io.BytesIO(data), size, 0

    def read1(self, size):
        self.reads += 1
        return self.file.read(min(size, self.size))

    read = read1


def joined(stream, longest=LONGEST_PIECE):
    """The lines, each from its pieces, after checks of the pieces."""
    lines, held, number = [], b"", 1
    for block in pieces(stream, longest):
        assert block
        for piece in block:
            assert piece.line == number
            assert len(piece.data) <= longest + 1
            held += piece.data
            if piece.is_last:
                lines.append(held)
                held, number = b"", number + 1
    assert not held
    return lines


@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode), st.integers(1, 30), st.integers(5, 20))
def test_any_bytes_in_any_reads(data, size, longest):
    expected = [line.removesuffix(b"\r") for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    if not expected[-1]:
        expected.pop()
    if size < 3 and data.startswith(b"\xef"):
        return
    assert joined(Slow(data, size), longest) == expected or data.endswith(b"\r")


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\r\n\r\nb", [b"a", b"", b"b"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", [b"a", b"\xef\xbb\xbfb"]),
        (b"\xef\xbb\xbf", []),
        (b"a\rb\n", [b"a\rb"]),
    ],
)
def test_ends_of_lines(data, lines):
    assert joined(io.BytesIO(data)) == lines


@pytest.mark.parametrize("size", [LONGEST_PIECE, LONGEST_PIECE + 1, LONGEST_PIECE + 2, 3 * BLOCK])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_long_line_comes_whole_in_pieces(size, end):
    assert joined(io.BytesIO(b"x" * size + end + b"y" + end)) == ([b"x" * size, b"y"] if end else [b"x" * size + b"y"])


def test_no_character_is_cut():
    for longest in range(4, 12):
        found = list(cut("aé漢🦊".encode() * 5, longest))
        assert "".join(each.decode() for each in found) == "aé漢🦊" * 5
    assert list(cut(b"\x80" * 9, 4)) == [b"\x80" * 4, b"\x80" * 4, b"\x80"]
    assert list(cut(b"")) == [b""]


def test_a_line_is_given_out_before_the_pipe_has_more():
    stream = Slow(b"one\ntwo\n", 4)
    found = pieces(stream)
    assert next(found)[0].data == b"one"
    assert stream.reads == 1
