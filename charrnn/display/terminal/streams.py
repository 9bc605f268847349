"""Text streams: one writes exactly, for files and pipes; the other replaces characters that its encoding lacks."""

import codecs
import errno
import io
from typing import Any, TextIO

_BRAILLE = "".join(map(chr, range(0x2801, 0x2900)))  # dots of a curve
_PLAIN = str.maketrans(
    "─╸–│▏┤└┼★✓■▁▂▃▄▅▆▇█━●▌×·…↵→␣" + _BRAILLE,
    "---||+++***_.:-=+*#=o#x,.$>_" + "*" * len(_BRAILLE),
)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Replace each character that an encoding lacks by one ASCII character, so columns do not shift."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(character if character.isascii() else "?" for character in text), error.end


codecs.register_error("charrnn.plain", _plain)


class _Stream:
    """A text stream on top of another one, which does everything except writing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class ClosedStream(io.StringIO):
    """Stands for a stream that was closed when the process began: what is written to it would be lost."""

    def write(self, text: str) -> int:
        """Refuse to write.

        Raises:
            OSError: always.
        """
        raise OSError(errno.EBADF, "it is closed", "standard output")


class FallbackStream(_Stream):
    """A text stream that writes an ASCII character for each character that its encoding lacks."""

    def write(self, text: str) -> int:
        """Write ``text``. It never raises UnicodeEncodeError."""
        encoding = self._stream.encoding or "utf-8"
        return self._stream.write(text.encode(encoding, "charrnn.plain").decode(encoding))


class ExactStream(_Stream):
    """A text stream that writes UTF-8, whatever the locale says, and does not translate line feeds."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Write ``text``. Lone surrogates that stand for bytes become those bytes; the others become ``?``."""
        try:
            # Python reads bytes of file names and arguments that are not UTF-8 as surrogates: write the same bytes.
            data = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            data = text.encode("utf-8", "replace")
        self.write_bytes(data)
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write ``data`` unchanged."""
        binary = getattr(self._stream, "buffer", None)
        if binary is None:  # a text-only stream in memory
            self._stream.write(data.decode("utf-8", "replace"))
        else:
            # Text printed earlier must come first.
            self._stream.flush()
            rest = memoryview(data)
            while rest:  # without a buffer (PYTHONUNBUFFERED) a write may take a part only
                rest = rest[binary.write(rest) or 0 :]
