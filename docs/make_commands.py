"""Write docs/COMMANDS.md from the whole help of every command: ``python docs/make_commands.py``."""

from pathlib import Path

import click

from charrnn.commands import charrnn
from charrnn.commands.help import full_help

PAGE = Path(__file__).parent / "COMMANDS.md"
WIDTH = 100

HEAD = """# Commands

Made from `charrnn COMMAND --help-all` by `python docs/make_commands.py`; a test keeps it true.

Exit status: 0 done, 1 a problem with the data or a file, 2 wrong usage, 130 ended by Ctrl-C, 143 by SIGTERM. Data goes
to standard output, everything else to standard error. Off a terminal there are no escape codes, and text is written
exactly as it is; on a terminal, control characters and escape sequences in texts are shown, never sent. `NO_COLOR`,
`FORCE_COLOR`, `TERM`, `PAGER`, `LESS` and `COLUMNS` are heeded. `CHARRNN_CACHE` and `CHARRNN_CORPORA` move the folders
that hold compiled kernels and encoded texts, and downloaded texts.
"""


def helps(command: click.Command, name: str, parent: click.Context | None = None) -> list[tuple[str, str]]:
    """(full name, whole help) of a command and of its subcommands."""
    sizes = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings | sizes)
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


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
