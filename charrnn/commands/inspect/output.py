"""The file that a command writes: ``-o FILE``."""

from pathlib import Path

from charrnn.commands.help import option
from charrnn.commands.types import OutputFile


def output_option(*suffixes: str, required: bool = True):
    """``-o`` / ``--output``, a file with one of these suffixes."""
    drawn = ".png" in suffixes
    return option(
        "-o", "--output", type=OutputFile(*suffixes), required=required,
        help=("Where to draw it" if drawn else "Where to write it") + ("; PNG needs matplotlib." if drawn else "."),
    )  # fmt: skip


def write(terminal, path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and say so."""
    from charrnn.errors import ConfigError
    from charrnn.system.files import write_durably

    try:
        write_durably(path, data)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from None
    tell(terminal, path, f" ({len(data) / 1e6:,.1f} MB)")


def tell(terminal, path: Path, size: str = "") -> None:
    """Say that a file is written, with ``--json`` as an object."""
    terminal.note(f"wrote {path}{size}")
    if terminal.wants_json:
        terminal.json({"record": "file", "path": str(path), "bytes": path.stat().st_size})
