"""How wide text is on a terminal, and fitting it into a width.

A cell is the place of one Latin letter. Chinese, Japanese and Korean characters and emoji take two, combining
marks none. Everything here makes its text harmless first, so what is measured is what is shown.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import get_character_cell_size

from charrnn.display.sanitise import visible

TAB = 8
CARRIER = "\N{DOTTED CIRCLE}"

# Terminals disagree about what these two do to the width of the character before them.
_PRESENTATION = str.maketrans("", "", "\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}")


@lru_cache(maxsize=8192)
def width(character: str) -> int:
    """Cells taken by ``character`` (or by several) in its visible form."""
    return sum(map(get_character_cell_size, visible(character, "")))


def text_width(text: str) -> int:
    """Cells taken by one line of text in its visible form."""
    return len(text) if text.isascii() else sum(map(width, text))


def plain(text: str, keep: str = "") -> str:
    """The visible form of ``text`` without presentation selectors: what can be laid out in cells."""
    return visible(text, keep).translate(_PRESENTATION)


def clip(text: str, limit: int) -> str:
    """One line of at most ``limit`` cells; a cut is marked by an ellipsis."""
    text = plain(text)
    if text_width(text) <= limit:
        return text
    return _head(text, limit - 1) + "…" if limit > 0 else ""


def pad(text: str, size: int, right: bool = False) -> str:
    """``text`` filled up with spaces to ``size`` cells, on the left if it is to stand at the ``right``."""
    fill = " " * (size - text_width(text))
    return fill + text if right else text + fill


def wrap(text: str, limit: int) -> list[str]:
    """Lines of at most ``limit`` cells: line breaks stay, tabs become spaces, words are whole if they fit.

    Spaces are part of the text and are kept, except those that a break falls on.
    """
    limit = max(limit, 2)  # a wide character needs two
    lines = []
    for paragraph in plain(text, "\n\t").split("\n"):
        lines += _wrap_paragraph(_spaces_for_tabs(paragraph), limit)
    return lines


def _wrap_paragraph(paragraph: str, limit: int) -> list[str]:
    lines, line, used = [], "", 0
    for word in re.findall(r" +|[^ ]+", paragraph):
        size = text_width(word)
        if used + size > limit:
            # An indent that leaves no room for its word is given up.
            if line.strip(" "):
                lines.append(line.rstrip(" "))
            line, used = "", 0
            if word.isspace():
                continue
        while size > limit:
            head = _head(word, limit)
            lines.append(head)
            word = word[len(head) :]
            size = text_width(word)
        line, used = line + word, used + size
    return [*lines, line] if line or not lines else lines


def _head(text: str, limit: int) -> str:
    """The longest beginning of ``text`` that fits, with the marks that belong to its last character."""
    used = 0
    for position, character in enumerate(text):
        used += width(character)
        if used > limit:
            return text[:position]
    return text


def _spaces_for_tabs(line: str) -> str:
    if "\t" not in line:
        return line
    parts = line.split("\t")
    result = parts[0]
    for part in parts[1:]:
        result += " " * (TAB - text_width(result) % TAB) + part
    return result


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is shown in one place, for the characters ``start`` to ``stop`` of a text.

    ``glyph`` takes ``cells`` cells. ``ends_line`` is True for a line feed, shown as ↵.
    """

    glyph: str
    cells: int
    start: int
    stop: int
    ends_line: bool = False


def glyph(character: str, space: str = " ") -> str:
    """One character as it stands alone in a grid: ↵ a line feed, → a tab, a mark on a dotted circle."""
    if character == "\n":
        return "↵"
    if character == "\t":
        return "→"
    if character == " ":
        return space
    shown = plain(character)
    return shown if not shown or width(shown) else CARRIER + shown


def clusters(text: str) -> list[Cluster]:
    """Cut ``text`` into what is shown in one place: a character and the zero-width marks after it."""
    found: list[Cluster] = []
    for position, character in enumerate(text):
        follows = found and not found[-1].ends_line and text[position - 1] != "\t"
        if follows and not width(character):
            last = found[-1]
            found[-1] = Cluster(last.glyph + plain(character), last.cells, last.start, position + 1)
        else:
            shown = glyph(character)
            found.append(Cluster(shown, text_width(shown), position, position + 1, character == "\n"))
    return found
