"""``charrnn inspect arrays``: a reading as NumPy arrays."""

from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import cell_option, cells_option, signals_option
from charrnn.commands.inspect.hypothesis import hypothesis_options
from charrnn.commands.inspect.inspection import Inspection, inspecting, output_option, stretch_options


@inspecting(
    section(
        "The arrays",
        output_option(".npz"),
        cell_option("The cell to write, or several as in 1:37,0:4.  [default: those with the most structure]"),
        cells_option(10, "Cells to write where --cell names none."),
        option("--all-cells", is_flag=True, help="Write every cell."),
        signals_option,
    ),
    hypothesis_options("Cells that keep track of something", "Add the cells that track this best:"),
    stretch_options(100_000),
)
def arrays(work: Inspection) -> None:
    """Write what the model in CHECKPOINT does while it reads TEXT as NumPy arrays: the text, ids, values of cells,
    log-probabilities and surprise. NumPy opens the file without pickles; docs/PYTHON.md describes it.

    \b
    charrnn inspect arrays fables --cell 1:37 -o cells.npz
    charrnn inspect arrays fables --all-cells --signal h -o all.npz

    \f

    --json writes an object: record ("file"), path, bytes.
    """
    from charrnn.inspection.arrays import as_npz
    from charrnn.inspection.reading import read_all

    model, ids = work.open()
    cells = None if work.options["all_cells"] else work.chosen(work.options["cells"])
    with work.bar("Reading") as progress:
        reading = read_all(model, ids, *work.stretch, progress, work.other_signals)
    work.write_file(as_npz(reading, model.vocabulary, cells, work.options["offset"]))
