"""Watching cells while the model writes."""

import itertools
import time
from typing import Any

import click

from charrnn.commands.inspect import sampling_options
from charrnn.commands.inspect.cell_names import name
from charrnn.commands.options import Number

_PACE = 40.0  # characters a second: brisk reading
_CHUNK, _SAMPLE = 64, 2000  # characters drawn at a time where nobody watches; read to choose a cell
READS = False

TITLE = "The cells while the model writes"
OPTIONS = (
    click.option(
        "--follow", is_flag=True,
        help="Have the model write, and colour the text by --cell as it comes; --length characters.",
    ),
    click.option(
        "--pace", type=Number(0), default=_PACE, show_default=True,
        help="Characters a second on a terminal; 0 as fast as they come.",
    ),
    *sampling_options.OPTIONS,
)  # fmt: skip
OWN, FOR = ("pace",), "--follow"
IDLE = ("cells", "offset", "encoding")


def wanted(options: dict[str, Any]) -> str | None:
    """The option that asks for this view, if it is given."""
    return "--follow" if options["follow"] else None


def show(terminal, model, ids, options: dict[str, Any]) -> None:
    """Write with the model, and show its cells as it does."""
    import secrets

    from charrnn.display.terminal.colours import Depth
    from charrnn.inspection.clamping import require_cells
    from charrnn.inspection.generation import follow
    from charrnn.inspection.reading import Reader

    if options["text"] is not None or options["literal"] is not None:
        raise click.UsageError("--follow reads no text: the model writes it. --prime TEXT is how it begins.")
    require_cells(model.network, options["cell"])
    seed = secrets.randbelow(2**31) if options["seed"] is None else options["seed"]
    prime, choice = sampling_options.prime(model, options), sampling_options.choice(options)
    cells = options["cell"] or [_liveliest(model, prime, choice, seed, options["signal"])]
    terminal.note(
        f"cell{'s' * (len(cells) > 1)} {', '.join(map(name, cells))}, signal {options['signal']}, seed {seed}"
    )
    watched = terminal.stdout_is_terminal and not options["as_json"]
    pace = options["pace"] if watched else 0
    readings = follow(
        model, prime, options["length"], options["signal"], choice=choice, seed=seed, chunk=1 if pace else _CHUNK
    )
    readings = _paced(readings, pace)
    if options["as_json"]:
        _as_json(terminal, readings, cells)
    elif watched or terminal.depth != Depth.NONE:
        if options["prime"]:
            readings = itertools.chain([Reader(model, options["signal"]).read(prime)], readings)
        _coloured(terminal, readings, cells, options)
    else:
        for reading in readings:
            _plain(terminal, model, reading)


def _paced(readings, pace: float):
    """The readings, ``pace`` characters a second; 0 is at once."""
    due = time.monotonic()
    for reading in readings:
        yield reading
        if pace:
            due = max(due + len(reading.ids) / pace, time.monotonic() - 1)
            time.sleep(max(due - time.monotonic(), 0))


def _liveliest(model, prime, choice, seed: int, signal: str) -> tuple[int, int]:
    """The cell most worth a look in what the model is about to write."""
    from charrnn.inspection.gallery import gallery
    from charrnn.inspection.generation import follow

    (reading,) = follow(model, prime, _SAMPLE, signal, choice=choice, seed=seed, chunk=_SAMPLE)
    (find,) = gallery(reading, 1)
    return find.layer, find.unit


def _columns(reading, cells):
    import numpy as np

    return np.stack([reading.cell(*cell) for cell in cells], axis=1)


def _coloured(terminal, readings, cells, options: dict[str, Any]) -> None:
    from charrnn.commands.inspect.read import MEANINGS, scale_of
    from charrnn.display.reports.follower import Follower
    from charrnn.display.terminal.heatmap import legend

    scale = scale_of(options["signal"])
    terminal.show(MEANINGS[options["signal"]], legend(scale, depth=terminal.depth), "")
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
