"""``charrnn inspect page``: a page for a browser."""

from pathlib import Path
from typing import Any

from charrnn.commands.help import option, section
from charrnn.commands.inspect.attention import head_record
from charrnn.commands.inspect.cells import Cell, cell_option, cells_option, head_option, name, signals_option
from charrnn.commands.inspect.hypothesis import hypothesis_options
from charrnn.commands.inspect.inspection import Inspection, inspecting, output_option, stretch_options
from charrnn.commands.inspect.naming import names_option
from charrnn.commands.types import Whole

_MOST_VALUES = 60_000_000  # bytes in the file, and four thirds of it in base64
_LOOKS = 6  # characters that a head looks at most, from each character
_PERMUTATIONS = 199  # for the p that stands beside a cell


@inspecting(
    section(
        "The page",
        output_option(".html"),
        cell_option("A cell to put first, or several as in 1:37,0:4."),
        cells_option(10, "Cells to add: those that track the hypothesis best, or those with the most structure."),
        signals_option,
        head_option("A head of a Transformer to put first, or several as in 0:3,1:2."),
        option(
            "--heads", "head_count", type=Whole(0, 1000), default=8, rare=True,
            help="Heads of a Transformer to add: those that follow a pattern of attention most.",
        ),
        option("--surprise", is_flag=True, help="Colour by -log2 of each character's probability when the page opens."),
        option(
            "--live", is_flag=True,
            help="Put the model's weights into the page: it writes on from any place, also with a cell held.",
        ),
        names_option,
    ),
    hypothesis_options("Cells that keep track of something", "Add the cells that track this best:"),
    stretch_options(100_000),
)  # fmt: skip
def page(work: Inspection) -> None:
    """Write one HTML page with TEXT, the cells of the model in CHECKPOINT, its guesses and its surprise. The page needs
    no network and can be given away. Of several signals of a cell each can be shown and hidden. Of a
    Transformer the page shows where a head looks from the character that is pointed at.

    \b
    charrnn inspect page fables -o cells.html
    charrnn inspect page fables --track quotes -o quotes.html
    charrnn inspect page fables --live -o alive.html

    \f

    --json writes an object: record ("file"), path, bytes.
    """
    from charrnn.commands.live_page import live_model, name_of
    from charrnn.display.page.page import Page
    from charrnn.display.reports.attention import LOOKS_AT
    from charrnn.display.reports.names import STRUCTURE, TRACKS, explained
    from charrnn.display.reports.names import tracks as words
    from charrnn.inspection.reading import read_cells

    model, ids = work.open()
    network = model.network
    cells, config = work.chosen_with_scores(work.options["cells"], _PERMUTATIONS), network.config
    live = live_model(config, network.parameters, 16) if work.options["live"] else None  # 16 bits a weight
    heads = _heads(work)
    _require_room(min(work.options["length"], len(ids)), len(cells), len(work.signals), len(heads))
    with work.bar("Reading") as progress:
        tracks = read_cells(model, ids, list(cells), *work.stretch, 5, progress, work.other_signals)
    names = [words(work.tracked[cell]) if cell in work.tracked else "" for cell in cells]
    of_list = [] if work.options["hypothesis"] else [STRUCTURE]
    of_heads = [LOOKS_AT] if heads else []
    made = Page(
        title=name_of(work.options["checkpoint"]),
        subtitle=f"{network.cell.title} {config.layers} × {config.hidden}, reading {len(tracks.ids):,} characters of "
        f"{_source(work.options)}",
        symbols=model.vocabulary.symbols,
        tracks=tracks,
        notes=list(cells.values()),
        names=names,
        explanation=" ".join(
            [*of_list, *([TRACKS] if any(names) else []), *explained([*cells.values(), *names]), *of_heads]
        ),
        offset=work.options["offset"],
        by_surprise=work.options["surprise"],
        looks=_looks(work, heads) if heads else None,
        live=live,
    )
    work.write_file(made.html().encode("ascii"))


def _heads(work: Inspection) -> dict[Cell, str]:
    """The heads of --head, and as many as --heads says, each with what it looks at in words."""
    from charrnn.display.reports.attention import looks_at
    from charrnn.inspection.attention import summary

    wanted, count = work.options["head"], work.options["head_count"]
    if wanted:
        work.require_heads()
    if not work.has_attention or not (wanted or count):
        return {}
    with work.bar("Looking at heads") as progress:
        found = summary(work.model, work.ids, progress=progress)
    chosen = [*wanted, *[head for head in found.ranked() if head not in wanted][:count]]
    return {head: looks_at(head_record(found, head)) for head in chosen}


def _looks(work: Inspection, heads: dict[Cell, str]):
    """Where the heads look from each character."""
    from charrnn.display.page.page import Looks
    from charrnn.inspection.attention import strongest

    offset, length = work.options["offset"], work.options["length"]
    with work.bar("Reading") as progress:
        found = strongest(work.model, work.ids, list(heads), offset, length, _LOOKS, progress)
    return Looks(list(map(name, heads)), list(heads.values()), *found)


def _require_room(characters: int, cells: int, signals: int, heads: int) -> None:
    """Check that a browser can hold the page.

    Raises:
        ConfigError: it has too many values.
    """
    from charrnn.errors import ConfigError

    if characters * (cells * signals + 2 * _LOOKS * heads) > _MOST_VALUES:
        of_heads, fewer = (f" and {heads:,} heads", "--cells or --heads") if heads else ("", "--cells")
        raise ConfigError(
            f"{characters:,} characters x {cells:,} cells x {signals} signals{of_heads} are too much: a page has at "
            f"most {_MOST_VALUES:,} values; give a shorter --length, fewer {fewer}, or one --signal"
        )


def _source(options: dict[str, Any]) -> str:
    """The text's name. A page is given away: it has the file's name and not its folder."""
    return Path(options["text"]).name if options["text"] else "a text" if options["literal"] else "the part held out"
