"""The arrays of a window, and the order of their rows.

A workspace is made once for T steps of B batch rows, and used for every window of at most this size.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.packing import PLAIN, Group
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import BLOCK_PLACES, Portions, panel_ranges, scratch_size, weight_gradient
from charrnn.network.parameters import aligned_empty, aligned_zeros
from charrnn.system.threads import OWN


def padded(size: int) -> int:
    """The next multiple of the vector length."""
    return -(-size // WIDTH) * WIDTH


def panels(width: int) -> int:
    """How many panels cover ``width`` columns."""
    return -(-width // PANEL)


class Workspace:
    """Memory for the activations of every layer, in panels.

    With Q = ⌈H/64⌉ and R = B (T+1) rows in the order of a :class:`Layout`: ``layers[k]`` has the arrays of layer k by
    name, ``caches[k]`` its arrays without rows, ``logits`` (⌈V/64⌉, R, 64), ``losses`` (T, B), the ids ``x`` (T, B);
    with dropout ``dropped[k]`` (Q, R, 64) is what it leaves of the layer's output.  For training there are also ``dh``
    (Q, R, 64), the arrays that layers share (``shared``), and in ``scratch`` one array for each thread.
    """

    def __init__(self, config: ModelConfig, layers: Sequence, steps: int, batch: int, threads: int):
        self.steps, self.batch = steps, batch
        self._config, self._layers, self._threads = config, layers, threads
        rows, self._output = batch * (steps + 1), (panels(config.hidden), batch * (steps + 1), PANEL)
        self.layers = [_arrays(layer.array_shapes(rows)) for layer in layers]
        self.caches = [_arrays(layer.cache_shapes(steps, batch)) for layer in layers]
        self.logits = aligned_zeros(panels(config.vocabulary), rows, PANEL)
        self.losses = np.zeros((steps, batch), np.float32)
        self.x = np.zeros((steps, batch), np.int32)
        self.shared: dict[str, np.ndarray] = {}
        self.scratch: list[np.ndarray] = []
        self.dropped: list[np.ndarray] = []
        self.dh: np.ndarray | None = None

    def prepare(self, training: bool, dropout: bool) -> bool:
        """Make the arrays that training and dropout need, unless they are there; returns whether it made any."""
        lacks_training, lacks_dropout = training and self.dh is None, dropout and not self.dropped
        if lacks_training:
            for layer in self._layers:
                shapes = layer.scratch_shapes(self.steps, self.batch)
                self.shared |= _arrays({name: shapes[name] for name in shapes.keys() - self.shared.keys()})
            deepest = max(self._config.embedding or 0, *(layer.deepest for layer in self._layers), self._config.hidden)
            self.scratch = [aligned_empty(scratch_size(deepest)) for _ in range(self._threads)]
            self.dh = aligned_zeros(*self._output)  # last, because it says that all of them are there
        if lacks_dropout:
            self.dropped = [aligned_zeros(*self._output) for _ in self._layers]
        return lacks_training or lacks_dropout

    def fits(self, steps: int, batch: int) -> bool:
        """Whether a window of this size can use these arrays."""
        return steps <= self.steps and batch == self.batch

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        found = [self.logits, self.losses, self.x, *self.shared.values(), *self.scratch, *self.dropped]
        found += [array for arrays in (*self.layers, *self.caches) for array in arrays.values()]
        return sum(array.nbytes for array in found) + (0 if self.dh is None else self.dh.nbytes)


def floats_of_a_place(config: ModelConfig, layers: Sequence) -> int:
    """How many floats a workspace for training with dropout has for each of its rows."""
    wide = PANEL * panels(config.hidden)
    of_layers = sum(math.prod(shape) for layer in layers for shape in layer.array_shapes(1).values())
    return of_layers + (len(layers) + 1) * wide + PANEL * panels(config.vocabulary)


def _arrays(shapes) -> dict[str, np.ndarray]:
    return {name: aligned_zeros(*shape) for name, shape in shapes.items()}


def weight_calls(x, dy, portions: Portions, gradient, bias, threads: int, order: int = PLAIN) -> list[tuple]:
    """Calls that make gradient (K, N) = Σ xᵀ dy and, unless it is None, bias (N,) = Σ dy; dy is in ``order``."""
    bias = np.zeros((0, gradient.shape[1]), np.float32) if bias is None else bias[None]
    return [
        (weight_gradient, (x, dy, portions, part, OWN, order, gradient, bias))
        for part in panel_ranges(len(dy), threads)
    ]


ROW_BYTES = 4 * PANEL


class Layout:
    """The order of the R = B (T+1) rows of a window of T steps and B batch rows, for a number of groups of batch rows.

    The rows of a group lie together: first the state before the window, one row for each of its batch rows, then the
    rows of step 0, and so on.  A group belongs to a thread.  If the rows of two threads were neighbours, the threads
    would keep taking them from each other's caches, because a processor prefetches the memory behind a row.

    Attributes:
        groups: the groups.
        rows: (T, B) int64, the row of place (t, b).
        before: (T, B) int64, the row of the state before place (t, b).
        portions: the order of sums over all places of products of two rows, both the place's own.
        portions_from_before: the same where the first row is the state before the place.

    Every sum adds the first half of the batch rows, then the second, for any groups.  So every bit of a sum is the same
    for any groups, and with two groups the rows of a sum lie together.
    """

    def __init__(self, steps: int, batch: int, groups: int):
        self.steps, self.batch = steps, batch
        self._asked_for = groups
        bounds = [batch * group // groups for group in range(groups + 1)]
        self.groups = [Group(first, last) for first, last in itertools.pairwise(bounds) if first < last]
        self.rows, self.before = np.empty((2, steps, batch), np.int64)
        for first, last in self.groups:
            start, stop = self.of_group(Group(first, last))
            self.rows[:, first:last] = np.arange(start, stop).reshape(steps, -1)
            self.before[:, first:last] = self.rows[:, first:last] - (last - first)
        halves = slice(batch // 2), slice(batch // 2, batch)
        rows, before = ([part[:, half].ravel() for half in halves] for part in (self.rows, self.before))
        self.portions = portions(rows, rows)
        self.portions_from_before = portions(before, rows)

    def fits(self, steps: int, batch: int, groups: int) -> bool:
        """Whether the layout was made for these sizes."""
        return (self.steps, self.batch, self._asked_for) == (steps, batch, groups)

    @property
    def size(self) -> int:
        """R, all rows."""
        return self.batch * (self.steps + 1)

    def of_group(self, group: Group) -> tuple[int, int]:
        """The first row of a group's steps, and the row behind their last."""
        return group.first * (self.steps + 1) + group.last - group.first, group.last * (self.steps + 1)


def portions(x: list[np.ndarray], y: list[np.ndarray]) -> Portions:
    """Row ranges and blocks for a sum over pairs of rows, at least one pair.

    ``x`` and ``y`` are sequences of row numbers; row x[s][n] is multiplied with row y[s][n].  Each sequence begins a
    new block.  The quarters of a block are for prefetching: where a block is in several row ranges, a part of the
    memory behind a quarter's begin belongs to other rows.
    """
    number = np.concatenate([np.arange(len(rows)) % BLOCK_PLACES for rows in y])
    x_rows, y_rows = np.concatenate(x), np.concatenate(y)
    follows = (number[1:] > 0) & (np.diff(x_rows) == 1) & (np.diff(y_rows) == 1)
    starts = np.flatnonzero(np.append(True, ~follows))
    at = ROW_BYTES * np.stack([x_rows, y_rows])
    ranges = np.stack([*at[:, starts], np.diff(starts, append=len(number)), number[starts]], axis=1)
    begins = np.flatnonzero(number == 0)
    ends = np.append(begins[1:], len(number))
    quarters = np.minimum(begins[:, None] + np.arange(4) * BLOCK_PLACES // 4, ends[:, None] - 1)
    blocks = np.concatenate([np.searchsorted(starts, begins)[:, None], at[0, quarters], at[1, quarters]], axis=1)
    return Portions(ranges, np.append(blocks, [[len(ranges), *[0] * 8]], axis=0))


def in_order(rows: int) -> Portions:
    """Portions of ``rows`` rows, each multiplied with the row of the same number."""
    numbers = [np.arange(rows, dtype=np.int64)]
    return portions(numbers, numbers)
