"""Real shells on a terminal of their own, in which a line is typed with a tab in it."""

import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

SECONDS = 60  # to wait for charrnn
QUIET = 0.3  # seconds without output after which a shell has shown all

# How a shell starts without the user's files, and takes the script.
STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(charrnn completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -U compinit; compinit -u -D; eval "$(charrnn completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "charrnn completion fish | source"),
}

# Asked by a shell it is charrnn. Otherwise it writes down the arguments that a typed line has given it.
_PROGRAM = """\
#!/bin/sh
if [ -n "$_CHARRNN_COMPLETE" ] || [ "$1" = completion ]; then
    {python} -m charrnn "$@"
    : > {answered}
else
    for argument in "$@"; do printf '%s\\0' "$argument"; done > {called}.part
    mv {called}.part {called}
fi
"""

# fish wants the terminal to be the one that controls its session.
_CONTROLLED = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Shell:
    """A shell ``name`` in the folder ``here``, with the script of ``charrnn completion``; ``home`` has its files."""

    def __init__(self, name: str, here: Path, home: Path):
        (home / "bin").mkdir(parents=True)
        self._answered, self._called = home / "answered", home / "called"
        program = home / "bin" / "charrnn"
        words = {"python": sys.executable, "answered": str(self._answered), "called": str(self._called)}
        program.write_text(_PROGRAM.format(**{name: shlex.quote(word) for name, word in words.items()}))
        program.chmod(0o755)
        arguments, script = STARTS[name]
        self._terminal, end = pty.openpty()
        path = os.pathsep.join([str(home / "bin"), os.environ["PATH"]])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CONTROLLED, *arguments],
            stdin=end,
            stdout=end,
            stderr=end,
            cwd=here,
            start_new_session=True,
            env=os.environ | {"PATH": path, "HOME": str(home), "TERM": "vt100", "LC_ALL": "C.UTF-8"},
        )
        os.close(end)
        self.seen = ""
        self.type(f"{script}; charrnn ready")

    def type(self, line: str) -> list[str]:
        """The arguments that charrnn is called with by ``line``, in which the shell completes a word at each tab."""
        *begun, rest = line.split("\t")
        for keys in begun:
            self._press(f"{keys}\t", self._answered)
            self._read_until_quiet()
        self._press(f"{rest}\r", self._called)
        self._read_until_quiet()
        return self._called.read_bytes().decode().split("\0")[:-1]

    def _press(self, keys: str, awaited: Path) -> None:
        """Press keys, and wait for the file that charrnn makes."""
        awaited.unlink(missing_ok=True)
        os.write(self._terminal, keys.encode())
        end = time.monotonic() + SECONDS
        while not awaited.exists():
            assert time.monotonic() < end, self.seen
            self._read(0.02)

    def _read_until_quiet(self) -> None:
        """Read until the shell has shown what it has to show. fish drops an answer if a key is pressed before."""
        while self._read(QUIET):
            pass

    def _read(self, seconds: float) -> bool:
        """Read what the shell shows; whether it showed something within so many seconds."""
        if not select.select([self._terminal], [], [], seconds)[0]:
            return False
        self.seen += os.read(self._terminal, 65536).decode(errors="replace")
        return True

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


def is_here(name: str) -> bool:
    """Whether the shell is installed and new enough, and the system has pseudo-terminals."""
    if os.name == "nt" or shutil.which(name) is None:
        return False
    return name != "bash" or subprocess.run([name, "-c", "((BASH_VERSINFO[0] > 4))"], check=False).returncode == 0
