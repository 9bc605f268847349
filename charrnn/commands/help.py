"""Help in two lengths: ``--help`` shows what people use, ``--help-all`` shows every option, in sections.

A docstring's part behind a form feed (``\\f``) is in ``--help-all`` only.
"""

import difflib
import inspect
import keyword
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import groupby

import click

from charrnn.commands.formatter import Context

COMPLETION = "_CHARRNN_COMPLETE"  # in the environment: a shell asks how a line can go on
_ALL = "charrnn.help_all"  # in the meta of a context: whether the whole help is asked for


class Option(click.Option):
    """An option. ``--help`` leaves a ``rare`` one out."""

    def __init__(self, *declarations, rare: bool = False, **attributes):
        super().__init__(*declarations, **attributes)
        self.rare = rare


def option(*declarations: str, **attributes) -> Callable:
    """``click.option``, with ``rare=True`` for an option that only ``--help-all`` shows. A default is shown."""
    attributes.setdefault("show_default", "default" in attributes and "/" not in declarations[0])
    return click.option(*declarations, cls=Option, **attributes)


def section(title: str, *declare: Callable) -> Callable:
    """A decorator: it declares options, in their order, in the section ``title`` of ``--help-all``."""

    def mark(command: Callable) -> Callable:
        for each in reversed(declare):
            command = each(command)
        for param in command.__click_params__:
            if not hasattr(param, "section"):
                param.section = title
        return command

    return mark


@contextmanager
def whole(ctx: click.Context) -> Iterator[None]:
    """Have the help of ``ctx`` say everything, as ``--help-all`` does."""
    ctx.meta[_ALL] = True
    try:
        yield
    finally:
        del ctx.meta[_ALL]


def full_help(command: click.Command, ctx: click.Context) -> str:
    """What ``--help-all`` shows."""
    with whole(ctx):
        return command.get_help(ctx)


def _show_all(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(full_help(ctx.command, ctx), color=ctx.color)
        ctx.exit()


_HELP_ALL = click.Option(
    ["--help-all"], is_flag=True, is_eager=True, expose_value=False, callback=_show_all,
    help="Show every option, in sections, and exit.",
)  # fmt: skip


class Command(click.Command):
    """A command with ``--help`` and ``--help-all``.

    Args:
        first: names of parameters with which ``--help`` begins its list of options.
    """

    context_class = Context

    def __init__(self, *arguments, first: Sequence[str] = (), **attributes):
        super().__init__(*arguments, **attributes)
        self.first = first

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters, with both helps at the end."""
        return [*super().get_params(ctx), _HELP_ALL]

    def shown_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The parameters that the help lists."""
        return self.get_params(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the docstring, with its second part if the whole help is asked for."""
        text, _, details = inspect.cleandoc(self.help or "").partition("\f")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(text + details if _ALL in ctx.meta else text.rstrip())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options: the short help leaves rare ones out, the whole help has all, section by section."""
        shown, title, params = [], "Options", self.shown_params(ctx)
        if _ALL not in ctx.meta:
            params = sorted((each for each in params if not getattr(each, "rare", False)), key=self._place)
        for param in params:
            if _ALL in ctx.meta:
                title = getattr(param, "section", title)  # --help has no section: it belongs to the last one
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None:
                shown.append((title, record))
        for title, records in groupby(shown, key=lambda pair: pair[0]):
            with formatter.section(title):
                formatter.write_dl([record for _, record in records])

    def _place(self, param: click.Parameter) -> int:
        """Where ``first`` has this parameter; the same place behind it for all others."""
        return self.first.index(param.name) if param.name in self.first else len(self.first)


class Group(Command, click.Group):
    """Commands with ``--help`` and ``--help-all``, in one file."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the commands."""
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lines(ctx).items()))

    def lines(self, ctx: click.Context) -> dict[str, str]:
        """A line on each command, by their names."""
        return {name: self.get_command(ctx, name).get_short_help_str(200) for name in self.list_commands(ctx)}


class LazyGroup(Group):
    """Commands by name, each imported from the module of its name only when it is called for.

    Args:
        package: where the modules are.
        summaries: a line on each command. It stands here and not in the module, so that help imports no module.
    """

    def __init__(self, *arguments, package: str, summaries: dict[str, str], **attributes):
        super().__init__(*arguments, **attributes)
        self.package, self.summaries = package, summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the help."""
        return list(self.summaries)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, imported now; None if there is none of this name."""
        if name not in self.summaries:
            return None
        module = f"{name}_" if keyword.iskeyword(name) else name  # no function can be called import
        return getattr(import_module(f"{self.package}.{module}"), module)

    def lines(self, ctx: click.Context) -> dict[str, str]:
        """A line on each command, by their names, without importing any."""
        return self.summaries

    def resolve_command(self, ctx: click.Context, args: list[str]):
        """The command that the arguments name; a usage error with a similar name if there is none."""
        if args[0] not in self.summaries and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], self.summaries, 1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)
