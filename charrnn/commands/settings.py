"""Options of a command from a TOML file: ``--config``."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.types import Duration, Number, Whole
from charrnn.errors import ConfigError, brief

_KINDS = {
    Whole: ((int,), "a whole number"),
    Number: ((int, float), "a number"),
    Duration: ((int, float, str), "seconds or a duration like '3m'"),
}
_LONGEST = 1 << 20  # bytes of a settings file. Without a limit, reading a device would never end


def read_settings(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Take the settings in a file as defaults of the command's options. Options on the command line win.

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
        # No option takes more than 64 bits, and Python refuses to print an integer of thousands of digits.
        if type(value) not in kinds or (type(value) is int and value.bit_length() > 64):
            raise ConfigError(f"{path}: {name} must be {wanted}, not {brief(value)}")
        defaults[option.name] = value
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    return path


def _read_toml(path: Path) -> dict[str, Any]:
    """The settings in a file.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or is far too long.
    """
    import tomllib

    from charrnn.system.files import read_regular

    try:
        return tomllib.loads(read_regular(path, _LONGEST).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None
    except RecursionError:
        raise ConfigError(f"{path}: not settings (nested too deeply)") from None
    except ValueError as error:  # bad TOML, bad UTF-8, or a number of thousands of digits
        raise ConfigError(f"{path}: not TOML ({error})") from None


def _kinds(option: click.Option) -> tuple[tuple[type, ...], str]:
    """The TOML types that suit an option, and how to say so."""
    return ((bool,), "true or false") if option.is_flag else _KINDS.get(type(option.type), ((str,), "a string"))
