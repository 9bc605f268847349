"""What a model does while it reads a text: the signals of its cells, and the probabilities it expects.

There are two ways to read. :class:`Reader`, :func:`read` and :func:`read_in_parts` read in one batch row, for short
texts and for texts that come part by part. :func:`read_all` and :func:`read_cells` read a long text in several batch
rows at once, which is several times as fast: every cell of a part, or some cells over the whole text in little memory.

All of them look at one ``signal``, and can keep ``others`` of the same pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.clamping import Cell, require_cells
from charrnn.model import Model
from charrnn.model.reading import Reading, likeliest, shown_values
from charrnn.network.cell import Signal
from charrnn.records import ProgressCallback, in_steps, no_progress
from charrnn.text.windows import ReadingWindows

CONTEXT = 1000  # characters before the wanted part that are read first, so that the state has a history
PART, STEPS = 4000, 64  # characters in a part of a long text, and in a window
LARGEST = 2**28  # numbers in a Reading: a gigabyte


def symbol_text(symbol: str | int) -> str:
    """A symbol as one character; a byte becomes the character with its number."""
    return chr(symbol) if isinstance(symbol, int) else symbol


class Reader:
    """Reads a text part by part, in one batch row: the state is carried from one part to the next.

    Args:
        model: the model whose network reads, alone or in a mixture with n-grams.
        signal: the name of a signal of the model's cell; None for the most telling one.
        context: ids (N,) before the text. The last ``CONTEXT`` of them are read first and give no reading.
        others: the names of other signals to keep.

    Raises:
        ConfigError: there is no such signal.
    """

    def __init__(
        self,
        model: Model,
        signal: str | None = None,
        context: np.ndarray | None = None,
        others: Sequence[str] = (),
    ):
        self._model, self._signals = model, _signals(model, signal, others)
        self._state, self._before = model.network.initial_state(1), None
        context = np.asarray([] if context is None else context[-CONTEXT:], np.int32)
        for start in range(0, len(context), STEPS):
            self._trace(context[start : start + STEPS])

    def read(self, ids: np.ndarray, progress: ProgressCallback = no_progress) -> Reading:
        """Read ids (N,), N >= 1."""
        ids, before = np.asarray(ids, np.int32), self._before
        parts, log_probabilities = [], []
        for start, stop in in_steps(len(ids), STEPS, progress):
            trace = self._trace(ids[start:stop])
            parts.append([shown_values(signal, trace[signal.name]) for signal in self._signals])
            log_probabilities.append(trace["log_probabilities"])
        values, *others = map(np.concatenate, zip(*parts, strict=True))
        text, signal, *names = self._model.vocabulary.characters(ids), *(each.name for each in self._signals)
        kept = dict(zip(names, others, strict=True))
        return Reading(text, ids, signal, values, np.concatenate(log_probabilities), before, others=kept)

    def _trace(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        trace = self._model.network.trace(ids, self._state)
        self._before = trace["log_probabilities"][-1]
        return trace


def _signals(model: Model, signal: str | None, others: Sequence[str]) -> list[Signal]:
    """The signal, and then the others, each once."""
    found = [model.network.cell.signal(name) for name in (signal, *others)]
    return list(dict.fromkeys(found))


def read(
    model: Model,
    ids: np.ndarray,
    signal: str | None = None,
    offset: int = 0,
    length: int | None = None,
    progress: ProgressCallback = no_progress,
) -> Reading:
    """Read ``length`` characters of ids (N,) from ``offset`` on, after up to ``CONTEXT`` characters before them.

    Raises:
        ConfigError: there is nothing to read, or no such signal.
    """
    part, lead = stretch(ids, offset, length)
    return Reader(model, signal, part[:lead]).read(part[lead:], progress)


def read_in_parts(
    model: Model,
    ids: np.ndarray,
    signal: str | None = None,
    offset: int = 0,
    length: int | None = None,
    part: int = PART,
    others: Sequence[str] = (),
) -> Iterator[Reading]:
    """As :func:`read`, for texts of any length: readings of at most ``part`` characters, whole lines if they fit.

    A part is read when its reading is asked for, and nothing is kept.

    Raises:
        ConfigError: as :func:`read`, at once.
    """
    whole, lead = stretch(ids, offset, length)
    reader, line_feed = Reader(model, signal, whole[:lead], others), model.vocabulary.line_start

    def readings() -> Iterator[Reading]:
        start = lead
        while start < len(whole):
            piece = whole[start : start + part]
            ends = np.flatnonzero(piece == line_feed)
            if len(ends) and start + part < len(whole):
                piece = piece[: ends[-1] + 1]
            yield reader.read(piece)
            start += len(piece)

    return readings()


def stretch(ids: np.ndarray, offset: int, length: int | None, most: int = CONTEXT) -> tuple[np.ndarray, int]:
    """The part of ids (N,) with up to ``most`` ids before it, and how many ids these are; a view.

    Raises:
        ConfigError: the offset is negative, or behind the text.
    """
    if offset < 0:
        raise ConfigError(f"the offset must be 0 or more, not {offset}")
    lead = min(offset, most)
    part = ids[offset - lead : None if length is None else offset + length]
    if len(part) <= lead:
        raise ConfigError(f"the text has {len(ids):,} characters: there is nothing at offset {offset:,}")
    return part, lead


def read_all(
    model: Model,
    ids: np.ndarray,
    signal: str | None = None,
    offset: int = 0,
    length: int | None = None,
    progress: ProgressCallback = no_progress,
    others: Sequence[str] = (),
) -> Reading:
    """As :func:`read`, but in several batch rows at once: several times as fast, for long parts of a text.

    Raises:
        ConfigError: there is nothing to read, the reading would need more than a gigabyte, or no such signal.
    """
    config = model.network.config
    part, lead = stretch(ids, offset, length)
    signals = _signals(model, signal, others)
    each = len(signals) * config.layers * config.hidden + config.vocabulary
    if len(part) * each > LARGEST:
        raise ConfigError(
            f"every cell of {len(part):,} characters is too much: give a --length up to {LARGEST // each:,}"
        )
    part = np.asarray(part, np.int32)
    values = np.empty((len(signals), len(part), config.layers, config.hidden), np.float32)
    log_probabilities = np.empty((len(part), config.vocabulary), np.float32)
    for at, found, expected in _windows(model, part, signals, progress):
        log_probabilities[at] = expected
        for kept, of_signal in zip(values, found, strict=True):
            kept[at] = of_signal
    before = log_probabilities[lead - 1].copy() if lead else None
    text = model.vocabulary.characters(part[lead:])
    first, *rest = ((each.name, of_signal[lead:]) for each, of_signal in zip(signals, values, strict=True))
    return Reading(text, part[lead:], *first, log_probabilities[lead:], before, others=dict(rest))


@dataclass(frozen=True)
class CellReading:
    """What K cells did while N characters were read, and what the model expected.

    ``values`` (N, K) float32 are the ``signal`` of ``cells`` (layer, unit) after each character, an unbounded one
    through tanh. ``surprise`` (N,) float32 is -log2 of the probability that each character had, NaN for the first of a
    text. ``guesses`` (N, G) int32 are the ids of the most probable next characters, the most probable first,
    ``chances`` (N, G) float32 their probabilities. ``others`` has values (N, K) of other signals.
    """

    ids: np.ndarray
    signal: Signal
    cells: tuple[Cell, ...]
    values: np.ndarray
    surprise: np.ndarray
    guesses: np.ndarray
    chances: np.ndarray
    others: Mapping[Signal, np.ndarray] = field(default_factory=dict)


def read_cells(
    model: Model,
    ids: np.ndarray,
    cells: Sequence[Cell],
    signal: str | None = None,
    offset: int = 0,
    length: int | None = None,
    guesses: int = 5,
    progress: ProgressCallback = no_progress,
    others: Sequence[str] = (),
) -> CellReading:
    """As :func:`read_all`, but keep only ``cells`` (layer, unit): for a text of any length.

    Raises:
        ConfigError: there is nothing to read, no such cell, or no such signal.
    """
    require_cells(model.network, cells)
    part, lead = stretch(ids, offset, length)
    part = np.asarray(part, np.int32)
    count, guesses = len(part) - lead, min(guesses, len(model.vocabulary))
    where, signals = ([layer for layer, _ in cells], [unit for _, unit in cells]), _signals(model, signal, others)
    values = np.empty((len(signals), count, len(cells)), np.float32)
    surprise = np.full(count, np.nan, np.float32)
    likely, chances = np.empty((count, guesses), np.int32), np.empty((count, guesses), np.float32)
    for at, found, log_probabilities in _windows(model, part, signals, progress):
        own = at >= lead
        places = at[own] - lead
        for kept, of_signal in zip(values, found, strict=True):
            kept[places] = of_signal[own][:, *where]
        likely[places], chances[places] = likeliest(log_probabilities[own], guesses)
        # The character after each place, if it is in the part, has its surprise from here.
        told = (at + 1 >= lead) & (at + 1 < len(part))
        following = at[told] + 1
        surprise[following - lead] = -log_probabilities[told, part[following]] / np.log(2)
    first, *rest = zip(signals, values, strict=True)
    return CellReading(part[lead:], first[0], tuple(cells), first[1], surprise, likely, chances, dict(rest))


def _windows(
    model: Model, part: np.ndarray, signals: Sequence[Signal], progress: ProgressCallback
) -> Iterator[tuple[np.ndarray, list[np.ndarray], np.ndarray]]:
    """Read ``part`` in several batch rows at once; yield each place once.

    A window gives places (n,) of ``part``, each signal (n, L, H) and the log-probabilities (n, V) float64 there.
    """
    network = model.network
    windows = ReadingWindows(len(part), progress=progress, warm_up=network.warm_up)
    state = network.initial_state(windows.batch)
    for at, own in windows:
        logits = network.forward(np.ascontiguousarray(part[at]), state)[own].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        yield at[own], [shown_values(signal, network.signal(signal.name)[own]) for signal in signals], logits
