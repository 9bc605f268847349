"""Several model cells, one row each, over the same stretch of text."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.text import Text

from charrnn.display.terminal.colours import Depth, Look
from charrnn.display.terminal.heatmap import heat_text, labelled_rows, legend, room_beside
from charrnn.display.terminal.tables import paragraph
from charrnn.inspection.gallery import ScoredCell, line_bounds, liveliest_stretch, most_varied
from charrnn.inspection.reading import Reading

LABEL = 15  # terminal columns left of the text
_LINES_OF_BEST = 12


def stretch_width(width: int) -> int:
    """How many characters of text a row has in a terminal ``width`` columns wide."""
    return room_beside(LABEL, width)


def gallery_rows(
    text: str,
    title: str,
    names: Sequence[str],
    scores: Sequence[float],
    values: Sequence[np.ndarray],
    look: Look,
    head: str = " cell   score",
) -> list[Text]:
    """A line of ``head`` and ``title``, then for each cell its name, score, and ``text`` in its colours.

    ``text`` has n characters, and ``values`` an array (n,) for each cell.
    """
    rows = [
        (f"{name:>7} {score:.3f}", "" if number else "bold", look.scale, of_cell)
        for number, (name, score, of_cell) in enumerate(zip(names, scores, values, strict=True))
    ]
    return labelled_rows(text, title, head, rows, LABEL, look)


def gallery_lines(
    reading: Reading, cells: Sequence[ScoredCell], offset: int, meaning: str, look: Look
) -> Iterator[Text | str]:
    """Cells over the stretch of the text in which they vary most, then the first of them over some whole lines.

    The text begins at character ``offset``. ``meaning`` says what the signal of the reading means.
    """
    names, text = [f"{each.layer}:{each.unit}" for each in cells], reading.text
    values = reading.columns([(each.layer, each.unit) for each in cells]).astype(float)
    start, stop = liveliest_stretch(text, values, stretch_width(look.width))
    yield from (*paragraph(f"The cells most worth a look, by {meaning}", look.width), legend(look), "")
    title, scores = f"from character {offset + start:,}", [each.score for each in cells]
    yield from gallery_rows(text[start:stop], title, names, scores, values[start:stop].T, look)

    begins = line_bounds(text)
    last = len(begins) - 1
    groups = [(begins[k], begins[min(k + _LINES_OF_BEST, last)]) for k in range(max(1, last - _LINES_OF_BEST + 1))]
    start, stop = most_varied(values[:, :1], groups)
    yield from ("", f"cell {names[0]} from character {offset + start:,}")
    lines, shown = heat_text(text[start:stop], values[start:stop, 0], look), _LINES_OF_BEST
    shown *= 2 if look.depth == Depth.NONE else 1
    yield from (*lines[:shown], *(["…"] if len(lines) > shown else []), "")
    yield from paragraph(f"Look closer: --cell {names[0]}, or --predictions, or --surprise", look.width)
