"""What commands do before and after their own part: they open the streams and a model, and show what they found."""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import click

from charrnn.commands.compiled import Kernels
from charrnn.commands.help import Command


class Work:
    """The options, the streams and the model of a command.

    ``--help`` must import neither rich nor NumPy, and so the imports stand in the methods.

    Args:
        options: all arguments and options of the command by their names.

    Attributes:
        terminal: the streams.
        model: what :meth:`load` has loaded.
    """

    def __init__(self, options: dict[str, Any]):
        from charrnn.display.terminal.console import Terminal

        self.options = options
        self.terminal = Terminal(options.get("quiet", False), options.get("as_json", False))

    @contextmanager
    def ranks(self, wanted: str):
        """The processes of MPI that share the work: only the first one shows anything, and an error of one ends all.

        ``wanted`` is the value of ``--distributed``.
        """
        import io

        from charrnn.display.terminal.console import Terminal
        from charrnn.training.mpi import start

        ranks = start(wanted)
        if not ranks.is_first:
            self.terminal = Terminal(True, False, stdout=io.StringIO(), stderr=io.StringIO())
        try:
            yield ranks
        except BaseException as error:
            ranks.end_all(error)
            raise

    def load(self, *needs: Kernels, others: Iterable[Path] = ()):
        """Load the model of ``checkpoint``, averaged with ``others``.

        ``needs`` say which kernels the command will need beside those that read: they are compiled together with these.
        """
        from charrnn.model import load

        self.announce_compilation()
        self.model = load(
            self.options["checkpoint"],
            *others,
            threads=self.options["threads"],
            warn=self.terminal.warn,
            needs=lambda checkpoint: [kernel for each in needs for kernel in each(self.options, checkpoint)],
        )
        return self.model

    def mixed(self, wanted: bool):
        """The model with its n-grams, or None if it has none or they take no part.

        ``--ngrams`` says whether they take part; without it ``wanted`` does.

        Raises:
            ConfigError: ``--ngrams on``, and there are none.
        """
        from charrnn.errors import ConfigError

        given = self.options.get("ngrams")
        if given == "off" or not (wanted or given == "on"):
            return None
        with self.bar("N-grams") as progress:
            found = self.model.mixed(progress)
        if found is None and given == "on":
            raise ConfigError(
                f"{self.options['checkpoint']}: it has no n-grams, which a run gets at its end if it has a validation "
                "part and was not interrupted: go on with it with train --resume, or leave --ngrams out"
            )
        return found

    def announce_compilation(self) -> None:
        """Have a bar while kernels compile for the first time; off a terminal a line, and a line every few seconds."""
        from charrnn.kernels import compiler

        said = False

        @contextmanager
        def announce(count: int):
            nonlocal said
            if not (said or self.terminal.is_live):
                kernels = "kernel" if count == 1 else "kernels"
                self.terminal.note(f"Compiling {count} {kernels}, once on this machine …")
            said = True
            done = itertools.count(1)
            with self.bar("Compiling, once on this machine") as report:
                report(0, count)
                yield lambda: report(next(done), count)

        compiler.announce = announce

    def bar(self, message: str) -> AbstractContextManager[Callable[[int, int], None]]:
        """A progress bar, as a context manager that yields its report(done, total)."""
        from charrnn.display.terminal.progress_bar import progress_bar

        return progress_bar(self.terminal, message)

    def show(self, records: Iterable[Mapping[str, Any]], lines: Iterable) -> None:
        """Write what was found: with ``--json`` the records, an object each, else the lines.

        Either may be an iterator that computes as it goes: the other one is left alone. Long output is paged if the
        command has ``--pager``.
        """
        from charrnn.display.terminal.pager import show_paged

        if self.terminal.wants_json:
            for record in records:
                self.terminal.json(record)
        else:
            show_paged(self.terminal, lines, paged=self.options.get("pager", False))

    def write(self, text: str | bytes, **style: str) -> None:
        """Stream text that the model wrote."""
        if isinstance(text, bytes):
            self.terminal.write_bytes(text)
        else:
            self.terminal.write(text, **style)

    def typed(self, text: str) -> str | bytes:
        """Text from the command line as the model reads it: str, or bytes."""
        return text.encode("utf-8", "surrogateescape") if self.model.vocabulary.is_bytes else text


def command(kind: type[Work], *declare: Callable, first: Sequence[str] = ()) -> Callable:
    """A decorator: makes a command of a function that takes a ``kind`` of work, and may return an exit status.

    Args:
        kind: the class of the work.
        declare: the arguments, options and sections of the command, in their order.
        first: names of options with which ``--help`` begins.
    """

    def make(run: Callable[[Work], int | None]) -> click.Command:
        @functools.wraps(run)
        def start(**options: Any) -> int | None:
            return run(kind(options))

        for each in reversed(declare):
            start = each(start)
        name = run.__name__.strip("_").replace("_", "-")
        return click.command(name, cls=Command, first=first)(start)

    return make


def readable(text: str | bytes) -> str:
    """Text that a model wrote, as characters."""
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def picked(found: object, *names: str) -> dict[str, Any]:
    """The attributes ``names`` of ``found``, as a part of a JSON object."""
    return {name: getattr(found, name) for name in names}
