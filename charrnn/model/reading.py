"""A reading: what the cells of a model did while it read a text, and what it expected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from charrnn.errors import ConfigError, brief
from charrnn.model.coloured_text import LONGEST, ColouredText
from charrnn.network.cell import Signal

LAG = 5
MOST_BITS = 8.0  # of surprise: the strongest colour

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def shown_values(signal: Signal, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Values of a signal as they are shown: through tanh if the signal is unbounded, as an LSTM's c is."""
    return np.tanh(values) if signal.unbounded else values


@dataclass(frozen=True, eq=False, repr=False)
class Reading:
    """What all cells did while N characters were read, and what the model expected.

    A notebook shows the text, coloured by the cell with the most structure. :meth:`coloured` and
    :meth:`coloured_by_surprise` choose otherwise, and ``reading[start:stop]`` is the reading of a part.

    Attributes:
        text: N characters; a byte of a model of bytes is the character with its number.
        ids: (N,) int32.
        signal: the name of the signal that is shown.
        values: (N, L, H) float32, that signal after each character, an unbounded one, as an LSTM's c, through tanh.
        log_probabilities: (N, V) in nats, for the character that follows each one.
        before: (V,) the log-probabilities for the first character; None at the start of a text.
        signals: all signals by name, each (N, L, H) float32, as the cell computes them, if
            :meth:`charrnn.model.Model.read` made the reading; else none.
        others: further signals that are shown, by name, each (N, L, H) float32 like ``values``.
        described: the cell's descriptions of ``signals``, which say how each is shown.
    """

    text: str
    ids: npt.NDArray[np.int32]
    signal: str
    values: npt.NDArray[np.float32]
    log_probabilities: Floats
    before: Floats | None
    signals: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    others: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    described: Sequence[Signal] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        length, layers, units = self.values.shape
        read = f"{length:,} character{'s' * (length > 1)}"
        return f"<Reading of {read}: signal {self.signal} of {layers} x {units} cells>"

    def __getitem__(self, part: slice) -> "Reading":
        if not isinstance(part, slice):
            raise TypeError("a part of a reading is a slice, as in reading[100:200]")
        start, stop, step = part.indices(len(self))
        if step != 1 or stop <= start:
            raise ConfigError("a part of a reading has at least one character, and all from its first to its last")
        part = slice(start, stop)
        return replace(
            self,
            text=self.text[part],
            ids=self.ids[part],
            values=self.values[part],
            log_probabilities=self.log_probabilities[part],
            before=self.log_probabilities[start - 1] if start else self.before,
            signals={name: values[part] for name, values in self.signals.items()},
            others={name: values[part] for name, values in self.others.items()},
        )

    def cell(self, layer: int, unit: int, signal: str | None = None) -> npt.NDArray[np.float32]:
        """One cell's values (N,), as they are shown, of :attr:`signal` or of another signal that the reading has.

        Raises:
            ConfigError: there is no such cell, or the reading has no such signal.
        """
        _, layers, units = self.values.shape
        if not (0 <= layer < layers and 0 <= unit < units):
            raise ConfigError(f"there is no cell {layer}:{unit}: layers are 0 to {layers - 1}, units 0 to {units - 1}")
        kept = {**self.others, self.signal: self.values}
        if signal is None:
            signal = self.signal
        if signal in kept:
            return kept[signal][:, layer, unit]
        for each in self.described:
            if each.name == signal:
                return shown_values(each, self.signals[signal][:, layer, unit])
        names = ", ".join(dict.fromkeys([self.signal, *self.others, *(each.name for each in self.described)]))
        raise ConfigError(f"signal must be one of {names}, not {brief(signal)}")

    def columns(self, cells: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
        """The values (N, K S) of K ``cells`` (layer, unit), K >= 1: for each cell its S signals, the others last.

        Raises:
            ConfigError: there is no such cell.
        """
        signals = [self.signal, *self.others]
        return np.stack([self.cell(*cell, signal) for cell in cells for signal in signals], axis=1)

    def surprise(self) -> npt.NDArray[np.float64]:
        """-log2 (N,) of the probability that each character had, in bits; NaN for the first character of a text."""
        surprise = np.full(len(self.ids), np.nan)
        places = np.arange(1, len(self.ids))
        surprise[1:] = -self.log_probabilities[places - 1, self.ids[1:]] / np.log(2)
        if self.before is not None:
            surprise[0] = -self.before[self.ids[0]] / np.log(2)
        return surprise

    def guesses(self, count: int) -> tuple[npt.NDArray[np.intp], Floats]:
        """Ids (N, count) of the most probable next characters, the most probable first, and their probabilities."""
        return likeliest(self.log_probabilities, count)

    def coloured(self, layer: int, unit: int) -> ColouredText:
        """The text, coloured by the values of one cell, for a notebook.

        Raises:
            ConfigError: there is no such cell.
        """
        low = "-1" if self.values.min() < 0 else None
        return ColouredText(self.text, self.cell(layer, unit), f"cell {layer}:{unit}, signal {self.signal}", low, "+1")

    def coloured_by_surprise(self) -> ColouredText:
        """The text, coloured by the surprise of each character, for a notebook."""
        bits = self.surprise() / MOST_BITS
        return ColouredText(self.text, bits, "surprise", None, f"{MOST_BITS:g} bits and more")

    def most_structured(self) -> tuple[int, int]:
        """The cell (layer, unit) with the highest of :func:`scores` in the part that a notebook shows."""
        found = scores(self[:LONGEST])
        layer, unit = np.unravel_index(int(found.argmax()), found.shape)
        return int(layer), int(unit)

    def _repr_html_(self) -> str:
        return self.coloured(*self.most_structured())._repr_html_()


def likeliest(log_probabilities: Floats, count: int) -> tuple[npt.NDArray[np.intp], Floats]:
    """Ids (N, count) of the largest of log_probabilities (N, V), the largest first, and their probabilities."""
    order = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :count]
    return order, np.exp(np.take_along_axis(log_probabilities, order, axis=1))


def scores(reading: Reading) -> npt.NDArray[np.float64]:
    """The score (L, H) of every cell: how much there is to see in it.

    A cell that only repeats the last character, hardly moves, or only flickers teaches nothing. The score of a cell's
    values s (N,) is a product of three properties that an interesting cell has:

        std(s) · (1 - R²) · max(0, ρ₅)

    R² is the part of the variance that the current character explains; ρ₅ is the autocorrelation at a lag of five
    characters. The score is high for a cell that changes much, keeps its value, and depends on more than the last
    character.
    """
    values = reading.values.astype(np.float64)
    centred = values - values.mean(axis=0)
    variance = (centred**2).mean(axis=0)
    safe = np.maximum(variance, 1e-12)
    explained = np.zeros_like(variance)
    for symbol in np.unique(reading.ids):
        of_symbol = centred[reading.ids == symbol]
        explained += len(of_symbol) * of_symbol.mean(axis=0) ** 2
    explained /= len(centred) * safe
    if len(centred) <= LAG:
        return np.zeros_like(variance)
    persistence = (centred[LAG:] * centred[:-LAG]).mean(axis=0) / safe
    found: npt.NDArray[np.float64] = np.sqrt(variance) * np.clip(1 - explained, 0, 1) * np.clip(persistence, 0, 1)
    return found
