"""``charrnn corpus``: texts to train on, where to get them and what they are made of."""

from collections.abc import Iterator
from pathlib import Path

import click

from charrnn.commands.help import Group, option
from charrnn.commands.options import json_option, quiet_option
from charrnn.commands.types import Whole
from charrnn.commands.work import Work, picked

_SHOWN = 20  # characters in the table of `stats`


@click.group(cls=Group)
def corpus() -> None:
    """Find, fetch and examine texts to train on.

    A name from the list can be given wherever a text is expected, once it is fetched.

    \b
    charrnn corpus list
    charrnn corpus get tinyshakespeare
    charrnn corpus stats novel.txt
    """


@corpus.command("list")
@json_option
def list_texts(as_json: bool) -> None:
    """List the texts of the catalog, and which of them are on this machine.

    With --json also their licences and addresses, and what is worth knowing about each.
    """
    from charrnn.text.catalog import exists, load_catalog

    work = Work({"as_json": as_json})
    entries = [(entry, exists(entry.path())) for entry in load_catalog().values()]
    work.show((_entry_as_dict(*each) for each in entries), _catalog_lines(entries, work.terminal.width))


@corpus.command()
@click.argument("name")
@quiet_option
def get(name: str, quiet: bool) -> None:
    """Fetch the text called NAME from the catalog.

    A download that broke off is continued, and the text is accepted only if it is, bit for bit, the one of
    the catalog. The text `python` is not downloaded but built from the library of the Python that runs this.
    """
    import difflib

    from charrnn.errors import CorpusError
    from charrnn.text.catalog import exists, load_catalog
    from charrnn.text.download import download
    from charrnn.text.python_source import write_python_sources

    work = Work({"quiet": quiet})
    catalog = load_catalog()
    entry = catalog.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, catalog, 1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise CorpusError(f"{name!r} is not in the catalog: {guess}charrnn corpus list shows what there is")
    path = entry.path()
    if entry.kind == "download":
        with work.bar(f"Fetching {entry.name}") as progress:
            path = download(entry, progress=progress)
    elif not exists(path):
        write_python_sources(path)
    work.terminal.note(f"{entry.name} is in {path}; train with: charrnn train {entry.name}")


@corpus.command()
@click.argument("file")
@option("--encoding", default="utf-8", help="How the file encodes its characters.")
@json_option
def stats(file: str, encoding: str, as_json: bool) -> None:
    """Count the characters and lines of FILE, and say what is odd about it.

    FILE is a file, a name from the catalog, or - for standard input. A file with bad bytes is described too.
    With --json come the counts of all characters.
    """
    from charrnn.text.catalog import find_text
    from charrnn.text.decoding import marked_encoding
    from charrnn.text.sources import Source
    from charrnn.text.statistics import text_statistics

    work = Work({"as_json": as_json})
    source = Source.from_stdin() if file == "-" else Source.from_path(find_text(file), file)
    found = text_statistics(source, encoding)
    marked = marked_encoding(source)
    if marked and not found.encoding.startswith(marked):
        mark = f"begins with the byte-order mark of {marked.upper()}"
        work.terminal.warn(f"{source.name}: {mark}; pass --encoding {marked}")
    lines = _statistics_lines(source.name, found, marked, work.terminal.width)
    work.show([_statistics_as_dict(file, found)], lines)


@corpus.command()
@option(
    "-o", "--output", metavar="FILE",
    help="Where to write the text, or - for standard output.  [default: the place of the catalog's `python`]",
)  # fmt: skip
@option(
    "--limit", type=Whole(1), default=2_000_000,
    help="The most characters to write; only whole files are taken.",
)  # fmt: skip
@option("--force", is_flag=True, help="Replace the output file if it exists.")
@quiet_option
def python(output: str | None, limit: int, force: bool, quiet: bool) -> None:
    """Build a text from the sources of this Python's own standard library.

    It needs no network, and the same Python always gives the same text.
    """
    from charrnn.errors import CorpusError
    from charrnn.text.catalog import exists, load_catalog
    from charrnn.text.python_source import python_sources, write_python_sources

    terminal = Work({"quiet": quiet}).terminal
    if output == "-":
        text = python_sources(limit)
        terminal.write(text)
        where, length = "standard output", len(text)
    else:
        path = load_catalog()["python"].path() if output is None else Path(output)
        if path.is_dir():
            raise CorpusError(f"{path}: this is a folder: name a file in it with --output")
        if exists(path) and not force:
            raise CorpusError(f"{path}: this file exists: pass --force to replace it, or another --output")
        length = write_python_sources(path, limit)
        where = str(path)
    terminal.note(f"{_characters(length)} written to {where}")


def _entry_as_dict(entry, here: bool) -> dict:
    about = picked(entry, "name", "kind", "title", "bytes", "licence", "note", "address", "sha256")
    return {**about, "path": str(entry.path()) if here else None}


def _catalog_lines(entries: list[tuple], width: int) -> list:
    from charrnn.display.terminal import numbers
    from charrnn.display.terminal.tables import table

    rows = [
        (entry.name, "yes" if here else "no", f"{numbers.memory(entry.bytes) if entry.bytes else '–':>6}", entry.title)
        for entry, here in entries
    ]
    return table(("name", "here", "size", "text"), rows, width)


def _statistics_as_dict(file: str, found) -> dict:
    bad = found.problem
    return {
        "file": file,
        **picked(found, "bytes", "characters", "distinct", "lines"),
        "longest_line": dict(zip(("length", "line"), found.longest_line, strict=True)),
        **picked(found, "crlf_lines", "has_bom", "encoding"),
        "problem": bad and {**picked(bad, "offset", "line", "byte"), "bad_bytes": bad.count},
        **picked(found, "controls", "rare"),
        "counts": dict(found.counts.most_common()),
    }


def _statistics_lines(name: str, found, marked: str | None, width: int) -> Iterator:
    from charrnn.display.terminal.tables import key_values, table
    from charrnn.text.statistics import RARE

    length, line = found.longest_line
    controls = ", ".join(f"{_spelled(character)}: {count:,}" for character, count in found.controls.items())
    pairs = [
        ("file", name),
        ("bytes", found.bytes),
        ("characters", found.characters),
        ("distinct", found.distinct),
        (f"rare (under {RARE} times)", len(found.rare)),
        ("lines", found.lines),
        ("longest line", f"{_characters(length)}, line {line:,}" if found.lines else None),
        ("CRLF line ends", found.crlf_lines),
        ("byte-order mark", (marked.upper() if marked else "yes") if found.has_bom else "no"),
        ("control characters", controls or "none"),
        ("encoding", found.encoding),
    ]
    if bad := found.problem:
        first = "" if bad.count == 1 else "the first is "
        place = f"byte 0x{bad.byte:02X} at offset {bad.offset}, line {bad.line}"
        pairs.append(("bad bytes", f"{bad.count:,}: {first}{place}; try {_other_encoding(marked, found.encoding)}"))
    yield from key_values(pairs, width)
    if found.counts:
        rows = [
            (_spelled(character), count, f"{100 * count / found.characters:5.2f} %")
            for character, count in found.counts.most_common(_SHOWN)
        ]
        yield from ("", *table(("character", "count", "share"), rows, width))
    if found.distinct > _SHOWN:
        yield f"and {found.distinct - _SHOWN:,} more: --json lists them all"


def _other_encoding(marked: str | None, encoding: str) -> str:
    return f"--encoding {marked}" if marked and not encoding.startswith(marked) else "another --encoding"


def _characters(number: int) -> str:
    return f"{number:,} character{'' if number == 1 else 's'}"


def _spelled(character: str) -> str:
    return f"U+{ord(character):04X} {character!r}"
