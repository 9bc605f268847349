"""``charrnn inspect show``: the text, coloured by a cell or by surprise, with predictions; or a gallery of cells."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, option, section
from charrnn.commands.inspect.cells import cell_option, cells_option, name, scale_of, signal_of, signal_option
from charrnn.commands.inspect.draw import MOST_SURPRISE
from charrnn.commands.inspect.reading import opened, pager_option, stretch_options, text_options
from charrnn.commands.options import checkpoint_argument, general_options

_GUESSES = 5
_LINES_OF_BEST = 12


@click.command(cls=Command)
@checkpoint_argument
@section(
    "What is shown",
    cell_option("The cell to colour by, or several as in 1:37,0:4, in rows.  [default: a gallery]"),
    signal_option,
    option("--predictions", is_flag=True, help="Show the five likeliest characters for the next place."),
    option("--surprise", is_flag=True, help="Colour by -log2 of each character's probability."),
    cells_option(10, "Cells in the gallery."),
    pager_option,
)
@stretch_options(4000)
@text_options
@general_options
def show(checkpoint: Path, **options: Any) -> None:
    """Show what the cells of the model in CHECKPOINT do while it reads TEXT, a file or - for standard input. Without
    TEXT it reads the validation part of the text that it was trained on, where that is still to be found.

    Without --cell it shows the cells whose activity has the most structure. With --cell it shows the text, and colours
    each character by what the cell is after reading it.

    \b
    charrnn inspect checkpoints/fables corpora/fables.txt
    charrnn inspect checkpoints/fables corpora/fables.txt --cell 1:37
    charrnn inspect checkpoints/fables --text '"Come in," said the fox.' --predictions

    \f

    A model of bytes is shown byte by byte, each as the Latin-1 character of its number.

    --json writes an object for each cell: text, offset, signal, layer, unit, values, in the gallery also score; with
    --predictions and --surprise also these. Without cells it is one object.
    """
    from charrnn.display.terminal.pager import show_paged
    from charrnn.inspection.clamping import require_cells
    from charrnn.inspection.reading import read_in_parts

    if options["cell"] and options["surprise"] and not options["as_json"]:
        raise click.UsageError("--cell and --surprise both colour the text: give one.")
    terminal, model, ids = opened(checkpoint, options)
    signal = signal_of(model, options["signal"])
    require_cells(model.network, options["cell"])  # before a heading is shown
    if len(options["cell"]) > 1 and options["predictions"] and not options["as_json"]:
        raise click.UsageError("--predictions has room for one --cell.")
    offset, length = options["offset"], options["length"]
    last = min(offset + length, len(ids))
    if offset < last < len(ids) or 0 < offset < last:
        terminal.note(f"characters {offset:,} to {last:,} of {len(ids):,} (--offset, --length)")
    if not (options["cell"] or options["surprise"] or options["predictions"]):
        _show_gallery(terminal, model, ids, signal, options)
        return
    # A long text is read part by part, and only as far as the pager asks for it.
    readings = read_in_parts(model, ids, options["signal"], offset, length)
    if options["as_json"]:
        for found in _numbers(model, readings, signal, options):
            terminal.json(found)
    else:
        show_paged(terminal, _lines(terminal, model, readings, signal, options), paged=options["pager"])


def _show_gallery(terminal, model, ids, signal, options: dict[str, Any]) -> None:
    """Read the text, and show the cells with the most structure."""
    from charrnn.display.terminal.pager import show_paged
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.reading import read

    with progress_bar(terminal, "Reading") as progress:
        reading = read(model, ids, options["signal"], options["offset"], options["length"], progress)
    if options["as_json"]:
        for found in _gallery_numbers(reading, options):
            terminal.json(found)
    else:
        show_paged(terminal, _gallery(terminal, reading, signal, options), paged=options["pager"])


def _lines(terminal, model, readings, signal, options: dict[str, Any]) -> Iterator:
    """The legend, then the text of each reading, as lines of the terminal's width."""
    from charrnn.display.reports.predictions import prediction_legend, prediction_rows
    from charrnn.display.reports.stacked import stacked_rows
    from charrnn.display.terminal.colours import SEQUENTIAL
    from charrnn.display.terminal.heatmap import heat_text, legend

    cells, symbols = options["cell"], _symbols(model)
    scale = SEQUENTIAL if options["surprise"] else scale_of(signal)
    look = {"scale": scale, "width": terminal.width, "depth": terminal.depth}
    if options["surprise"]:
        most = f"{MOST_SURPRISE:g} bits or more"
        yield from ("surprise of each character", legend(scale, "0 bits", most, depth=terminal.depth), "")
    elif cells:
        title = f"cell{'s' * (len(cells) > 1)} {', '.join(map(name, cells))}   {signal.meaning}"
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


def _gallery(terminal, reading, signal, options: dict[str, Any]) -> list:
    """The most structured cells over one stretch of text, then the best of them over some lines."""
    import numpy as np

    from charrnn.display.reports.gallery import gallery_rows, stretch_width
    from charrnn.display.terminal.colours import Depth
    from charrnn.display.terminal.heatmap import heat_text, legend
    from charrnn.inspection.gallery import gallery, line_bounds, most_varied

    look = {"scale": scale_of(signal), "depth": terminal.depth, "width": terminal.width}
    finds = gallery(reading, options["cells"])
    values = np.stack([reading.cell(find.layer, find.unit) for find in finds]).astype(float)
    begins, length, offset = line_bounds(reading.text), len(reading.text), options["offset"]

    # First a stretch that begins with a line and in which these cells vary most …
    width = stretch_width(terminal.width)
    stretches = [(begin, begin + width) for begin in begins if begin + width <= length] or [(0, min(width, length))]
    start, stop = most_varied(values.T, stretches)
    shown: list = [f"The cells most worth a look, by {signal.meaning}"]
    shown += [legend(look["scale"], depth=look["depth"]), ""]
    names, scores = [f"{find.layer}:{find.unit}" for find in finds], [find.score for find in finds]
    title = f"from character {offset + start:,}"
    shown += gallery_rows(reading.text[start:stop], title, names, scores, values[:, start:stop], **look)

    # … then some whole lines for the best of them.
    last = len(begins) - 1
    groups = [(begins[k], begins[min(k + _LINES_OF_BEST, last)]) for k in range(max(1, last - _LINES_OF_BEST + 1))]
    start, stop = most_varied(values[:1].T, groups)
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


def _numbers(model, readings, signal, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The readings as JSON objects: one for each cell, or one for the text."""
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
    about = {"text": "".join(texts), "offset": options["offset"], "signal": signal.name}
    if options["surprise"]:
        about["surprise"] = np.concatenate(surprises)
    if options["predictions"]:
        about["predictions"] = predictions
    if not cells:
        yield about
    for number, (layer, unit) in enumerate(cells):
        of_cell = np.concatenate([part[number] for part in values])
        yield {**about, "layer": layer, "unit": unit, "values": of_cell}
