"""How cells are named on the command line, LAYER:UNIT from 0, and the options that say which cells and signals."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType

import click

from charrnn.commands import offers
from charrnn.commands.help import option
from charrnn.commands.types import Whole

Cell = tuple[int, int]
MOST_SURPRISE = 8.0  # bits; more has the same colour


class Cells(click.ParamType):
    """Cells as ``1:37`` or ``1:37,0:4``: a list of (layer, unit), each once; heads in the same way."""

    def __init__(self, unit: str = "unit"):
        self.name = f"layer:{unit}"

    def convert(self, value, param, ctx) -> list[Cell]:
        """The cells, or a usage error."""
        if isinstance(value, list):
            return value
        cells = []
        for part in str(value).split(","):
            match = re.fullmatch(r"\s*(\d{1,9}):(\d{1,9})\s*", part)
            if match is None:
                self.fail(f"{part!r} is not {self.name.upper()}, two numbers from 0 as in 1:37.", param, ctx)
            cells.append((int(match[1]), int(match[2])))
        return list(dict.fromkeys(cells))


class Signals(click.ParamType):
    """Signals as ``f`` or ``i,f,o``: a list of names, each once. The model's cell says later whether it has them."""

    def __init__(self, most: int | None = None):
        self.most, self.name = most, "name" if most == 1 else "name,..."

    def convert(self, value, param, ctx) -> list[str]:
        """The names, or a usage error."""
        if isinstance(value, list):
            return value
        names = [part.strip() for part in str(value).split(",")]
        if not all(names):
            self.fail(f"{value!r} is not a signal, or several as in i,f,o.", param, ctx)
        names = list(dict.fromkeys(names))
        if self.most is not None and len(names) > self.most:
            self.fail(f"{value!r}: this command looks at one signal; inspect show takes several.", param, ctx)
        return names

    def shell_complete(self, ctx, param, incomplete):
        """The signals of all kinds of cells, behind the names that are there already."""
        from charrnn.network.cells import CELLS

        known = dict.fromkeys(signal.name for cell in CELLS.values() for signal in cell.signals)
        before = "" if self.most == 1 else incomplete[: incomplete.rfind(",") + 1]
        return offers.beginning_with(incomplete, (before + name for name in known))


def _together(ctx: click.Context, param: click.Parameter, values: tuple[list[Cell], ...]) -> list[Cell]:
    """The cells of an option that was given several times, each once."""
    return list(dict.fromkeys(chain.from_iterable(values)))


def cell_option(text: str):
    """``--cell``, which may be repeated: a list of (layer, unit)."""
    return option("--cell", type=Cells(), multiple=True, callback=_together, help=text)


def head_option(text: str):
    """``--head``, which may be repeated: a list of (layer, head)."""
    return option("--head", type=Cells("head"), multiple=True, callback=_together, help=text)


def cells_option(default: int, text: str):
    """``--cells``: how many."""
    return option("--cells", type=Whole(1, 1000), default=default, help=text)


_SIGNALS = "An LSTM has c (through tanh), h, i, f, g, o; a GRU h, r, z, n; others h. The first is the default."
signal_option = option("--signal", "signals", type=Signals(most=1), help=f"What to look at. {_SIGNALS}")
signals_option = option(
    "--signal", "signals", type=Signals(), help=f"What to look at, or several as in i,f,o. {_SIGNALS}"
)


def name(cell: Cell) -> str:
    """How a cell is written: ``1:37``."""
    return f"{cell[0]}:{cell[1]}"


def names(cells: Sequence[Cell], tracked: Mapping = MappingProxyType({})) -> str:
    """How cells are named in a title: ``cells 1:37, 0:4``, or ``cells 1:37 column, ρ -0.79; 0:4``.

    ``tracked`` has a ``charrnn.inspection.naming.Tracked`` for each cell of which it is known what it tracks.
    """
    from charrnn.display.reports.names import listed

    return f"cell{'s' * (len(cells) > 1)} {listed(cells, tracked)}"
