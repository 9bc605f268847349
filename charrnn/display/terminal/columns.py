"""Several texts beside each other, to be compared."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.text import Text

from charrnn.display.terminal.text_width import clip, pad, wrap

LEAST = 24
"""Narrower columns than this cannot be read; the texts follow one another instead."""

_GAP = " │ "


def side_by_side(titles: Sequence[str], texts: Sequence[str], width: int) -> list[Text]:
    """Untrusted ``texts`` in columns under their ``titles``, each wrapped to its column's width."""
    if len(titles) != len(texts):
        raise ValueError(f"{len(titles)} titles for {len(texts)} texts")
    if not texts:
        return []
    size = (width - len(_GAP) * (len(texts) - 1)) // len(texts)
    if len(texts) == 1 or size < LEAST:
        return _one_after_another(titles, texts, width)
    wrapped = [wrap(text.rstrip("\n"), size) for text in texts]
    lines = [
        _line([pad(clip(title, size), size) for title in titles], "bold"),
        Text("─┼─".join("─" * size for _ in titles), style="dim"),
    ]
    for row in zip_longest(*wrapped, fillvalue=""):
        lines.append(_line([pad(cell, size) for cell in row], ""))
    return lines


def _line(row: list[str], style: str) -> Text:
    line = Text()
    for place, cell in enumerate(row):
        if place:
            line.append(_GAP, style="dim")
        line.append(cell, style=style or None)
    line.rstrip()
    return line


def _one_after_another(titles: Sequence[str], texts: Sequence[str], width: int) -> list[Text]:
    lines: list[Text] = []
    for title, text in zip(titles, texts, strict=True):
        if lines:
            lines.append(Text())
        shown = clip(title, width)
        lines += [Text(shown, style="bold"), Text("─" * width, style="dim")]
        lines += [Text(line) for line in wrap(text.rstrip("\n"), width)]
    return lines
