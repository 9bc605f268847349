"""The loss of a text: each character is scored once, and the state is carried from window to window."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from charrnn.errors import ConfigError
from charrnn.records import ProgressCallback, bits, no_progress
from charrnn.system.threads import divided
from charrnn.text.windows import Places, ReadingWindows


class Scorer(Protocol):
    """What scores characters: a network, an ensemble, a mixture."""

    @property
    def warm_up(self) -> int:
        """After how many characters what was read before has practically no influence on the state."""

    def initial_state(self, batch: int) -> Any:
        """What it remembers at the beginning of ``batch`` texts."""

    def losses(self, x: np.ndarray, y: np.ndarray, state: Any) -> np.ndarray:
        """The loss of every target y (T, B), 0 where y < 0: (T, B) in nats; ``state`` moves on."""


class Ranks(Protocol):
    """Processes that share the batch rows of a text: :class:`charrnn.training.ranks.Ranks`."""

    def own(self, count: int) -> tuple[int, int]:
        """The part of this rank of ``count`` things: its first number, and the one behind the last."""

    def all_columns(self, part: np.ndarray, columns: int) -> np.ndarray:
        """An array (N, ``columns``) float32 on every rank, of which each has its own columns ``part``."""


@dataclass(frozen=True)
class Evaluation:
    """The mean ``loss`` in nats per character over ``characters`` scored characters."""

    loss: float
    characters: int

    @property
    def bpc(self) -> float:
        """Bits per character."""
        return bits(self.loss)

    @property
    def perplexity(self) -> float:
        """exp(loss): the number of equally likely characters that would be as hard to guess."""
        return math.exp(self.loss) if self.loss < 700 else math.inf


def scorable(ids: np.ndarray, before: int | None) -> np.ndarray:
    """ids (N,) with the id ``before`` put before them, if it is given: all but the first of the result can be scored.

    Raises:
        ConfigError: the result has fewer than 2 characters.
    """
    text = np.asarray(ids)
    if before is not None:
        text = np.concatenate([np.array([before], text.dtype), text])
    if len(text) < 2:
        raise ConfigError("there is nothing to predict in fewer than 2 characters")
    return text


def evaluate(
    network: Scorer,
    ids: np.ndarray,
    before: int | None = None,
    batch: int = 32,
    steps: int = 64,
    progress: ProgressCallback = no_progress,
    carry: bool = True,
    ranks: Ranks | None = None,
    parts: int = 1,
) -> Evaluation:
    """The mean loss of ids (N,), read from a state of zeros in windows of at most ``steps`` steps and ``batch`` rows.

    Scores N characters if ``before``, the id before the first one, is given, else N - 1. ``progress`` is called with
    the number of steps done and the number of all.  Without ``carry`` every window begins with a state of zeros.
    ``ranks`` share the batch rows, and each of them reads its own in ``parts``, one after the other.  All get the same
    result, which is that of a single process that reads all rows at once.

    Raises:
        ConfigError: no character can be scored.
    """
    text = scorable(ids, before)
    loss = 0.0
    windows = ReadingWindows(len(text) - 1, batch, steps, progress=progress, warm_up=network.warm_up)
    of_windows: Iterator[np.ndarray]
    if ranks is None:
        of_windows = (found for _, found in _losses(network, text, windows, carry))
    else:
        of_windows = _shared_losses(network, text, windows, carry, ranks, parts)
    for found in of_windows:
        loss += float(found.sum(dtype=np.float64))
    return Evaluation(loss / (len(text) - 1), len(text) - 1)


def losses(
    network: Scorer,
    ids: np.ndarray,
    before: int | None = None,
    batch: int = 32,
    steps: int = 64,
    progress: ProgressCallback = no_progress,
    carry: bool = True,
) -> np.ndarray:
    """The loss of each scored character in nats: (N,) float32, or (N - 1,) without ``before``.

    The arguments are those of :func:`evaluate`.

    Raises:
        ConfigError: no character can be scored.
    """
    text = scorable(ids, before)
    result = np.empty(len(text) - 1, np.float32)
    windows = ReadingWindows(len(text) - 1, batch, steps, progress=progress, warm_up=network.warm_up)
    for places, found in _losses(network, text, windows, carry):
        result[places.at[places.counted]] = found[places.counted]
    return result


def _losses(
    network: Scorer, text: np.ndarray, windows: ReadingWindows, carry: bool, rows: tuple[int, int] | None = None
) -> Iterator[tuple[Places, np.ndarray]]:
    """For each window its places k in the text, and the losses (T, B) of text[k + 1]; 0 where a loss does not count.

    If ``rows`` are given, it is only of the batch rows from the first to before the second.  The losses are a view,
    valid until the next window.
    """
    first, last = (0, windows.batch) if rows is None else rows
    state = network.initial_state(last - first)
    for places in windows:
        if not carry:
            state = network.initial_state(last - first)
        own = Places(*(array[:, first:last] for array in places))
        y = np.where(own.counted, text[own.at + 1].astype(np.int32), np.int32(-1))
        yield own, network.losses(text[own.at].astype(np.int32), y, state)


def _shared_losses(
    network: Scorer, text: np.ndarray, windows: ReadingWindows, carry: bool, ranks: Ranks, parts: int
) -> Iterator[np.ndarray]:
    """The losses of each window, of which every rank computes those of its own batch rows."""
    first, last = ranks.own(windows.batch)
    own = np.zeros((windows.length, last - first), np.float32)
    for begin, end in divided(last - first, parts):
        done = 0
        if begin < end:
            for places, found in _losses(network, text, windows, carry, (first + begin, first + end)):
                own[done : done + len(places.at), begin:end] = found
                done += len(places.at)
    whole = ranks.all_columns(own, windows.batch)
    for begin in range(0, windows.length, windows.steps):
        yield whole[begin : begin + windows.steps]
