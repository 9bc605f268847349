"""Option types and options that several commands share."""

import contextlib
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import click


class Whole(click.IntRange):
    """A whole number in a range, called N in helps."""

    name = "whole number"

    def get_metavar(self, param, ctx):
        """What stands for the value in a help."""
        return "N"

    def _describe_range(self) -> str:
        return _range(self)

    def convert(self, value, param, ctx):
        """The number, or a usage error."""
        number = click.types.IntParamType.convert(self, value, param, ctx)
        _require_within(self, number, param, ctx)
        return number


def _range(kind) -> str:
    """A range in a help: ends that only say that there is an end are left out."""
    if kind.max is not None and kind.max <= 1000:
        return f"{kind.min:g} to {kind.max:g}"
    return f"{'above' if kind.min_open else 'from'} {kind.min:g}"


def _require_within(kind, number: float, param, ctx) -> None:
    """Fail with the whole range if a number is outside of it."""
    low = number <= kind.min if kind.min_open else number < kind.min
    if low or (kind.max is not None and number > kind.max):
        digits = "," if isinstance(number, int) else ",.10g"
        least = f"above {kind.min:{digits}}" if kind.min_open else f"at least {kind.min:{digits}}"
        most = "" if kind.max is None else f" and at most {kind.max:{digits}}"
        kind.fail(f"{number} must be {least}{most}.", param, ctx)


class Number(click.FloatRange):
    """A finite number in a range; click's own type lets NaN and infinity pass."""

    name = "number"

    def get_metavar(self, param, ctx):
        """What stands for the value in a help."""
        return "X"

    def _describe_range(self) -> str:
        return _range(self)

    def convert(self, value, param, ctx):
        """The number, or a usage error."""
        number = click.types.FloatParamType.convert(self, value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        _require_within(self, number, param, ctx)
        return number


class Duration(click.ParamType):
    """Seconds, from ``90``, ``90s``, ``3m``, ``1h30m``."""

    name = "duration"

    def convert(self, value, param, ctx):
        """The seconds as a float, or a usage error."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
        else:
            match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", str(value).strip())
            if not match or not any(match.groups()):
                self.fail(f"{value!r} is not a duration like 90s, 3m or 1h30m.", param, ctx)
            days, hours, minutes, rest = (float(part or 0) for part in match.groups())
            seconds = ((days * 24 + hours) * 60 + minutes) * 60 + rest
        if not 0 < seconds <= 1e8:
            self.fail(f"{value!r} must be more than nothing and less than three years.", param, ctx)
        return seconds


def quiet_option(function: Callable) -> Callable:
    """``-q`` / ``--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")(function)


def json_option(function: Callable) -> Callable:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout, one object a line.")(function)


def threads_option(function: Callable) -> Callable:
    """``--threads``."""
    return click.option(
        "--threads",
        type=Whole(1, 1024),
        help="Threads to use. Results do not depend on it.  [default: all processors]",
    )(function)


def unknown_option(function: Callable) -> Callable:
    """``--unknown``."""
    return click.option(
        "--unknown",
        type=click.Choice(["error", "skip", "replace"]),
        help="What to do with characters that the model does not know.  "
        "[default: error; replace if it was trained with --min-count]",
    )(function)


class OutputFile(click.Path):
    """A file to write, whose name ends in ``suffix``; that its folder is there is found out before the work is done."""

    def __init__(self, suffix: str):
        super().__init__(dir_okay=False, path_type=Path)
        self.suffix = suffix

    def convert(self, value, param, ctx):
        """The path, or a usage error."""
        path = super().convert(value, param, ctx)
        if path.suffix.lower() != self.suffix:
            self.fail(f"{str(path)!r} does not end in {self.suffix}.", param, ctx)
        if not path.parent.is_dir():
            self.fail(f"{str(path)!r} cannot be written: there is no folder {str(path.parent)!r}.", param, ctx)
        return path


class CheckpointPath(click.Path):
    """A run's folder or a file, by a name that is not empty: an empty one would be the folder one is in."""

    def convert(self, value, param, ctx):
        """The path, or a usage error."""
        if not str(value):
            self.fail("an empty name: give a run's folder, or a file.", param, ctx)
        return super().convert(value, param, ctx)


checkpoint_argument = click.argument("checkpoint", type=CheckpointPath(path_type=Path))


def announced_compilation(terminal) -> None:
    """Have the first compilation of the kernels show a spinner, or off a terminal one line."""
    from charrnn.kernels import compiler

    said = False

    def announce():
        nonlocal said
        if said and not terminal.is_live:
            return contextlib.nullcontext()
        said = True
        return terminal.spinner("Compiling the kernels, once on this machine …")

    compiler.announce = announce


def with_option(function: Callable) -> Callable:
    """``--with``: more checkpoints, as the parameter ``others``."""
    return click.option(
        "--with",
        "others",
        type=CheckpointPath(path_type=Path),
        multiple=True,
        metavar="CHECKPOINT",
        help="Average with this model's probabilities, of the same characters and any size. May be repeated.",
    )(function)


def load_model(path: Path, threads: int | None, terminal, others: Iterable[Path] = ()):
    """The model at ``path``, averaged with ``others``; the kernels compiled with a spinner if they must be."""
    from charrnn.model import load

    announced_compilation(terminal)
    return load(path, *others, threads=threads, warn=terminal.warn)
