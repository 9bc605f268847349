"""Gradients of the weights: sums over all places (t, b) of a window, taken in their order.

    dW = Σ_p x_pᵀ dy_p        db = Σ_p dy_p        for one-hot x:  dW[x_p] += dy_p

A call makes some panels of 64 columns of dW, so threads share out panels and never a sum.  The places are taken in
blocks, so that a block of x, a block of dy's panel and the panels' sums are in the near caches while they meet.
"""

import numpy as np
from numba import njit

from charrnn.kernels.compiler import Array1, Array2, Array3, Ids2, Panels, intp, kernel, void
from charrnn.kernels.matmul import PANEL, multiply_block
from charrnn.kernels.packing import unpack
from charrnn.kernels.simd import LANES, load, splat, store

f32 = np.float32

PANELS = 4  # of a call, at most: x is read once for all of them
BLOCK_PLACES = 64


def scratch_size(depth: int) -> int:
    """Floats that :func:`weight_gradient` needs for K = ``depth`` inputs."""
    return PANEL * PANELS * (depth + 1)


def panel_groups(count: int, threads: int) -> list[tuple[int, int]]:
    """(first, last) of calls that make ``count`` panels, about as many each, and as many calls for every thread."""
    rounds = -(-count // (PANELS * threads))
    calls = min(count, rounds * threads)
    return [(count * call // calls, count * (call + 1) // calls) for call in range(calls)]


@njit
def clear(address, elements):
    """Write zeros to ``elements`` floats (a multiple of 16)."""
    for k in range(0, elements, LANES):
        store(address, k, splat(f32(0.0)))


@njit
def add_rows(panel_at, rows, sums_at):
    """sums (64,) += Σ of the rows of a panel."""
    # Four sums at a time, in registers: one alone waits for each addition.
    a, b = load(sums_at, 0), load(sums_at, LANES)
    c, d = load(sums_at, 2 * LANES), load(sums_at, 3 * LANES)
    for k in range(0, rows * PANEL, PANEL):
        a = a + load(panel_at, k)
        b = b + load(panel_at, k + LANES)
        c = c + load(panel_at, k + 2 * LANES)
        d = d + load(panel_at, k + 3 * LANES)
    store(sums_at, 0, a)
    store(sums_at, LANES, b)
    store(sums_at, 2 * LANES, c)
    store(sums_at, 3 * LANES, d)


@kernel(void(Panels, Panels, intp, intp, Array1, intp, Array2, Array2))
def weight_gradient(x, dy, first, last, scratch, gated, gradient, bias):
    """Panels ``first`` to ``last``, at most PANELS, of gradient (K, N) = Σ xᵀ dy and of bias (1, N) = Σ dy.

    x (panels, T, B, 64), dy (panels, T, B, 64); bias may have no row: then there is no sum.  Scratch as
    :func:`scratch_size` says.
    """
    depth, columns = gradient.shape
    places = dy.shape[1] * dy.shape[2]
    panels, size = last - first, PANEL * depth
    sums_at = scratch.ctypes.data
    bias_at = sums_at + 4 * panels * size
    clear(sums_at, panels * (size + PANEL))
    for start in range(0, places, BLOCK_PLACES):
        count = min(BLOCK_PLACES, places - start)
        for panel in range(panels):
            dy_at = dy.ctypes.data + (first + panel) * dy.strides[0] + 4 * start * PANEL
            if bias.shape[0]:
                add_rows(dy_at, count, bias_at + 4 * panel * PANEL)
            vectors = 4 if gated else min(4, (columns - PANEL * (first + panel) + LANES - 1) // LANES)
            for k in range(0, depth, PANEL):
                x_at = x.ctypes.data + k // PANEL * x.strides[0] + 4 * start * PANEL
                # Fetched ahead: this panel's next block, and while the first panel is made x's next blocks.
                next_dy, next_x = dy_at + 4 * count * PANEL, x_at + 4 * count * PANEL
                multiply_block(
                    x_at,
                    1,
                    PANEL,
                    dy_at,
                    sums_at + 4 * (panel * size + k * PANEL),
                    PANEL,
                    count,
                    min(PANEL, depth - k),
                    vectors,
                    next_dy if k == 0 else next_x if panel == 0 else dy_at,
                    next_x if panel == 0 else dy_at,
                )
    unpack(scratch, 0, first, last, gated, gradient)
    unpack(scratch, panels * size, first, last, gated, bias)


@kernel(void(Ids2, Panels, intp, intp, Array3, Array2))
def row_gradient(x, dy, first, last, dtable, gradient):
    """Panels ``first`` to ``last`` of dtable (U, V, 64), the gradient of the rows that a one-hot x picks.

    Row x_p gains dy_p.  The panels are written to their columns of gradient (V, 4H) too, unless it has no row.
    """
    places, rows = x.size, dtable.shape[1]
    ids = x.ravel()
    for panel in range(first, last):
        dy_at, rows_at = dy.ctypes.data + panel * dy.strides[0], dtable.ctypes.data + panel * dtable.strides[0]
        clear(rows_at, rows * PANEL)
        for place in range(places):
            row = ids[place] * PANEL
            for j in range(0, PANEL, LANES):
                store(rows_at, row + j, load(rows_at, row + j) + load(dy_at, place * PANEL + j))
    unpack(dtable, first * rows * PANEL, first, last, True, gradient)
