"""Packed weights and their layout.

H hidden units are padded to U blocks of 16.  Gate columns are interleaved block by block: the 64 columns of
panel u are i, f, g, o of units 16u to 16u+15, so that one tile of the product holds all that the cell equations
need.  Every array of the workspace with gate columns (``gates``, packed matrices, the first layer's table) has
them in this order; parameters and gradients keep the plain order i, f, g, o of (D, 4H).  Padding is zero in weights, so
it stays zero in states and gradients as long as these are finite.

Plain matrices (the output layer) keep their column order and are padded to whole vectors.

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


@njit
def block_start(panel, block, units, gated):
    """First parameter column of the 16 in block ``block`` (0 to 3) of panel ``panel``."""
    return block * units + WIDTH * panel if gated else PANEL * panel + WIDTH * block


@njit
def block_size(panel, block, units, gated):
    """How many of those 16 columns are real: the rest is padding. ``units`` is H, or the columns if plain."""
    start = WIDTH * panel if gated else PANEL * panel + WIDTH * block
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
def pack(weights, gated, first, last, packed):
    """Panels ``first`` to ``last`` of weights (K, N): packed (panels, K, 64); N = 4H if ``gated``."""
    depth, columns = weights.shape
    units = columns // 4 if gated else columns
    for k in range(depth):
        for block in range(4):
            for panel in range(first, last):  # innermost: panels are neighbours in a row, rows are often pages apart
                start = block_start(panel, block, units, gated)
                source_at = weights.ctypes.data + 4 * (k * columns + start)
                target_at = packed.ctypes.data + panel * packed.strides[0] + 4 * (k * PANEL + WIDTH * block)
                copy_columns(source_at, target_at, block_size(panel, block, units, gated))


@kernel(void(Array2, intp, intp, intp, Array3))
def pack_transposed(weights, gated, first, last, packed):
    """Panels of the transpose: weights (K, N) to packed (panels over K, N padded and interleaved, 64)."""
    rows, columns = weights.shape
    units = columns // 4 if gated else columns
    blocks = packed.shape[1] // WIDTH
    for panel in range(first, last):
        width = min(PANEL, rows - PANEL * panel)
        for n in range(blocks):
            start = block_start(n // 4, n % 4, units, gated)
            size = block_size(n // 4, n % 4, units, gated)
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


@kernel(void(Array2, Array1, intp, intp, Array3))
def pack_table(weights, bias, first, last, table):
    """Rows first to last of the first layer's look-up table (U, V, 64): weights (V, 4H) + bias (4H,)."""
    units = bias.size // 4
    for row in range(first, last):
        for panel in range(table.shape[0]):
            for block in range(4):
                start = block_start(panel, block, units, True)
                for j in range(block_size(panel, block, units, True)):
                    table[panel, row, WIDTH * block + j] = weights[row, start + j] + bias[start + j]


@kernel(void(Array1, intp, Array1))
def pack_bias(bias, gated, packed):
    """The bias in the order and with the padding of packed columns."""
    units = bias.size // 4 if gated else bias.size
    for n in range(packed.size // WIDTH):
        start = block_start(n // 4, n % 4, units, gated)
        for j in range(block_size(n // 4, n % 4, units, gated)):
            packed[WIDTH * n + j] = bias[start + j]


@njit
def unpack(sums_at, panels, gated, gradient):
    """Copy panels (rows, 64) at an address to the columns ``panels`` of gradient (rows, N)."""
    rows, columns = gradient.shape
    units = columns // 4 if gated else columns
    for row in range(rows):
        for block in range(4):
            for panel in range(panels.first, panels.last):
                source_at = sums_at + 4 * (((panel - panels.first) * rows + row) * PANEL + WIDTH * block)
                target_at = gradient.ctypes.data + 4 * (row * columns + block_start(panel, block, units, gated))
                copy_columns(source_at, target_at, block_size(panel, block, units, gated))
