"""How much of a written text is copied from the training text: what the model has learnt by heart."""

from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.kernels import compiler
from charrnn.kernels.suffix_automaton import build, read, settle
from charrnn.records import ProgressCallback, in_steps, no_progress
from charrnn.system import memory

LENGTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)

KERNELS = (build, read, settle)
BYTES_A_STATE = 32  # of the automaton, plus 4 for each distinct symbol
_BLOCK = 1 << 20  # symbols of the training text read at a time


@dataclass(frozen=True)
class Novelty:
    """How much of a text is new, and its longest stretch that stands in the training text.

    Attributes:
        characters: the length of the text.
        shares: for each n, the share (0 to 1) of the text's n-grams, repeats included, that the training text does not
            have; None for an n above the length of the text.
        longest: the length of the longest stretch that stands in the training text.
        start: where this stretch begins in the text.
        place: a place where it begins in the training text.
    """

    characters: int
    shares: dict[int, float | None]
    longest: int
    start: int
    place: int


def novelty(
    text: np.ndarray,
    training: np.ndarray,
    lengths: tuple[int, ...] = LENGTHS,
    progress: ProgressCallback = no_progress,
) -> Novelty:
    """Compare ids ``text`` (M,), M >= 1, with ids ``training`` (N,), exactly.

    This takes M·A + N steps for A distinct symbols in the text. ``progress`` is called with the symbols of the training
    text that were read and the number of all.

    Raises:
        ConfigError: there is no text.
    """
    known, end = matches(text, training, progress)
    last = int(known.argmax())
    return Novelty(
        len(text),
        {n: float((known[n - 1 :] < n).mean()) if n <= len(text) else None for n in lengths},
        int(known[last]),
        last + 1 - int(known[last]),
        int(end[last]) - int(known[last]),
    )


def matches(
    text: np.ndarray, training: np.ndarray, progress: ProgressCallback = no_progress
) -> tuple[np.ndarray, np.ndarray]:
    """For each place k of ``text`` (M,), find the longest end of text[: k + 1] that stands in ``training`` (N,).

    Returns:
        (M,) int32 the lengths, and (M,) int64 where in ``training`` the stretch ends (the place after its last symbol).

    Raises:
        ConfigError: there is no text, or its automaton would not fit into this machine's memory.
    """
    if not len(text):
        raise ConfigError("there is nothing to compare in an empty text")
    compiler.prepare(*KERNELS)
    symbols, text = np.unique(text, return_inverse=True)
    states = 2 * len(text)
    need, have = states * (4 * len(symbols) + BYTES_A_STATE), memory.installed()
    if have is not None and need > have:
        raise ConfigError(
            f"comparing {len(text):,} characters, {len(symbols):,} of them different, needs about {need / 1e9:,.1f} GB "
            f"of memory, and this machine has {have / 1e9:,.1f}: choose a smaller --length"
        )
    following = np.zeros((states, len(symbols)), np.int32)
    link, length = np.zeros(states, np.int32), np.zeros(states, np.int32)
    at = np.zeros(len(text), np.int32)
    used = build(text.astype(np.int32), following, link, length, at)
    longest, end = np.zeros(states, np.int32), np.zeros(states, np.int64)
    reader = np.zeros(2, np.int64)
    for offset, stop in in_steps(len(training), _BLOCK, progress):
        block = np.asarray(training[offset:stop])
        found = np.minimum(np.searchsorted(symbols, block), len(symbols) - 1)
        block = np.where(symbols[found] == block, found, -1).astype(np.int32)
        read(block, offset, following, link, length, reader, longest, end)
    settle(np.argsort(length[:used], kind="stable"), link, length, longest, end)
    return longest[at], end[at]
