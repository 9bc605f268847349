"""Reads the lines of a stream, however long they are, in blocks of limited size."""

import codecs
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

BLOCK = 1 << 16  # bytes read at a time
LONGEST_PIECE = 2000  # bytes
_LONGEST_CHARACTER = 4  # bytes of UTF-8


class Piece(NamedTuple):
    """A line, or a part of a long one.

    Attributes:
        line: the number of the line, from 1.
        data: its bytes, without the line's end.
        is_last: whether the line ends here.
    """

    line: int
    data: bytes
    is_last: bool


def pieces(stream: BinaryIO, longest: int = LONGEST_PIECE) -> Iterator[list[Piece]]:
    """The lines of a stream, those of a block at a time; a line of more than ``longest`` bytes comes in pieces.

    A line ends with LF or CRLF, or with the stream.  A byte-order mark of UTF-8 at the start is dropped.  No character
    of UTF-8 is cut in two.  What a pipe has is taken as soon as it is there.

    Raises:
        OSError: the stream cannot be read.
    """
    read = getattr(stream, "read1", stream.read)
    held, number, begun, is_open = b"", 1, False, False
    while True:
        data = read(BLOCK)
        if not begun:
            begun = bool(data)
            data = data.removeprefix(codecs.BOM_UTF8)
            if begun and not data:
                continue
        if not data:
            if held or is_open:
                yield [Piece(number, held.removesuffix(b"\r"), True)]
            return
        *whole, held = (held + data).split(b"\n")
        found: list[Piece] = []
        if whole:
            is_open = False
        for line in whole:
            *parts, last = cut(line.removesuffix(b"\r"), longest)
            found += [*(Piece(number, part, False) for part in parts), Piece(number, last, True)]
            number += 1
        while len(held) > longest + 1:  # one more, which may be the CR of the end
            size = _whole(held, longest)
            found.append(Piece(number, held[:size], False))
            held, is_open = held[size:], True
        if found:
            yield found


def cut(line: bytes, longest: int = LONGEST_PIECE) -> Iterator[bytes]:
    """A line in pieces of at most ``longest`` bytes, between which no character of UTF-8 is cut; at least one."""
    while len(line) > longest:
        size = _whole(line, longest)
        yield line[:size]
        line = line[size:]
    yield line


def _whole(data: bytes, size: int) -> int:
    """The largest size up to ``size`` at which no character is cut, where there is a choice."""
    begins = range(size, size - _LONGEST_CHARACTER, -1)
    return next((place for place in begins if data[place] & 0xC0 != 0x80), size)
