"""``charrnn inspect``: one file a subcommand. Without a subcommand's name it is ``charrnn inspect show``."""

import difflib
import os
from pathlib import Path

import click

from charrnn.checkpoints.run_names import located
from charrnn.commands import offers
from charrnn.commands.help import LazyGroup

COMMANDS = {
    "show": "Show cells, predictions or surprise over a text (the default).",
    "find": "Find the cells that keep track of something, or heads that look at it.",
    "ablate": "Hold cells at a value, or silence heads: what is then lost.",
    "attention": "Show where the heads of a Transformer look.",
    "because": "Explain a prediction: which characters made it.",
    "similar": "Find the cells that are on in a passage, and places like it.",
    "follow": "Watch cells while the model writes.",
    "history": "Show how a run and its cells learnt.",
    "page": "Write an HTML page of a text and its cells.",
    "draw": "Draw cells over a text as SVG or PNG.",
    "arrays": "Write the values of cells as NumPy arrays.",
    "saturation": "Count how often gates are nearly closed or open.",
    "errors": "Sort the model's errors by what would have fixed them.",
    "distance": "Measure what a long way back to an opening sign costs.",
}


class _Inspect(LazyGroup):
    """A group that passes on to ``show`` where no subcommand is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the subcommand's name first."""
        if args and args[0] not in self._helps(ctx):
            place = self._first_name(ctx, args)
            if place is None or args[place] not in self.summaries:
                if place is not None:
                    self._require_no_slip(ctx, args[place])
                args = ["show", *args]
            else:
                args = [args[place], *args[:place], *args[place + 1 :]]
        return super().parse_args(ctx, args)

    def _require_no_slip(self, ctx: click.Context, name: str) -> None:
        """Refuse what is nearly the name of a subcommand, and not that of a checkpoint."""
        near = difflib.get_close_matches(name, self.summaries, 1, cutoff=0.75)
        if near and not os.path.lexists(located(Path(name))):
            ctx.fail(f"No checkpoint and no command has the name {name!r}. Did you mean the command {near[0]!r}?")

    def shown_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options of ``show``, which can stand without its name, and the group's own."""
        return [*self._show(ctx).params, *self.get_params(ctx)]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> offers.Offers:
        """Subcommands, and what can stand without one: the options of ``show``, and a checkpoint."""
        show = self._show(ctx)
        if incomplete.startswith("-"):
            return show.shell_complete(click.Context(show), incomplete)
        return [*super().shell_complete(ctx, incomplete), *offers.checkpoints(ctx, show.params[0], incomplete)]

    def _show(self, ctx: click.Context) -> click.Command:
        return self.get_command(ctx, "show")

    def _helps(self, ctx: click.Context) -> set[str]:
        return {spelling for param in self.get_params(ctx) for spelling in param.opts}

    def _first_name(self, ctx: click.Context, args: list[str]) -> int | None:
        """Where the first argument is that is neither an option nor an option's value."""
        options = [param for param in self._show(ctx).params if isinstance(param, click.Option)]
        with_value = {spelling for each in options if not each.is_flag for spelling in each.opts}
        is_value = False
        for place, word in enumerate(args):
            if word == "--":
                return None  # `inspect -- find` reads the checkpoint called find
            if not is_value and (word == "-" or not word.startswith("-")):
                return place
            is_value = not is_value and word in with_value
        return None


@click.group(
    cls=_Inspect,
    package="charrnn.commands.inspect",
    summaries=COMMANDS,
    subcommand_metavar="CHECKPOINT [TEXT] | COMMAND ...",
)
def inspect() -> None:
    """Show what the cells of the model in CHECKPOINT do while it reads TEXT, a file or - for standard input; without
    TEXT what its run held out. Without --cell: the cells with the most structure.

    \b
    charrnn inspect fables --cell 1:37
    charrnn inspect find fables --track quotes

    \f

    A checkpoint whose name is a command's, such as find, is read by `charrnn inspect ./find` and by `charrnn inspect
    show find`. `charrnn inspect show --help-all` says more.
    """
