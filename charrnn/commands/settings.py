"""Options from a TOML file: ``--config``."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.options import Duration, Number, Whole
from charrnn.errors import ConfigError


def read_settings(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Make the settings in a file the defaults of the command's options, so that flags win.

    Raises:
        ConfigError: the file cannot be read, or has a setting that is unknown or of the wrong type.
    """
    if path is None:
        return None
    import difflib
    import tomllib

    try:
        settings = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error})") from None
    options = {
        option.opts[-1].removeprefix("--"): option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option is not param
    }
    defaults: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            raise ConfigError(f"{path}: [{name}] is a table; settings stand at the top, one a line, as in hidden = 256")
        option = options.get(name.replace("_", "-"))
        if option is None:
            near = difflib.get_close_matches(name.replace("_", "-"), options, 1)
            raise ConfigError(f"{path}: unknown setting {name!r}" + (f": did you mean {near[0]!r}?" if near else ""))
        if option.name in defaults:
            raise ConfigError(f"{path}: {name} is set twice, with - and with _")
        kinds, wanted = _kinds(option)
        if type(value) not in kinds:
            raise ConfigError(f"{path}: {name} must be {wanted}, not {value!r}")
        defaults[option.name] = value
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    return path


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
