"""``charrnn corpus``: texts to train on, where to get them and what they are made of."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from charrnn.text import TextStatistics

_HELP = {"help_option_names": ["-h", "--help"]}
_SHOWN = 20  # characters in the table of `stats`


@click.group(context_settings=_HELP)
def corpus() -> None:
    """Find, fetch and examine texts to train on.

    A name from the list can be given wherever a text is expected, once it is fetched.
    """


@corpus.command("list", context_settings=_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line instead of a table.")
def list_texts(as_json: bool) -> None:
    """List the texts of the catalog, and which of them are on this machine."""
    from charrnn.text import load_catalog
    from charrnn.text.catalog import exists

    rows = []
    for entry in load_catalog().values():
        path = entry.path()
        present = exists(path)
        if as_json:
            record = {
                "name": entry.name,
                "kind": entry.kind,
                "title": entry.title,
                "bytes": entry.bytes,
                "licence": entry.licence,
                "note": entry.note,
                "address": entry.address,
                "sha256": entry.sha256,
                "path": str(path) if present else None,
            }
            click.echo(json.dumps(record))
        else:
            size = f"{entry.bytes:,}" if entry.bytes else "-"
            here = "yes" if present else "no"
            rows.append([entry.name, here, size, entry.licence, entry.title, entry.note])
    if not as_json:
        _table(["name", "here", "bytes", "licence", "text", "note"], rows, right={2})


@corpus.command(context_settings=_HELP)
@click.argument("name")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def get(name: str, quiet: bool) -> None:
    """Fetch the text called NAME from the catalog.

    A download that broke off is continued, and the text is accepted only if it is, bit for bit, the one of
    the catalog. The text `python` is not downloaded but built from the library of the Python that runs this.
    """
    from charrnn.errors import CorpusError
    from charrnn.text import download, load_catalog, write_python_sources
    from charrnn.text.catalog import exists

    catalog = load_catalog()
    entry = catalog.get(name)
    if entry is None:
        raise CorpusError(f"{name!r} is not in the catalog: {_nearest(name, list(catalog))}")
    path = entry.path()
    if entry.kind == "built-in":
        if not exists(path):
            write_python_sources(path)
    else:
        with _Progress(entry.name, quiet) as progress:
            path = download(entry, progress=progress)
    if not quiet:
        click.echo(f"{entry.name} is in {_visible(str(path))}; train with: charrnn train {entry.name}", err=True)


@corpus.command(context_settings=_HELP)
@click.argument("file")
@click.option("--encoding", default="utf-8", show_default=True, help="How the file encodes its characters.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with the counts of all characters.")
def stats(file: str, encoding: str, as_json: bool) -> None:
    """Count the characters and lines of FILE, and say what is odd about it.

    FILE is a file, a name from the catalog, or - for standard input. A file with bad bytes is described too.
    """
    from charrnn.text import Source, find_text, text_statistics

    source = Source.from_stdin() if file == "-" else Source.from_path(find_text(file), file)
    found = text_statistics(source, encoding)
    if as_json:
        click.echo(json.dumps(_record(file, found)))
    else:
        _describe(file, found)


@corpus.command(context_settings=_HELP)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write the text, or - for standard output.  [default: the place of the catalog's `python`]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=2_000_000,
    show_default=True,
    help="The most characters to write; only whole files are taken.",
)
@click.option("--force", is_flag=True, help="Replace the output file if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def python(output: str | None, limit: int, force: bool, quiet: bool) -> None:
    """Build a text from the sources of this Python's own standard library.

    It needs no network, and the same Python always gives the same text.
    """
    from charrnn.errors import CorpusError
    from charrnn.text import load_catalog, python_sources, write_python_sources
    from charrnn.text.catalog import exists

    if output == "-":
        text = python_sources(limit)
        # As bytes, so that Windows does not change the line ends.
        click.echo(text.encode("ascii"), nl=False)
        where, length = "standard output", len(text)
    else:
        path = load_catalog()["python"].path() if output is None else Path(output)
        if exists(path) and not force:
            raise CorpusError(f"{path}: this file exists: pass --force to replace it, or another --output")
        length = write_python_sources(path, limit)
        where = _visible(str(path))
    if not quiet:
        click.echo(f"{length:,} characters written to {where}", err=True)


class _Progress:
    """Shows a download on stderr: a line that is rewritten on a terminal, nothing elsewhere."""

    def __init__(self, name: str, quiet: bool):
        self.name = name
        self.shown = not quiet and sys.stderr.isatty()
        self.percent = -1

    def __enter__(self) -> Callable[[int, int], None]:
        return self.report

    def __exit__(self, *exception: object) -> None:
        if self.percent >= 0:
            click.echo(err=True)

    def report(self, done: int, total: int) -> None:
        percent = 100 * done // total
        if self.shown and percent != self.percent:
            self.percent = percent
            click.echo(f"\r{self.name}  {percent:3d} %  {done:,} of {total:,} bytes", nl=False, err=True)


def _record(file: str, found: "TextStatistics") -> dict[str, Any]:
    problem = found.problem
    return {
        "file": file,
        "bytes": found.bytes,
        "characters": found.characters,
        "distinct": found.distinct,
        "lines": found.lines,
        "longest_line": {"length": found.longest_line[0], "line": found.longest_line[1]},
        "crlf_lines": found.crlf_lines,
        "has_bom": found.has_bom,
        "encoding": found.encoding,
        "problem": None
        if problem is None
        else {
            "offset": problem.offset,
            "line": problem.line,
            "byte": problem.byte,
            "bad_bytes": problem.count,
        },
        "controls": dict(found.controls),
        "rare": list(found.rare),
        "counts": dict(found.counts.most_common()),
    }


def _describe(file: str, found: "TextStatistics") -> None:
    length, line = found.longest_line
    rows = [
        ["file", _visible(file)],
        ["bytes", f"{found.bytes:,}"],
        ["characters", f"{found.characters:,}"],
        ["distinct", f"{found.distinct:,}"],
        ["rare (under 10 times)", f"{len(found.rare):,}"],
        ["lines", f"{found.lines:,}"],
        ["longest line", f"{length:,} characters, line {line:,}"],
        ["CRLF line ends", f"{found.crlf_lines:,}"],
        ["byte-order mark", "yes" if found.has_bom else "no"],
        ["control characters", _listed(found.controls.items()) or "none"],
        ["encoding", found.encoding],
    ]
    if found.problem is not None:
        bad = found.problem
        place = f"byte 0x{bad.byte:02X} at offset {bad.offset}, line {bad.line}"
        rows.append(["bad bytes", f"{bad.count:,}; the first is {place}: try another --encoding"])
    _table(None, rows)
    if found.counts:
        click.echo()
        top = found.counts.most_common(_SHOWN)
        rows = [[_spelled(c), f"{count:,}", f"{100 * count / found.characters:.2f} %"] for c, count in top]
        _table(["character", "count", "share"], rows, right={1, 2})
        if found.distinct > _SHOWN:
            click.echo(f"and {found.distinct - _SHOWN:,} more: --json lists them all")


def _listed(counts: Any) -> str:
    return ", ".join(f"{_spelled(character)}: {count:,}" for character, count in counts)


def _spelled(character: str) -> str:
    return f"U+{ord(character):04X} {character!r}"


def _visible(text: str) -> str:
    """Text for a terminal: whatever is not printable is shown as an escape, not sent."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _nearest(name: str, names: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else "charrnn corpus list shows what there is"


def _table(header: list[str] | None, rows: list[list[str]], right: set[int] = frozenset()) -> None:
    """Print rows in aligned columns, those in ``right`` aligned to the right."""
    lines = rows if header is None else [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())
