"""Places of a text below each other, each in its context."""

from collections.abc import Sequence

from rich.text import Text

from charrnn.display.terminal.colours import Depth
from charrnn.display.terminal.text_width import glyph, text_width

_BEFORE = 0.4  # of the room that a span leaves, for what stands before it


def moment_rows(
    labels: Sequence[str],
    contexts: Sequence[tuple[str, str, str]],
    *,
    width: int,
    depth: Depth = Depth.TRUECOLOUR,
) -> list[Text]:
    """A line for each place: its label, and of its context (before, span, behind) what fits; the spans are marked.

    A span that does not fit loses its middle. Without colour, a line of ^ under each marks it.
    """
    margin = max(map(text_width, labels), default=0) + 2
    room = max(width - margin, 20)
    longest = max((_cells(_shown(span)) for _, span, _ in contexts), default=0)
    span_room = min(longest, max(room // 2, 10))
    before_room = int(_BEFORE * (room - span_room))
    lines = []
    for label, (before, span, behind) in zip(labels, contexts, strict=True):
        left = _last(_shown(before), before_room)
        middle = _middle(_shown(span), span_room)
        right = _first(_shown(behind), room - before_room - _cells(middle))
        fill = before_room - _cells(left)
        line = Text.assemble(label.ljust(margin), " " * fill, ("".join(left), "dim"))
        line.append("".join(middle), style="bold" if depth == Depth.NONE else "bold reverse")
        line.append("".join(right), style="dim")
        lines.append(line)
        if depth == Depth.NONE:
            lines.append(Text(" " * (margin + before_room) + "^" * _cells(middle)))
    return lines


def _shown(text: str) -> list[str]:
    return [glyph(character) for character in text]


def _cells(glyphs: list[str]) -> int:
    return sum(map(text_width, glyphs))


def _first(glyphs: list[str], room: int) -> list[str]:
    taken, used = [], 0
    for shown in glyphs:
        used += text_width(shown)
        if used > room:
            break
        taken.append(shown)
    return taken


def _last(glyphs: list[str], room: int) -> list[str]:
    return _first(glyphs[::-1], room)[::-1]


def _middle(glyphs: list[str], room: int) -> list[str]:
    if _cells(glyphs) <= room:
        return glyphs
    tail = _last(glyphs, (room - 1) // 2)
    return [*_first(glyphs, room - 1 - _cells(tail)), "…", *tail]
