"""The two ways of writing text: exactly, into a file or a pipe, or as well as an encoding allows."""

import codecs
from typing import Any, TextIO

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("─╸–", "-"),
        **dict.fromkeys("│▏", "|"),
        **dict.fromkeys("┤└┼", "+"),
        **dict.fromkeys("★✓■", "*"),
        **dict.fromkeys(map(chr, range(0x2801, 0x2900)), "*"),  # braille dots of a curve
        **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
        "━": "=",
        "●": "o",
        "▌": "#",
        "×": "x",
        "·": ",",
        "…": ".",
        "↵": "$",
        "→": ">",
        "␣": "_",
    }
)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding does not have by one ASCII character each: columns do not shift."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(character if character.isascii() else "?" for character in text), error.end


codecs.register_error("charrnn.plain", _plain)


class Degrading:
    """A text stream that shows what its encoding has and an ASCII stand-in for what it has not."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text``; never a UnicodeEncodeError."""
        encoding = self._stream.encoding or "utf-8"
        return self._stream.write(text.encode(encoding, "charrnn.plain").decode(encoding))


class Exact:
    """A text stream that is UTF-8 whatever the locale says, and leaves line feeds alone."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text``. Lone surrogates that stand for bytes become those bytes, others ``?``."""
        try:
            # Bytes of a file name or an argument that are not UTF-8 come out as they came in.
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = text.encode("utf-8", "replace")
        self.write_bytes(data)
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write ``data`` as they are."""
        binary = getattr(self._stream, "buffer", None)
        if binary is None:  # a stream in memory that knows text only
            self._stream.write(data.decode("utf-8", "replace"))
        else:
            # What was printed before stands before.
            self._stream.flush()
            binary.write(data)
