"""The command line: one file a command.

This is the only package that imports click.  Commands are imported when they are called for, and import what
needs Numba when they run, so that ``--help`` answers at once.
"""

import io
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from charrnn.commands import signals
from charrnn.errors import CharRNNError
from charrnn.version import __version__

# What they are for stands here and not with them, so that --help need not import them.
COMMANDS = {
    "train": "Train a model on a text.",
    "sample": "Write text with a model.",
    "inspect": "Show what cells do, find those that track something, prove it.",
    "analyse": "Count saturated gates, kinds of errors, what distance costs.",
    "evaluate": "Score a text with a model.",
    "info": "Show what is in a checkpoint.",
    "export": "Write a model to give away.",
    "bench": "Measure how fast a model trains, scores and writes here.",
    "corpus": "Find, fetch and look at texts.",
}


class _Commands(click.Group):
    """The commands by name, each in the module of that name; known problems become one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(import_module(f"charrnn.commands.{name}"), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context):
        arguments = list(ctx.args)
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            name = next((each for each in arguments if _holds(each, error.option_name) and _is_file(each)), None)
            if name is None:
                raise
            advice = f"To name the file {name!r} put ./ before it, or -- before all names and behind all options."
            raise click.UsageError(f"{error.format_message()} {advice}", error.ctx) from None
        except CharRNNError as error:
            raise _Problem(str(error)) from error
        except MemoryError:
            raise _Problem("not enough memory: ask for less (a smaller size, batch, length or count)") from None
        except BrokenPipeError:
            # click would exit with 1.
            raise _ClosedPipe from None


class _ClosedPipe(Exception):
    """The reader of the output has had enough (``charrnn sample … | head``)."""


class _Problem(click.ClickException):
    """A problem with the data or a file: one line on stderr, exit status 1."""

    exit_code = 1

    def show(self, file=None) -> None:
        from charrnn.display.terminal.console import Terminal

        if signals.received is None:  # otherwise it is only what has become of a Ctrl-C on its way
            Terminal().error(self.message)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def charrnn() -> None:
    """Train, sample and look inside a character-level LSTM, on a CPU.

    \b
    charrnn train corpora/fables.txt
    charrnn sample checkpoints/fables --temperature 0.8
    charrnn inspect checkpoints/fables corpora/fables.txt
    """


def main() -> None:
    """The entry point: run a command and exit with 0, 1 (data, files), 2 (usage), 130 (Ctrl-C) or 143 (SIGTERM)."""
    signals.listen()
    try:
        status = _run()
        signals.ignore()
    except BaseException:
        # Whatever it has become on its way: an import that a signal cuts off fails with an ImportError.
        if signals.received is None:
            raise
    if signals.received is not None:
        signals.leave(signals.received)
    sys.exit(status)


def _holds(argument: str, option: str) -> bool:
    """Whether an option that there is not stands in an argument: a long one begins it, a short one is among others."""
    if option.startswith("--"):
        return argument.startswith(option)
    return argument.startswith("-") and not argument.startswith("--") and option[1:] in argument


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def _show(error: click.ClickException) -> None:
    """Write what is wrong to stderr; click repeats arguments as they are, and they may have come from anybody."""
    if isinstance(error, _Problem):
        error.show()
        return
    from charrnn.display.sanitise import visible

    message = io.StringIO()
    error.show(message)
    click.echo(visible(message.getvalue()), nl=False, err=True)


def _run() -> int:
    """Run the command that the arguments ask for and write all that it has said; its exit status."""
    try:
        status = _status()
        if sys.stdout is not None:  # it may have been closed from the start
            sys.stdout.flush()
        return status
    except (BrokenPipeError, _ClosedPipe):
        # Python must not try to flush again at exit.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        _Problem(f"{error.filename or 'output'}: {error.strerror or error}").show()
        return 1


def _status() -> int:
    """Run the command that the arguments ask for; its exit status, after a line on what was wrong, if anything was."""
    try:
        status = charrnn.main(prog_name="charrnn", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        _show(error)
        return error.exit_code
