"""Types of options and arguments: numbers in a range, durations, files to write, checkpoints."""

import math
import os
from pathlib import Path

import click

from charrnn.errors import ConfigError

_TINY = 1e-6  # a lowest number that stands for any above 0


class _InRange:
    """What numbers in a range share, whole ones and others.

    Attributes:
        metavar: what stands for the value in a help.
        any_number: click's type of such a number without a range.
    """

    metavar: str
    any_number: type[click.ParamType]

    def get_metavar(self, param, ctx):
        """What stands for the value in a help."""
        return self.metavar

    def _describe_range(self) -> str:
        """The range in a help. A bound that is there only to have one is left out."""
        is_tiny = 0 < self.min <= _TINY
        least = "above 0" if is_tiny else f"{'above' if self.min_open else 'from'} {self.min:g}"
        if self.max is not None and self.max <= 1000:
            return f"{least}, at most {self.max:g}" if is_tiny else f"{self.min:g} to {self.max:g}"
        return least

    def convert(self, value, param, ctx):
        """The number, or a usage error."""
        number = self.any_number.convert(self, value, param, ctx)
        if isinstance(number, float) and not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        low = number <= self.min if self.min_open else number < self.min
        if low or (self.max is not None and number > self.max):
            digits = "," if isinstance(number, int) else ",.10g"
            least = f"above {self.min:{digits}}" if self.min_open else f"at least {self.min:{digits}}"
            most = "" if self.max is None else f" and at most {self.max:{digits}}"
            self.fail(f"{number} must be {least}{most}.", param, ctx)
        return number


class Whole(_InRange, click.IntRange):
    """A whole number in a range. The help calls it N."""

    name, metavar, any_number = "whole number", "N", click.types.IntParamType


class Number(_InRange, click.FloatRange):
    """A finite number in a range. click's own type accepts NaN and infinity. The help calls it X."""

    name, metavar, any_number = "number", "X", click.types.FloatParamType


class Duration(click.ParamType):
    """Seconds, from ``90``, ``90s``, ``3m``, ``1h30m``."""

    name = "duration"

    def convert(self, value, param, ctx):
        """The seconds as a float, or a usage error."""
        from charrnn.settings import seconds

        try:
            # A number comes from a file of settings.
            return seconds(f"{value:f}" if isinstance(value, int | float) else value)
        except ConfigError as error:
            self.fail(f"{error}.", param, ctx)


class OutputFile(click.Path):
    """A file to write, with a name that ends in one of ``suffixes``. What is in its way is said before work begins."""

    def __init__(self, *suffixes: str):
        super().__init__(dir_okay=False, path_type=Path)
        self.suffixes = suffixes

    def get_metavar(self, param, ctx):
        """What stands for the value in a help."""
        return "FILE" + "|".join(self.suffixes)

    def convert(self, value, param, ctx):
        """The path, or a usage error."""
        path = super().convert(value, param, ctx)
        if path.suffix.lower() not in self.suffixes:
            self.fail(f"{str(path)!r} does not end in {' or '.join(self.suffixes)}.", param, ctx)
        self.require_writable(path, Path(os.path.realpath(path)).parent, param, ctx)  # a link is followed
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "something else"
            self.fail(f"{str(path)!r} cannot be written: there is {what} that is called so.", param, ctx)
        if path.suffix.lower() == ".png":
            from charrnn.display.figures.png import require_matplotlib

            require_matplotlib()
        return path

    def get_missing_message(self, param, ctx=None):
        """What a message says about an option or argument that is missing: an example."""
        option = f"{param.opts[0]} " if isinstance(param, click.Option) else ""
        return f"Name the file to write, as in {option}cells{self.suffixes[0]}."

    def require_writable(self, path: Path, folder: Path, param, ctx) -> None:
        """Check that ``folder``, in which ``path`` or its files will be, is there and can be written."""
        if not folder.is_dir():
            self.fail(f"{str(path)!r} cannot be written: there is no folder {str(folder)!r}.", param, ctx)
        if not os.access(folder, os.W_OK):
            self.fail(f"{str(path)!r} cannot be written: the folder {str(folder)!r} is read-only.", param, ctx)


class OutputFileOrFolder(OutputFile):
    """As :class:`OutputFile`, or a folder: one that is there, or a name without an ending for a new one."""

    def __init__(self, *suffixes: str):
        super().__init__(*suffixes)
        self.dir_okay = True

    def convert(self, value, param, ctx):
        """The path, or a usage error."""
        path = click.Path.convert(self, value, param, ctx)
        if path.suffix.lower() in self.suffixes:
            return super().convert(value, param, ctx)
        if not str(value):
            self.fail("an empty name: give a file, or a folder.", param, ctx)
        if os.path.isdir(path):  # noqa: PTH112, Path.is_dir fails at a name that is too long
            self.require_writable(path, path, param, ctx)
        elif path.suffix or os.path.lexists(path):
            endings = " or ".join(self.suffixes)
            self.fail(f"{str(path)!r} does not end in {endings}, and the name of a folder has no ending.", param, ctx)
        else:
            self.require_writable(path, Path(os.path.realpath(path)).parent, param, ctx)
        return path


GIVEN = "charrnn.given."
"""Before the name of a parameter: where a context keeps the checkpoint as the user named it."""


class CheckpointPath(click.Path):
    """The name of a run, its folder, or a file.

    A name that is not a path here is looked for among the runs.  An empty name is refused: as a path it would be the
    current folder. What the user gave is kept in the context, by :data:`GIVEN` and the name of the parameter.
    """

    def __init__(self):
        super().__init__(path_type=Path)

    def convert(self, value, param, ctx):
        """The path, or a usage error."""
        if not str(value):
            self.fail("an empty name: give a run, or a file.", param, ctx)
        from charrnn.checkpoints.run_names import located

        if ctx is not None and param is not None:
            ctx.meta[f"{GIVEN}{param.name}"] = str(value)
        return located(super().convert(value, param, ctx))

    def get_missing_message(self, param, ctx=None):
        """What a message says about an argument that is missing: the runs that are there."""
        from charrnn.checkpoints.run_names import known_runs

        message = known_runs()
        return f"{message[0].upper()}{message[1:]}."

    def shell_complete(self, ctx, param, incomplete):
        """Names of runs and models, and files."""
        from charrnn.commands import offers

        return offers.checkpoints(ctx, param, incomplete)


class NamedCheckpoint(CheckpointPath):
    """``NAME=CHECKPOINT``, or a checkpoint or a set of models without a name.

    The value is a pair: the name or None, and a path.
    """

    def convert(self, value, param, ctx):
        """The pair, or a usage error."""
        if isinstance(value, tuple):
            return value
        whole = super().convert(value, param, ctx)
        name, equals, path = str(value).partition("=")
        if not equals or os.path.lexists(whole):
            return None, whole
        from charrnn.checkpoints.model_set import require_name
        from charrnn.errors import CheckpointError

        try:
            require_name(name)
        except CheckpointError as error:
            self.fail(f"{error}.", param, ctx)
        return name, super().convert(Path(path), param, ctx) if path else self.fail(
            "no checkpoint after =.", param, ctx
        )

    def shell_complete(self, ctx, param, incomplete):
        """Names of runs and models, and files, before and after the name."""
        from charrnn.commands import offers

        name, equals, path = incomplete.rpartition("=")
        found = offers.checkpoints(ctx, param, path)
        for each in found:
            if each.type == "plain":
                each.value = f"{name}{equals}{each.value}"
        return found


class Weight(click.ParamType):
    """``NAME=X``: a pair of a name and a number from 0."""

    name = "weight"

    def convert(self, value, param, ctx):
        """The pair, or a usage error."""
        if isinstance(value, tuple):
            return value
        name, equals, number = str(value).rpartition("=")
        if not equals:
            self.fail(f"{value!r} is not NAME=X.", param, ctx)
        return name, Number(0, 1e12).convert(number, param, ctx)
