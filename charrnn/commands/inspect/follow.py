"""``charrnn inspect follow``: the cells while the model writes."""

import itertools
import time
from collections.abc import Iterator

from charrnn.commands import compiled
from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import Cell, cell_option, name, names, signals_option
from charrnn.commands.inspect.inspection import Inspection
from charrnn.commands.inspect.naming import names_option
from charrnn.commands.options import checkpoint_argument, general_options, unknown_option
from charrnn.commands.sampling import choice, prime_ids, sampling_options, seed_of
from charrnn.commands.types import Number, Whole
from charrnn.commands.work import command

_PACE = 40.0  # characters a second: brisk reading
_CHUNK, _SAMPLE = 64, 2000  # characters drawn at a time where nobody watches; read to choose a cell


@command(
    Inspection,
    checkpoint_argument,
    section(
        "What is shown",
        cell_option("The cell to show, or several as in 1:37,0:4.  [default: the one with the most structure]"),
        signals_option,
        option("-n", "--length", type=Whole(1), default=4000, help="Characters to write."),
        option("--pace", type=Number(0), default=_PACE, help="Characters a second on a terminal; 0 does not wait."),
        names_option,
    ),
    sampling_options("a new one"),
    section("General", unknown_option),
    general_options,
)  # fmt: skip
def follow(work: Inspection) -> None:
    """Have the model in CHECKPOINT write, and colour the text by a cell while it comes; several cells or signals are
    rows. Off a terminal it is the plain text, the same as `charrnn sample` writes.

    \b
    charrnn inspect follow fables --cell 1:37
    charrnn inspect follow fables --cell 1:37,0:4 --prime '"Come in," said' --pace 10

    \f

    --json writes an object for each character: character, surprise, values (by cell; of several signals a list).
    """
    from charrnn.display.terminal.colours import Depth
    from charrnn.inspection.gallery import gallery
    from charrnn.inspection.generation import follow as write
    from charrnn.inspection.reading import Reader

    options, terminal, model = work.options, work.terminal, work.load(compiled.naming, compiled.writing)
    signal, others = work.signal.name, work.other_signals
    work.require_cells()
    prime, how = prime_ids(work), {"choice": choice(options), "seed": seed_of(options)}
    cells = options["cell"]
    if not cells:
        (sample,) = write(model, prime, _SAMPLE, signal, **how, chunk=_SAMPLE)
        (find,) = gallery(sample, 1)
        cells = [(find.layer, find.unit)]
    terminal.note(f"{names(cells, work.tracked)}, signal {', '.join([signal, *others])}, seed {how['seed']}")
    watched = terminal.stdout_is_terminal and not options["as_json"]
    pace = options["pace"] if watched else 0
    readings = _paced(
        write(model, prime, options["length"], signal, **how, chunk=1 if pace else _CHUNK, others=others), pace
    )
    if watched or (terminal.depth != Depth.NONE and not options["as_json"]):
        if options["prime"]:
            readings = itertools.chain([Reader(model, signal, others=others).read(prime)], readings)
        _coloured(work, readings, cells)
    elif options["as_json"]:
        work.show(_records(readings, cells), ())
    else:
        for reading in readings:
            work.write(model.vocabulary.decode(reading.ids))


def _paced(readings, pace: float):
    """The readings, at ``pace`` characters a second; 0 does not wait."""
    due = time.monotonic()
    for reading in readings:
        yield reading
        if pace:
            due = max(due + len(reading.ids) / pace, time.monotonic() - 1)
            time.sleep(max(due - time.monotonic(), 0))


def _coloured(work: Inspection, readings, cells: list[Cell]) -> None:
    from charrnn.display.reports.follower import Follower
    from charrnn.display.reports.stacked import row_scales, signal_legends
    from charrnn.display.terminal.tables import paragraph

    width = work.terminal.width
    work.terminal.show(*paragraph(work.meaning, width), *signal_legends(work.signals, work.look), "")
    with Follower(work.terminal, work.row_names(cells), row_scales(work.signals, len(cells))) as follower:
        for reading in readings:
            follower.write(reading.text, reading.columns(cells))


def _records(readings, cells: list[Cell]) -> Iterator[dict]:
    """An object for each character."""
    for reading in readings:
        columns = reading.columns(cells).reshape(len(reading.ids), len(cells), -1)
        if columns.shape[2] == 1:
            columns = columns[..., 0]  # of one signal a number, and not a list of one
        for character, surprise, row in zip(reading.text, reading.surprise(), columns, strict=True):
            values = dict(zip(map(name, cells), row, strict=True))
            yield {"character": character, "surprise": surprise, "values": values}
