"""A list of compressed files, as lines: the objects that ``decompress --list`` writes with ``--json``."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from charrnn.display.terminal.tables import table

_COLUMNS = ("compressed", "original", "ratio", "with", "file")


def listing_lines(records: Sequence[Mapping[str, Any]], width: int) -> list[Text]:
    """A table with a line for each file."""
    return table(_COLUMNS, [_row(record) for record in records], width)


def _row(record: Mapping[str, Any]) -> list:
    ratio = f"{100 * record['compressed'] / record['original']:.1f} %" if record["original"] else None
    return [record["compressed"], record["original"], ratio, _method(record), record["file"]]


def _method(record: Mapping[str, Any]) -> str:
    """With what a file is compressed."""
    if record["method"] == "scratch":
        return "from scratch"
    name = " ".join(part for part in (record["model"], record["identity"][:16]) if part)
    learning = ", learning on" if record["method"] == "online" else ""
    ngrams = ", n-grams" if record["ngrams"] else ""
    return f"{name}{learning}{ngrams}{', inside' if record['packed'] else ''}"
