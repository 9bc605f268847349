"""The command line: one file a command; inspect is a folder.

It may import every other room, and is the only room that imports click; a command is imported when it is called for,
and imports Numba, NumPy and rich only when it runs, so that ``--help`` answers at once.  Most commands are functions of
a ``Work`` (work.py), which has their options, streams and model.  Begin with ``sample.py``.
"""

import io
import os
import sys
from importlib import import_module

import click

from charrnn.commands import old_spellings, signals
from charrnn.commands.help import COMPLETION, LazyGroup
from charrnn.errors import CharRNNError, ContradictionError
from charrnn.version import __version__

COMMANDS = {
    "demo": "A tour of two minutes: train, write, look inside.",
    "train": "Train a model on a text.",
    "sample": "Write text with a model.",
    "write": "Write a text together with a model, in the terminal.",
    "inspect": "Show what cells do, find those that track something, prove it.",
    "evaluate": "Score a text with a model.",
    "score": "Tell how unusual each line of a text, or of a growing log, is.",
    "baselines": "Compare a model with n-grams and compressors.",
    "novelty": "Tell how much of what a model writes it has copied.",
    "identify": "Tell which of several models explains each line best.",
    "compress": "Compress files with what a model expects.",
    "decompress": "Write the originals of compressed files.",
    "verify": "Train parts of a run again, and compare every byte.",
    "runs": "List the runs.",
    "compare": "Show several runs side by side: losses, curves, texts.",
    "info": "Show what is in a checkpoint.",
    "log": "Write the losses of a run as CSV or for TensorBoard.",
    "export": "Write a model to give away, or for other tools.",
    "import": "Read a model of PyTorch, char-rnn or torch-rnn.",
    "bench": "Measure how fast a model trains, scores and writes here.",
    "corpus": "Find, fetch and look at texts.",
    "explain": "Explain one step of a small network, with every number.",
    "completion": "Have a shell complete commands and names.",
}

_LONGEST_MESSAGE = 1500  # characters


class _Commands(LazyGroup):
    """The commands. A known problem becomes one line, and an old spelling is answered with the new one."""

    def resolve_command(self, ctx: click.Context, args: list[str]):
        """The command that the arguments name."""
        if ctx.resilient_parsing:  # a shell asks
            return super().resolve_command(ctx, args)
        if args[0] == "help":
            args = [*args[1:], "--help"]
        if args[0] == "--help":
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        if args[0] not in self.summaries and (new := old_spellings.answer(args[0], args[1:])):
            raise click.UsageError(new)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context):
        """Run the command."""
        arguments = list(ctx.args)
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if new := old_spellings.answer(error.ctx.info_name, arguments):
                raise click.UsageError(new) from None
            options = (each for each in arguments if _holds(each, error.option_name))
            name = next(filter(os.path.isfile, options), None)  # Path.is_file fails at a name that is too long
            if name is None:
                raise
            advice = f"To name the file {name!r} put ./ before it, or -- before all names and behind all options."
            raise click.UsageError(f"{error.format_message()} {advice}", error.ctx) from None
        except ContradictionError as error:
            from charrnn.settings import flag

            raise click.UsageError(f"{error.written(flag)}.") from error
        except CharRNNError as error:
            raise _Problem(str(error)) from error
        except MemoryError:
            raise _Problem("not enough memory: ask for less (a smaller size, batch, length or count)") from None
        except BrokenPipeError:
            # click would exit with 1.
            raise _ClosedPipe from None


def _shortened(message: str) -> str:
    """A message that repeats an argument of up to 128 KiB: its beginning, and its end, which says what to do."""
    if len(message) <= _LONGEST_MESSAGE:
        return message
    half = _LONGEST_MESSAGE // 2
    return f"{message[:half]} … ({len(message) - 2 * half:,} characters left out) … {message[-half:]}"


class _ClosedPipe(Exception):
    """The reader of the output has closed it (``charrnn sample … | head``)."""


class _Problem(click.ClickException):
    """A problem with the data or a file: one line on stderr, exit status 1."""

    exit_code = 1

    def show(self, file=None) -> None:
        from charrnn.display.terminal.console import Terminal

        if signals.received is None:  # after a Ctrl-C any error is a consequence of the interruption
            Terminal().error(_shortened(self.message))


@click.group(
    cls=_Commands,
    package="charrnn.commands",
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
@click.pass_context
def charrnn(ctx: click.Context) -> None:
    """Train, sample and look inside a character-level language model, on a CPU.

    \b
    charrnn train fables
    charrnn sample fables --temperature 0.8
    charrnn inspect fables
    """
    if ctx.invoked_subcommand is None:
        from charrnn.commands.greeting import greet

        greet()


def main() -> None:
    """The entry point: run a command and exit with 0, 1 (data, files), 2 (usage), 130 (Ctrl-C) or 143 (SIGTERM)."""
    signals.listen()
    try:
        status = _run()
        signals.ignore()
    except BaseException:
        # A signal can surface as any exception: an import that it interrupts fails with an ImportError.
        if signals.received is None:
            raise
    if signals.received is not None:
        signals.leave(signals.received)
    sys.exit(status)


def _holds(argument: str, option: str) -> bool:
    """Whether an argument has an unknown option: a long one begins it, a short one may stand among others."""
    if option.startswith("--"):
        return argument.startswith(option)
    return argument.startswith("-") and not argument.startswith("--") and option[1:] in argument


def _show(error: click.ClickException) -> None:
    """Write the error to stderr, sanitised: click repeats arguments, which may come from anybody."""
    if isinstance(error, _Problem | click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    from charrnn.sanitise import visible

    message = io.StringIO()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        error.ctx.color = False  # visible() would show the codes of colours
    error.show(message)
    click.echo(visible(_shortened(message.getvalue())), nl=False, err=True)


def _run() -> int:
    """Run the command of the arguments and flush its output; its exit status."""
    try:
        status = _status()
        if sys.stdout is not None:  # it may have been closed from the start
            sys.stdout.flush()
        return status
    except (BrokenPipeError, _ClosedPipe):
        _drop_output()
        return 141
    except OSError as error:
        _drop_output()
        _Problem(f"{error.filename or 'output'}: {error.strerror or error}").show()
        return 1


def _drop_output() -> None:
    """Drop what stdout does not take. Python flushes it again at exit, and would then end with exit status 120."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _status() -> int:
    """Run the command of the arguments; its exit status. An error is shown first."""
    try:
        if COMPLETION in os.environ:  # a shell asks; click knows all shells but one
            import_module("charrnn.commands.completion")
        status = charrnn.main(prog_name="charrnn", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        _show(error)
        return error.exit_code
