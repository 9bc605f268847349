"""Where a regular expression from the user matches, in bounded time.

Python's ``re`` may need exponential time for a match and cannot be interrupted. So it runs in a process of its own,
which is killed when its time is up. The process imports nothing of the package. It receives the expression and the
texts as JSON, and writes back the places of the matches as numbers of 64 bits.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.hypotheses import Hypothesis
from charrnn.inspection.passage import Passage

SECONDS = 20.0  # for one call of the process

_CHILD = r"""
import array, json, re, sys
pattern, *texts = json.load(sys.stdin)
pattern, places, before = re.compile(pattern), array.array("q"), 0
for text in texts:
    for match in pattern.finditer(text):
        if match.end() > match.start():
            places.extend((before + match.start(), before + match.end()))
    before += len(text)
sys.stdout.buffer.write(places)
"""


def spans(pattern: str, *texts: str, seconds: float = SECONDS) -> np.ndarray:
    """Find where ``pattern`` matches at least one character: (M, 2) int64, start and stop of each match.

    Several texts are matched separately; characters are counted from the beginning of the first text.

    Raises:
        ConfigError: ``pattern`` is not a regular expression, or the matches need more than ``seconds``.
    """
    _require_regex(pattern)
    given = json.dumps([pattern, *texts]).encode("ascii")
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
    return np.frombuffer(done.stdout, np.int64).reshape(-1, 2)


def inside_match(pattern: str, seconds: float = SECONDS) -> Hypothesis:
    """The hypothesis that a cell keeps track of being inside a match of ``pattern``.

    Raises:
        ConfigError: ``pattern`` is not a regular expression.
    """
    _require_regex(pattern)

    def label_many(passages: Sequence[Passage]) -> list[np.ndarray]:
        lengths = [len(passage) for passage in passages]
        change = np.zeros(sum(lengths) + 1, np.int8)
        starts, stops = spans(pattern, *(passage.string for passage in passages), seconds=seconds).T
        change[starts] += 1  # matches never overlap
        change[stops] -= 1
        return np.split(np.cumsum(change[:-1]) > 0, np.cumsum(lengths)[:-1])

    def label(passage: Passage) -> np.ndarray:
        return label_many([passage])[0]

    return Hypothesis(pattern, f"inside a match of {pattern}", label, label_many=label_many)


def _require_regex(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"{pattern!r} is not a regular expression: {error}") from error
