"""A model's reading of a text: every signal of every cell, and what it expected."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.errors import ConfigError
from charrnn.model import Model

SIGNALS = ("c", "h", "i", "f", "g", "o")
UNIT_SIGNALS = ("i", "f", "o")  # in [0, 1]; the others, c through tanh, are in [-1, 1]
CONTEXT = 1000  # characters before the part that is looked at, read so that the state is warm


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
    if signal not in SIGNALS:
        raise ConfigError(f"signal must be one of {', '.join(SIGNALS)}, not {signal!r}")
    if offset < 0:
        raise ConfigError(f"the offset must be 0 or more, not {offset}")
    part = np.asarray(ids[offset : None if length is None else offset + length], np.int32)
    if not len(part):
        raise ConfigError(f"the text has {len(ids):,} characters: there is nothing at offset {offset:,}")
    state = model.network.initial_state(1)
    before = None
    context = np.asarray(ids[max(0, offset - CONTEXT) : offset], np.int32)
    for start in range(0, len(context), 64):
        before = model.network.trace(context[start : start + 64], state)["log_probabilities"][-1]
    values, log_probabilities = [], []
    for start in range(0, len(part), 64):
        trace = model.network.trace(part[start : start + 64], state)
        values.append(np.tanh(trace["c"]) if signal == "c" else trace[signal])
        log_probabilities.append(trace["log_probabilities"])
        if progress is not None:
            progress(min(start + 64, len(part)), len(part))
    text = "".join(symbol_text(model.vocabulary.symbols[index]) for index in part)
    return Reading(text, part, signal, np.concatenate(values), np.concatenate(log_probabilities), before)


def symbol_text(symbol: str | int) -> str:
    """A symbol as one character to show."""
    return chr(symbol) if isinstance(symbol, int) else symbol
