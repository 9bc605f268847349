"""What ``charrnn inspect`` can show: one file a view.

A view has

- ``OPTIONS``, which the command declares, and their ``TITLE`` in its help,
- ``wanted(options)``: the spelling of the option that asks for this view, or None (the last view takes what is left),
- ``show(terminal, model, ids, options)``, which does the work; ids (N,) are the text's,
- ``HEEDS``, if options that ask for other views only tell this one more: their spellings,
- ``READS = False`` if it reads no text: then ids are None.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import click

from charrnn.commands.sections import section


def view_options(views: Sequence[ModuleType]) -> Callable:
    """A decorator that declares the options of ``views``, in their order."""

    def declare(command: Callable) -> Callable:
        for view in reversed(views):
            for option in reversed(view.OPTIONS):
                command = option(command)
            command = section(view.TITLE)(command)
        return command

    return declare


def chosen(views: Sequence[ModuleType], options: dict[str, Any]) -> ModuleType:
    """The view that ``options`` ask for; the last one if they ask for none.

    Raises:
        click.UsageError: they ask for two.
    """
    asked = [(view, spelling) for view in views[:-1] if (spelling := view.wanted(options))]
    heeded = {spelling for view, _ in asked for spelling in getattr(view, "HEEDS", ())}
    asked = [(view, spelling) for view, spelling in asked if spelling not in heeded]
    if len(asked) > 1:
        raise click.UsageError(f"{asked[0][1]} and {asked[1][1]} are two views: give one.")
    if not asked:
        return views[-1]
    view, spelling = asked[0]
    if (other := views[-1].wanted(options)) and other not in getattr(view, "HEEDS", ()):
        raise click.UsageError(f"{spelling} is a view of its own: leave {other} out.")
    return view
