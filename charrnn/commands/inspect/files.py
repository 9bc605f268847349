"""A reading as a file: a page for a browser, a picture for a paper, arrays for a notebook."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.inspect import find
from charrnn.commands.inspect.cell_names import name
from charrnn.commands.options import OutputFile

_KINDS = ("html", "svg", "png", "npz")
_LONG = 100_000  # characters of a page and of arrays, unless --length says otherwise
_SAMPLE = 8_000_000  # values that the gallery is chosen by
HEEDS = ("--surprise", "--find", "--where", "--mask")


def _option(kind: str, help: str):
    return click.option(f"--{kind}", type=OutputFile(f".{kind}"), metavar="FILE", help=help)


TITLE = "Pages, pictures and arrays"
OPTIONS = (
    _option("html", "Write a page for a browser: the cells, the guesses and the surprise of 100,000 characters."),
    _option("svg", "Draw the text on the colours of --cell (or --surprise, or the best of --find, or of the gallery)."),
    _option("png", "The same as PNG; needs matplotlib."),
    click.option("--dark", is_flag=True, help="Draw on a dark ground."),
    _option("npz", "Write arrays for NumPy: text, ids, values of the cells, log-probabilities."),
    click.option("--all-cells", is_flag=True, help="Write the values of every cell to --npz."),
)


def wanted(options: dict[str, Any]) -> str | None:
    """The first file that is asked for."""
    for option, needs in (("dark", ("svg", "png")), ("all_cells", ("npz",))):
        if options[option] and not any(options[kind] for kind in needs):
            spelling = option.replace("_", "-")
            raise click.UsageError(f"--{spelling} is for {' and '.join(f'--{kind}' for kind in needs)}: give one.")
    return next((f"--{kind}" for kind in _KINDS if options[kind]), None)


def idle(options: dict[str, Any]) -> tuple[str, ...]:
    """Options that the files asked for have no use for: a picture shows one cell, or those of --cell."""
    return ("permutations", "probe") if options["html"] or options["npz"] else ("permutations", "probe", "cells")


def show(terminal, model, ids, options: dict[str, Any]) -> None:
    """Read the part of ids (N,) that is asked for, and write every file that is."""
    from charrnn.inspection.clamping import require_cells

    require_cells(model.network, options["cell"])
    if find.wanted(options):  # once for all files
        options = options | {"tracking": find.best(terminal, model, ids, options, options["cells"])}
    if options["html"]:
        _page(terminal, model, ids, options)
    if options["npz"]:
        _arrays(terminal, model, ids, options)
    if options["svg"] or options["png"]:
        _pictures(terminal, model, ids, options)


def _length(options: dict[str, Any]) -> int:
    source = click.get_current_context().get_parameter_source("length")
    return _LONG if source == click.core.ParameterSource.DEFAULT else options["length"]


def _write(terminal, path: Path, data: bytes) -> None:
    from charrnn.errors import ConfigError
    from charrnn.system.files import write_durably

    try:
        write_durably(path, data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from None
    _tell(terminal, path, f" ({len(data) / 1e6:,.1f} MB)")


def _tell(terminal, path: Path, size: str = "") -> None:
    terminal.note(f"wrote {path}{size}")
    if terminal.wants_json:
        terminal.json({"record": "file", "path": str(path), "bytes": path.stat().st_size})


def _finds(model, ids, options: dict[str, Any], count: int) -> dict[tuple[int, int], str]:
    """The cells that are asked for, then those that --find finds, or else the gallery's, with their scores."""
    if "tracking" in options:
        found = dict(list(options["tracking"].items())[:count])
        return {cell: found.get(cell, "") for cell in [*options["cell"], *found]}
    from charrnn.inspection.gallery import gallery
    from charrnn.inspection.reading import read_all

    config = model.network.config
    sample = min(_length(options), max(_SAMPLE // (config.layers * config.hidden), 1000))
    reading = read_all(model, ids, options["signal"], options["offset"], sample)
    found = {(find.layer, find.unit): f"{find.score:.3f}" for find in gallery(reading, count)}
    return {cell: found.get(cell, "") for cell in [*options["cell"], *found]}


def _chosen(model, ids, options: dict[str, Any], count: int) -> list[tuple[int, int]]:
    """The same for a picture or arrays: the gallery only where nothing else names cells."""
    if options["cell"] and "tracking" not in options:
        return options["cell"]
    return list(_finds(model, ids, options, count))


def _page(terminal, model, ids, options: dict[str, Any]) -> None:
    from charrnn.display.page.page import Page
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.reading import track

    cells, config = _finds(model, ids, options, options["cells"]), model.network.config
    with progress_bar(terminal, "Reading") as progress:
        tracks = track(model, ids, list(cells), options["signal"], options["offset"], _length(options), 5, progress)
    # A page is given away: it says the file's name, not where it was.
    source = Path(options["text"]).name if options["text"] else "a text" if options["literal"] else "the part held out"
    page = Page(
        title=_model_name(options),
        subtitle=f"LSTM {config.layers} × {config.hidden}, reading {len(tracks.ids):,} characters of {source}",
        symbols=model.vocabulary.symbols,
        tracks=tracks,
        notes=list(cells.values()),
        offset=options["offset"],
        by_surprise=options["surprise"],
    )
    _write(terminal, options["html"], page.html().encode("ascii"))


def _model_name(options: dict[str, Any]) -> str:
    path = options["checkpoint"].absolute()
    return path.parent.name if path.stem in ("best", "last") else path.stem


def _arrays(terminal, model, ids, options: dict[str, Any]) -> None:
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.arrays import as_npz
    from charrnn.inspection.reading import read_all

    cells = None if options["all_cells"] else _chosen(model, ids, options, options["cells"])
    with progress_bar(terminal, "Reading") as progress:
        reading = read_all(model, ids, options["signal"], options["offset"], _length(options), progress)
    _write(terminal, options["npz"], as_npz(reading, model.vocabulary, cells, options["offset"]))


def _pictures(terminal, model, ids, options: dict[str, Any]) -> None:
    import numpy as np

    from charrnn.commands.inspect.read import MEANINGS, MOST_SURPRISE
    from charrnn.display.figures import save
    from charrnn.display.figures.heat_map import heat_map
    from charrnn.inspection.reading import UNIT_SIGNALS, read_all

    cells = _chosen(model, ids, options, 1)
    reading = read_all(model, ids, options["signal"], options["offset"], options["length"])
    if options["surprise"]:
        look = {"low": 0.0, "ends": ("0 bits", f"{MOST_SURPRISE:g} bits or more")}
        names, values = ["surprise"], reading.surprise()[:, None] / MOST_SURPRISE
        title = "surprise of each character"
    else:
        unit = options["signal"] in UNIT_SIGNALS
        look = {"low": 0.0, "ends": ("0", "1")} if unit else {}
        names, values = [name(cell) for cell in cells], np.stack([reading.cell(*cell) for cell in cells], axis=1)
        title = f"cell{'s' * (len(cells) > 1)} {', '.join(names)}   {MEANINGS[options['signal']]}"
    drawing = heat_map(reading.text, names, values, title, dark=options["dark"], **look)
    for path in (options["svg"], options["png"]):
        if path is not None:
            save(drawing, path)
            _tell(terminal, path)
