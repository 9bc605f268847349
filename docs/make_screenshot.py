"""Draw what a command shows in a terminal as an SVG without outside resources (POSIX only).

python docs/make_screenshot.py docs/inspect.svg 96 charrnn inspect checkpoints/fables corpora/fables.txt --no-pager
"""

import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

# rich's own template fetches a font from the network.
FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)


def screen(command: list[str], columns: int) -> str:
    """What ``command`` writes to a true-colour terminal ``columns`` wide."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(command, stdout=slave, stderr=subprocess.DEVNULL, stdin=slave, env=environment)
    os.close(slave)
    output = io.BytesIO()
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not data:
            break
        output.write(data)
    process.wait()
    return output.getvalue().decode("utf-8").replace("\r\n", "\n")


def main() -> None:
    """The command line: FILE.svg COLUMNS COMMAND …"""
    target, columns, *command = sys.argv[1:]
    from rich._export_format import CONSOLE_SVG_FORMAT

    console = Console(
        record=True, width=int(columns), file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi(screen(command, int(columns))), soft_wrap=True)
    template = FONT.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code", "ui-monospace, SFMono-Regular, Menlo, Consolas")
    shown = " ".join(command).replace(" --no-pager", "")
    svg = console.export_svg(title=shown, theme=MONOKAI, code_format=template)
    Path(target).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
