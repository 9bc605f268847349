"""How a cell is named on the command line: LAYER:UNIT, both from 0."""

import re
from itertools import chain

import click

Cell = tuple[int, int]


class Cells(click.ParamType):
    """Cells as ``1:37`` or ``1:37,0:4``: a list of (layer, unit), each once."""

    name = "cells"

    def get_metavar(self, param, ctx):
        """What stands for the value in a help."""
        return "LAYER:UNIT"

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


def together(ctx: click.Context, param: click.Parameter, values: tuple[list[Cell], ...]) -> list[Cell]:
    """The cells of an option that was given several times, each once."""
    return list(dict.fromkeys(chain.from_iterable(values)))


def name(cell: Cell) -> str:
    """The spelling of a cell: ``1:37``."""
    return f"{cell[0]}:{cell[1]}"
