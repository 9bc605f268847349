"""``charrnn inspect show``: the text, coloured by a cell or by surprise, with predictions; or a gallery of cells."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Any

import click

from charrnn.commands import compiled
from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import MOST_SURPRISE, cell_option, cells_option, names, signals_option
from charrnn.commands.inspect.inspection import Inspection, inspecting, pager_option, stretch_options
from charrnn.commands.inspect.naming import names_option
from charrnn.commands.options import ngrams_option

_GUESSES = 5


@inspecting(
    section(
        "What is shown",
        cell_option("The cell to colour by, or several as in 1:37,0:4.  [default: a gallery]"),
        signals_option,
        option("--predictions", is_flag=True, help="Show the five likeliest characters for the next place."),
        option(
            "--surprise", is_flag=True,
            help="Colour by -log2 of each character's probability; then --signal has no effect.",
        ),
        ngrams_option("Take --predictions and --surprise from the model together with its n-grams.", "off"),
        cells_option(10, "Cells in the gallery, and only there."),
        names_option,
        pager_option,
    ),
    stretch_options(4000),
)  # fmt: skip
def show(work: Inspection) -> None:
    """Show what the cells of the model in CHECKPOINT do while it reads TEXT, a file or - for standard input. Without
    TEXT it reads the validation part of the text that it was trained on, where that is still to be found.

    Without --cell it shows the cells whose activity has the most structure. With --cell it shows the text, and colours
    each character by what the cell is after reading it. Several signals of a cell are rows: without --cell, of the cell
    with the most structure. Cells are named by what they track, as in column, ρ -0.79, where that is known: for a model
    whose own text is still there, or was at the first look.

    \b
    charrnn inspect fables novel.txt
    charrnn inspect fables --cell 1:37
    charrnn inspect fables --text '"Come in," said the fox.' --predictions

    \f

    A model of bytes is shown byte by byte, each as the Latin-1 character of its number.

    --json writes an object for each cell and signal: text, offset, signal, layer, unit, values, tracks (hypothesis,
    measure, value, or null if it is not known what the cell tracks), in the gallery also score; with --predictions and
    --surprise also these, from the network, and with --ngrams on mixed_predictions and mixed_surprise. Without cells it
    is one object.
    """
    from charrnn.display.reports.gallery import gallery_lines
    from charrnn.inspection.gallery import gallery
    from charrnn.inspection.reading import read, read_in_parts

    options = work.options
    cells, offset, length = options["cell"], options["offset"], options["length"]
    if cells and options["surprise"] and not options["as_json"]:
        raise click.UsageError("--cell and --surprise both colour the text: give one.")
    model, ids = work.open(compiled.mixing_if_asked)
    signal = work.signal.name
    work.require_cells()  # before a heading is shown
    if not (cells or options["surprise"] or options["predictions"] or len(work.signals) == 1):
        options["cell"] = cells = work.chosen(1)
        work.terminal.note(f"{names(cells)} has the most structure by {signal}; --cell chooses another")
    if max(len(cells), len(work.signals)) > 1 and options["predictions"] and not options["as_json"]:
        raise click.UsageError("--predictions has room for one --cell and one --signal.")
    last = min(offset + length, len(ids))
    if offset < last < len(ids) or 0 < offset < last:
        work.terminal.note(f"characters {offset:,} to {last:,} of {len(ids):,} (--offset, --length)")
    if cells or options["surprise"] or options["predictions"]:
        # A long text is read part by part, and only as far as the pager asks for it.
        stretch, mixed = (ids, signal, offset, length), work.mixed(wanted=False)
        others = {"others": work.other_signals}
        readings = read_in_parts(model, *stretch, **others)
        if mixed is None:
            pairs = ((each, each) for each in readings)
        else:
            pairs = zip(readings, read_in_parts(mixed, *stretch, **others), strict=True)
        work.show(_records(work, pairs), _lines(work, pairs))
    else:
        with work.bar("Reading") as progress:
            reading = read(model, ids, signal, offset, length, progress)
        found = gallery(reading, options["cells"])
        about = {"text": reading.text, "offset": offset, "signal": signal}
        records = (
            {**about, **vars(each), "values": reading.cell(*each.cell), "tracks": work.tracks(each.cell)}
            for each in found
        )
        how = work.signal.meaning, work.look, work.command("show")
        work.show(records, gallery_lines(reading, found, work.tracked, offset, *how))


# Each of ``pairs`` holds a reading by the network and a reading by the mixture with n-grams. Without n-grams both are
# the same reading.


def _lines(work: Inspection, pairs) -> Iterator:
    """The legend, then the text of each reading, as lines of the terminal's width."""
    from charrnn.display.reports.predictions import prediction_legend, prediction_rows
    from charrnn.display.reports.stacked import row_scales, signal_legends, stacked_rows
    from charrnn.display.terminal.colours import SEQUENTIAL
    from charrnn.display.terminal.heatmap import heat_text, legend
    from charrnn.display.terminal.tables import paragraph

    cells, surprise, predictions = (work.options[each] for each in ("cell", "surprise", "predictions"))
    look = work.terminal.look(SEQUENTIAL) if surprise else work.look
    if surprise:
        most = f"{MOST_SURPRISE:g} bits or more"
        by = ", with n-grams" if work.options["ngrams"] == "on" else ""
        yield from (*paragraph(f"surprise of each character{by}", look.width), legend(look, "0 bits", most), "")
    elif cells:
        title = paragraph(f"{names(cells, work.tracked)}   {work.meaning}", look.width)
        yield from (*title, *signal_legends(work.signals, look), "")
    rows = work.row_names(cells)
    if predictions:
        yield from (*prediction_legend(look), "")
    for _, reading in pairs:
        values = reading.surprise() / MOST_SURPRISE if surprise else None
        if cells:
            values = reading.cell(*cells[0])
        if predictions:
            guesses, probabilities = reading.guesses(_GUESSES)
            characters = [[work.symbols[index] for index in row] for row in guesses]
            yield from (*prediction_rows(reading.text, characters, probabilities, look, values), "")
        elif len(rows) > 1:
            scales = row_scales(work.signals, len(cells))
            for block in stacked_rows(reading.text, rows, reading.columns(cells), look, scales):
                yield from (*block, "")
        else:
            yield from heat_text(reading.text, values, look)


def _records(work: Inspection, pairs) -> Iterator[dict[str, Any]]:
    """The readings as JSON objects: one for each cell and signal, or one for the text."""
    import numpy as np

    cells, options = work.options["cell"], work.options
    is_mixed = options["ngrams"] == "on"
    texts, values, surprises, predictions = [], [], defaultdict(list), defaultdict(list)
    for own, mixed in pairs:
        texts.append(own.text)
        values += [own.columns(cells)] if cells else []
        for by, reading in (("", own), ("mixed_", mixed)) if is_mixed else (("", own),):
            surprises[f"{by}surprise"].append(reading.surprise())
            if options["predictions"]:
                predictions[f"{by}predictions"] += _predictions(reading, work.symbols)
    about = {"text": "".join(texts), "offset": options["offset"], "signal": work.signal.name}
    if options["surprise"]:
        about |= {name: np.concatenate(parts) for name, parts in surprises.items()}
    about |= predictions
    if not cells:
        yield about
    columns = np.concatenate(values).T if cells else ()
    for (cell, signal), column in zip(product(cells, work.signals), columns, strict=True):
        of_cell = {"layer": cell[0], "unit": cell[1], "values": column, "tracks": work.tracks(cell)}
        yield {**about, "signal": signal.name, **of_cell}


def _predictions(reading, symbols: list[str]) -> list[list[list]]:
    """For each character the likeliest next ones, each with its probability."""
    rows = zip(*reading.guesses(_GUESSES), strict=True)
    return [[[symbols[index], float(p)] for index, p in zip(row, chances, strict=True)] for row, chances in rows]
