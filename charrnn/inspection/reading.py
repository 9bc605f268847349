"""A model's reading of a text: every signal of every cell, and what it expected."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.model import Model

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
    """Reads a text part by part, in one lane: what it remembers goes on from one part to the next.

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
