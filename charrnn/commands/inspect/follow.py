"""``charrnn inspect follow``: the cells while the model writes."""

import itertools
import time
from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import Command, option, section
from charrnn.commands.inspect.cells import cell_option, name, scale_of, signal_of, signal_option
from charrnn.commands.options import checkpoint_argument, general_options, unknown_option
from charrnn.commands.sampling import choice, prime_ids, sampling_options
from charrnn.commands.types import Number, Whole

_PACE = 40.0  # characters a second: brisk reading
_CHUNK, _SAMPLE = 64, 2000  # characters drawn at a time where nobody watches; read to choose a cell


@click.command(cls=Command)
@checkpoint_argument
@section(
    "What is shown",
    cell_option("The cell to show, or several as in 1:37,0:4.  [default: the one with the most structure]"),
    signal_option,
    option("-n", "--length", type=Whole(1), default=4000, show_default=True, help="Characters to write."),
    option(
        "--pace", type=Number(0), default=_PACE, show_default=True,
        help="Characters a second on a terminal; 0 does not wait.",
    ),
)  # fmt: skip
@sampling_options("a new one")
@section("General", unknown_option)
@general_options
def follow(checkpoint: Path, **options: Any) -> None:
    """Have the model in CHECKPOINT write, and colour the text by a cell while it comes. Off a terminal it is the plain
    text, the same as `charrnn sample` writes.

    \b
    charrnn inspect follow checkpoints/fables --cell 1:37
    charrnn inspect follow checkpoints/fables --cell 1:37,0:4 --prime '"Come in," said' --pace 10

    \f

    --json writes an object for each character: character, surprise, values (by cell).
    """
    import secrets

    from charrnn.commands.loading import load_model
    from charrnn.display.terminal.colours import Depth
    from charrnn.display.terminal.console import Terminal
    from charrnn.inspection.clamping import require_cells
    from charrnn.inspection.generation import follow as write
    from charrnn.inspection.reading import Reader

    terminal = Terminal(options["quiet"], options["as_json"])
    model = load_model(checkpoint, options["threads"], terminal)
    signal = signal_of(model, options["signal"])
    require_cells(model.network, options["cell"])
    seed = secrets.randbelow(2**31) if options["seed"] is None else options["seed"]
    prime, chosen = prime_ids(model, options), choice(options)
    cells = options["cell"] or [_liveliest(model, prime, chosen, seed, signal.name)]
    terminal.note(f"cell{'s' * (len(cells) > 1)} {', '.join(map(name, cells))}, signal {signal.name}, seed {seed}")
    watched = terminal.stdout_is_terminal and not options["as_json"]
    pace = options["pace"] if watched else 0
    readings = write(
        model, prime, options["length"], signal.name, choice=chosen, seed=seed, chunk=1 if pace else _CHUNK
    )
    readings = _paced(readings, pace)
    if options["as_json"]:
        _as_json(terminal, readings, cells)
    elif watched or terminal.depth != Depth.NONE:
        if options["prime"]:
            readings = itertools.chain([Reader(model, signal.name).read(prime)], readings)
        _coloured(terminal, readings, cells, signal)
    else:
        for reading in readings:
            _plain(terminal, model, reading)


def _paced(readings, pace: float):
    """The readings, at ``pace`` characters a second; 0 does not wait."""
    due = time.monotonic()
    for reading in readings:
        yield reading
        if pace:
            due = max(due + len(reading.ids) / pace, time.monotonic() - 1)
            time.sleep(max(due - time.monotonic(), 0))


def _liveliest(model, prime, chosen, seed: int, signal: str) -> tuple[int, int]:
    """The cell with the most structure in the text that the model is about to write."""
    from charrnn.inspection.gallery import gallery
    from charrnn.inspection.generation import follow as write

    (reading,) = write(model, prime, _SAMPLE, signal, choice=chosen, seed=seed, chunk=_SAMPLE)
    (find,) = gallery(reading, 1)
    return find.layer, find.unit


def _columns(reading, cells):
    import numpy as np

    return np.stack([reading.cell(*cell) for cell in cells], axis=1)


def _coloured(terminal, readings, cells, signal) -> None:
    from charrnn.display.reports.follower import Follower
    from charrnn.display.terminal.heatmap import legend

    scale = scale_of(signal)
    terminal.show(signal.meaning, legend(scale, depth=terminal.depth), "")
    with Follower(terminal, list(map(name, cells)), scale) as follower:
        for reading in readings:
            follower.write(reading.text, _columns(reading, cells))


def _as_json(terminal, readings, cells) -> None:
    names = list(map(name, cells))
    for reading in readings:
        surprise, columns = reading.surprise(), _columns(reading, cells)
        for place, character in enumerate(reading.text):
            values = dict(zip(names, columns[place], strict=True))
            terminal.json({"character": character, "surprise": surprise[place], "values": values})


def _plain(terminal, model, reading) -> None:
    text = model.vocabulary.decode(reading.ids)
    if isinstance(text, bytes):
        terminal.write_bytes(text)
    else:
        terminal.write(text)
