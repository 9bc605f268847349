"""Write the man pages from the help of the commands: ``python docs/make_man.py``.

There is a page for each command in docs/man/, and setup.cfg installs them in share/man/man1. They are made in the way
in which ``--help-all`` is made, by a formatter that writes roff. https://man.openbsd.org/man.7 describes its macros.
"""

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

import click

from charrnn.commands import charrnn
from charrnn.commands.help import whole
from charrnn.version import __version__

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "man"
WIDTH = 78  # of a line in the source

# A plain sign of these would become a typographic one, or begin an escape sequence.
SIGNS = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
STRONG = re.compile(r"`([^`]+)`|(?<![\w-])(--?[a-zA-Z][\w-]*)")  # code, and options
VALUE = re.compile(r"[A-Z]+")

EXIT = {
    "0": "The command is done.",
    "1": "There is a problem with the data or a file. One line on standard error says what, where, and what to do.",
    "2": "The command line is wrong.",
    "130": "Ctrl-C ended the command.",
    "141": "The reader of standard output closed it.",
    "143": "SIGTERM ended the command.",
}
ENVIRONMENT = {
    "CHARRNN_CACHE": "The folder of compiled kernels, encoded texts and names of cells, which may be deleted.",
    "CHARRNN_CORPORA": "The folder of downloaded texts.",
    "NO_COLOR, FORCE_COLOR, TERM, COLORTERM": "Whether there are colours, and how many.",
    "COLUMNS": "The width of a line.",
    "PAGER, LESS": "The program that pages long output, and its options.",
}
FILES = {
    "checkpoints/": "The runs, each in a folder of its own, in the folder where `charrnn train` was started.",
    "~/.cache/charrnn/": "Compiled kernels, encoded texts and names of cells. On macOS: ~/Library/Caches/charrnn/.",
    "~/.local/share/charrnn/corpora/": "Downloaded texts. On macOS: ~/Library/Application Support/charrnn/corpora/.",
}


class Roff(click.HelpFormatter):
    """Writes help as roff. Examples are kept in ``examples``, for a section of their own."""

    def __init__(self):
        super().__init__(width=WIDTH)
        self.examples: list[str] = []
        self._has_options = False

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the section with the command line."""
        self.write(f".SH SYNOPSIS\n.B {escaped(prog)}\n{VALUE.sub(italic, escaped(args))}\n.SH DESCRIPTION\n")

    def write_paragraph(self) -> None:
        """Write nothing: macros begin paragraphs."""

    def write_heading(self, heading: str) -> None:
        """Write the title of a section. Options in sections are one section with parts."""
        is_part = heading not in ("Options", "Commands")
        if not (is_part and self._has_options):
            self.write(f".SH {'OPTIONS' if is_part else heading.upper()}\n")
        if is_part:
            self.write(f".SS {escaped(heading)}\n")
            self._has_options = True

    def write_text(self, text: str) -> None:
        """Write paragraphs. One that is not to be wrapped is an example, unless the one before it leads to it."""
        written: list[str] = []
        for paragraph in re.split(r"\s*\n\s*\n|\s*\f\s*", text.strip()):
            if not paragraph.startswith("\b\n"):
                written.append(prose(paragraph))
            elif written and written[-1].endswith(":"):
                written.append(verbatim(paragraph[2:]))
            else:
                self.examples.append(verbatim(paragraph[2:]))
        self.write("\n.PP\n".join(written) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of options or of commands."""
        for term, about in rows:
            self.write(f".TP\n{option(term) if term.startswith('-') else bold(term)}\n{prose(about)}\n")


def escaped(text: str) -> str:
    """Text in which no sign means anything to roff, in ASCII."""
    signs = (SIGNS.get(sign, sign if sign.isascii() else f"\\[u{ord(sign):04X}]") for sign in text)
    return re.sub(r"^\.", r"\\&.", "".join(signs), flags=re.MULTILINE)


def bold(text: str) -> str:
    """The text in bold."""
    return rf"\fB{escaped(text)}\fR"


def italic(found: re.Match) -> str:
    """A match, which is escaped already, in italics."""
    return rf"\fI{found[0]}\fR"


def emphasised(text: str) -> str:
    """The text, code and options in bold."""
    parts, end = [], 0
    for found in STRONG.finditer(text):
        parts += [escaped(text[end : found.start()]), bold(found[1] or found[2])]
        end = found.end()
    return "".join([*parts, escaped(text[end:])])


def option(term: str) -> str:
    """An option in bold, and the name of its value in italics."""
    words = (rf"\fI{escaped(word)}\fR" if word[0].isupper() else emphasised(word) for word in term.split(" "))
    return " ".join(words)


def prose(text: str) -> str:
    """A paragraph in lines, none of which begins with a sign that would make it a request."""
    lines = textwrap.wrap(emphasised(text), WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(rf"\&{line}" if line.startswith(".") else line for line in lines)


def verbatim(text: str) -> str:
    """Lines that stay as they are."""
    return f".RS 4\n.nf\n{escaped(text)}\n.fi\n.RE"


def listed(title: str, rows: dict[str, str]) -> str:
    """A section with a list."""
    return f".SH {title}\n" + "".join(f".TP\n{bold(term)}\n{prose(about)}\n" for term, about in rows.items())


def released() -> str:
    """The date of this version as CHANGELOG.md has it; the empty string before it is released."""
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    found = re.search(rf"^## {re.escape(__version__)}, (\d{{4}}-\d\d-\d\d)$", changes, re.MULTILINE)
    return found[1] if found else ""


def page(command: click.Command, context: click.Context, summary: str, others: list[str]) -> str:
    """The page of a command. ``others`` are the names of the pages to which it leads."""
    name, roff = context.command_path.replace(" ", "-"), Roff()
    with whole(context):
        command.format_help(context, roff)
    parts = [
        '.\\" Made by docs/make_man.py.\n',
        f'.TH {escaped(name.upper())} 1 "{escaped(released())}" "charrnn {__version__}" "charrnn"\n',
        ".nh\n.ad l\n",  # names in the text must not be broken
        f".SH NAME\n{prose(name + ' - ' + summary.removesuffix('.'))}\n",
        roff.getvalue(),
    ]
    if roff.examples:
        parts += [".SH EXAMPLES\n", "\n.PP\n".join(roff.examples), "\n"]
    if context.parent is None:
        parts += [listed("EXIT STATUS", EXIT), listed("ENVIRONMENT", ENVIRONMENT), listed("FILES", FILES)]
    references = ",\n".join(f".BR {escaped(other)} (1)" for other in others)
    where = (
        "" if context.parent is None else ".PP\ncharrnn(1) lists the exit statuses, the environment and the files.\n"
    )
    return "".join([*parts, f".SH SEE ALSO\n{references}\n{where}"])


def pages(command: click.Command = charrnn, name: str = "charrnn", summary: str = "", parent=None) -> dict[str, str]:
    """The pages of a command and of its subcommands, by the names of their files."""
    context = command.context_class(command, info_name=name, parent=parent, color=False, **command.context_settings)
    below = command.lines(context) if isinstance(command, click.Group) else {}
    full = context.command_path.replace(" ", "-")
    others = [f"{full}-{child}" for child in below] or ["charrnn"]
    found = {f"{full}.1": page(command, context, summary or command.get_short_help_str(200), others)}
    for child, about in below.items():
        found |= pages(command.get_command(context, child), child, about, context)
    return found


def main() -> None:
    """Write all pages, and remove those of commands that are gone."""
    made = pages()
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.1"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
