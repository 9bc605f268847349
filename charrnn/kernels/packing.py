"""Packed weights and their layout.

A parameter with N columns has them gate by gate, H columns each; in packed form they are in one of these *orders*:

    PLAIN           no gates: columns as they are, padded to whole vectors (the output layer, an RNN)
    LSTM            i, f, g, o   of (D, 4H)
    COUPLED         -, f, g, o   of (D, 3H)
    GRU_INPUT       n, r, z, -   of (D, 3H), which has them as r, z, n
    GRU_RECURRENT   -, r, z, n   of (H, 3H), which has them as r, z, n
    GRU_BIAS        n_x, r, z, n_h   of (4H,), which has them as r, z, n_x, n_h

With gates, H hidden units are padded to U blocks of 16, and the columns are interleaved block by block: the 64 columns
of panel u are the gates' blocks of units 16u to 16u+15, so that one tile of a product holds all that the cell equations
need.  Every array of the workspace with gate columns (``gates``, packed matrices, the first layer's table) has them in
this order.  The two candidates of a GRU, which are not added up, stand at the ends, so each of its two products writes
three neighbouring blocks.  A block that an order leaves out (-) and padding are zero in weights, so padding stays zero
in states and gradients as long as these are finite.

The rows of a window's arrays are grouped by batch rows: see :class:`charrnn.network.workspace.Layout`.
"""

from typing import NamedTuple

from numba import njit, types

from charrnn.kernels.compiler import Array1, Array2, Array3, Panels, intp, kernel, void
from charrnn.kernels.simd import WIDTH, load, load_one, store, store_one, transpose
from charrnn.kernels.tiles import PANEL


class Group(NamedTuple):
    """Batch rows ``first`` to ``last`` of a window: one thread's work."""

    first: int
    last: int


GROUP = types.NamedUniTuple(intp, len(Group._fields), Group)


@njit
def first_row(first, steps):
    """The first row, in a window's arrays, of the group that begins with batch row ``first``; a batch row has T + 1."""
    return first * (steps + 1)


PLAIN, LSTM, GRU_INPUT, GRU_RECURRENT, GRU_BIAS, COUPLED = range(6)

# Tuples by order.
GATES = (1, 4, 3, 3, 4, 3)  # how many blocks of H columns the parameter has
BIAS_ORDER = (PLAIN, LSTM, GRU_BIAS, GRU_BIAS, GRU_BIAS, COUPLED)  # of the bias that belongs to a matrix
_NONE = -1
_LAST_THREE = (_NONE, 0, 1, 2)
_BLOCKS = ((0, 0, 0, 0), (0, 1, 2, 3), (2, 0, 1, _NONE), _LAST_THREE, (2, 0, 1, 3), _LAST_THREE)  # gates of a panel
_FIRST = (0, 0, 0, 1, 0, 1)  # the first block that is not left out


@njit
def used_blocks(columns, panel, order):
    """The first of the used blocks of 16 columns in a panel, and how many there are; they are neighbours."""
    if order == PLAIN:
        return 0, min(4, (columns - PANEL * panel + WIDTH - 1) // WIDTH)
    return _FIRST[order], GATES[order]


@njit
def block_start(panel, block, units, order):
    """First parameter column of the 16 in block ``block`` (0 to 3) of panel ``panel``."""
    if order == PLAIN:
        return PANEL * panel + WIDTH * block
    return _BLOCKS[order][block] * units + WIDTH * panel


@njit
def block_size(panel, block, units, order):
    """How many of those 16 columns are real: the rest is padding. ``units`` is H, or the columns in the plain order."""
    if _BLOCKS[order][block] == _NONE:
        return 0
    start = PANEL * panel + WIDTH * block if order == PLAIN else WIDTH * panel
    return max(0, min(WIDTH, units - start))


@njit
def copy_columns(source_at, target_at, size):
    """Copy ``size`` floats, at most 16, from one address to another."""
    if size == WIDTH:
        store(target_at, 0, load(source_at, 0))
    else:
        for j in range(size):
            store_one(target_at, j, load_one(source_at, j))


@kernel(void(Array2, intp, intp, intp, Panels))
def pack(weights, order, first, last, packed):
    """Panels ``first`` to ``last`` of weights (K, N): packed (panels, K, 64)."""
    depth, columns = weights.shape
    units = columns // GATES[order]
    for k in range(depth):
        for block in range(4):
            for panel in range(first, last):  # innermost: panels are neighbours in a row, rows are often pages apart
                start = block_start(panel, block, units, order)
                source_at = weights.ctypes.data + 4 * (k * columns + start)
                target_at = packed.ctypes.data + panel * packed.strides[0] + 4 * (k * PANEL + WIDTH * block)
                copy_columns(source_at, target_at, block_size(panel, block, units, order))


@kernel(void(Array2, intp, intp, intp, Array3))
def pack_transposed(weights, order, first, last, packed):
    """Panels of the transpose: weights (K, N) to packed (panels over K, N in ``order`` and padded, 64)."""
    rows, columns = weights.shape
    units = columns // GATES[order]
    blocks = packed.shape[1] // WIDTH
    for panel in range(first, last):
        width = min(PANEL, rows - PANEL * panel)
        for n in range(blocks):
            start = block_start(n // 4, n % 4, units, order)
            size = block_size(n // 4, n % 4, units, order)
            for k in range(0, width, WIDTH):
                row = PANEL * panel + k
                count = min(WIDTH, width - k)
                if size == count == WIDTH:
                    source, target = row * columns + start, (panel * packed.shape[1] + WIDTH * n) * PANEL + k
                    transpose(weights.ctypes.data + 4 * source, columns, packed.ctypes.data + 4 * target, PANEL)
                else:
                    for i in range(count):
                        for j in range(size):
                            packed[panel, WIDTH * n + j, k + i] = weights[row + i, start + j]


@kernel(void(Array2, Array1, intp, intp, intp, Array3))
def pack_table(weights, bias, order, first, last, table):
    """Rows ``first`` to ``last`` of the first layer's look-up table (panels, V, 64): weights (V, N) + bias."""
    units, of_bias = weights.shape[1] // GATES[order], BIAS_ORDER[order]
    for row in range(first, last):
        for panel in range(table.shape[0]):
            for block in range(4):
                start = block_start(panel, block, units, of_bias)
                for j in range(block_size(panel, block, units, of_bias)):
                    table[panel, row, WIDTH * block + j] = bias[start + j]
                start = block_start(panel, block, units, order)
                for j in range(block_size(panel, block, units, order)):
                    table[panel, row, WIDTH * block + j] += weights[row, start + j]


@kernel(void(Array1, intp, Array1))
def pack_bias(bias, order, packed):
    """The bias, in ``order``, with the padding of packed columns."""
    units = bias.size // GATES[order]
    for n in range(packed.size // WIDTH):
        start = block_start(n // 4, n % 4, units, order)
        for j in range(block_size(n // 4, n % 4, units, order)):
            packed[WIDTH * n + j] = bias[start + j]


@njit
def unpack(sums_at, panels, order, gradient):
    """Copy panels (rows, 64) at an address to the columns ``panels`` of gradient (rows, N)."""
    rows, columns = gradient.shape
    units = columns // GATES[order]
    for row in range(rows):
        for block in range(4):
            for panel in range(panels.first, panels.last):
                source_at = sums_at + 4 * (((panel - panels.first) * rows + row) * PANEL + WIDTH * block)
                target_at = gradient.ctypes.data + 4 * (row * columns + block_start(panel, block, units, order))
                copy_columns(source_at, target_at, block_size(panel, block, units, order))
