"""The arrays that a window needs, made once for T steps of B batch rows and used for every window of that size.

Where the steps and batch rows of a window stand in its arrays, and in what portions sums go through them.
"""

import itertools

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import BLOCK_PLACES, scratch_size
from charrnn.network.packed_weights import padded, panels
from charrnn.network.parameters import aligned_empty, aligned_zeros


class Workspace:
    """Memory for the activations of every layer, T steps of B batch rows, columns in panels as the kernels want them.

    With U = ⌈H/16⌉, Q = ⌈H/64⌉ and R = B (T+1) rows, whose order is that of a :class:`Layout`:
    ``gates[l]`` (U, R, 64), ``h[l]`` (Q, R, 64), ``c[l]`` (U, R, 16), ``logits`` (⌈V/64⌉, R, 64), ``losses`` (T, B);
    for training also ``dh`` (Q, R, 64), with dropout ``dropped[l]`` (Q, R, 64), ``dc`` (U, B, 16), and a scratch for
    each thread.
    """

    def __init__(self, config: ModelConfig, steps: int, batch: int, threads: int, training: bool, dropout: bool):
        self.steps, self.batch, self.training = steps, batch, training
        blocks, wide, layers = padded(config.hidden) // WIDTH, panels(config.hidden), range(config.layers)
        rows = batch * (steps + 1)
        self.gates = [aligned_zeros(blocks, rows, PANEL) for _ in layers]
        self.h = [aligned_zeros(wide, rows, PANEL) for _ in layers]
        self.c = [aligned_zeros(blocks, rows, WIDTH) for _ in layers]
        self.logits = aligned_zeros(panels(config.vocabulary), rows, PANEL)
        self.losses = np.zeros((steps, batch), np.float32)
        self.dropped = [aligned_zeros(wide, rows, PANEL) for _ in layers] if dropout else None
        if training:
            self.dh = aligned_zeros(wide, rows, PANEL)
            self.dc = aligned_zeros(blocks, batch, WIDTH)
            deepest = max(config.hidden, config.embedding or 0)
            self.scratch = [aligned_empty(scratch_size(deepest)) for _ in range(threads)]
            self.dtable = aligned_zeros(blocks, config.vocabulary, PANEL)
            if config.embedding:
                self.dembedding = aligned_zeros(panels(config.embedding), config.vocabulary, PANEL)

    def fits(self, steps: int, batch: int, training: bool, dropout: bool) -> bool:
        """Whether a window of this size can use these arrays."""
        return (
            steps <= self.steps
            and batch == self.batch
            and training <= self.training
            and (self.dropped is not None or not dropout)
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return array_bytes(vars(self).values())


def array_bytes(values) -> int:
    """Bytes of the arrays among ``values``, lists of arrays included."""
    found = [array for value in values for array in (value if isinstance(value, list) else [value])]
    return sum(array.nbytes for array in found if isinstance(array, np.ndarray))


ROW_BYTES = 4 * PANEL


class Layout:
    """The R = B (T+1) rows of a window of T steps and B batch rows, for so many groups of batch rows.

    The rows of a group lie together: those of the state before the window, one for each of its batch rows, then those
    of step 0, and so on.  A group belongs to a thread.  Were their rows next to each other, threads would keep taking
    them from each other's caches, because a processor fetches what comes after a row before it is asked for it.

    ``groups`` are (first batch row, last batch row); ``rows`` (T, B) int64 says where a place is, and ``before`` (T, B)
    where the state before it is.  Sums over all places, of products of what stands at two rows, go by :func:`portions`:
    ``portions`` where both are the place's, ``portions_from_before`` where the first is the state before.  Their order,
    one half of the batch rows after the other, is the same for any groups, and so is every bit of a sum; with two
    groups what is added up lies together.
    """

    def __init__(self, steps: int, batch: int, groups: int):
        self.steps, self.batch = steps, batch
        self._asked_for = groups
        bounds = [batch * group // groups for group in range(groups + 1)]
        self.groups = [(first, last) for first, last in itertools.pairwise(bounds) if first < last]
        self.rows, self.before = np.empty((2, steps, batch), np.int64)
        for first, last in self.groups:
            start, stop = self.of_group(first, last)
            self.rows[:, first:last] = np.arange(start, stop).reshape(steps, -1)
            self.before[:, first:last] = self.rows[:, first:last] - (last - first)
        halves = slice(batch // 2), slice(batch // 2, batch)
        rows, before = ([part[:, half].ravel() for half in halves] for part in (self.rows, self.before))
        self.portions = portions(rows, rows)
        self.portions_from_before = portions(before, rows)

    def fits(self, steps: int, batch: int, groups: int) -> bool:
        """Whether it is what such arguments make."""
        return (self.steps, self.batch, self._asked_for) == (steps, batch, groups)

    @property
    def size(self) -> int:
        """R, all rows."""
        return self.batch * (self.steps + 1)

    def of_group(self, first: int, last: int) -> tuple[int, int]:
        """From and to which row the steps of a group stand."""
        return first * (self.steps + 1) + last - first, last * (self.steps + 1)


def portions(x: list[np.ndarray], y: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Runs and blocks of rows that meet, one at least, for :func:`charrnn.kernels.weight_gradients.weight_gradient`.

    The rows ``x`` and ``y`` are given in sequences, of which each begins a block.  A block's quarters are for fetching
    it in time, each from there on: where it is in several runs, part of that is something else.
    """
    number = np.concatenate([np.arange(len(rows)) % BLOCK_PLACES for rows in y])
    x_rows, y_rows = np.concatenate(x), np.concatenate(y)
    follows = (number[1:] > 0) & (np.diff(x_rows) == 1) & (np.diff(y_rows) == 1)
    starts = np.flatnonzero(np.append(True, ~follows))
    at = ROW_BYTES * np.stack([x_rows, y_rows])
    runs = np.stack([*at[:, starts], np.diff(starts, append=len(number)), number[starts]], axis=1)
    begins = np.flatnonzero(number == 0)
    ends = np.append(begins[1:], len(number))
    quarters = np.minimum(begins[:, None] + np.arange(4) * BLOCK_PLACES // 4, ends[:, None] - 1)
    blocks = np.concatenate([np.searchsorted(starts, begins)[:, None], at[0, quarters], at[1, quarters]], axis=1)
    return runs, np.append(blocks, [[len(runs), *[0] * 8]], axis=0)


def in_order(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Portions of so many rows, each of which meets the one of its own number."""
    numbers = [np.arange(rows, dtype=np.int64)]
    return portions(numbers, numbers)
