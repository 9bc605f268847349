"""Similar places of a text, one line each, with their context."""

from collections.abc import Sequence

from rich.text import Text

from charrnn.display.terminal.colours import Depth, Look
from charrnn.display.terminal.heatmap import LEAST, room_beside
from charrnn.display.terminal.text_width import glyph, text_width

_BEFORE = 0.4  # of the room beside the span, for the text before it


def place_rows(labels: Sequence[str], contexts: Sequence[tuple[str, str, str]], look: Look) -> list[Text]:
    """A line for each place: its label, and as much of its context (before, span, behind) as fits.

    The span is highlighted, and loses its middle if it does not fit. Without colours, a line of ^ underlines it. In a
    narrow terminal a label stands above its context.
    """
    margin, beside = max(map(text_width, labels), default=0) + 2, True
    if look.width - margin < LEAST:
        margin, beside = 2, False
    room = room_beside(margin, look.width)
    longest = max((_width(_glyphs(span)) for _, span, _ in contexts), default=0)
    span_room = min(longest, max(room // 2, 10))
    before_room = int(_BEFORE * (room - span_room))
    lines = []
    for label, (before, span, behind) in zip(labels, contexts, strict=True):
        left = _last(_glyphs(before), before_room)
        middle = _ends(_glyphs(span), span_room)
        right = _first(_glyphs(behind), room - before_room - _width(middle))
        if not beside:
            lines.append(Text(label.strip()))
        line = Text.assemble(
            (label if beside else "").ljust(margin), " " * (before_room - _width(left)), ("".join(left), "dim")
        )
        line.append("".join(middle), style="bold" if look.depth == Depth.NONE else "bold reverse")
        line.append("".join(right), style="dim")
        lines.append(line)
        if look.depth == Depth.NONE:
            lines.append(Text(" " * (margin + before_room) + "^" * _width(middle)))
    return lines


def _glyphs(text: str) -> list[str]:
    return [glyph(character) for character in text]


def _width(glyphs: list[str]) -> int:
    return sum(map(text_width, glyphs))


def _first(glyphs: list[str], room: int) -> list[str]:
    used = 0
    for count, shown in enumerate(glyphs):
        used += text_width(shown)
        if used > room:
            return glyphs[:count]
    return glyphs


def _last(glyphs: list[str], room: int) -> list[str]:
    return _first(glyphs[::-1], room)[::-1]


def _ends(glyphs: list[str], room: int) -> list[str]:
    """The beginning and the end of ``glyphs`` around an ellipsis, if they do not fit."""
    if _width(glyphs) <= room:
        return glyphs
    tail = _last(glyphs, (room - 1) // 2)
    return [*_first(glyphs, room - 1 - _width(tail)), "…", *tail]
