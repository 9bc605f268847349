"""``charrnn corpus``: texts to train on, where to get them and what they are made of."""

from pathlib import Path

import click

from charrnn.commands import offers
from charrnn.commands.help import Group, option
from charrnn.commands.options import json_option, quiet_option
from charrnn.commands.types import Whole
from charrnn.commands.work import Work, picked

LIMIT = 2_000_000  # characters of the text `python`


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
    """List the texts of the catalog, and which of them are to be downloaded first.

    With --json also their licences and addresses, and what is worth knowing about each.
    """
    from charrnn.display.reports.texts import catalog_lines
    from charrnn.text.catalog import exists, load_catalog

    work = Work({"as_json": as_json})
    fields = ("name", "kind", "title", "bytes", "licence", "note", "address", "sha256")
    records = [
        {**picked(entry, *fields, "needs_download"), "path": str(entry.path()) if exists(entry.path()) else None}
        for entry in load_catalog().values()
    ]
    sizes = {each["name"]: each["bytes"] or _size(each["path"]) for each in records}
    work.show(records, catalog_lines(records, sizes, work.terminal.width))


@corpus.command()
@click.argument("name", shell_complete=offers.downloads)
@quiet_option
def get(name: str, quiet: bool) -> None:
    """Fetch the text called NAME from the catalog.

    A download that broke off is continued, and the text is accepted only if it is, bit for bit, the one of
    the catalog. The text `fables` comes with charrnn. The text `python` is built from the library of the Python
    that runs this.
    """
    import difflib

    from charrnn.errors import CorpusError
    from charrnn.text.catalog import find_text, load_catalog
    from charrnn.text.download import download

    work = Work({"quiet": quiet})
    catalog = load_catalog()
    entry = catalog.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, catalog, 1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise CorpusError(f"{name!r} is not in the catalog: {guess}charrnn corpus list shows what there is")
    if entry.kind == "download":
        with work.bar(f"Fetching {entry.name}") as progress:
            path = download(entry, progress=progress)
    else:
        path = find_text(name)
    work.terminal.note(f"{entry.name} is in {path}; train with: charrnn train {entry.name}")


@corpus.command()
@click.argument("file", shell_complete=offers.texts)
@option("--encoding", default="utf-8", help="How the file encodes its characters.")
@json_option
def stats(file: str, encoding: str, as_json: bool) -> None:
    """Count the characters and lines of FILE, and say what is odd about it.

    FILE is a file, a name from the catalog, or - for standard input. A file with bad bytes is described too.
    With --json come the counts of all characters.
    """
    from charrnn.display.reports.texts import statistics_lines
    from charrnn.text.catalog import find_text
    from charrnn.text.decoding import marked_encoding
    from charrnn.text.sources import Source
    from charrnn.text.statistics import RARE, text_statistics

    work = Work({"as_json": as_json})
    source = Source.from_stdin() if file == "-" else Source.from_path(find_text(file), file)
    found = text_statistics(source, encoding)
    marked = marked_encoding(source)
    if marked and not found.encoding.startswith(marked):
        mark = f"begins with the byte-order mark of {marked.upper()}"
        work.terminal.warn(f"{source.name}: {mark}; pass --encoding {marked}")
    record = _statistics_as_dict(file, found)
    work.show([record], statistics_lines(record, source.name, marked, RARE, work.terminal.width))


@corpus.command()
@option(
    "-o", "--output", metavar="FILE", shell_complete=offers.files,
    help="Where to write the text, or - for standard output.  [default: the place of the catalog's `python`]",
)  # fmt: skip
@option("--limit", type=Whole(1), default=LIMIT, help="The most characters to write; only whole files are taken.")
@option("--force", is_flag=True, help="Replace the output file if it exists.")
@quiet_option
def python(output: str | None, limit: int, force: bool, quiet: bool) -> None:
    """Build a text from the sources of this Python's own standard library.

    It needs no internet, and the same Python always gives the same text.
    """
    from charrnn.display.terminal import numbers
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
        if exists(path) and not force and output is None and limit == LIMIT:
            terminal.note(f"python is in {path} already; --force builds it anew; train with: charrnn train python")
            return
        if exists(path) and not force:
            raise CorpusError(f"{path}: is there already: give --force to replace it, or another --output")
        length = write_python_sources(path, limit)
        where = str(path)
    terminal.note(f"{numbers.characters(length)} written to {where}")


def _size(path: str | None) -> int | None:
    """The bytes of the file, None if there is none."""
    try:
        return None if path is None else Path(path).stat().st_size
    except OSError:  # it is in a folder that cannot be entered
        return None


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
