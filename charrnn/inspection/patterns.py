"""Where a regular expression of the user's matches, in bounded time.

Python's ``re`` may need exponential time and cannot be stopped from within, so it works in a process of its own that
is ended when its time is up.  The expression goes there and back as numbers; nothing is imported there but ``re``.
"""

import re
import struct
import subprocess
import sys

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.hypotheses import Hypothesis
from charrnn.inspection.passage import Passage

SECONDS = 20.0  # for one passage

_CHILD = r"""
import re, struct, sys
data = sys.stdin.buffer.read()
size = struct.unpack("<Q", data[:8])[0]
pattern, text = (part.decode("utf-32-le", "surrogatepass") for part in (data[8 : 8 + size], data[8 + size :]))
write = sys.stdout.buffer.write
for match in re.finditer(pattern, text):
    if match.end() > match.start():
        write(struct.pack("<QQ", match.start(), match.end()))
"""


def checked(pattern: str) -> str:
    """``pattern`` itself.

    Raises:
        ConfigError: it is no regular expression.
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"{pattern!r} is not a regular expression: {error}") from error
    return pattern


def spans(pattern: str, text: str, seconds: float = SECONDS) -> np.ndarray:
    """Where ``pattern`` matches more than nothing: (M, 2) int64, the first character of each and the one behind.

    Raises:
        ConfigError: it is no regular expression, or it needs more than so many ``seconds``.
    """
    wanted = checked(pattern).encode("utf-32-le", "surrogatepass")
    given = struct.pack("<Q", len(wanted)) + wanted + text.encode("utf-32-le", "surrogatepass")
    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"{pattern!r} did not finish in {seconds:g} s on {len(text):,} characters: "
            "avoid repetitions within repetitions, as in (a+)+"
        ) from error
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise ConfigError(f"{pattern!r} could not be matched: {reason or f'status {done.returncode}'}")
    return np.frombuffer(done.stdout, "<u8").reshape(-1, 2).astype(np.int64)


def where(pattern: str, seconds: float = SECONDS) -> Hypothesis:
    """The hypothesis of being inside a match of ``pattern``.

    Raises:
        ConfigError: it is no regular expression.
    """
    checked(pattern)

    def of(passage: Passage) -> np.ndarray:
        change = np.zeros(len(passage) + 1, np.int8)
        first, behind = spans(pattern, passage.string, seconds).T  # matches never overlap
        change[first] += 1
        change[behind] -= 1
        return np.cumsum(change[:-1]) > 0

    return Hypothesis(pattern, f"inside a match of {pattern}", of)
