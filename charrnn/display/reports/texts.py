"""Texts as lines: the catalog and what a text is made of, the objects that ``corpus`` writes with ``--json``."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.tables import key_values, table
from charrnn.display.terminal.text_width import wrap

_SHOWN = 20  # characters in the table of a text


def catalog_lines(records: Sequence[Mapping[str, Any]], sizes: Mapping[str, int | None], width: int) -> list[Text]:
    """A line for each text of the catalog, and how to get those that are to be downloaded.

    ``sizes`` are in bytes, by name; None for a text that is still to be made.
    """
    rows = [
        (each["name"], "yes" if each["needs_download"] else "no",
         f"{numbers.memory(size) if (size := sizes[each['name']]) else '–':>6}", each["title"])
        for each in records
    ]  # fmt: skip
    lines = table(("name", "to download", "size", "text"), rows, width)
    if any(each["needs_download"] for each in records):
        advice = "charrnn corpus get NAME downloads a text; charrnn train NAME takes the others as they are."
        lines += [Text(), *map(Text, wrap(advice, width))]
    return lines


def statistics_lines(
    record: Mapping[str, Any], name: str, marked: str | None, rare: int, width: int
) -> Iterator[Text | str]:
    """The counts, what is odd, and the commonest characters.

    Args:
        record: the object.
        name: of the text.
        marked: the encoding that a byte-order mark at the beginning tells.
        rare: a character that occurs fewer times is rare.
        width: of a line.
    """
    length, line = record["longest_line"].values()
    controls = ", ".join(f"{_spelled(character)}: {count:,}" for character, count in record["controls"].items())
    about = {
        "file": name,
        **{each: record[each] for each in ("bytes", "characters", "distinct")},
        f"rare (under {rare} times)": len(record["rare"]),
        "lines": record["lines"],
        "longest line": f"{numbers.characters(length)}, line {line:,}" if record["lines"] else None,
        "CRLF line ends": record["crlf_lines"],
        "byte-order mark": (marked.upper() if marked else "yes") if record["has_bom"] else "no",
        "control characters": controls or "none",
        "encoding": record["encoding"],
    }
    if bad := record["problem"]:
        first = "" if bad["bad_bytes"] == 1 else "the first is "
        place = f"byte 0x{bad['byte']:02X} at offset {bad['offset']}, line {bad['line']}"
        other = marked and not record["encoding"].startswith(marked)
        advice = f"--encoding {marked}" if other else "another --encoding"
        about["bad bytes"] = f"{bad['bad_bytes']:,}: {first}{place}; try {advice}"
    yield from key_values(about.items(), width)
    if record["counts"]:
        rows = [
            (_spelled(character), count, f"{100 * count / record['characters']:5.2f} %")
            for character, count in itertools.islice(record["counts"].items(), _SHOWN)
        ]
        yield from ("", *table(("character", "count", "share"), rows, width))
    if record["distinct"] > _SHOWN:
        yield f"and {record['distinct'] - _SHOWN:,} more: --json lists them all"


def _spelled(character: str) -> str:
    return f"U+{ord(character):04X} {character!r}"
