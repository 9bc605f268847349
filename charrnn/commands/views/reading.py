"""The text, coloured: by a cell, by surprise, with what the model expected, or a gallery of cells."""

import re
from typing import Any

import click

from charrnn.commands.options import Whole

_GUESSES = 5
_MOST_SURPRISE = 8.0  # bits; more has the same colour
_LINES_OF_BEST = 12
_MEANINGS = {
    "c": "tanh(c), what the cell remembers",
    "h": "h, what the cell tells",
    "i": "i, the input gate",
    "f": "f, the forget gate",
    "g": "g, the candidate",
    "o": "o, the output gate",
}


def _cell(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not LAYER:UNIT, two numbers from 0 as in 1:37.", ctx, param)
    return int(match[1]), int(match[2])


OPTIONS = (
    click.option(
        "--cell", callback=_cell, metavar="LAYER:UNIT", help="The cell to show, numbered from 0.  [default: a gallery]"
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


def show(terminal, model, ids, options: dict[str, Any]) -> None:
    """Read the part of ids (N,) that is asked for, and show or print it."""
    from charrnn.inspection.reading import read
    from charrnn.terminal.pager import page
    from charrnn.terminal.progress import progress_bar

    with progress_bar(terminal, "Reading") as progress:
        reading = read(model, ids, options["signal"], options["offset"], options["length"], progress)
    if len(reading.ids) < len(ids):
        last = options["offset"] + len(reading.ids)
        terminal.note(f"characters {options['offset']:,} to {last:,} of {len(ids):,} (--offset, --length)")
    if options["as_json"]:
        for value in _numbers(model, reading, options):
            terminal.json(value)
        return
    page(terminal, _lines(terminal, model, reading, options), paged=options["pager"])


def _scale(signal: str):
    from charrnn.inspection.reading import UNIT_SIGNALS
    from charrnn.terminal.colours import DIVERGING, SEQUENTIAL

    return SEQUENTIAL if signal in UNIT_SIGNALS else DIVERGING


def _lines(terminal, model, reading, options: dict[str, Any]) -> list:
    """What is shown, as lines of the terminal's width."""
    from charrnn.terminal.colours import SEQUENTIAL
    from charrnn.terminal.heatmap import heat_text, legend
    from charrnn.terminal.predictions import prediction_legend, prediction_rows

    width, depth, scale = terminal.width, terminal.depth, _scale(reading.signal)
    values, shown, key = None, scale, None
    if options["surprise"]:
        values, shown = reading.surprise() / _MOST_SURPRISE, SEQUENTIAL
        key = (
            "surprise of each character",
            legend(SEQUENTIAL, "0 bits", f"{_MOST_SURPRISE:g} bits or more", depth=depth),
        )
    elif options["cell"]:
        values = reading.cell(*options["cell"])
        layer, unit = options["cell"]
        key = (f"cell {layer}:{unit}   {_MEANINGS[reading.signal]}", legend(scale, depth=depth))
    if options["predictions"]:
        guesses, probabilities = reading.guesses(_GUESSES)
        symbols = _symbols(model)
        characters = [[symbols[index] for index in row] for row in guesses]
        rows = prediction_rows(
            reading.text, characters, probabilities, values=values, scale=shown, width=width, depth=depth
        )
        head = [key[0], key[1], ""] if key else []
        return [*head, prediction_legend(depth), "", *rows]
    if values is None:
        return _gallery(terminal, reading, options)
    return [key[0], key[1], "", *heat_text(reading.text, values, shown, width=width, depth=depth)]


def _gallery(terminal, reading, options: dict[str, Any]) -> list:
    """The most structured cells over one stretch of text, then the best of them over some lines."""
    import numpy as np

    from charrnn.inspection.gallery import gallery, lines, liveliest
    from charrnn.terminal.colours import Depth
    from charrnn.terminal.gallery import gallery_rows, stretch_width
    from charrnn.terminal.heatmap import heat_text, legend

    look = {"scale": _scale(reading.signal), "depth": terminal.depth, "width": terminal.width}
    finds = gallery(reading, options["cells"])
    values = np.stack([reading.cell(find.layer, find.unit) for find in finds]).astype(float)
    begins, length, offset = lines(reading.text), len(reading.text), options["offset"]

    # Where the cells are most at work: a stretch that begins with a line …
    width = stretch_width(terminal.width)
    stretches = [(begin, begin + width) for begin in begins if begin + width <= length] or [(0, min(width, length))]
    start, stop = liveliest(values.T, stretches)
    shown: list = [f"The cells most worth a look, by {_MEANINGS[reading.signal]}"]
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


def _numbers(model, reading, options: dict[str, Any]):
    """What is shown, as JSON objects: one for each cell of the gallery, or one for the text."""
    about = {"text": reading.text, "offset": options["offset"], "signal": reading.signal}
    if not (options["cell"] or options["surprise"] or options["predictions"]):
        from charrnn.inspection.gallery import gallery

        for find in gallery(reading, options["cells"]):
            values = reading.cell(find.layer, find.unit)
            yield {**about, "layer": find.layer, "unit": find.unit, "score": find.score, "values": values}
        return
    if options["cell"]:
        layer, unit = options["cell"]
        about |= {"layer": layer, "unit": unit, "values": reading.cell(layer, unit)}
    if options["surprise"]:
        about["surprise"] = reading.surprise()
    if options["predictions"]:
        guesses, probabilities = reading.guesses(_GUESSES)
        symbols = _symbols(model)
        about["predictions"] = [
            [[symbols[index], float(p)] for index, p in zip(row, chances, strict=True)]
            for row, chances in zip(guesses, probabilities, strict=True)
        ]
    yield about
