"""Reading a long text in lanes: everything of a part of it, or some cells over all of it in little memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.intervention import require_cells
from charrnn.inspection.reading import CONTEXT, SIGNALS, Reading, symbol_text
from charrnn.lanes import Lanes
from charrnn.model import Model

Progress = Callable[[int, int], None]
LARGEST = 2**28  # numbers held by a Reading: a gigabyte


@dataclass(frozen=True)
class Tracks:
    """What K cells did over N characters, and what the model expected.

    ``values`` (N, K) float32 are the signal of ``cells`` (layer, unit) after each character, c as tanh(c);
    ``surprise`` (N,) is -log2 of the probability that each character had, NaN for the first of a text;
    ``guesses`` (N, G) are the ids of the likeliest next characters, the likeliest first, ``chances`` (N, G) theirs.
    """

    ids: np.ndarray
    signal: str
    cells: tuple[tuple[int, int], ...]
    values: np.ndarray
    surprise: np.ndarray
    guesses: np.ndarray
    chances: np.ndarray


def track(
    model: Model,
    ids: np.ndarray,
    cells: Sequence[tuple[int, int]],
    signal: str = "c",
    offset: int = 0,
    length: int | None = None,
    guesses: int = 5,
    progress: Progress | None = None,
) -> Tracks:
    """Read ``length`` characters of ids (N,) from ``offset`` on, and keep ``cells`` (layer, unit) only.

    Raises:
        ConfigError: there is nothing there, no such cell, or no such signal.
    """
    require_cells(model.network, cells)
    part, lead = _with_lead(ids, offset, length)
    count, guesses = len(part) - lead, min(guesses, len(model.vocabulary))
    where = [layer for layer, _ in cells], [unit for _, unit in cells]
    values = np.empty((count, len(cells)), np.float32)
    surprise = np.full(count, np.nan, np.float32)
    likely, chances = np.empty((count, guesses), np.int32), np.empty((count, guesses), np.float32)
    for at, signals, log_probabilities in _windows(model, part, signal, progress):
        own = at >= lead
        values[at[own] - lead] = signals[own][:, *where]
        order = np.argsort(-log_probabilities[own], axis=1, kind="stable")[:, :guesses]
        likely[at[own] - lead] = order
        chances[at[own] - lead] = np.exp(np.take_along_axis(log_probabilities[own], order, axis=1))
        told = (at + 1 >= lead) & (at + 1 < len(part))
        following = at[told] + 1
        surprise[following - lead] = -log_probabilities[told, part[following]] / np.log(2)
    return Tracks(part[lead:], signal, tuple(cells), values, surprise, likely, chances)


def read_all(
    model: Model,
    ids: np.ndarray,
    signal: str = "c",
    offset: int = 0,
    length: int | None = None,
    progress: Progress | None = None,
) -> Reading:
    """As :func:`charrnn.inspection.reading.read`, but in lanes: several times as fast, for long parts of a text.

    Raises:
        ConfigError: there is nothing there, more than fits in a gigabyte, or no such signal.
    """
    config = model.network.config
    part, lead = _with_lead(ids, offset, length)
    each = config.layers * config.hidden + config.vocabulary
    if len(part) * each > LARGEST:
        raise ConfigError(
            f"every cell of {len(part):,} characters is too much: give a --length up to {LARGEST // each:,}"
        )
    values = np.empty((len(part), config.layers, config.hidden), np.float32)
    log_probabilities = np.empty((len(part), config.vocabulary), np.float32)
    for at, signals, expected in _windows(model, part, signal, progress):
        values[at], log_probabilities[at] = signals, expected
    text = "".join(symbol_text(model.vocabulary.symbols[index]) for index in part[lead:])
    before = log_probabilities[lead - 1].copy() if lead else None
    return Reading(text, part[lead:], signal, values[lead:], log_probabilities[lead:], before)


def _with_lead(ids: np.ndarray, offset: int, length: int | None) -> tuple[np.ndarray, int]:
    """The part with what is read before it, and how much that is."""
    if offset < 0:
        raise ConfigError(f"the offset must be 0 or more, not {offset}")
    lead = min(offset, CONTEXT)
    part = np.asarray(ids[offset - lead : None if length is None else offset + length], np.int32)
    if len(part) <= lead:
        raise ConfigError(f"the text has {len(ids):,} characters: there is nothing at offset {offset:,}")
    return part, lead


def _windows(
    model: Model, part: np.ndarray, signal: str, progress: Progress | None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Places (n,) of ``part`` with signals (n, L, H) and log-probabilities (n, V) there, each place once."""
    if signal not in SIGNALS:
        raise ConfigError(f"signal must be one of {', '.join(SIGNALS)}, not {signal!r}")
    lanes, network, done = Lanes(len(part)), model.network, 0
    state = network.initial_state(lanes.count)
    for at, own in lanes.windows():
        logits = network.forward(np.ascontiguousarray(part[at]), state)[own].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        values = network.signal(signal)[own]
        yield at[own], np.tanh(values) if signal == "c" else values, logits
        done += len(at)
        if progress is not None:
            progress(done, lanes.length)
