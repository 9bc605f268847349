"""Gradients of the weights: sums over all places (t, b) of a window.

    dW = Σ_p x_pᵀ dy_p        db = Σ_p dy_p        for one-hot x:  dW[x_p] += dy_p

A call makes some panels of 64 columns of dW, so threads share out panels and never a sum.  The places are taken in an
order that is the same for any number of threads (:class:`charrnn.network.workspace.Layout`), and in blocks, so that
a block of x, a block of dy's panel and the panels' sums are in the near caches while they meet.
"""

import numpy as np
from numba import njit

from charrnn.kernels.compiler import Array1, Array2, Array3, Ids2, Longs2, Panels, intp, kernel, void
from charrnn.kernels.matmul import multiply_runs
from charrnn.kernels.packing import unpack
from charrnn.kernels.simd import WIDTH, load, splat, store
from charrnn.kernels.tiles import PANEL

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
    for k in range(0, elements, WIDTH):
        store(address, k, splat(f32(0.0)))


@njit
def add_rows(rows_at, rows, sums_at):
    """sums (64,) += Σ of the rows of a panel."""
    # Four sums at a time, in registers: one alone waits for each addition.
    a, b = load(sums_at, 0), load(sums_at, WIDTH)
    c, d = load(sums_at, 2 * WIDTH), load(sums_at, 3 * WIDTH)
    for k in range(0, rows * PANEL, PANEL):
        a = a + load(rows_at, k)
        b = b + load(rows_at, k + WIDTH)
        c = c + load(rows_at, k + 2 * WIDTH)
        d = d + load(rows_at, k + 3 * WIDTH)
    store(sums_at, 0, a)
    store(sums_at, WIDTH, b)
    store(sums_at, 2 * WIDTH, c)
    store(sums_at, 3 * WIDTH, d)


@kernel(void(Panels, Panels, Longs2, Longs2, intp, intp, Array1, intp, Array2, Array2))
def weight_gradient(x, dy, runs, blocks, first, last, scratch, gated, gradient, bias):
    """Panels ``first`` to ``last``, at most PANELS, of gradient (K, N) = Σ xᵀ dy and of bias (1, N) = Σ dy.

    x and dy (panels, R, 64).  Their rows that meet are in ``runs`` (n, 4) of X, Y, N and D: N rows, X bytes after the
    beginning of a panel of x and Y bytes after that of one of dy; D rows of the same block are in the runs before.
    ``blocks`` (m + 1, 9) tell of each block, of at most BLOCK_PLACES rows, its first run, and where, in bytes again,
    its four quarters begin in x and in dy; the last block is none.  bias may have no row: then there is no sum.
    Scratch as :func:`scratch_size` says.
    """
    depth, columns = gradient.shape
    panels, size = last - first, PANEL * depth
    sums_at = scratch.ctypes.data
    bias_at = sums_at + 4 * panels * size
    clear(sums_at, panels * (size + PANEL))
    for block in range(len(blocks) - 1):
        run, end = blocks[block, 0], blocks[block + 1, 0]
        these, those = runs.ctypes.data + run * runs.strides[0], runs.ctypes.data + end * runs.strides[0]
        # Fetched meanwhile: this panel's next block, and while the first panel is made x's next blocks.
        next_x, next_dy, nowhere = blocks[block + 1, 1:5], blocks[block + 1, 5:9], blocks[-1, 1:5]
        for panel in range(panels):
            dy_at = dy.ctypes.data + (first + panel) * dy.strides[0]
            if bias.shape[0]:
                for k in range(run, end):
                    add_rows(dy_at + runs[k, 1], runs[k, 2], bias_at + 4 * panel * PANEL)
            vectors = 4 if gated else min(4, (columns - PANEL * (first + panel) + WIDTH - 1) // WIDTH)
            for k in range(0, depth, PANEL):
                x_at = x.ctypes.data + k // PANEL * x.strides[0]
                sums = sums_at + 4 * (panel * size + k * PANEL)
                x_ahead = (x_at, next_x) if panel == 0 else (sums, nowhere)
                ahead = (dy_at, next_dy) if k == 0 else x_ahead
                multiply_runs(x_at, dy_at, sums, these, those, min(PANEL, depth - k), vectors, *ahead, *x_ahead)
    unpack(scratch, 0, first, last, gated, gradient)
    unpack(scratch, panels * size, first, last, gated, bias)


@kernel(void(Ids2, Panels, Longs2, intp, intp, Array3, Array2))
def row_gradient(x, dy, dy_rows, first, last, dtable, gradient):
    """Panels ``first`` to ``last`` of dtable (U, V, 64), the gradient of the rows that a one-hot x (T, B) picks.

    The table's row x[t, b] gains row dy_rows[t, b] of dy (U, R, 64).  The panels are written to their columns of
    gradient (V, 4H) too, unless it has no row.
    """
    rows, ids, places = dtable.shape[1], x.ravel(), dy_rows.ravel()
    for panel in range(first, last):
        dy_at, table_at = dy.ctypes.data + panel * dy.strides[0], dtable.ctypes.data + panel * dtable.strides[0]
        clear(table_at, rows * PANEL)
        for place in range(ids.size):
            source, target = places[place] * PANEL, ids[place] * PANEL
            for j in range(0, PANEL, WIDTH):
                store(table_at, target + j, load(table_at, target + j) + load(dy_at, source + j))
    unpack(dtable, first * rows * PANEL, first, last, True, gradient)
