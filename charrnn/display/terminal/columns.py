"""Texts as they are: side by side in columns, for comparison, or behind a bar."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.text import Text

from charrnn.display.terminal.colours import ORANGE
from charrnn.display.terminal.tables import paragraph
from charrnn.display.terminal.text_width import pad, wrap

LEAST = 24
"""Below this width a column is unreadable, and the texts follow one another instead."""

_GAP = " │ "


def side_by_side(titles: Sequence[str], texts: Sequence[str], width: int) -> list[Text]:
    """Untrusted ``texts`` in columns under their ``titles``, each wrapped to the width of its column."""
    if len(titles) != len(texts):
        raise ValueError(f"{len(titles)} titles for {len(texts)} texts")
    if not texts:
        return []
    size = (width - len(_GAP) * (len(texts) - 1)) // len(texts)
    if len(texts) == 1 or size < LEAST:
        return _one_after_another(titles, texts, width)
    heads, bodies = ([wrap(text.rstrip("\n"), size) for text in each] for each in (titles, texts))
    return [
        *(_line(row, size, "bold") for row in zip_longest(*heads, fillvalue="")),
        Text("─┼─".join("─" * size for _ in titles), style="dim"),
        *(_line(row, size) for row in zip_longest(*bodies, fillvalue="")),
    ]


def _line(row: Sequence[str], size: int, style: str | None = None) -> Text:
    line = Text()
    for place, text in enumerate(row):
        line.append(_GAP if place else "", style="dim").append(pad(text, size), style=style)
    line.rstrip()
    return line


def _one_after_another(titles: Sequence[str], texts: Sequence[str], width: int) -> list[Text]:
    lines: list[Text] = []
    for title, text in zip(titles, texts, strict=True):
        shown = [*paragraph(title, width, "bold"), Text("─" * width, style="dim")]
        shown += paragraph(text.rstrip("\n"), width)
        lines += [Text(), *shown] if lines else shown
    return lines


def quoted_lines(text: str, width: int, most: int) -> list[Text]:
    """At most ``most`` lines of an untrusted ``text``, each behind a bar."""
    return [Text.assemble((" ▏ ", ORANGE), line) for line in wrap(text.strip("\n"), width - 3, most)]
