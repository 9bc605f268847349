"""Help in sections, for commands with many options."""

from collections.abc import Callable
from itertools import groupby

import click


class Sectioned(click.Command):
    """A command whose help shows its options under the titles that :func:`section` gave them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        shown, title = [], "Options"
        for param in self.get_params(ctx):
            title = getattr(param, "section", title)  # --help is click's: it goes with those before it
            if isinstance(param, click.Option) and (record := param.get_help_record(ctx)) is not None:
                shown.append((title, record))
        for title, records in groupby(shown, key=lambda pair: pair[0]):
            with formatter.section(title):
                formatter.write_dl([record for _, record in records])


def section(title: str) -> Callable:
    """A decorator: the options that stand below it, down to the next one, are in the section of this ``title``."""

    def mark(command: Callable) -> Callable:
        for param in command.__click_params__:
            if not hasattr(param, "section"):
                param.section = title
        return command

    return mark
