"""A model's reading of a text: every signal of every cell, and what it expected.

Reading a long text in batch rows: everything of a part of it, or some cells over all of it in little memory.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inspection.clamping import require_cells
from charrnn.model import Model
from charrnn.text.windows import ReadingWindows

SIGNALS = ("c", "h", "i", "f", "g", "o")
UNIT_SIGNALS = ("i", "f", "o")  # in [0, 1]; the others, c through tanh, are in [-1, 1]
CONTEXT = 1000  # characters before the part that is looked at, read so that the state is warm
PART, STEPS = 4000, 64  # characters of a part of a long text, and of a window


@dataclass(frozen=True)
class Reading:
    """N characters read.

    ``text`` has N characters (a byte of a model of bytes is the character of that number); ``values`` (N, L, H) is
    the signal after each, c as tanh(c); ``log_probabilities`` (N, V) that of the next character, in nats; ``before``
    (V,) that of the first, or None at the start of a text.
    """

    text: str
    ids: np.ndarray
    signal: str
    values: np.ndarray
    log_probabilities: np.ndarray
    before: np.ndarray | None

    def cell(self, layer: int, unit: int) -> np.ndarray:
        """One cell's values (N,).

        Raises:
            ConfigError: there is no such cell.
        """
        _, layers, units = self.values.shape
        if not (0 <= layer < layers and 0 <= unit < units):
            raise ConfigError(f"there is no cell {layer}:{unit}: layers are 0 to {layers - 1}, units 0 to {units - 1}")
        return self.values[:, layer, unit]

    def surprise(self) -> np.ndarray:
        """-log2 of the probability each character had (N,); NaN for the first of a text."""
        surprise = np.full(len(self.ids), np.nan)
        places = np.arange(1, len(self.ids))
        surprise[1:] = -self.log_probabilities[places - 1, self.ids[1:]] / np.log(2)
        if self.before is not None:
            surprise[0] = -self.before[self.ids[0]] / np.log(2)
        return surprise

    def guesses(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids (N, count) of the likeliest next characters, the likeliest first, and their probabilities."""
        count = min(count, self.log_probabilities.shape[1])
        order = np.argsort(-self.log_probabilities, axis=1, kind="stable")[:, :count]
        return order, np.exp(np.take_along_axis(self.log_probabilities, order, axis=1))


class Reader:
    """Reads a text part by part, in one batch row: what it remembers goes on from one part to the next.

    Args:
        model: whose network reads.
        signal: one of ``SIGNALS``.
        context: ids (N,) to read first, without looking; the last ``CONTEXT`` of them are.

    Raises:
        ConfigError: there is no such signal.
    """

    def __init__(self, model: Model, signal: str = "c", context: np.ndarray | None = None):
        if signal not in SIGNALS:
            raise ConfigError(f"signal must be one of {', '.join(SIGNALS)}, not {signal!r}")
        self._model, self._signal = model, signal
        self._state, self._before = model.network.initial_state(1), None
        context = np.asarray([] if context is None else context[-CONTEXT:], np.int32)
        for start in range(0, len(context), STEPS):
            self._trace(context[start : start + STEPS])

    def read(self, ids: np.ndarray, progress: Callable[[int, int], None] | None = None) -> Reading:
        """What the model does while it reads ids (N,), N >= 1."""
        ids, before = np.asarray(ids, np.int32), self._before
        values, log_probabilities = [], []
        for start in range(0, len(ids), STEPS):
            trace = self._trace(ids[start : start + STEPS])
            values.append(np.tanh(trace["c"]) if self._signal == "c" else trace[self._signal])
            log_probabilities.append(trace["log_probabilities"])
            if progress is not None:
                progress(min(start + STEPS, len(ids)), len(ids))
        text = "".join(symbol_text(self._model.vocabulary.symbols[index]) for index in ids)
        return Reading(text, ids, self._signal, np.concatenate(values), np.concatenate(log_probabilities), before)

    def _trace(self, ids: np.ndarray) -> dict[str, np.ndarray]:
        trace = self._model.network.trace(ids, self._state)
        self._before = trace["log_probabilities"][-1]
        return trace


def read(
    model: Model,
    ids: np.ndarray,
    signal: str = "c",
    offset: int = 0,
    length: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Reading:
    """Read ``length`` characters of ids (N,) from ``offset`` on, after some of what stands before them.

    Raises:
        ConfigError: there is nothing there, or no such signal.
    """
    part = _part(ids, offset, length)
    return Reader(model, signal, ids[:offset]).read(part, progress)


def read_in_parts(
    model: Model, ids: np.ndarray, signal: str = "c", offset: int = 0, length: int | None = None, part: int = PART
) -> Iterator[Reading]:
    """As :func:`read`, for texts of any length: readings of at most ``part`` characters, whole lines if they fit.

    Nothing is read before it is asked for, and nothing is kept.

    Raises:
        ConfigError: as :func:`read`, at once.
    """
    chosen = _part(ids, offset, length)
    reader, line_feed = Reader(model, signal, ids[:offset]), model.vocabulary.line_start

    def readings() -> Iterator[Reading]:
        start = 0
        while start < len(chosen):
            piece = chosen[start : start + part]
            ends = np.flatnonzero(piece == line_feed)
            if len(ends) and start + part < len(chosen):
                piece = piece[: ends[-1] + 1]
            yield reader.read(piece)
            start += len(piece)

    return readings()


def _part(ids: np.ndarray, offset: int, length: int | None) -> np.ndarray:
    if offset < 0:
        raise ConfigError(f"the offset must be 0 or more, not {offset}")
    part = ids[offset : None if length is None else offset + length]
    if not len(part):
        raise ConfigError(f"the text has {len(ids):,} characters: there is nothing at offset {offset:,}")
    return part


def symbol_text(symbol: str | int) -> str:
    """A symbol as one character to show."""
    return chr(symbol) if isinstance(symbol, int) else symbol


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
    """As :func:`charrnn.inspection.reading.read`, but in batch rows: several times as fast, for long parts of a text.

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
    windows, network, done = ReadingWindows(len(part)), model.network, 0
    state = network.initial_state(windows.batch)
    for at, own in windows:
        logits = network.forward(np.ascontiguousarray(part[at]), state)[own].astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
        values = network.signal(signal)[own]
        yield at[own], np.tanh(values) if signal == "c" else values, logits
        done += len(at)
        if progress is not None:
            progress(done, windows.length)
