"""``charrnn inspect draw``: cells over a text as a picture."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, option, section
from charrnn.commands.inspect.cells import cell_option, name, signal_of, signal_option
from charrnn.commands.inspect.choosing import chosen
from charrnn.commands.inspect.hypothesis import hypothesis_options
from charrnn.commands.inspect.output import output_option, tell
from charrnn.commands.inspect.reading import opened, stretch_options, text_options
from charrnn.commands.options import checkpoint_argument, general_options

MOST_SURPRISE = 8.0  # bits; more has the same colour


@click.command(cls=Command)
@checkpoint_argument
@section(
    "The picture",
    output_option(".svg", ".png"),
    cell_option("The cell to draw, or several as in 1:37,0:4.  [default: the one with the most structure]"),
    signal_option,
    option("--surprise", is_flag=True, help="Colour by -log2 of each character's probability instead."),
    option("--dark", is_flag=True, help="Draw on a dark ground."),
)
@hypothesis_options("Cells that keep track of something", "Add the cell that tracks this best:")
@stretch_options(4000)
@text_options
@general_options
def draw(checkpoint: Path, **options: Any) -> None:
    """Draw TEXT on the colours of a cell of the model in CHECKPOINT, for a paper or a slide. Several cells are rows
    under the text.

    \b
    charrnn inspect draw checkpoints/fables corpora/fables.txt --cell 1:37 -o cell.svg
    charrnn inspect draw checkpoints/fables --track quotes --length 600 -o quotes.png

    \f

    --json writes an object: record ("file"), path, bytes.
    """
    import numpy as np

    from charrnn.display.figures import save
    from charrnn.display.figures.heat_map import heat_map
    from charrnn.inspection.reading import read_all

    if options["cell"] and options["surprise"]:
        raise click.UsageError("--cell and --surprise both colour the text: give one.")
    terminal, model, ids = opened(checkpoint, options)
    signal = signal_of(model, options["signal"])
    cells = [] if options["surprise"] else chosen(terminal, model, ids, options, 1)
    reading = read_all(model, ids, options["signal"], options["offset"], options["length"])
    if options["surprise"]:
        look = {"low": 0.0, "ends": ("0 bits", f"{MOST_SURPRISE:g} bits or more")}
        names, values = ["surprise"], reading.surprise()[:, None] / MOST_SURPRISE
        title = "surprise of each character"
    else:
        look = {"low": 0.0, "ends": ("0", "1")} if signal.low == 0 else {}
        names, values = [name(cell) for cell in cells], np.stack([reading.cell(*cell) for cell in cells], axis=1)
        title = f"cell{'s' * (len(cells) > 1)} {', '.join(names)}   {signal.meaning}"
    save(heat_map(reading.text, names, values, title, dark=options["dark"], **look), options["output"])
    tell(terminal, options["output"])
