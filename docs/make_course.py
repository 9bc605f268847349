"""Run the commands and examples of the lessons in docs/course, and put what they write in the place of what they wrote.

    python docs/make_course.py

A block of text under a comment like <!-- lines 1-14, 20- --> has these lines of the output of the command above it.
The lessons are run in their order in one new folder.  From each lesson a notebook for Jupyter is made.
"""

import doctest
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from make_tour import BLOCK, chosen

COURSE = Path(__file__).parent / "course"
NOTEBOOKS = COURSE / "notebooks"
WIDTH = 88
PART = re.compile(
    rf"^    \$ charrnn (?P<command>[^\n]*)$|{BLOCK.pattern}|^```python\n(?P<code>.*?)```$", re.MULTILINE | re.DOTALL
)


def lessons() -> list[Path]:
    """The pages of the lessons, in their order."""
    return sorted(COURSE.glob("[0-9]-*.md"))


def output(command: str, folder: Path) -> list[str]:
    """The lines that ``charrnn`` with these arguments writes in ``folder`` off a terminal, ``WIDTH`` columns wide."""
    environment = os.environ | {"COLUMNS": str(WIDTH), "PYTHONPATH": str(COURSE.parents[1])}
    ran = subprocess.run(
        [sys.executable, "-m", "charrnn", *shlex.split(command)],
        cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if ran.returncode:
        raise SystemExit(f"charrnn {command}: {ran.stderr}")
    return ran.stdout.splitlines()


def remade(page: str, folder: Path) -> str:
    """A lesson with the present output of all its commands, which are run in ``folder``."""
    written: list[str] = []
    names: dict[str, object] = {}

    def replace(part: re.Match) -> str:
        nonlocal written
        if part["command"] is not None:
            written = output(part["command"], folder)
        elif part["code"] is not None:
            run(part["code"], names)
        else:
            lines = re.match(BLOCK, part[0])
            return lines[1] + chosen(written, lines[2]) + lines[4]
        return part[0]

    before = Path.cwd()
    os.chdir(folder)
    try:
        return PART.sub(replace, page)
    finally:
        os.chdir(before)


def run(code: str, names: dict[str, object]) -> None:
    """Run the examples of a block of code, whose results must be those that it shows.

    Raises:
        SystemExit: one is another.
    """
    test = doctest.DocTestParser().get_doctest(code, names, "lesson", None, 0)
    runner = doctest.DocTestRunner(verbose=False)
    said: list[str] = []
    if runner.run(test, out=said.append, clear_globs=False).failed:
        raise SystemExit("".join(said))
    names |= test.globs


def cells(page: str) -> Iterator[tuple[str, str]]:
    """The cells of a lesson's notebook: their kinds and sources.  Outputs are left to the reader."""
    at = 0
    for part in PART.finditer(page):
        if text := page[at : part.start()].strip("\n"):
            yield "markdown", text
        at = part.end()
        if part["command"] is not None:
            yield "code", f"!charrnn {part['command']}"
        elif part["code"] is not None:
            examples = doctest.DocTestParser().get_examples(part["code"])
            yield "code", "".join(example.source for example in examples).rstrip()
    if text := page[at:].strip("\n"):
        yield "markdown", text


def notebook(page: str) -> str:
    """A notebook in the format of Jupyter, version 4."""
    made = [
        {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": source.splitlines(keepends=True)}
        | ({"execution_count": None, "outputs": []} if kind == "code" else {})
        for number, (kind, source) in enumerate(cells(page))
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, indent=1) + "\n"


def main() -> None:
    """Make all pages and notebooks."""
    NOTEBOOKS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for page in lessons():
            sys.stderr.write(f"{page.name}\n")
            made = remade(page.read_text("utf-8"), Path(folder))
            page.write_text(made, "utf-8")
            (NOTEBOOKS / f"{page.stem}.ipynb").write_text(notebook(made), "utf-8")


if __name__ == "__main__":
    main()
