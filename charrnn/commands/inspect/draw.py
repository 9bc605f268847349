"""``charrnn inspect draw``: cells over a text as a picture."""

import click

from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import MOST_SURPRISE, cell_option, names, signals_option
from charrnn.commands.inspect.hypothesis import hypothesis_options
from charrnn.commands.inspect.inspection import Inspection, inspecting, output_option, stretch_options
from charrnn.commands.inspect.naming import names_option


@inspecting(
    section(
        "The picture",
        output_option(".svg", ".png"),
        cell_option("The cell to draw, or several as in 1:37,0:4.  [default: the one with the most structure]"),
        signals_option,
        option(
            "--surprise", is_flag=True,
            help="Colour by -log2 of each character's probability instead; then --signal, --track, --where and --mask "
            "have no effect.",
        ),
        option("--dark", is_flag=True, help="Draw on a dark ground."),
        names_option,
    ),
    hypothesis_options("Cells that keep track of something", "Add the cell that tracks this best:"),
    stretch_options(4000),
)  # fmt: skip
def draw(work: Inspection) -> None:
    """Draw TEXT on the colours of a cell of the model in CHECKPOINT, for a paper or a slide. Several cells or signals
    are rows under the text.

    \b
    charrnn inspect draw fables --cell 1:37 -o cell.svg
    charrnn inspect draw fables --track quotes --length 600 -o quotes.png

    \f

    --json writes an object: record ("file"), path, bytes.
    """
    from charrnn.display.figures import save
    from charrnn.display.figures.heat_map import heat_map
    from charrnn.inspection.reading import read_all

    options = work.options
    if options["cell"] and options["surprise"]:
        raise click.UsageError("--cell and --surprise both colour the text: give one.")
    model, ids = work.open()
    cells = [] if options["surprise"] else work.chosen(1)
    reading = read_all(model, ids, *work.stretch, others=work.other_signals)
    if options["surprise"]:
        look = {"low": 0.0, "ends": ("0 bits", f"{MOST_SURPRISE:g} bits or more")}
        title = "surprise of each character"
        rows, values = ["surprise"], reading.surprise()[:, None] / MOST_SURPRISE
    else:
        look = {"signals": {signal.name: signal.low for signal in work.signals}}
        rows, values = work.row_names(cells), reading.columns(cells)
        title = f"{names(cells, work.tracked)}   {work.meaning}"
    save(heat_map(reading.text, rows, values, title, dark=options["dark"], **look), options["output"])
    work.tell_file()
