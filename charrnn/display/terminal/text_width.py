"""How many terminal columns a text takes, and fitting text into a width.

A Latin letter takes one column. Chinese, Japanese and Korean characters and emoji take two, combining marks none.
Every function first makes its text harmless, so the text that is measured is the text that is shown.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import get_character_cell_size

from charrnn.sanitise import visible

TAB = 8
CARRIER = "\N{DOTTED CIRCLE}"

# Terminals disagree about the width of a character that one of these two follows.
_PRESENTATION = str.maketrans("", "", "\N{VARIATION SELECTOR-15}\N{VARIATION SELECTOR-16}")


@lru_cache(maxsize=8192)
def _character_width(character: str) -> int:
    return get_character_cell_size(visible(character, ""))


def text_width(text: str) -> int:
    """Columns taken by one line of text in its visible form."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def plain(text: str, keep: str = "") -> str:
    """The visible form of ``text`` without presentation selectors, whose width is known."""
    return visible(text, keep).translate(_PRESENTATION)


def clip(text: str, limit: int) -> str:
    """One line of at most ``limit`` columns; an ellipsis marks a cut."""
    text = plain(text)
    if text_width(text) <= limit:
        return text
    return _head(text, limit - 1) + "…" if limit > 0 else ""


def pad(text: str, size: int, right: bool = False) -> str:
    """``text`` filled with spaces to ``size`` columns; with ``right`` the text stands at the right."""
    fill = " " * (size - text_width(text))
    return fill + text if right else text + fill


def wrap(text: str, limit: int, most: int | None = None, *, whole_words: bool = False) -> list[str]:
    """Lines of at most ``limit`` columns: line breaks stay, tabs become spaces, words that fit stay whole.

    Spaces are part of the text and are kept, except at a break. Of more than ``most`` lines the rest is cut off, and an
    ellipsis marks the cut. With ``whole_words`` words that do not fit stay whole too, in longer lines.
    """
    width = max(limit, 2)  # a wide character needs two columns
    lines = []
    for paragraph in plain(text, "\n\t").split("\n"):
        lines += _wrap_paragraph(_spaces_for_tabs(paragraph), width, whole_words)
    if most is not None and len(lines) > most:
        cut = lines[most - 1]
        lines[most - 1 :] = [clip(f"{cut} …" if cut else "…", limit)]
    return lines


def cuts(line: str, limit: int) -> list[int]:
    """Where to cut a ``line`` in its visible form, so that each part has at most ``limit`` columns."""
    found, rest, width = [], line, max(limit, 2)
    while text_width(rest) > width:
        rest = rest[len(_head(rest, width)) :]
        found.append(len(line) - len(rest))
    return found


def _wrap_paragraph(paragraph: str, limit: int, whole_words: bool) -> list[str]:
    lines, line, used = [], "", 0
    for word in re.findall(r" +|[^ ]+", paragraph):
        size = text_width(word)
        if used + size > limit:
            # An indent that leaves no room for its word is dropped.
            if line.strip(" "):
                lines.append(line.rstrip(" "))
            line, used = "", 0
            if word.isspace():
                continue
        while size > limit and not whole_words:
            head = _head(word, limit)
            lines.append(head)
            word = word[len(head) :]
            size = text_width(word)
        line, used = line + word, used + size
    return [*lines, line] if line or not lines else lines


def _head(text: str, limit: int) -> str:
    """The longest beginning of ``text`` that fits, with the combining marks of its last character."""
    used = 0
    for position, character in enumerate(text):
        used += _character_width(character)
        if used > limit:
            return text[:position]
    return text


def _spaces_for_tabs(line: str) -> str:
    first, *parts = line.split("\t")
    for part in parts:
        first += " " * (TAB - text_width(first) % TAB) + part
    return first


@dataclass(frozen=True, slots=True)
class Cluster:
    """The characters ``start`` to ``stop`` of a text that share one place: a character and its combining marks.

    ``glyph`` is shown for them and takes ``width`` columns. ``ends_line`` is True for a line feed, shown as ↵.
    """

    glyph: str
    width: int
    start: int
    stop: int
    ends_line: bool = False


def glyph(character: str, space: str = " ") -> str:
    """One character as it stands alone in a grid: ↵ for a line feed, → for a tab, a mark on a dotted circle."""
    if character in ("\n", "\t", " "):
        return {"\n": "↵", "\t": "→", " ": space}[character]
    shown = plain(character)
    return shown if not shown or text_width(shown) else CARRIER + shown


def clusters(text: str) -> list[Cluster]:
    """Cut ``text`` into clusters: each character with the zero-width marks after it."""
    found: list[Cluster] = []
    for position, character in enumerate(text):
        follows = found and not found[-1].ends_line and text[position - 1] != "\t"
        if follows and not _character_width(character):
            last = found[-1]
            found[-1] = Cluster(last.glyph + plain(character), last.width, last.start, position + 1)
        else:
            shown = glyph(character)
            found.append(Cluster(shown, text_width(shown), position, position + 1, character == "\n"))
    return found
