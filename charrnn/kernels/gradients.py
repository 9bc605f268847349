"""Gradients of the weights: sums over all places (t, b) of a window, taken in their order.

    dW = Σ_p x_pᵀ dy_p        db = Σ_p dy_p        for one-hot x:  dW[x_p] += dy_p

A call makes one panel of 64 columns of dW, so threads share out panels and never a sum.  The places are taken in
blocks: a block of dy's panel is copied together, and every tile of dW then reads it from the near cache.
"""

import numpy as np
from numba import njit

from charrnn.kernels.compiler import Array1, Array2, Array3, Ids2, intp, kernel, void
from charrnn.kernels.matmul import PANEL, multiply_panel
from charrnn.kernels.packing import block_size, block_start, unpack_panel
from charrnn.kernels.simd import LANES, load, splat, store

f32 = np.float32

BLOCK_PLACES = 192


@njit
def clear(address, elements):
    """Write zeros to ``elements`` floats (a multiple of 16)."""
    for k in range(0, elements, LANES):
        store(address, k, splat(f32(0.0)))


@njit
def panel_end(panel, width):
    """Columns of the panel that are inside ``width``, a multiple of 16."""
    return min(PANEL, width - PANEL * panel)


@kernel(void(Array3, Array3, intp, Array1, intp, Array2))
def weight_gradient(x, dy, panel, scratch, gated, gradient):
    """One panel of gradient (K, N) = Σ x dyᵀ.

    x (T or more, B, Kp), dy (T, B, Np); scratch holds at least 64 (K + BLOCK_PLACES) floats.
    """
    width, x_width, depth = dy.shape[2], x.shape[2], gradient.shape[0]
    places = dy.shape[0] * dy.shape[1]
    dy_at = dy.ctypes.data + 4 * PANEL * panel
    columns = panel_end(panel, width)
    sums_at = scratch.ctypes.data
    block_at = sums_at + 4 * PANEL * depth
    clear(sums_at, PANEL * depth)
    for start in range(0, places, BLOCK_PLACES):
        count = min(BLOCK_PLACES, places - start)
        for place in range(count):
            for j in range(0, columns, LANES):
                store(block_at, PANEL * place + j, load(dy_at, (start + place) * width + j))
        multiply_panel(
            x.ctypes.data + 4 * start * x_width,
            1,
            x_width,
            block_at,
            PANEL,
            sums_at,
            PANEL,
            count,
            depth,
            columns // LANES,
        )
    unpack_panel(scratch, depth, panel, gated, gradient)


@kernel(void(Array3, intp, Array1, intp, Array2))
def bias_gradient(dy, panel, scratch, gated, gradient):
    """One panel of gradient (1, N) = Σ dy."""
    width = dy.shape[2]
    dy_at = dy.ctypes.data + 4 * PANEL * panel
    for j in range(0, panel_end(panel, width), LANES):
        sums = splat(f32(0.0))
        for place in range(dy.shape[0] * dy.shape[1]):
            sums = sums + load(dy_at, place * width + j)
        store(scratch.ctypes.data, j, sums)
    unpack_panel(scratch, 1, panel, gated, gradient)


@kernel(void(Ids2, Array3, intp, Array2))
def row_gradient(x, dy, panel, dtable):
    """One panel of dtable (V, 4Hp), the gradient of the rows that a one-hot x picks: row x_p gains dy_p."""
    places, rows, width = x.size, dtable.shape[0], dy.shape[2]
    ids = x.ravel()
    dy_at, rows_at = dy.ctypes.data + 4 * PANEL * panel, dtable.ctypes.data + 4 * PANEL * panel
    for row in range(rows):
        clear(rows_at + 4 * row * width, PANEL)
    for place in range(places):
        row = ids[place] * width
        for j in range(0, PANEL, LANES):
            store(rows_at, row + j, load(rows_at, row + j) + load(dy_at, place * width + j))


@kernel(void(Array2, intp, Array2))
def unpack_rows(dtable, panel, gradient):
    """One panel of dtable (V, 4Hp interleaved) to its columns of gradient (V, 4H)."""
    units = gradient.shape[1] // 4
    for block in range(4):
        start = block_start(panel, block, units, True)
        for row in range(gradient.shape[0]):
            for j in range(block_size(panel, block, units, True)):
                gradient[row, start + j] = dtable[row, PANEL * panel + LANES * block + j]
