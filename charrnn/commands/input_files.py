"""The files that a command reads one after the other, or standard input."""

from typing import Any, BinaryIO

import click

from charrnn.errors import CharRNNError

STREAM = "-"  # standard input, or standard output

files_argument = click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(allow_dash=True))


def input_names(options: dict[str, Any]) -> tuple[str, ...]:
    """The names of the files to read.

    Raises:
        click.UsageError: standard input is among them twice.
    """
    names = options["files"] or (STREAM,)
    if names.count(STREAM) > 1:
        raise click.UsageError("Standard input (-) can be given only once.")
    return names


def shown(name: str) -> str:
    """The name of a file for a message."""
    return "standard input" if name == STREAM else name


def require_no_terminal(stream: BinaryIO) -> None:
    """Refuse standard input that is a terminal.

    Raises:
        click.UsageError: it is one.
    """
    if stream.isatty():
        raise click.UsageError("Standard input is a terminal: name a file, or pipe something in.")


def for_each(terminal, tasks: list[tuple], work) -> None:
    """Call work(…) for every task. An error of one does not keep the others from being done.

    At the end the errors are said, each once, and the last one is raised.
    """
    errors: list[CharRNNError] = []
    for task in tasks:
        try:
            work(*task)
        except CharRNNError as error:
            errors.append(error)
    for error in errors[:-1]:
        terminal.error(str(error))
    if errors:
        raise errors[-1]
