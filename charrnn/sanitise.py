"""Untrusted text made harmless where it is shown: in a terminal, a drawing, a page.

Text from a model, a corpus, a file name or a checkpoint may hold escape sequences, which retitle the window, write the
clipboard or send input in the user's name, and bidi controls, which make one line look like another. A terminal never
receives these characters. Each is *shown* as one visible character: columns do not shift, and the reader sees that
something was there. Each character is judged alone, so the result does not depend on where a stream is cut.
"""

import json
import re
from functools import lru_cache

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Invisible characters. Arabic, Syriac and Kaithi signs, which are format characters (Cf) too, are visible and stay.
_INVISIBLE = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180E, 0x180E),  # Mongolian vowel separator
    (0x200B, 0x200F),  # zero-width space, joiners, direction marks
    (0x2028, 0x202E),  # line and paragraph separators, bidi embeddings and overrides
    (0x2060, 0x206F),  # word joiner, invisible operators, bidi isolates, deprecated controls
    (0x3164, 0x3164),  # Hangul filler
    (0xFEFF, 0xFEFF),  # byte-order mark
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xFFF0, 0xFFFB),  # unassigned ignorables, interlinear annotation
    (0x13430, 0x1343F),  # Egyptian hieroglyph layout
    (0x1BCA0, 0x1BCA3),  # shorthand layout
    (0x1D173, 0x1D17A),  # musical layout
    (0xE0000, 0xE00FF),  # tags
    (0xE01F0, 0xE0FFF),  # unassigned ignorables
)
_NONCHARACTERS = (
    (0xFDD0, 0xFDEF),
    *((plane | 0xFFFE, plane | 0xFFFF) for plane in range(0, 0x110000, 0x10000)),
)
_C1 = (0x0080, 0x009F)
_SURROGATES = (0xD800, 0xDFFF)

_CONTROL_PICTURES = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {"\x7f": "\u2421"}


@lru_cache(maxsize=16)
def _hostile(keep: str) -> re.Pattern[str]:
    """A pattern for one character that must not reach a terminal; ``keep`` lists exceptions."""
    ranges = ((0x00, 0x1F), (0x7F, 0x7F), _C1, _SURROGATES, *_INVISIBLE, *_NONCHARACTERS)
    members = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
    kept = "".join(f"(?!\\U{ord(character):08x})" for character in keep)
    return re.compile(f"{kept}[{members}]")


def _picture(match: re.Match[str]) -> str:
    return _CONTROL_PICTURES.get(match[0], REPLACEMENT)


def visible(text: str, keep: str = "\n\t") -> str:
    """Replace every character that could act on a terminal, or hide in it, by a visible one.

    It replaces the controls C0, DEL and C1, bidi controls, zero-width and other invisible format characters, line and
    paragraph separators, lone surrogates and noncharacters. C0 and DEL become their control pictures (ESC is shown as
    ␛), the others U+FFFD. The result has as many characters as ``text``. Characters in ``keep`` pass: whoever keeps
    ``"\\r"`` must make sure that overwriting is harmless.
    """
    return _hostile(keep).sub(_picture, text)


def escaped(line: str) -> str:
    r"""A JSON ``line`` with ``\uXXXX`` for each character that `visible` would replace: harmless, same value."""
    return _hostile("").sub(lambda match: json.dumps(match[0])[1:-1], line)
