"""What ``charrnn inspect`` can show: one file a view.

A view has

- ``OPTIONS``, which the command declares, and their ``TITLE`` in its help,
- ``wanted(options)``: the spelling of the option that asks for this view, or None (the last view takes what is left),
- ``show(terminal, model, ids, options)``, which does the work; ids (N,) are the text's,
- ``OWN``, names of options that mean nothing where the view is not asked for; ``FOR`` is how it is asked for,
- ``IDLE``, names of options that tell others what to read or show, and it nothing; or ``idle(options)``, if they depend
  on others,
- ``HEEDS``, if options that ask for other views only tell this one more: their spellings,
- ``READS = False`` if it reads no text: then ids are None.
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import click

from charrnn.commands.options import section
from charrnn.commands.train.new_run import given


def view_options(views: Sequence[ModuleType]) -> Callable:
    """A decorator that declares the options of ``views``, in their order."""

    def declare(command: Callable) -> Callable:
        for view in reversed(views):
            for option in reversed(view.OPTIONS):
                command = option(command)
            command = section(view.TITLE)(command)
        return command

    return declare


def chosen(views: Sequence[ModuleType], options: dict[str, Any], shared: Sequence = ()) -> ModuleType:
    """The view that ``options`` ask for; the last one if they ask for none.

    ``shared`` have ``OWN``, ``FOR`` and ``wanted`` as views do, for options of several of them.

    Raises:
        click.UsageError: they ask for two, or for something that the view would drop.
    """
    view = _asked(views, options)
    context = click.get_current_context(silent=True)
    if context is not None:
        _refuse_idle((*views, *shared), view, options, context)
    return view


def _refuse_idle(owners: Sequence, view: ModuleType, options: dict[str, Any], context) -> None:
    """An option that would be dropped without a word is a usage error."""
    for other in owners:
        idle = given(context, getattr(other, "OWN", ())) if other.wanted(options) is None else []
        if idle:
            raise click.UsageError(f"{_spelling(idle[0])} means nothing without {other.FOR}.")
    idle = view.idle(options) if hasattr(view, "idle") else getattr(view, "IDLE", ())
    if idle := given(context, idle):
        raise click.UsageError(f"{view.wanted(options) or '--cell'} has no use for {_spelling(idle[0])}: leave it out.")


def _spelling(name: str) -> str:
    return "--no-probe" if name == "probe" else f"--{name.replace('_', '-')}"


def _asked(views: Sequence[ModuleType], options: dict[str, Any]) -> ModuleType:
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
