"""Write what documentation says of the code from the code: ``python docs/make_docs.py``.

docs/COMMANDS.md has the whole help of every command, and docs/man/ (by make_man.py) a man page for each; the map in
CONTRIBUTING.md has the first sentence of every room.
"""

import ast
from pathlib import Path

import click

from charrnn.commands import charrnn
from charrnn.commands.help import full_help

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "COMMANDS.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- the map: made by docs/make_docs.py -->\n", "<!-- end of the map -->\n"
WIDTH = 100

HEAD = """# Commands

Made from `charrnn COMMAND --help-all` by `python docs/make_docs.py`; a test keeps it true.

Exit status: 0 done, 1 a problem with the data or a file, 2 wrong usage, 130 ended by Ctrl-C, 143 by SIGTERM, 141 by a
reader that closed the output. Data goes to standard output, everything else to standard error. Off a terminal there are
no escape codes, and text is written exactly as it is; on a terminal, control characters and escape sequences in texts
are shown, never sent. `NO_COLOR`, `FORCE_COLOR`, `TERM`, `PAGER`, `LESS` and `COLUMNS` are heeded. `CHARRNN_CACHE` and
`CHARRNN_CORPORA` move the folders that hold compiled kernels, encoded texts and names of cells, and downloaded texts.
"""


def helps(command: click.Command, name: str, parent: click.Context | None = None) -> list[tuple[str, str]]:
    """(full name, whole help) of a command and of its subcommands."""
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=WIDTH, color=False, **command.context_settings
    )
    found = [(context.command_path, full_help(command, context))]
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found += helps(command.get_command(context, child), child, context)
    return found


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, text in helps(charrnn, "charrnn"):
        body = "\n".join(line.rstrip() for line in text.splitlines())
        parts.append(f"## {name}\n\n```text\n{body}\n```\n")
    return "\n".join(parts)


# From the ground up, as in tests/test_house.py, where a test compares the two.
ROOMS = (
    *("version", "errors", "records", "sanitise", "config", "settings", "system", "kernels", "text", "network"),
    *("checkpoints", "inference", "training", "verification", "compression", "model", "writing", "analysis"),
    *("inspection", "explanation", "display", "commands"),
)


def first_sentence(room: str) -> str:
    """The first paragraph of a room's own docstring, on one line."""
    path = ROOT / "charrnn" / room
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    paragraph = ast.get_docstring(ast.parse(path.read_text("utf-8"))).split("\n\n")[0]
    return " ".join(paragraph.split())


def house() -> str:
    """The map of the rooms, the topmost first: a room imports from rooms below it only."""
    names = [f"{room}/" if (ROOT / "charrnn" / room).is_dir() else f"{room}.py" for room in reversed(ROOMS)]
    width = max(map(len, names)) + 2
    rows = [f"    {name:{width}}{first_sentence(room)}" for name, room in zip(names, reversed(ROOMS), strict=True)]
    return "\n".join(["", *rows, "", ""])


def with_house(page: str) -> str:
    """CONTRIBUTING with the map as it must be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + house() + END + after


if __name__ == "__main__":
    import make_man

    make_man.main()
    PAGE.write_text(page(), encoding="utf-8")
    CONTRIBUTING.write_text(with_house(CONTRIBUTING.read_text("utf-8")), encoding="utf-8")
