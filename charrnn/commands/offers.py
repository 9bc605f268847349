"""What a shell is offered for a value that is not complete: texts, runs, and other names.

Functions are for ``shell_complete`` of an option or an argument.  They import no NumPy: a shell waits for the answer.
"""

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from charrnn.checkpoints.run_names import BUNDLED, RUNS, places, run_names

Offers = list[CompletionItem]


def beginning_with(incomplete: str, names: Iterable[str]) -> Offers:
    """The names that begin with ``incomplete``."""
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def files(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """Have the shell complete files and folders."""
    return [CompletionItem(incomplete, type="file")]


def texts(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """The texts of the catalog that need no download, and files and folders."""
    from charrnn.text.catalog import load_catalog

    names = [name for name, entry in load_catalog().items() if not entry.needs_download]
    return [*beginning_with(incomplete, names), *files(ctx, param, incomplete)]


def downloads(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """The texts of the catalog that can be downloaded."""
    from charrnn.text.catalog import load_catalog

    return beginning_with(incomplete, (name for name, entry in load_catalog().items() if entry.kind == "download"))


def checkpoints(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """The runs and the models that have names, and files and folders."""
    return [*beginning_with(incomplete, sorted({*run_names(), BUNDLED})), *files(ctx, param, incomplete)]


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> Offers:
    """The runs in the folder of ``--out``."""
    folder = Path(ctx.params.get("out") or RUNS)
    return beginning_with(incomplete, (place.name for place in places(folder) if place.is_dir()))
