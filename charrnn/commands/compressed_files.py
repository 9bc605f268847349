"""What ``compress`` and ``decompress`` share: files and pipes in, files and pipes out, and a line on each."""

import contextlib
import stat
import sys
import time
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from charrnn.commands.help import option
from charrnn.commands.input_files import STREAM, for_each, input_names, require_no_terminal, shown
from charrnn.commands.work import Work
from charrnn.errors import CharRNNError, CompressedError, os_errors_as

force_option = option("-f", "--force", is_flag=True, help="Replace files that are there.")


def output_option(default: str):
    """``-o``; ``default`` is the name that is taken without it."""
    return option(
        "-o", "--output", metavar="OUT", type=click.Path(allow_dash=True),
        help=f"File to write, or - for standard output; with one FILE.  [default: {default}]",
    )  # fmt: skip


class Files(Work):
    """Files that are compressed or decompressed one after the other.

    Attributes:
        message: what the progress bar says before a name.
    """

    message: str

    @abstractmethod
    def output_of(self, name: str) -> str:
        """The name of the file that is made of the file ``name``."""

    @abstractmethod
    def open(self) -> None:
        """Get ready for the first file."""

    @abstractmethod
    def run(self, source: BinaryIO, sink, size: int | None, progress) -> Any:
        """Read one file of ``size`` bytes, if that is known, and write the other; returns the sizes of both."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files to read."""
        return input_names(self.options)

    def all(self) -> None:
        """Do the work for every file. A file that fails does not keep the others from it; at the end the exit is 1."""
        targets = self._targets()
        self.open()
        for_each(self.terminal, [*zip(self.names, targets, strict=True)], self._one)

    def _targets(self) -> list[str]:
        """Where the output of every file goes.

        Raises:
            UsageError: it cannot go there.
        """
        given, names, options = self.options["output"], self.names, self.options
        if len(set(names)) < len(names):
            raise click.UsageError("A file is given twice.")
        if given is not None and len(names) > 1:
            raise click.UsageError(f"-o names one file, and {len(names)} are given.")
        targets = [given or (STREAM if name == STREAM else self.output_of(name)) for name in names]
        if STREAM in targets and options["as_json"]:
            raise click.UsageError("--json and the data would both go to standard output: give -o.")
        for target in targets:
            if target == STREAM:
                self.require_output()
            elif Path(target).is_dir():
                raise CompressedError(f"{target}: this is a folder: name a file to write")
            elif not options["force"] and Path(target).exists():
                raise CompressedError(f"{target} is there already: give --force to replace it")
        return targets

    def require_output(self) -> None:
        """Check standard output before work begins."""

    def _one(self, name: str, target: str) -> None:
        begun = time.perf_counter()
        bar = self.bar(f"{self.message} {shown(name)}")
        with naming(name), opened(name) as (source, size), self._sink(target) as sink, bar as progress:
            totals = self.run(source, sink, size, progress)
        seconds = time.perf_counter() - begun
        if self.terminal.wants_json:
            about = {"file": name, "output": target, "original": totals.original, "compressed": totals.compressed}
            self.terminal.json(about | {"seconds": seconds})
        else:
            self.terminal.note(
                f"{shown(name)}: {self.described(totals, seconds)}{'' if target == STREAM else f': {target}'}"
            )

    def described(self, totals, seconds: float) -> str:
        """What was done with a file."""
        ratio = f" ({100 * totals.compressed / totals.original:.1f} %)" if totals.original else ""
        pace = totals.original / max(seconds, 1e-9) / 1000
        return (
            f"{totals.original:,} bytes, compressed {totals.compressed:,}{ratio}, in {seconds:,.1f} s "
            f"({pace:,.{0 if pace >= 100 else 1}f} kB/s)"
        )

    @contextlib.contextmanager
    def _sink(self, target: str) -> Iterator[Any]:
        from charrnn.system.files import replacing

        if target == STREAM:
            yield _Output(self.terminal)
            return
        with os_errors_as(_WritingError, f"{target}: cannot be written"), replacing(Path(target)) as file:
            yield file


class _WritingError(CharRNNError):
    """The output cannot be written."""


class _Output:
    """Standard output as a sink."""

    def __init__(self, terminal):
        self._terminal = terminal

    def write(self, data: bytes) -> None:
        """Write bytes: exact in a pipe, harmless on a terminal."""
        self._terminal.write_bytes(data)


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Have errors begin with the name of the file that was read."""
    try:
        yield
    except _WritingError:
        raise
    except CharRNNError as error:
        raise type(error)(f"{shown(name)}: {error}") from None


@contextlib.contextmanager
def opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """A file or a pipe to read, and its size if it has one.

    Raises:
        CompressedError: it cannot be read.
    """
    if name == STREAM:
        stream = getattr(sys.stdin, "buffer", None)
        if stream is None:
            raise CompressedError("standard input is closed: name a file")
        require_no_terminal(stream)
        yield _Readable(stream), None
        return
    with contextlib.ExitStack() as stack:
        with os_errors_as(CompressedError, "cannot be read"):
            status = Path(name).stat()
            if stat.S_ISDIR(status.st_mode):
                raise CompressedError("this is a folder: name its files, or pack it with tar first")
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
                raise CompressedError("this is a device: name a file, or pipe its content in")
            file = stack.enter_context(Path(name).open("rb"))
        yield _Readable(file), status.st_size if stat.S_ISREG(status.st_mode) else None


class _Readable:
    """A file whose errors of reading are CompressedErrors, so that no one takes them for errors of writing."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; fewer at the end."""
        with os_errors_as(CompressedError, "cannot be read"):
            return self._file.read(size)

    def read1(self, size: int) -> bytes:
        """Up to ``size`` bytes: what is there already; nothing at the end."""
        with os_errors_as(CompressedError, "cannot be read"):
            return getattr(self._file, "read1", self._file.read)(size)
