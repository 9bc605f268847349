"""Rows of a text on a screen: lines are wrapped at words, and every character is harmless and has a known width."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from charrnn.display.terminal.text_width import clusters, text_width

TAB = 4  # columns
LONGEST = 2000  # characters of a line that are wrapped together; a longer line has a break there


class Item(NamedTuple):
    """What is shown for a character and the marks on it, in ``width`` columns; ``place`` as in :class:`Row`."""

    shown: str
    width: int
    place: int


class Row(NamedTuple):
    """A row of the screen: characters ``start`` to ``stop`` of the text; a line break behind them is not among them.

    The place of an item in the text is its ``place`` and ``base``; an item of a ghost has the place -1.
    """

    items: tuple[Item, ...]
    start: int
    stop: int
    base: int = 0


class Rows(NamedTuple):
    """Rows around the cursor, and the row and the column of the cursor."""

    rows: list[Row]
    row: int
    column: int


def rows_around(
    text: str, cursor: int, ghost: str, columns: int, height: int, marks: tuple[str, str] = ("", "")
) -> Rows:
    """The rows of a text from ``height`` rows above the cursor to ``height`` below it, if the text has so many.

    ``ghost`` stands behind the cursor and is no part of the text; ``marks`` are put around it.
    """
    first, last = _line(text, cursor)
    items = _items(text[first:cursor], first)
    before = len(items)
    items += _ghost(ghost, marks) + _items(text[cursor:last], cursor)
    own, row, column = _wrapped(items, columns, first, last, before)
    above: list[Row] = []
    start = first
    while start > 0 and row + len(above) < height:
        start, end = _line(text, start - 1) if text[start - 1] == "\n" else (_line(text, start - 1)[0], start)
        above = [*_plain_rows(text[start:end], start, columns), *above]
    below: list[Row] = []
    end = last
    while end < len(text) and len(own) - row + len(below) <= height:
        start_below = end + (text[end] == "\n")
        end = _line(text, start_below)[1]
        below += _plain_rows(text[start_below:end], start_below, columns)
    return Rows([*above, *own, *below], row + len(above), column)


def place_in(row: Row, column: int) -> int:
    """The place in the text that is shown in this column of a row, or the last one of the row."""
    used, place = 0, row.start
    for item in row.items:
        if used + item.width > column and item.place >= 0:
            return item.place + row.base
        used += item.width
        if item.place >= 0:
            place = item.place + row.base + 1
    return min(max(place, row.start), row.stop)


def _line(text: str, place: int) -> tuple[int, int]:
    """Where the line begins and ends that a place is in. A line of more than LONGEST characters is cut into pieces."""
    start = text.rfind("\n", 0, place) + 1
    start += (place - start) // LONGEST * LONGEST
    stop = text.find("\n", place, start + LONGEST)
    return start, min(start + LONGEST, len(text)) if stop < 0 else stop


@lru_cache(maxsize=1024)
def _relative(paragraph: str, columns: int) -> tuple[Row, ...]:
    return tuple(_wrapped(_items(paragraph, 0), columns, 0, len(paragraph), 0)[0])


def _plain_rows(paragraph: str, start: int, columns: int) -> list[Row]:
    """The rows of a line without the cursor."""
    rows = _relative(paragraph, columns)
    return [Row(row.items, row.start + start, row.stop + start, start) for row in rows]


def _items(text: str, start: int) -> list[Item]:
    return [
        Item(each.glyph, -1 if text[each.start] == "\t" else each.width, start + each.start) for each in clusters(text)
    ]


def _ghost(text: str, marks: tuple[str, str]) -> list[Item]:
    shown = [Item(each.glyph, max(each.width, 1), -1) for each in clusters(text)]
    before, after = ([Item(mark, text_width(mark), -1)] * bool(mark) for mark in marks)
    return [*before, *shown, *after] if shown else []


def _wrapped(items: Sequence[Item], columns: int, start: int, stop: int, before: int) -> tuple[list[Row], int, int]:
    """Lay items out in rows. Returns the rows, and the row and the column of the cursor.

    The cursor stands before item number ``before``.

    The last column is left free for a cursor behind the row; a space may stand there.
    """
    width = max(columns - 1, 2)
    groups: list[list[Item]] = [[]]
    used = since = 0  # columns of the row, and items of it up to the last space
    at = [0]  # of each row the number of its first item
    for count, item in enumerate(items):
        if item.width < 0:
            wide = TAB - used % TAB
            item = Item("→" + " " * (wide - 1), wide, item.place)
        row = groups[-1]
        room = width + (item.shown == " ")
        if used + item.width > room and row:
            moved = row[since:] if 0 < since < len(row) and item.shown != " " else []
            if moved:
                del row[since:]
            groups.append(list(moved))
            at.append(count - len(moved))
            used, since = sum(each.width for each in moved), 0
        groups[-1].append(item)
        used += item.width
        if item.shown[:1] in (" ", "→"):
            since = len(groups[-1])
    rows, place = [], start
    for group in groups:
        places = [item.place for item in group if item.place >= 0]
        begin = place
        if places:
            place = max(place, places[-1] + 1)
        rows.append(Row(tuple(group), begin, place))
    # The marks behind the last character of a row belong to it.
    rows = [row._replace(stop=after.start) for row, after in pairwise(rows)] + [rows[-1]._replace(stop=stop)]
    number = max(k for k, first in enumerate(at) if first <= before)
    column = sum(item.width for item in rows[number].items[: before - at[number]])
    return rows, number, min(column, columns - 1)
