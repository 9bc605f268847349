"""Names beside values, and tables: aligned lines of untrusted text and numbers."""

from collections.abc import Iterable, Sequence
from numbers import Integral, Real

from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.text_width import pad, plain, text_width, wrap

TableCell = str | int | float | Text | None
"""What a table shows in one place. None is shown as a dash."""

_GAP = "  "
_LEAST = 16


def key_values(pairs: Iterable[tuple[str, TableCell]], width: int | None = None) -> list[Text]:
    """Lines of a dim name and its value, the values in one column. Long values wrap within ``width``."""
    named = [(plain(name), _text(value)) for name, value in pairs]
    indent = max((text_width(name) for name, _ in named), default=0) + len(_GAP)
    room = None if width is None else width - indent
    return [line for name, value in named for line in hanging(pad(name, indent), _folded(value, room), "dim")]


def hanging(label: str, lines: Sequence[Text | str], style: str = "") -> list[Text]:
    """``label`` in ``style`` before the first of ``lines``, and an indent of the same width before the others."""
    first, *others = lines
    indent = " " * text_width(label)
    return [Text.assemble((label, style), first), *(Text.assemble(indent, other) for other in others)]


def table(columns: Sequence[str], rows: Iterable[Sequence[TableCell]], width: int | None = None) -> list[Text]:
    """A header, a rule and a line for each row. Numbers are right-aligned: integers as 12,345, floats as 1.2345.

    A `Text` keeps its styles (a bar, a heat map). The last column wraps if the lines exceed ``width``.
    """
    rows = [list(row) for row in rows]
    right = [
        bool(rows) and all(row[place] is None or isinstance(row[place], Real) for row in rows)
        for place in range(len(columns))
    ]
    header = [Text(plain(column)) for column in columns]
    body = [[_text(value) for value in row] for row in rows]
    sizes = [max(text_width(row[place].plain) for row in [header, *body]) for place in range(len(columns))]
    if width is not None:
        before = sum(sizes[:-1]) + len(_GAP) * (len(sizes) - 1)
        sizes[-1] = min(sizes[-1], max(width - before, _LEAST))
    head = _line(header, sizes, right)
    head.stylize("dim")
    lines = [head, Text("─" * (sum(sizes) + len(_GAP) * (len(sizes) - 1)), style="dim")]
    for row in body:
        first, *others = _folded(row[-1], sizes[-1])
        lines.append(_line([*row[:-1], first], sizes, right))
        lines += [_line([*[Text()] * (len(row) - 1), other], sizes, right) for other in others]
    return lines


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


def _folded(text: Text, width: int | None) -> list[Text]:
    # A text with styles was made to fit by the caller.
    if width is None or text_width(text.plain) <= width or text.spans:
        return [text]
    return [Text(line) for line in wrap(text.plain, max(width, _LEAST))]


def _line(cells: Sequence[Text], sizes: Sequence[int], right: Sequence[bool]) -> Text:
    line = Text()
    for place, (cell, size, is_right) in enumerate(zip(cells, sizes, right, strict=True)):
        fill = " " * (size - text_width(cell.plain))
        line.append(_GAP if place else "")
        line = line.append(fill).append_text(cell) if is_right else line.append_text(cell).append(fill)
    if not cells[-1].spans:  # in a text with styles, spaces carry colours
        line.rstrip()
    return line
