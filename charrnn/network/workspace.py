"""The arrays of a window, and the order of their rows.

A workspace is made once for T steps of B batch rows, and used for every window of at most this size.
"""

import math
from collections.abc import Sequence

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.packing import PLAIN, Group
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import (
    BLOCK_PLACES,
    Picked,
    Portions,
    panel_ranges,
    row_gradient,
    scratch_size,
    weight_gradient,
)
from charrnn.network import sum_tree
from charrnn.network.parameters import aligned_empty, aligned_zeros
from charrnn.system.threads import OWN, divided


def padded(size: int) -> int:
    """The next multiple of the vector length."""
    return -(-size // WIDTH) * WIDTH


def panels(width: int) -> int:
    """How many panels cover ``width`` columns."""
    return -(-width // PANEL)


class Workspace:
    """Memory for the activations of every layer, in panels.

    With Q = ⌈H/64⌉ and R = B (T+1) rows in the order of a :class:`Layout`: ``layers[k]`` has the arrays of layer k by
    name, ``caches[k]`` its arrays without rows, ``logits`` (⌈V/64⌉, R, 64), ``losses`` (T, B), the ids ``x`` (T, B) and
    ``starts`` (V + 1,) of :class:`charrnn.kernels.weight_gradients.Picked`;
    with dropout ``dropped[k]`` (Q, R, 64) is what it leaves of the layer's output.  For training there are also ``dh``
    (Q, R, 64), the arrays that layers share (``shared``), and in ``scratch`` one array for each thread.
    """

    def __init__(
        self, config: ModelConfig, layers: Sequence, steps: int, batch: int, threads: int, sum_groups: int | None = None
    ):
        self.steps, self.batch, self._sum_groups = steps, batch, sum_groups
        self._config, self._layers, self._threads = config, layers, threads
        rows, self._output = batch * (steps + 1), (panels(config.hidden), batch * (steps + 1), PANEL)
        self.layers = [_arrays(layer.array_shapes(rows)) for layer in layers]
        self.caches = [_arrays(layer.cache_shapes(steps, batch)) for layer in layers]
        self.logits = aligned_zeros(panels(config.vocabulary), rows, PANEL)
        self.losses = np.zeros((steps, batch), np.float32)
        self.x = np.zeros((steps, batch), np.int32)
        self.starts = np.zeros(config.vocabulary + 1, np.int64)
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
            sums = sum_tree.depth(self._sum_groups or 1)
            self.scratch = [aligned_empty(scratch_size(deepest, sums)) for _ in range(self._threads)]
            self.dh = aligned_zeros(*self._output)  # last, because it says that all of them are there
        if lacks_dropout:
            self.dropped = [aligned_zeros(*self._output) for _ in self._layers]
        return lacks_training or lacks_dropout

    def fits(self, steps: int, batch: int, sum_groups: int | None) -> bool:
        """Whether a window of this size, with sums over so many groups of batch rows, can use these arrays."""
        return steps <= self.steps and batch == self.batch and (sum_groups or 1) <= (self._sum_groups or 1)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        found = [self.logits, self.losses, self.x, self.starts, *self.shared.values(), *self.scratch, *self.dropped]
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


def row_calls(picked: Picked, dy, dtable, gradient, threads: int, order: int = PLAIN) -> list[tuple]:
    """Calls that make dtable (panels, V, 64) and gradient (V, N), unless it has no row, of one-hot characters."""
    return [
        (row_gradient, (picked, dy, part, order, OWN, dtable, gradient)) for part in panel_ranges(len(dtable), threads)
    ]


ROW_BYTES = 4 * PANEL


class Layout:
    """The order of the R = B (T+1) rows of a window of T steps and B batch rows, for a number of groups of batch rows.

    The rows of a group lie together: first the state before the window, one row for each of its batch rows, then the
    rows of step 0, and so on.  A group belongs to a thread.  If the rows of two threads were neighbours, the threads
    would keep taking them from each other's caches, because a processor prefetches the memory behind a row.

    Sums over all places have groups of their own, ``summed``, which do not depend on the number of threads.  A group is
    summed step by step, and the sums of the groups are added in a tree (:mod:`charrnn.network.sum_tree`).  Without
    groups the second half of the batch rows is added after the first; so the rows of a sum lie together where two
    threads have them.  Every bit of a sum is the same for any number of threads.

    Attributes:
        groups: the groups of the threads.
        rows: (T, B) int64, the row of place (t, b).
        before: (T, B) int64, the row of the state before place (t, b).
        sum_bounds: (G, 2) int64, the first batch row of each group of the sums, and the row behind its last one.
        portions: the order of sums over all places of products of two rows, both the place's own.
        portions_from_before: the same where the first row is the state before the place.
    """

    def __init__(self, steps: int, batch: int, groups: int, summed: int | None = None):
        self.steps, self.batch = steps, batch
        self._asked_for = groups, summed
        self.groups = [Group(first, last) for first, last in divided(batch, groups) if first < last]
        self.rows, self.before = np.empty((2, steps, batch), np.int64)
        for first, last in self.groups:
            start, stop = self.of_group(Group(first, last))
            self.rows[:, first:last] = np.arange(start, stop).reshape(steps, -1)
            self.before[:, first:last] = self.rows[:, first:last] - (last - first)
        merges = sum_tree.merges(summed or 1)
        self.sum_bounds = np.array(divided(batch, summed or 1), np.int64)
        pieces, behind = self.sum_bounds.tolist(), merges
        if summed is None:
            pieces, behind = divided(batch, 2), [-1, 0]
        rows, before = ([part[:, first:last].ravel() for first, last in pieces] for part in (self.rows, self.before))
        self.portions = portions(rows, rows, behind)
        self.portions_from_before = portions(before, rows, behind)
        places = np.zeros((2, steps * batch), np.int64)
        self._merges, self._places = np.array(merges, np.int64), places

    def picked(self, starts: np.ndarray) -> Picked:
        """The places by their characters, to be sorted for every window; ``starts`` is (V + 1,) int64."""
        return Picked(*self._places, starts, self._merges)

    def fits(self, steps: int, batch: int, groups: int, summed: int | None) -> bool:
        """Whether the layout was made for these sizes."""
        return (self.steps, self.batch, self._asked_for) == (steps, batch, (groups, summed))

    @property
    def size(self) -> int:
        """R, all rows."""
        return self.batch * (self.steps + 1)

    def of_group(self, group: Group) -> tuple[int, int]:
        """The first row of a group's steps, and the row behind their last."""
        return group.first * (self.steps + 1) + group.last - group.first, group.last * (self.steps + 1)


def portions(x: list[np.ndarray], y: list[np.ndarray], merges: list[int]) -> Portions:
    """Places and blocks for a sum over pairs of rows, at least one pair.

    ``x`` and ``y`` are sequences of row numbers; row x[s][n] is multiplied with row y[s][n].  Each sequence begins a
    new block.  ``merges`` has what :class:`Portions` says of the last block of each sequence.
    """
    number = np.concatenate([np.arange(len(rows)) % BLOCK_PLACES for rows in y])
    rows = np.stack([np.concatenate(x), np.concatenate(y)], axis=1)
    begins = np.flatnonzero(number == 0)
    parts = (number[1:] > 0) & (np.diff(rows, axis=0) != 1).any(axis=1)  # a row of a block that is not behind the last
    scattered = np.add.reduceat(np.append(False, parts), begins, dtype=np.int64) > 0
    behind = np.full(len(begins), -1)
    last = np.cumsum([-(-len(rows) // BLOCK_PLACES) for rows in y]) - 1  # the last block of each sequence
    behind[last[last >= 0]] = np.array(merges)[last >= 0]
    blocks = np.append(np.stack([begins, scattered, behind], axis=1), [[len(rows), 0, 0]], axis=0)
    return Portions(np.append(ROW_BYTES * rows, np.zeros((BLOCK_PLACES, 2), np.int64), axis=0), blocks)


def in_order(rows: int) -> Portions:
    """Portions of ``rows`` rows, each multiplied with the row of the same number."""
    numbers = [np.arange(rows, dtype=np.int64)]
    return portions(numbers, numbers, [0])
