"""Names beside values, and tables: aligned lines of untrusted text and numbers.

Where a table is wider than the terminal nothing of it is left out. Its lines are folded, and in a very narrow terminal
each row becomes a block of names and values.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from numbers import Integral, Real

from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.text_width import cuts, pad, plain, text_width, wrap

TableCell = str | int | float | Text | None
"""What a table shows in one place. None is shown as a dash."""

_GAP = 2  # columns between two columns of a table; one where there is little room
_LAYOUTS = ((_GAP, False), (_GAP, True), (1, True))  # the gap, and whether headings wrap: the best first
_LEAST = 16  # columns that a column which wraps needs; with less room it stands under its row
_LEAST_VALUE = 12  # columns that a value beside its name needs; with less room it stands under its name


def key_values(
    pairs: Iterable[tuple[str, TableCell]], width: int | None = None, *, whole_words: bool = False
) -> list[Text]:
    """Lines of a dim name and its value, the values in one column. Long values wrap within ``width``.

    Where few columns remain beside the names, a value that does not fit there stands under its name. With
    ``whole_words`` a word that is longer than the width goes beyond it.
    """
    named = [(plain(name), _text(value)) for name, value in pairs]
    indent = max((text_width(name) for name, _ in named), default=0) + _GAP
    if width is None or width - indent >= _LEAST_VALUE:
        room = None if width is None else width - indent
        folded = [(pad(name, indent), _folded(value, room, whole_words)) for name, value in named]
        return [line for name, values in folded for line in hanging(name, values, "dim")]
    lines = []
    for name, value in named:
        beside = Text.assemble((f"{name}  " if name else "", "dim"), value)
        if name and text_width(beside.plain) > width:
            lines += [*paragraph(name, width, "dim"), *hanging(" ", _folded(value, width - 1, whole_words))]
        else:
            lines += _folded(beside, width, whole_words)
    return lines


def paragraph(sentence: str, width: int, style: str = "") -> list[Text]:
    """A sentence or a title in as many lines of ``width`` columns as it needs."""
    return [Text(line, style=style) for line in wrap(sentence, width)]


def copyable(title: str, commands: Iterable[str], width: int) -> list[Text]:
    """A title, and commands under it, each in one line: a command that is broken into lines cannot be copied."""
    return [*paragraph(title, width), *(Text(f"  {plain(command)}") for command in commands)]


def phrases(parts: Sequence[Text], width: int, indent: str = "", gap: str = "   ") -> list[Text]:
    """Short ``parts`` with a ``gap`` between them, in lines of ``width`` columns that begin with ``indent``."""
    lines: list[Text] = []
    for part in parts:
        if lines and lines[-1].cell_len + len(gap) + part.cell_len <= width:
            lines[-1] = Text.assemble(lines[-1], gap, part)
        else:
            lines.append(Text.assemble(indent, part))
    return lines


def hanging(label: str, lines: Sequence[Text | str], style: str = "") -> list[Text]:
    """``label`` in ``style`` before the first of ``lines``, and an indent of the same width before the others."""
    first, *others = lines
    indent = " " * text_width(label)
    return [Text.assemble((label, style), first), *(Text.assemble(indent, other) for other in others)]


def table(columns: Sequence[str], rows: Iterable[Sequence[TableCell]], width: int | None = None) -> list[Text]:
    """A header, a rule and a line for each row. Numbers are right-aligned: integers as 12,345, floats as 1.2345.

    A `Text` keeps its styles (a bar, a heat map). If the lines exceed ``width``, the last column wraps; else its
    values stand under their rows; else each row is a block of names and values. Headings wrap, and columns move closer.
    """
    made = _Table(columns, rows)
    for gap, folds in _LAYOUTS:
        sizes = made.sizes(folds)
        if width is None or _total(sizes, gap) <= width:
            return made.grid(sizes, gap)
        room = width - _total(sizes[:-1], gap) - gap
        if room >= _LEAST and made.last_wraps:
            return made.grid([*sizes[:-1], room], gap)
    for gap, folds in _LAYOUTS:
        sizes = made.sizes(folds)
        if len(sizes) > 2 and _total(sizes[:-1], gap) <= width:
            return made.with_last_under(sizes, gap, width)
    return made.blocks(width)


class _Table:
    """Headings and rows, and the ways to lay them out."""

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[TableCell]]) -> None:
        rows = [list(row) for row in rows]
        self._heads = [plain(column) for column in columns]
        self._body = [[_text(value) for value in row] for row in rows]
        self._right = [
            bool(rows) and all(row[place] is None or isinstance(row[place], Real) for row in rows)
            for place in range(len(columns))
        ]

    @property
    def last_wraps(self) -> bool:
        """Whether the last column has words between which it can be broken, and no colours."""
        return any(" " in row[-1].plain for row in self._body) and not any(row[-1].spans for row in self._body)

    def sizes(self, folds: bool) -> list[int]:
        """The columns' widths: of the longest value, or of the heading; of its longest word where headings wrap."""
        heads = [(head.split() if folds else []) or [head] for head in self._heads]
        values = [[row[place].plain for row in self._body] for place in range(len(heads))]
        return [max(map(text_width, [*words, *column])) for words, column in zip(heads, values, strict=True)]

    def grid(self, sizes: Sequence[int], gap: int) -> list[Text]:
        """A line for each row, in which the last column wraps within its width."""
        lines = [*self._header(sizes, gap), Text("─" * _total(sizes, gap), style="dim")]
        for row in self._body:
            first, *others = _folded(row[-1], sizes[-1])
            lines.append(_line([*row[:-1], first], sizes, self._right, gap))
            lines += [_line([*[Text()] * (len(row) - 1), other], sizes, self._right, gap) for other in others]
        return lines

    def with_last_under(self, sizes: Sequence[int], gap: int, width: int) -> list[Text]:
        """A line for each row without its last column, whose value stands in lines of its own under the row."""
        indent = " " * min(sizes[0] + gap, max(width - _LEAST, 0))
        lines = self._header(sizes[:-1], gap)
        if self._heads[-1].strip():
            lines.append(Text(indent + self._heads[-1].strip(), style="dim"))
        longest = max(_total(sizes[:-1], gap), len(indent) + sizes[-1])
        lines.append(Text("─" * min(longest, width), style="dim"))
        for row in self._body:
            lines.append(_line(row[:-1], sizes[:-1], self._right[:-1], gap))
            if row[-1].plain.strip():
                lines += hanging(indent, _folded(row[-1], width - len(indent)))
        return lines

    def blocks(self, width: int) -> list[Text]:
        """A rule for each row, and under it the names and values that the row has."""
        lines = []
        for row in self._body:
            pairs = [(head.strip(), value) for head, value in zip(self._heads, row, strict=True) if value.plain.strip()]
            lines += [Text("─" * width, style="dim"), *key_values(pairs, width)]
        return lines

    def _header(self, sizes: Sequence[int], gap: int) -> list[Text]:
        """The headings, in as many lines as they need."""
        heads = [wrap(head, size) for head, size in zip(self._heads, sizes, strict=False)]
        lines = [
            _line(list(map(Text, row)), sizes, self._right[: len(sizes)], gap)
            for row in zip_longest(*heads, fillvalue="")
        ]
        for line in lines:
            line.stylize("dim")
        return lines


def _total(sizes: Sequence[int], gap: int) -> int:
    return sum(sizes) + gap * max(len(sizes) - 1, 0)


def _text(value: TableCell) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("–")
    if isinstance(value, Integral) and not isinstance(value, bool):
        return Text(numbers.count(int(value)))
    if isinstance(value, Real) and not isinstance(value, bool):
        return Text(f"{float(value):.4f}")
    return Text(plain(str(value)))


def _folded(text: Text, width: int | None, whole_words: bool = False) -> list[Text]:
    """The lines of a value. Words stay whole, but a value with colours is cut just where the width ends."""
    if width is None or text_width(text.plain) <= width:
        return [text]
    if text.spans and not whole_words:
        return list(text.divide(cuts(text.plain, width)))
    return [Text(line, text.style) for line in wrap(text.plain, width, whole_words=whole_words)]


def _line(cells: Sequence[Text], sizes: Sequence[int], right: Sequence[bool], gap: int) -> Text:
    line = Text()
    for place, (cell, size, is_right) in enumerate(zip(cells, sizes, right, strict=True)):
        fill = " " * (size - text_width(cell.plain))
        line.append(" " * gap if place else "")
        line = line.append(fill).append_text(cell) if is_right else line.append_text(cell).append(fill)
    if not cells[-1].spans:  # in a text with styles, spaces carry colours
        line.rstrip()
    return line
