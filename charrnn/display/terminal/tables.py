"""Aligned names and values, and tables, of untrusted cells."""

from collections.abc import Iterable, Sequence
from numbers import Integral, Real

from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.text_width import pad, plain, text_width, wrap

Cell = str | int | float | Text | None

_GAP = "  "
_LEAST = 16


def key_values(pairs: Iterable[tuple[str, Cell]], width: int | None = None) -> list[Text]:
    """Lines of a dim name and its value, values below each other. Long values wrap within ``width``."""
    named = [(plain(name), _cell(value)) for name, value in pairs]
    indent = max((text_width(name) for name, _ in named), default=0) + len(_GAP)
    lines = []
    for name, value in named:
        first, *others = _folded(value, None if width is None else width - indent)
        lines.append(Text.assemble((pad(name, indent), "dim"), first))
        lines += [Text.assemble(" " * indent, other) for other in others]
    return lines


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], width: int | None = None) -> list[Text]:
    """A header, a rule and a line for each row. Numbers stand right: integers as 12,345, floats as 1.2345.

    A `Text` keeps its styles (a strip of a heat map). The last column wraps if the lines exceed ``width``.
    """
    rows = [list(row) for row in rows]
    right = [
        bool(rows) and all(row[place] is None or isinstance(row[place], Real) for row in rows)
        for place in range(len(columns))
    ]
    header = [Text(plain(column)) for column in columns]
    body = [[_cell(value) for value in row] for row in rows]
    sizes = [max(_width(row[place]) for row in [header, *body]) for place in range(len(columns))]
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


def _cell(value: Cell) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text("–")
    if isinstance(value, Integral) and not isinstance(value, bool):
        return Text(numbers.count(int(value)))
    if isinstance(value, Real) and not isinstance(value, bool):
        return Text(f"{float(value):.4f}")
    return Text(plain(str(value)))


def _width(text: Text) -> int:
    return text_width(text.plain)


def _folded(text: Text, width: int | None) -> list[Text]:
    # A styled cell was made to its width by the caller.
    if width is None or _width(text) <= width or text.spans:
        return [text]
    return [Text(line) for line in wrap(text.plain, max(width, _LEAST))]


def _line(cells: Sequence[Text], sizes: Sequence[int], right: Sequence[bool]) -> Text:
    line = Text()
    for place, (cell, size, is_right) in enumerate(zip(cells, sizes, right, strict=True)):
        fill = " " * (size - _width(cell))
        line.append(_GAP if place else "")
        line = line.append(fill).append_text(cell) if is_right else line.append_text(cell).append(fill)
    if not cells[-1].spans:  # spaces of a styled cell are colours
        line.rstrip()
    return line
