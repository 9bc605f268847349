"""Option types and options that several commands share.

Help in sections, for commands with many options.

Options from a TOML file: ``--config``.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from charrnn.errors import ConfigError, brief


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


_LONGEST = 1 << 20  # bytes of a file of settings; a device would never end


def read_settings(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Make the settings in a file the defaults of the command's options, so that flags win.

    Raises:
        ConfigError: the file cannot be read, or has a setting that is unknown or of the wrong type.
    """
    if path is None:
        return None
    import difflib

    settings = _read_toml(path)
    options = {
        option.opts[-1].removeprefix("--"): option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option is not param
    }
    defaults: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            raise ConfigError(
                f"{path}: {brief(name)} is a table; settings stand at the top, one a line, as in hidden = 256"
            )
        option = options.get(name.replace("_", "-"))
        if option is None:
            near = difflib.get_close_matches(name.replace("_", "-"), options, 1)
            raise ConfigError(
                f"{path}: unknown setting {brief(name)}" + (f": did you mean {near[0]!r}?" if near else "")
            )
        if option.name in defaults:
            raise ConfigError(f"{path}: {name} is set twice, with - and with _")
        kinds, wanted = _kinds(option)
        # No option takes more than 64 bits, and Python does not spell out whole numbers of thousands of digits.
        if type(value) not in kinds or (type(value) is int and value.bit_length() > 64):
            raise ConfigError(f"{path}: {name} must be {wanted}, not {brief(value)}")
        defaults[option.name] = value
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    return path


def _read_toml(path: Path) -> dict[str, Any]:
    """The settings in a file.

    Raises:
        ConfigError: it cannot be read, is no TOML, or is far too long.
    """
    import tomllib

    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise ConfigError(f"{path}: longer than settings can be ({_LONGEST:,} bytes): is it another file?")
        return tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None
    except RecursionError:
        raise ConfigError(f"{path}: not settings (nested too deeply)") from None
    except ValueError as error:  # of TOML, of UTF-8, or of a number with thousands of digits
        raise ConfigError(f"{path}: not TOML ({error})") from None


def _kinds(option: click.Option) -> tuple[tuple[type, ...], str]:
    """The TOML types that suit an option, and how to say so."""
    if option.is_flag:
        return (bool,), "true or false"
    if isinstance(option.type, Whole):
        return (int,), "a whole number"
    if isinstance(option.type, Number):
        return (int, float), "a number"
    if isinstance(option.type, Duration):
        return (int, float, str), "seconds or a duration like '3m'"
    return (str,), "a string"
