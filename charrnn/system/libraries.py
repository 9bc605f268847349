"""Libraries that only some features need: whether one is installed is said before the work begins."""

from importlib.util import find_spec

from charrnn.errors import ConfigError


def require(library: str, what: str, instead: str = "") -> None:
    """Look whether a library is installed. It is not imported.

    Args:
        library: its name, for ``import`` and for pip.
        what: what needs it, as the message begins.
        instead: what does without it, as the message ends.

    Raises:
        ConfigError: it is not installed.
    """
    if find_spec(library) is None:
        advice = f"; {instead}" if instead else ""
        raise ConfigError(f"{what} needs {library}: pip install {library}, where charrnn is installed{advice}")
