"""The text, coloured: by a cell, by surprise, with what the model expected, or a gallery of cells."""

from collections.abc import Iterator
from typing import Any

import click

from charrnn.commands.inspect.cell_names import Cells, name, together
from charrnn.commands.options import Whole

_GUESSES = 5
MOST_SURPRISE = 8.0  # bits; more has the same colour
_LINES_OF_BEST = 12
MEANINGS = {
    "c": "tanh(c), what the cell remembers",
    "h": "h, what the cell tells",
    "i": "i, the input gate",
    "f": "f, the forget gate",
    "g": "g, the candidate",
    "o": "o, the output gate",
}


TITLE = "Reading"
OPTIONS = (
    click.option(
        "--cell", type=Cells(), multiple=True, callback=together,
        help="The cell to show, numbered from 0; several, as in 1:37,0:4, in rows.  [default: a gallery]",
    ),
    click.option(
        "--signal", type=click.Choice(["c", "h", "i", "f", "g", "o"]), default="c", show_default=True,
        help="tanh of the cell state, output, input gate, forget gate, candidate, output gate.",
    ),
    click.option("--predictions", is_flag=True, help="Under each character, the five likeliest for the next place."),
    click.option("--surprise", is_flag=True, help="Colour by -log2 of the probability each character had."),
    click.option("--cells", type=Whole(1, 1000), default=10, show_default=True, help="Cells in the gallery."),
    click.option("--offset", type=Whole(0), default=0, show_default=True, help="First character to show."),
    click.option("--length", type=Whole(1), default=4000, show_default=True, help="Characters to show."),
    click.option("--pager/--no-pager", default=True, help="Show what is longer than the screen through a pager."),
)  # fmt: skip


def wanted(options: dict[str, Any]) -> str | None:
    """The option that only this view heeds, if it is given."""
    return next((f"--{name}" for name in ("predictions", "surprise") if options[name]), None)


def idle(options: dict[str, Any]) -> tuple[str, ...]:
    """Options that mean nothing where no gallery is shown, or no cell."""
    if options["cell"]:
        return ("cells",)
    return ("cells", "signal") if wanted(options) else ()


def show(terminal, model, ids, options: dict[str, Any]) -> None:
    """Read the part of ids (N,) that is asked for, and show or print it."""
    from charrnn.display.terminal.pager import show_paged
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.clamping import require_cells
    from charrnn.inspection.reading import read, read_in_parts

    require_cells(model.network, options["cell"])  # before a heading is shown
    offset, length = options["offset"], options["length"]
    if len(options["cell"]) > 1 and options["predictions"] and not options["as_json"]:
        raise click.UsageError("--predictions has room for one --cell.")
    last = min(offset + length, len(ids))
    if offset < last < len(ids) or 0 < offset < last:
        terminal.note(f"characters {offset:,} to {last:,} of {len(ids):,} (--offset, --length)")
    if not (options["cell"] or options["surprise"] or options["predictions"]):
        with progress_bar(terminal, "Reading") as progress:
            reading = read(model, ids, options["signal"], offset, length, progress)
        if options["as_json"]:
            for found in _gallery_numbers(reading, options):
                terminal.json(found)
        else:
            show_paged(terminal, _gallery(terminal, reading, options), paged=options["pager"])
        return
    # Part by part: of a text of megabytes only so much is read as the pager asks for.
    readings = read_in_parts(model, ids, options["signal"], offset, length)
    if options["as_json"]:
        for found in _numbers(model, readings, options):
            terminal.json(found)
    else:
        show_paged(terminal, _lines(terminal, model, readings, options), paged=options["pager"])


def scale_of(signal: str):
    """The colours of a signal: those of gates begin at 0."""
    from charrnn.display.terminal.colours import DIVERGING, SEQUENTIAL
    from charrnn.inspection.reading import UNIT_SIGNALS

    return SEQUENTIAL if signal in UNIT_SIGNALS else DIVERGING


def _lines(terminal, model, readings, options: dict[str, Any]) -> Iterator:
    """What is shown, as lines of the terminal's width: the legend, then the text of one reading after the other."""
    from charrnn.display.reports.predictions import prediction_legend, prediction_rows
    from charrnn.display.reports.stacked import stacked_rows
    from charrnn.display.terminal.colours import SEQUENTIAL
    from charrnn.display.terminal.heatmap import heat_text, legend

    cells, symbols = options["cell"], _symbols(model)
    scale = SEQUENTIAL if options["surprise"] else scale_of(options["signal"])
    look = {"scale": scale, "width": terminal.width, "depth": terminal.depth}
    if options["surprise"]:
        most = f"{MOST_SURPRISE:g} bits or more"
        yield from ("surprise of each character", legend(scale, "0 bits", most, depth=terminal.depth), "")
    elif cells:
        title = f"cell{'s' * (len(cells) > 1)} {', '.join(map(name, cells))}   {MEANINGS[options['signal']]}"
        yield from (title, legend(scale, depth=terminal.depth), "")
    if options["predictions"]:
        yield from (prediction_legend(terminal.depth), "")
    for reading in readings:
        values = reading.surprise() / MOST_SURPRISE if options["surprise"] else None
        if cells:
            values = reading.cell(*cells[0])
        if options["predictions"]:
            guesses, probabilities = reading.guesses(_GUESSES)
            characters = [[symbols[index] for index in row] for row in guesses]
            yield from prediction_rows(reading.text, characters, probabilities, values=values, **look)
            yield ""
        elif len(cells) > 1:
            stacked = [reading.cell(*cell) for cell in cells]
            for block in stacked_rows(reading.text, list(map(name, cells)), _columns(stacked), **look):
                yield from (*block, "")
        else:
            yield from heat_text(reading.text, values, **look)


def _columns(rows):
    import numpy as np

    return np.stack(rows, axis=1)


def _gallery(terminal, reading, options: dict[str, Any]) -> list:
    """The most structured cells over one stretch of text, then the best of them over some lines."""
    import numpy as np

    from charrnn.display.reports.gallery import gallery_rows, stretch_width
    from charrnn.display.terminal.colours import Depth
    from charrnn.display.terminal.heatmap import heat_text, legend
    from charrnn.inspection.gallery import gallery, lines, liveliest

    look = {"scale": scale_of(reading.signal), "depth": terminal.depth, "width": terminal.width}
    finds = gallery(reading, options["cells"])
    values = np.stack([reading.cell(find.layer, find.unit) for find in finds]).astype(float)
    begins, length, offset = lines(reading.text), len(reading.text), options["offset"]

    # Where the cells are most at work: a stretch that begins with a line …
    width = stretch_width(terminal.width)
    stretches = [(begin, begin + width) for begin in begins if begin + width <= length] or [(0, min(width, length))]
    start, stop = liveliest(values.T, stretches)
    shown: list = [f"The cells most worth a look, by {MEANINGS[reading.signal]}"]
    shown += [legend(look["scale"], depth=look["depth"]), ""]
    names, scores = [f"{find.layer}:{find.unit}" for find in finds], [find.score for find in finds]
    title = f"from character {offset + start:,}"
    shown += gallery_rows(reading.text[start:stop], title, names, scores, values[:, start:stop], **look)

    # … and some whole lines for the best of them.
    last = len(begins) - 1
    groups = [(begins[k], begins[min(k + _LINES_OF_BEST, last)]) for k in range(max(1, last - _LINES_OF_BEST + 1))]
    start, stop = liveliest(values[:1].T, groups)
    shown += ["", f"cell {names[0]} from character {offset + start:,}"]
    rows = heat_text(reading.text[start:stop], values[0, start:stop], **look)
    shown += rows[: _LINES_OF_BEST * (2 if terminal.depth == Depth.NONE else 1)]
    return [*shown, "", f"Look closer: --cell {names[0]}, or --predictions, or --surprise"]


def _symbols(model) -> list[str]:
    from charrnn.inspection.reading import symbol_text

    return [symbol_text(symbol) for symbol in model.vocabulary.symbols]


def _gallery_numbers(reading, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The cells of the gallery as JSON objects."""
    from charrnn.inspection.gallery import gallery

    about = {"text": reading.text, "offset": options["offset"], "signal": reading.signal}
    for find in gallery(reading, options["cells"]):
        values = reading.cell(find.layer, find.unit)
        yield {**about, "layer": find.layer, "unit": find.unit, "score": find.score, "values": values}


def _numbers(model, readings, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is shown as JSON objects: one for each cell, or one for the text."""
    import numpy as np

    cells, symbols = options["cell"], _symbols(model)
    texts, values, surprises, predictions = [], [], [], []
    for reading in readings:
        texts.append(reading.text)
        values.append([reading.cell(*cell) for cell in cells])
        surprises.append(reading.surprise())
        if options["predictions"]:
            for row, chances in zip(*reading.guesses(_GUESSES), strict=True):
                predictions.append([[symbols[index], float(p)] for index, p in zip(row, chances, strict=True)])
    about = {"text": "".join(texts), "offset": options["offset"], "signal": options["signal"]}
    if options["surprise"]:
        about["surprise"] = np.concatenate(surprises)
    if options["predictions"]:
        about["predictions"] = predictions
    if not cells:
        yield about
    for number, (layer, unit) in enumerate(cells):
        of_cell = np.concatenate([part[number] for part in values])
        yield {**about, "layer": layer, "unit": unit, "values": of_cell}
