"""Text streams: what is written arrives whole."""

import io

from charrnn.display.terminal.streams import ExactStream


class Trickle(io.RawIOBase):
    """A raw stream that takes at most three bytes at a time, as a nearly full disk or a pipe may."""

    def __init__(self):
        self.taken = b""

    def writable(self):
        return True

    def write(self, data):
        part = bytes(data[:3])
        self.taken += part
        return len(part)


class Unbuffered:
    """Standard output under PYTHONUNBUFFERED: its ``buffer`` is a raw stream."""

    def __init__(self):
        self.buffer = Trickle()

    def flush(self):
        pass


def test_an_unbuffered_stream_gets_every_byte():
    stream = Unbuffered()
    ExactStream(stream).write("Füchse, eight words\n" * 3)
    assert stream.buffer.taken == ("Füchse, eight words\n" * 3).encode()
