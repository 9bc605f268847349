"""One pass over a text of any length that counts what every cell does against labels of the text.

The text is read in several batch rows at once. For each cell a histogram of its values is kept, and in each bin the
sums of the labels: enough for the rank of every value and for every score that is computed from ranks. At places evenly
spread over the text the bins themselves are kept, and at fewer places the whole state. The memory does not grow with
the text.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from charrnn.inspection.passage import EncodedText
from charrnn.kernels import compiler
from charrnn.kernels.histograms import BINS, GRID, CellRange, Grid, count_columns, count_words
from charrnn.kernels.simd import WIDTH
from charrnn.network.network import Network
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.windows import ReadingWindows

KEPT_BYTES, MOST_KEPT = 1 << 26, 1 << 18  # kept bins, one byte each, and places where they are kept
STATES_BYTES = 1 << 26  # kept states, two bytes a number
MOST_STATES = 20_480
_BATCH, _STEPS = 64, 128  # of a window: 32 batch rows are 5 % slower, more than 64 are no faster
_PILOT_STEPS, _PILOT_BATCH, _PILOT_WARM_UP = 256, 32, 64

Labels = Callable[[int, int], np.ndarray]
"""The labels of characters start to stop - 1: (stop - start, K) float32, from -1/2 to 1."""


@dataclass(frozen=True, eq=False)
class Sweep:
    """What was counted over all characters of a text, for C = L·H cells and K labels.

    ``counts`` (C, BINS) are the numbers of values in each bin, ``sums`` (C, BINS, K) the sums of the labels there.
    ``bins`` (M, C) uint8 and ``labels`` (M, K) float32 are kept at every ``stride``-th character, ``states`` (S, F)
    float16, the whole state (an LSTM's h and tanh(c) of all cells), at every ``state_stride``-th.
    """

    counts: np.ndarray
    sums: np.ndarray
    bins: np.ndarray
    labels: np.ndarray
    stride: int
    states: np.ndarray
    state_stride: int


def sweep(
    network: Network,
    text: EncodedText,
    labels: Labels,
    count_of_labels: int,
    signal: str | None = None,
    with_states: bool = True,
    progress: ProgressCallback = no_progress,
) -> Sweep:
    """Read the whole ``text``, and count ``signal`` of every cell against the labels.

    ``progress`` is called with the characters read and the number of all characters.
    """
    counter = _Counter(network, text, count_of_labels, signal, with_states)
    for start, stop in text.parts():
        counter.read(start, stop, labels(start, stop), progress)
    return counter.result()


class _Counter:
    """Counts part after part of a text. Cells are padded to P = L · (H rounded up to whole vectors)."""

    def __init__(self, network: Network, text: EncodedText, labels: int, signal: str, with_states: bool):
        self._network, self._text, self._signal = network, text, network.cell.signal(signal).name
        config, characters = network.config, len(text)
        self._padded = -(-config.hidden // WIDTH) * WIDTH
        cells = config.layers * self._padded
        self._sums = _OneLabel(cells) if labels == 1 else _ManyLabels(cells, labels)
        compiler.prepare(self._sums.kernel)
        self.stride = -(-characters // min(max(KEPT_BYTES // cells, 1), MOST_KEPT))
        self._bins = np.zeros((-(-characters // self.stride), cells), np.uint8)
        self._kept_labels = np.zeros((len(self._bins), labels), np.float32)
        features = len(network.cell.features) * config.layers * config.hidden
        most = min(MOST_STATES, STATES_BYTES // (2 * features)) if with_states else 0
        # A multiple of the other stride, so that wherever a state is kept, bins and labels are kept, too.
        self.state_stride = self.stride * -(-characters // max(most * self.stride, 1))
        self._states = np.zeros((-(-characters // self.state_stride) if most else 0, features), np.float16)
        self._grid = self._choose_grid()

    def _choose_grid(self) -> Grid:
        """Read a sample of the text, and choose bins that hold about equally many values of each cell."""
        ids, network = self._text.ids, self._network
        batch, steps, every = _PILOT_BATCH, _PILOT_STEPS, 2
        if len(ids) <= batch * steps:
            batch = ReadingWindows(len(ids), warm_up=network.warm_up).batch
            steps, every = min(-(-len(ids) // batch) + _PILOT_WARM_UP, len(ids)), 1
        starts = np.linspace(0, len(ids) - steps, batch).astype(np.int64)
        state, seen = network.initial_state(batch), []
        for begin in range(0, steps, 64):
            at = starts + np.arange(begin, min(begin + 64, steps))[:, None]
            network.read(ids[at].astype(np.int32), state)
            if begin >= _PILOT_WARM_UP or steps <= 2 * _PILOT_WARM_UP:
                layers = network.signal_blocks(self._signal)
                values = [blocks[network.layout.rows].reshape(at.size, -1) for blocks in layers]
                seen.append(np.concatenate(values, axis=1)[::every])
        values = np.concatenate(seen)
        low, high = values.min(axis=0), values.max(axis=0)
        scale = ((GRID - 1) / np.maximum(high - low, 1e-6)).astype(np.float32)
        shift = (-low * scale).astype(np.float32)
        step = np.clip(np.rint(values * scale + shift), 0, GRID - 1).astype(np.int64)
        cells = values.shape[1]
        counts = np.bincount((step + np.arange(cells) * GRID).ravel(), minlength=cells * GRID).reshape(cells, GRID)
        below = np.cumsum(counts, axis=1) - counts / 2
        return Grid(scale, shift, np.minimum(below * BINS / len(values), BINS - 1).astype(np.uint8))

    def read(self, start: int, stop: int, labels: np.ndarray, progress: ProgressCallback) -> None:
        """Count characters ``start`` to ``stop`` - 1, whose labels are (stop - start, K)."""
        network, ids = self._network, self._text.ids
        begin = max(start - network.warm_up, 0)
        windows = ReadingWindows(stop - begin, _BATCH, _STEPS, warm_up=network.warm_up)
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
            progress(done, len(ids))
        self._sums.close_part()

    def _count(self, places: np.ndarray, rows: np.ndarray, labels: np.ndarray, at: np.ndarray) -> None:
        """Count the last window at ``places`` (n,) of the workspace, which are characters ``at`` (n,) of the text.

        Where ``rows`` (n,) is not negative, the bins are kept in that row.
        """
        sums, network = self._sums, self._network
        addends = sums.addends(labels)
        calls: list = [(self._keep_states, (places, at))] if len(self._states) else []
        for layer, values in enumerate(network.signal_blocks(self._signal)):
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
        for signal in map(self._network.cell.signal, self._network.cell.features):
            for blocks in self._network.signal_blocks(signal.name):
                values = blocks[places[kept]].reshape(len(rows), -1)[:, :hidden]
                self._states[rows, column : column + hidden] = np.tanh(values) if signal.unbounded else values
                column += hidden

    def result(self) -> Sweep:
        """What was counted, without the padding."""
        config = self._network.config
        own = (np.arange(config.layers)[:, None] * self._padded + np.arange(config.hidden)).ravel()
        bins = self._bins if len(own) == self._bins.shape[1] else np.ascontiguousarray(self._bins[:, own])
        totals = self._sums.totals[own]
        kept = bins, self._kept_labels, self.stride, self._states, self.state_stride
        return Sweep(totals[:, :, 0], totals[:, :, 1:], *kept)


_COUNT = 42  # a word counts places from this bit on; the bits below hold the sum of the labels
_UNIT = 1 << 20  # a label of 1 in this sum: there is room for 2^21 places with labels up to 3/2
_SHIFT = 0.5  # is added to labels, which are -1/2 or more, because a word has no negative numbers


class _OneLabel:
    """Sums of one label, from -1/2 to 1, rounded to 2^-20.

    The label and the count of places share a word, so that one addition serves both. This takes a third of the time
    that vectors take.
    """

    kernel = staticmethod(count_words)

    def __init__(self, cells: int):
        self.part = np.zeros((cells, BINS), np.uint64)
        self.totals = np.zeros((cells, BINS, 2))

    def addends(self, labels: np.ndarray) -> np.ndarray:
        """The words (n,) uint64 that the kernel adds for n places with labels (n, 1)."""
        return np.rint((labels[:, 0] + _SHIFT) * _UNIT).astype(np.uint64) + np.uint64(1 << _COUNT)

    def close_part(self) -> None:
        """Add the sums of a part of the text, of at most 2^21 places, to ``totals`` (P, BINS, 2): counts and sums."""
        counts = (self.part >> np.uint64(_COUNT)).astype(np.float64)
        sums = (self.part & np.uint64((1 << _COUNT) - 1)).astype(np.float64)
        self.totals[:, :, 0] += counts
        self.totals[:, :, 1] += sums / _UNIT - _SHIFT * counts
        self.part[:] = 0


class _ManyLabels:
    """Sums of K labels. Within a part of the text they are float32, which counts places exactly."""

    kernel = staticmethod(count_columns)

    def __init__(self, cells: int, labels: int):
        width = -(-(labels + 1) // WIDTH) * WIDTH
        self.part = np.zeros((cells, BINS, width), np.float32)
        self.totals = np.zeros((cells, BINS, labels + 1))

    def addends(self, labels: np.ndarray) -> np.ndarray:
        """The columns (n, W) float32 that the kernel adds for n places with labels (n, K): 1, the labels, padding."""
        columns = np.zeros((len(labels), self.part.shape[2]), np.float32)
        columns[:, 0] = 1
        columns[:, 1 : 1 + labels.shape[1]] = labels
        return columns

    def close_part(self) -> None:
        """Add the sums of a part of the text to ``totals`` (P, BINS, 1 + K)."""
        self.totals += self.part[:, :, : self.totals.shape[2]]
        self.part[:] = 0
