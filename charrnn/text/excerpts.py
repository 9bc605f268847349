"""Takes a part of a long file from all over it."""

from pathlib import Path

from charrnn.errors import CorpusError, os_errors_as
from charrnn.system.files import open_regular

_STRETCH = 5000  # bytes


def excerpt(path: Path, size: int) -> list[bytes]:
    """Stretches of a file, spread evenly over it, of ``size`` bytes together; all of a file that is not larger.

    A stretch begins and ends with a line, or within one that is longer than half a stretch.  So they are a little
    smaller together.

    Raises:
        CorpusError: the file cannot be read.
    """
    with os_errors_as(CorpusError, f"{path}: cannot be read"), open_regular(path) as file:
        whole = file.seek(0, 2)
        if whole <= size:
            file.seek(0)
            return _stretches(file.read(size))
        count = max(1, size // _STRETCH)
        found = []
        for number in range(count):
            file.seek(number * (whole - _STRETCH) // max(count - 1, 1))
            data = file.read(min(_STRETCH, size))
            if number:
                data = _after_line(data)
            found.append(_before_line(data))
        return found


def _stretches(data: bytes) -> list[bytes]:
    """A whole text in stretches that end with a line."""
    found = []
    while data:
        stretch = data if len(data) <= _STRETCH else _before_line(data[:_STRETCH])
        found.append(stretch)
        data = data[len(stretch) :]
    return found


def _after_line(data: bytes) -> bytes:
    """The data from behind the first line end on, if that is in the first half; else from the first character on."""
    place = data.find(b"\n", 0, len(data) // 2)
    if place >= 0:
        return data[place + 1 :]
    return data[next((k for k in range(min(4, len(data))) if data[k] & 0xC0 != 0x80), 0) :]


def _before_line(data: bytes) -> bytes:
    """The data up to the last line end, if that is in the second half; else all but a character that is cut."""
    place = data.rfind(b"\n", len(data) // 2)
    if place >= 0:
        return data[: place + 1]
    ends = range(len(data) - 1, max(len(data) - 4, 0), -1)
    start = next((k for k in ends if data[k] & 0xC0 != 0x80), len(data))
    lengths = {0xC0: 2, 0xD0: 2, 0xE0: 3, 0xF0: 4}
    wanted = lengths.get(data[start] & 0xF0, 1) if start < len(data) else 1
    return data if start + wanted <= len(data) or start == len(data) else data[:start]
