"""A program on a pseudo-terminal, and a screen that understands what it sends: as much of a VT100 as the tests need."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata

_SEQUENCE = re.compile(
    r"\x1b(?:\[([?>=]?)([\d;]*)([A-Za-z@`])|\]([^\x07\x1b]*)(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78MDEc])"
)
_BEGUN = re.compile(r"\x1b(?:\[[?>=]?[\d;]*|\][^\x07\x1b]*|[()]?)?$")


def width(character):
    """Columns of a character."""
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


class VT:
    """Rows of cells, each a character with its marks, and the style that it was written in."""

    def __init__(self, columns, rows):
        self.resize(columns, rows)
        self.style, self.unknown, self.alternate, self.shows_cursor, self._begun = "", [], False, True, ""
        self.styles_seen = set()

    def resize(self, columns, rows):
        """An empty screen of this size."""
        self.columns, self.rows = columns, rows
        self.cells = [[(" ", "")] * columns for _ in range(rows)]
        self.row = self.column = 0

    def feed(self, text):
        """Take what a program has sent."""
        text = self._begun + text
        begun = _BEGUN.search(text)
        self._begun = text[begun.start() :] if begun else ""
        text = text[: len(text) - len(self._begun)]
        place = 0
        while place < len(text):
            found = _SEQUENCE.match(text, place)
            if found:
                self._act(found)
                place = found.end()
            else:
                self._write(text[place])
                place += 1

    def _write(self, character):
        if character == "\n":
            if self.row == self.rows - 1:
                self.cells = [*self.cells[1:], [(" ", "")] * self.columns]
            self.row = min(self.row + 1, self.rows - 1)
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(self.column - 1, 0)
        elif character < " " or "\x7f" <= character < "\xa0":
            self.unknown.append(character)
        else:
            wide = width(character)
            if not wide and self.column:
                before, style = self.cells[self.row][self.column - 1]
                self.cells[self.row][self.column - 1] = (before + character, style)
                return
            if self.column + wide <= self.columns:
                self.cells[self.row][self.column] = (character, self.style)
                for k in range(1, wide):
                    self.cells[self.row][self.column + k] = ("", self.style)
            self.column += wide

    def _act(self, found):
        private, numbers, letter, title = found.groups()
        if letter is None:
            if title is not None:
                self.unknown.append(found[0])
            return
        values = [int(each or 0) for each in numbers.split(";")]
        first = values[0] or 1
        if letter in "ABCD" and not private:
            self.row = min(max(self.row + first * {"A": -1, "B": 1}.get(letter, 0), 0), self.rows - 1)
            self.column = min(max(self.column + first * {"D": -1, "C": 1}.get(letter, 0), 0), self.columns - 1)
        elif letter in "Hf":
            self.row, self.column = first - 1, (values[1] or 1) - 1 if len(values) > 1 else 0
        elif letter == "G":
            self.column = first - 1
        elif letter == "K":
            self._clear(self.row, self.column, self.row + 1)
        elif letter == "J":
            self._clear(*((0, 0) if values[0] == 2 else (self.row, self.column)), self.rows)
        elif letter == "m":
            self.style = "" if numbers in ("", "0") else f"{self.style};{numbers}".removeprefix(";")
            self.styles_seen.add(numbers)
        elif letter in "hl" and private:
            if 1049 in values:
                self.alternate = letter == "h"
                self.resize(self.columns, self.rows)
            if 25 in values:
                self.shows_cursor = letter == "h"
        else:
            self.unknown.append(found[0])

    def _clear(self, row, column, stop):
        for each in range(row, stop):
            for k in range(column if each == row else 0, self.columns):
                self.cells[each][k] = (" ", "")

    @property
    def lines(self):
        """What stands in the rows."""
        return ["".join(character for character, _ in row).rstrip() for row in self.cells]

    def style_of(self, text):
        """The styles of the cells where a text stands, from its first place."""
        for row in self.cells:
            line = "".join(character[:1] or "" for character, _ in row)
            if text in line:
                return [style for _, style in row[line.index(text) :][: len(text)]]
        raise AssertionError(f"{text!r} is not on the screen")


class Program:
    """``charrnn`` on a pseudo-terminal; ``before`` is code of Python that runs first.

    Attributes:
        screen: what the terminal shows.
        sent: all bytes that it has received.
    """

    def __init__(self, *arguments, columns=80, rows=24, environment=None, before=""):
        main, other = pty.openpty()
        self._main, self.screen, self.sent = main, VT(columns, rows), b""
        self._set_size(columns, rows)
        unset = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "COLORTERM", "PROMPT_TOOLKIT_COLOR_DEPTH")
        usual = {name: value for name, value in os.environ.items() if name not in unset}
        usual |= {"TERM": "xterm-256color", "PYTHONUTF8": "1"} | (environment or {})

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\nfrom charrnn.__main__ import main\nmain()", *map(str, arguments)],
            stdin=other, stdout=other, stderr=subprocess.PIPE, preexec_fn=take_terminal, close_fds=True, env=usual,
        )  # fmt: skip
        os.close(other)

    def _set_size(self, columns, rows):
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows):
        """Give the terminal another size."""
        self.read()
        self.screen.resize(columns, rows)
        self._set_size(columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def read(self, seconds=0.0):
        """Take what has been sent; whether something was."""
        took = False
        while select.select([self._main], [], [], seconds)[0]:
            try:
                data = os.read(self._main, 65536)
            except OSError:  # the other side is closed
                return took
            if not data:
                return took
            self.sent += data
            self.screen.feed(self._decoded(data))
            took, seconds = True, 0.0
        return took

    def _decoded(self, data):
        data = getattr(self, "_rest", b"") + data
        for size in range(len(data), max(len(data) - 4, -1), -1):
            with contextlib.suppress(UnicodeDecodeError):
                text = data[:size].decode()
                self._rest = data[size:]
                return text
        raise AssertionError(f"not UTF-8: {data!r}")

    def type(self, text):
        """Send keys."""
        os.write(self._main, text.encode())

    def wait(self, wanted, seconds=60):
        """Read until a text stands on the screen, or ``wanted(screen)`` is true; the rows."""
        is_there = wanted if callable(wanted) else lambda screen: any(wanted in line for line in screen.lines)
        end = time.monotonic() + seconds
        while not is_there(self.screen):
            if time.monotonic() > end:
                raise AssertionError(f"not on the screen: {wanted!r}\n" + "\n".join(self.screen.lines))
            self.read(0.05)
            if self.process.poll() is not None and not self.read(0.05) and not is_there(self.screen):
                errors = self.process.stderr.read().decode()
                raise AssertionError(f"ended without {wanted!r}: {errors}\n" + "\n".join(self.screen.lines))
        return self.screen.lines

    def settle(self, seconds=0.4):
        """Read until nothing comes for some time; the rows."""
        while self.read(seconds):
            pass
        return self.screen.lines

    def end(self, seconds=60):
        """Wait for the end: the exit status and what is on stderr."""
        limit = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < limit, "it does not end\n" + "\n".join(self.screen.lines)
            self.read(0.05)
        self.read(0.05)
        return self.process.returncode, self.process.stderr.read().decode()

    def hang_up(self):
        """Close the terminal."""
        os.close(self._main)
        self._main = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        if self._main is not None:
            os.close(self._main)
