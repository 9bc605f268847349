"""Several model cells, one row each, over the same stretch of text."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from rich.text import Text

from charrnn.display.reports.names import STRUCTURE, TRACKS, UNKNOWN, explained, listed, tracks
from charrnn.display.terminal.colours import Depth, Look
from charrnn.display.terminal.heatmap import LEAST, heat_text, labelled_rows, legend, room_beside
from charrnn.display.terminal.tables import copyable, paragraph
from charrnn.inspection.clamping import Cell
from charrnn.inspection.gallery import ScoredCell, line_bounds, liveliest_stretch, most_varied
from charrnn.inspection.naming import Tracked
from charrnn.inspection.reading import Reading

LABEL, _GAP = 15, 2  # terminal columns left of the text, without what cells track; and left of the text in any case
_LINES_OF_BEST = 12
_SHARE = 0.55  # of the width, which must be left for the text if more than the name of a hypothesis is shown


def stretch_width(width: int, tracked: Sequence[str] = ()) -> int:
    """How many characters of text a row has in a terminal ``width`` columns wide.

    ``tracked`` are words for what each cell tracks, or it is empty.
    """
    return room_beside(_label(tracked), width)


def _label(tracked: Sequence[str]) -> int:
    return LABEL + (max(map(len, tracked)) + _GAP if tracked else 0)


def gallery_rows(
    text: str,
    title: str,
    names: Sequence[str],
    scores: Sequence[float],
    values: Sequence[np.ndarray],
    look: Look,
    head: str = " cell   score",
    tracked: Sequence[str] = (),
) -> list[Text]:
    """A line of ``head`` and ``title``, then for each cell its name, score, and ``text`` in its colours.

    ``text`` has n characters, and ``values`` an array (n,) for each cell. ``tracked`` has words for each cell, or is
    empty.
    """
    if tracked:
        head = f"{head:<{LABEL}}tracks"
    rows = [
        (f"{f'{name:>7} {score:.3f}':<{LABEL}}{words}", "" if number else "bold", look.scale, of_cell)
        for number, (name, score, of_cell, words) in enumerate(
            zip(names, scores, values, tracked or [""] * len(names), strict=True)
        )
    ]
    return labelled_rows(text, title, head, rows, _label(tracked), look)


def _words(cells: Sequence[Cell], tracked: Mapping[Cell, Tracked], width: int) -> list[str]:
    """What each of the cells tracks, with the measure and its value if there is room.

    It is empty if nothing is known, or there is no room at all.
    """
    if any(cell in tracked for cell in cells):
        whole = [tracks(tracked[cell]) if cell in tracked else UNKNOWN for cell in cells]
        if stretch_width(width, whole) >= _SHARE * width:
            return whole
        short = [tracked[cell].hypothesis if cell in tracked else UNKNOWN for cell in cells]
        if width - _label(short) >= LEAST:
            return short
    return []


def gallery_lines(
    reading: Reading,
    found: Sequence[ScoredCell],
    tracked: Mapping[Cell, Tracked],
    offset: int,
    meaning: str,
    look: Look,
    command: str,
) -> Iterator[Text | str]:
    """Cells over the stretch of the text in which they vary most, then the first of them over some whole lines.

    The text begins at character ``offset``. ``tracked`` has what cells track, where that is known. ``meaning`` says
    what the signal of the reading means. ``command`` is the one that the user gave, to add options to.
    """
    cells, text = [each.cell for each in found], reading.text
    names, values = [f"{layer}:{unit}" for layer, unit in cells], reading.columns(cells).astype(float)
    words = _words(cells, tracked, look.width)
    start, stop = liveliest_stretch(text, values, stretch_width(look.width, words))
    yield from (*paragraph(f"The cells most worth a look, by {meaning}", look.width), legend(look), "")
    title, scores = f"from character {offset + start:,}", [each.score for each in found]
    yield from gallery_rows(text[start:stop], title, names, scores, values[start:stop].T, look, tracked=words)
    yield ""
    named = any(cell in tracked for cell in cells)
    if named and not words:
        yield from paragraph(f"tracks: {listed(cells, tracked)}", look.width)
    for sentences in ([STRUCTURE], [TRACKS, *explained(map(tracks, tracked.values()))] if named else []):
        yield from paragraph(" ".join(sentences), look.width, "dim")

    begins = line_bounds(text)
    last = len(begins) - 1
    groups = [(begins[k], begins[min(k + _LINES_OF_BEST, last)]) for k in range(max(1, last - _LINES_OF_BEST + 1))]
    start, stop = most_varied(values[:, :1], groups)
    first = f"{names[0]} {tracks(tracked[cells[0]])}," if cells[0] in tracked else names[0]
    yield ""
    yield from paragraph(f"cell {first} from character {offset + start:,}", look.width)
    lines, shown = heat_text(text[start:stop], values[start:stop, 0], look), _LINES_OF_BEST
    shown *= 2 if look.depth == Depth.NONE else 1
    yield from (*lines[:shown], *(["…"] if len(lines) > shown else []), "")
    closer = (f"{command} {option}" for option in (f"--cell {names[0]}", "--predictions", "--surprise"))
    yield from copyable("Look closer:", closer, look.width)
