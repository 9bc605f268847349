"""Run the commands of docs/INSPECT.md and README.md again, and put what they write in the place of what they wrote.

    python docs/make_tour.py              # all of them: some minutes
    python docs/make_tour.py similar      # only commands with this word

A block of text under a comment like <!-- lines 1-14, 20- --> has these lines of the output of the command above it. A
block without one needs a training run, or is put together by hand.
"""

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "docs" / "INSPECT.md", ROOT / "README.md")
COMMAND = re.compile(r"^    (?:\$ )?charrnn (.*?)(?:  +#.*)?$", re.MULTILINE)
BLOCK = re.compile(r"(<!-- lines ([\d, -]+?) -->\n\n```text\n)(.*?)(```\n)", re.DOTALL)
WIDTH = 102


@cache
def output(command: str) -> list[str]:
    """The lines that ``charrnn`` with these arguments writes off a terminal, ``WIDTH`` columns wide."""
    environment = os.environ | {"COLUMNS": str(WIDTH)}
    sys.stderr.write(f"charrnn {command}\n")
    ran = subprocess.run(
        [sys.executable, "-m", "charrnn", *shlex.split(command), "-q"],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return ran.stdout.splitlines()


def chosen(lines: list[str], which: str) -> str:
    """The lines that ``which`` names, counted from 1, as in 1-14, 20-."""
    found = []
    for part in which.split(","):
        first, _, last = part.strip().partition("-")
        found += lines[int(first) - 1 : int(last) if last else None]
    return "".join(f"{line.rstrip()}\n" for line in found)


def remade(page: str, word: str = "") -> str:
    """The page with the present output of all commands that contain ``word``."""

    def replace(block: re.Match) -> str:
        command = COMMAND.findall(page, 0, block.start())[-1]
        if word not in command:
            return block[0]
        return block[1] + chosen(output(command), block[2]) + block[4]

    return BLOCK.sub(replace, page)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(remade(page.read_text("utf-8"), *sys.argv[1:2]), "utf-8")
