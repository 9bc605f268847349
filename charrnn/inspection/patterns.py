"""Where a regular expression of the user's matches, in bounded time.

Python's ``re`` may need exponential time and cannot be stopped from within, so it works in a process of its own that
is ended when its time is up.  The expression goes there and back as numbers; nothing is imported there but ``re``.
"""

import re
import struct
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.hypotheses import Hypothesis
from charrnn.inspection.passage import Passage

SECONDS = 20.0  # for one passage

_CHILD = r"""
import re, struct, sys
data = sys.stdin.buffer.read()
count = struct.unpack("<Q", data[:8])[0]
lengths = struct.unpack(f"<{count}Q", data[8 : 8 + 8 * count])
parts, at = [], 8 + 8 * count
for length in lengths:
    parts.append(data[at : at + 4 * length].decode("utf-32-le", "surrogatepass"))
    at += 4 * length
pattern, before = re.compile(parts[0]), 0
for text in parts[1:]:
    for match in pattern.finditer(text):
        if match.end() > match.start():
            sys.stdout.buffer.write(struct.pack("<QQ", before + match.start(), before + match.end()))
    before += len(text)
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


def spans(pattern: str, *texts: str, seconds: float = SECONDS) -> np.ndarray:
    """Where ``pattern`` matches more than nothing: (M, 2) int64, the first character of each and the one behind.

    Of several texts, each is matched for itself, and characters are counted from the beginning of the first.

    Raises:
        ConfigError: it is no regular expression, or it needs more than so many ``seconds``.
    """
    parts = checked(pattern), *texts
    given = struct.pack(f"<{1 + len(parts)}Q", len(parts), *map(len, parts))
    given += "".join(parts).encode("utf-32-le", "surrogatepass")
    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"{pattern!r} did not finish in {seconds:g} s on {sum(map(len, texts)):,} characters: "
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

    def of_all(passages: Sequence[Passage]) -> list[np.ndarray]:
        lengths = [len(passage) for passage in passages]
        change = np.zeros(sum(lengths) + 1, np.int8)
        first, behind = spans(pattern, *(passage.string for passage in passages), seconds=seconds).T
        change[first] += 1  # matches never overlap
        change[behind] -= 1
        return np.split(np.cumsum(change[:-1]) > 0, np.cumsum(lengths)[:-1])

    def of(passage: Passage) -> np.ndarray:
        return of_all([passage])[0]

    return Hypothesis(pattern, f"inside a match of {pattern}", of, of_all=of_all)
