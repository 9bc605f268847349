"""How cells are named on the command line, LAYER:UNIT from 0, and the options that say which cells and signals."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType

import click

from charrnn.commands.help import option
from charrnn.commands.types import Whole

Cell = tuple[int, int]
MOST_SURPRISE = 8.0  # bits; more has the same colour


class Cells(click.ParamType):
    """Cells as ``1:37`` or ``1:37,0:4``: a list of (layer, unit), each once."""

    name = "layer:unit"

    def convert(self, value, param, ctx) -> list[Cell]:
        """The cells, or a usage error."""
        if isinstance(value, list):
            return value
        cells = []
        for part in str(value).split(","):
            match = re.fullmatch(r"\s*(\d{1,9}):(\d{1,9})\s*", part)
            if match is None:
                self.fail(f"{part!r} is not LAYER:UNIT, two numbers from 0 as in 1:37.", param, ctx)
            cells.append((int(match[1]), int(match[2])))
        return list(dict.fromkeys(cells))


def _together(ctx: click.Context, param: click.Parameter, values: tuple[list[Cell], ...]) -> list[Cell]:
    """The cells of an option that was given several times, each once."""
    return list(dict.fromkeys(chain.from_iterable(values)))


def cell_option(text: str, required: bool = False):
    """``--cell``, which may be repeated: a list of (layer, unit)."""
    return option("--cell", type=Cells(), multiple=True, required=required, callback=_together, help=text)


def cells_option(default: int, text: str):
    """``--cells``: how many."""
    return option("--cells", type=Whole(1, 1000), default=default, help=text)


signal_option = option(
    "--signal", metavar="NAME",
    help="What to look at. An LSTM has c (through tanh; the default), h, and its gates i, f, g, o.",
)  # fmt: skip


def name(cell: Cell) -> str:
    """How a cell is written: ``1:37``."""
    return f"{cell[0]}:{cell[1]}"


def names(cells: Sequence[Cell], tracked: Mapping = MappingProxyType({})) -> str:
    """How cells are named in a title: ``cells 1:37, 0:4``, or ``cells 1:37 column, ρ -0.79; 0:4``.

    ``tracked`` has a ``charrnn.inspection.naming.Tracked`` for each cell of which it is known what it tracks.
    """
    from charrnn.display.reports.names import listed

    return f"cell{'s' * (len(cells) > 1)} {listed(cells, tracked)}"
