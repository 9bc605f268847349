"""One pass over a text of any length, in batch rows, that counts what every cell does against labels of the text.

For each cell a histogram of its values is kept, and in each of its bins the sums of the labels: enough for the rank of
every value and for every score that is made of ranks.  Besides, at places evenly spread over the text, the bins
themselves are kept, and at fewer places the whole state.  Memory does not grow with the text.

What is added up in the bins of every cell's histogram: how many places, and the sums of their labels.

One label and the count share a word: with one addition a value, counting costs a third of what it does in vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.inspection.passage import Script
from charrnn.kernels import compiler
from charrnn.kernels.histograms import BINS, GRID, CellRange, Grid, count_columns, count_words
from charrnn.kernels.simd import WIDTH
from charrnn.network.network import Network
from charrnn.text.windows import WARM_UP, ReadingWindows

KEPT_BYTES, MOST_KEPT = 1 << 26, 1 << 18  # of the bins that are kept, one byte each, and places
STATES_BYTES = 1 << 26  # of the states that are kept, two bytes a number
MOST_STATES = 20_480
_BATCH, _STEPS = 64, 128  # of a window: 32 batch rows are slower by a twentieth, more than 64 no quicker
_PILOT_STEPS, _PILOT_BATCH, _PILOT_WARM_UP = 256, 32, 64

Progress = Callable[[int, int], None]
Labels = Callable[[int, int], np.ndarray]
"""The labels of characters start to stop: (stop - start, K) float32, from -1/2 to 1."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What was counted over N characters, for C = L·H cells and K labels.

    ``counts`` (C, BINS) values and ``sums`` (C, BINS, K) of labels in each bin; ``bins`` (M, C) uint8 and ``labels``
    (M, K) at every ``stride``-th character; ``states`` (S, 2C) float16, h and tanh(c) of all cells, at every
    ``state_stride``-th.
    """

    characters: int
    counts: np.ndarray
    sums: np.ndarray
    bins: np.ndarray
    labels: np.ndarray
    stride: int
    states: np.ndarray
    state_stride: int


def sweep(
    network: Network,
    script: Script,
    labels: Labels,
    count_of_labels: int,
    signal: str = "c",
    with_states: bool = True,
    progress: Progress | None = None,
) -> Sweep:
    """Read the whole of ``script``, and count ``signal`` of every cell against its labels.

    ``progress`` is called with the characters read and all of them.
    """
    counter = _Counter(network, script, count_of_labels, signal, with_states)
    for start, stop in script.parts():
        counter.read(start, stop, labels(start, stop), progress)
    return counter.result()


class _Counter:
    def __init__(self, network: Network, script: Script, labels: int, signal: str, with_states: bool):
        self._network, self._script, self._signal = network, script, signal
        config, characters = network.config, len(script)
        self._padded = -(-config.hidden // WIDTH) * WIDTH
        cells = config.layers * self._padded
        self._sums = OneLabel(cells) if labels == 1 else ManyLabels(cells, labels)
        compiler.prepare(self._sums.kernel)
        self.stride = -(-characters // min(max(KEPT_BYTES // cells, 1), MOST_KEPT))
        self._bins = np.zeros((-(-characters // self.stride), cells), np.uint8)
        self._kept_labels = np.zeros((len(self._bins), labels), np.float32)
        features = 2 * config.layers * config.hidden
        most = min(MOST_STATES, STATES_BYTES // (2 * features)) if with_states else 0
        # A multiple of the other stride, so that states and bins are of the same places.
        self.state_stride = self.stride * -(-characters // max(most * self.stride, 1))
        self._states = np.zeros((-(-characters // self.state_stride) if most else 0, features), np.float16)
        self._grid = self._find_grid()

    def _values(self) -> list[np.ndarray]:
        return self._network.signal_blocks(self._signal)

    def _find_grid(self) -> Grid:
        """A first look, at some of a long text: what values cells take, and bins that share them out evenly."""
        ids, network = self._script.ids, self._network
        batch, steps, every = _PILOT_BATCH, _PILOT_STEPS, 2
        if len(ids) <= batch * steps:
            batch = ReadingWindows(len(ids)).batch
            steps, every = min(-(-len(ids) // batch) + _PILOT_WARM_UP, len(ids)), 1
        starts = np.linspace(0, len(ids) - steps, batch).astype(np.int64)
        state, seen = network.initial_state(batch), []
        for begin in range(0, steps, 64):
            at = starts + np.arange(begin, min(begin + 64, steps))[:, None]
            network.read(ids[at].astype(np.int32), state)
            if begin >= _PILOT_WARM_UP or steps <= 2 * _PILOT_WARM_UP:
                blocks = [block[network.layout.rows].reshape(at.size, -1) for block in self._values()]
                seen.append(np.concatenate(blocks, axis=1)[::every])
        values = np.concatenate(seen)
        low, high = values.min(axis=0), values.max(axis=0)
        scale = ((GRID - 1) / np.maximum(high - low, 1e-6)).astype(np.float32)
        shift = (-low * scale).astype(np.float32)
        steps_of = np.clip(np.rint(values * scale + shift), 0, GRID - 1).astype(np.int64)
        cells = values.shape[1]
        held = np.bincount((steps_of + np.arange(cells) * GRID).ravel(), minlength=cells * GRID).reshape(cells, GRID)
        below = np.cumsum(held, axis=1) - held / 2
        return Grid(scale, shift, np.minimum(below * BINS / len(values), BINS - 1).astype(np.uint8))

    def read(self, start: int, stop: int, labels: np.ndarray, progress: Progress | None) -> None:
        """Count characters ``start`` to ``stop``, whose labels are (stop - start, K)."""
        network, ids = self._network, self._script.ids
        begin = max(start - WARM_UP, 0)
        windows = ReadingWindows(stop - begin, _BATCH, _STEPS)
        state, done = network.initial_state(windows.batch), start
        for at, own in windows:
            at = at + begin
            network.read(ids[at].astype(np.int32), state)
            wanted = own & (at >= start)
            places, at = network.layout.rows[wanted], at[wanted]
            rows = np.where(at % self.stride == 0, at // self.stride, -1).astype(np.int32)
            self._kept_labels[rows[rows >= 0]] = labels[at[rows >= 0] - start]
            self._count(places, rows, labels[at - start], at)
            done += len(at)
            if progress is not None:
                progress(done, len(ids))
        self._sums.close_part()

    def _count(self, places: np.ndarray, rows: np.ndarray, labels: np.ndarray, at: np.ndarray) -> None:
        sums, network = self._sums, self._network
        addends = sums.addends(labels)
        calls: list = [(self._keep_states, (places, at))] if len(self._states) else []
        for layer, values in enumerate(self._values()):
            blocks = values.shape[1]
            group = max(1, -(-blocks // (2 * network.team.threads)))
            for first in range(0, blocks, group):
                cells = CellRange(layer * self._padded, first, min(first + group, blocks))
                calls.append((sums.kernel, (values, places, rows, addends, self._grid, cells, sums.part, self._bins)))
        network.team.share_out(calls)

    def _keep_states(self, places: np.ndarray, at: np.ndarray) -> None:
        kept = at % self.state_stride == 0
        if not kept.any():
            return
        rows, hidden = at[kept] // self.state_stride, self._network.config.hidden
        column = 0
        for name in "hc":
            for blocks in self._network.signal_blocks(name):
                values = blocks[places[kept]].reshape(len(rows), -1)[:, :hidden]
                self._states[rows, column : column + hidden] = np.tanh(values) if name == "c" else values
                column += hidden

    def result(self) -> Sweep:
        """What was counted, without the padding."""
        config = self._network.config
        own = (np.arange(config.layers)[:, None] * self._padded + np.arange(config.hidden)).ravel()
        bins = self._bins if len(own) == self._bins.shape[1] else np.ascontiguousarray(self._bins[:, own])
        totals = self._sums.totals[own]
        kept = bins, self._kept_labels, self.stride, self._states, self.state_stride
        return Sweep(len(self._script), totals[:, :, 0], totals[:, :, 1:], *kept)


_COUNT = 42  # the bit from which on a word counts places; below it stands the sum of labels
_UNIT = 1 << 20  # what a label of 1 is in there: 2^21 places of up to 3/2 have room
_FROM = 0.5  # labels are from -1/2 on; a word holds nothing negative


class OneLabel:
    """Sums of one label, from -1/2 to 1; it is rounded to 2^-20."""

    kernel = staticmethod(count_words)

    def __init__(self, cells: int):
        self.part = np.zeros((cells, BINS), np.uint64)
        self.totals = np.zeros((cells, BINS, 2))

    def addends(self, labels: np.ndarray) -> np.ndarray:
        """What the kernel adds for places with labels (P, 1): words (P,)."""
        return np.rint((labels[:, 0] + _FROM) * _UNIT).astype(np.uint64) + np.uint64(1 << _COUNT)

    def close_part(self) -> None:
        """Add ``part``, what the kernel has added up over at most 2^21 places, to ``totals`` (C, BINS, 2)."""
        counts = (self.part >> np.uint64(_COUNT)).astype(np.float64)
        sums = (self.part & np.uint64((1 << _COUNT) - 1)).astype(np.float64)
        self.totals[:, :, 0] += counts
        self.totals[:, :, 1] += sums / _UNIT - _FROM * counts
        self.part[:] = 0


class ManyLabels:
    """Sums of K labels, in float32 within a part: there counts are exact."""

    kernel = staticmethod(count_columns)

    def __init__(self, cells: int, labels: int):
        width = -(-(labels + 1) // WIDTH) * WIDTH
        self.part = np.zeros((cells, BINS, width), np.float32)
        self.totals = np.zeros((cells, BINS, labels + 1))

    def addends(self, labels: np.ndarray) -> np.ndarray:
        """What the kernel adds for places with labels (P, K): columns (P, W), the first of them 1."""
        columns = np.zeros((len(labels), self.part.shape[2]), np.float32)
        columns[:, 0] = 1
        columns[:, 1 : 1 + labels.shape[1]] = labels
        return columns

    def close_part(self) -> None:
        """Add ``part``, what the kernel has added up, to ``totals`` (C, BINS, 1 + K)."""
        self.totals += self.part[:, :, : self.totals.shape[2]]
        self.part[:] = 0
