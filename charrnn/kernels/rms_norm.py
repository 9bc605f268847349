"""Root-mean-square normalisation of rows, and its gradient.

Legend: H columns of a row x.

    r = 1 / sqrt(mean(x²) + ε)        y = r x        dx = r (dy - y mean(dy ⊙ y))

(Zhang & Sennrich 2019.)  The gain g that usually follows is a factor of the rows of the next matrix instead:
(g ⊙ y) W = y (diag(g) W), see :class:`charrnn.network.packed_weights.GainedMatrix`.
"""

import numpy as np
from numba import njit

from charrnn.kernels.compiler import Panels, intp, kernel, void
from charrnn.kernels.matmul import offset
from charrnn.kernels.simd import WIDTH, fma, load, splat, store, total
from charrnn.kernels.tiles import PANEL

f32 = np.float32

EPSILON = f32(1e-5)


@njit
def normalise(x_at, x_panel, y_at, y_panel, width):
    """y = r x for one row of panels, ``width`` columns; returns r.  The padding of both is zero."""
    sums = splat(f32(0.0))
    for k in range(0, width, WIDTH):
        x = load(x_at, offset(k, x_panel))
        sums = fma(x, x, sums)
    r = f32(1.0) / f32(np.sqrt(total(sums) / f32(width) + EPSILON))
    for k in range(0, width, WIDTH):
        store(y_at, offset(k, y_panel), load(x_at, offset(k, x_panel)) * r)
    return r


@kernel(void(Panels, intp, intp, intp, Panels, Panels))
def rms_norm(x, width, first, last, y, scales):
    """Rows ``first`` to ``last`` of y (Q, R, 64) = r x, with ``width`` columns H, and of scales (1, R, 1) = r."""
    for row in range(first, last):
        x_at, y_at = x.ctypes.data + 4 * PANEL * row, y.ctypes.data + 4 * PANEL * row
        scales[0, row, 0] = normalise(x_at, x.strides[0] // 4, y_at, y.strides[0] // 4, width)


@kernel(void(Panels, Panels, Panels, intp, intp, intp, Panels))
def rms_norm_backward(y, scales, dy, width, first, last, dx):
    """Rows ``first`` to ``last`` of dx (Q, R, 64) += the gradient that comes through y from dy (Q, R, 64)."""
    y_panel, dy_panel, dx_panel = y.strides[0] // 4, dy.strides[0] // 4, dx.strides[0] // 4
    for row in range(first, last):
        y_at, dy_at = y.ctypes.data + 4 * PANEL * row, dy.ctypes.data + 4 * PANEL * row
        dx_at, r = dx.ctypes.data + 4 * PANEL * row, scales[0, row, 0]
        sums = splat(f32(0.0))
        for k in range(0, width, WIDTH):
            sums = fma(load(dy_at, offset(k, dy_panel)), load(y_at, offset(k, y_panel)), sums)
        along = splat(f32(0.0) - total(sums) / f32(width))
        for k in range(0, width, WIDTH):
            across = fma(load(y_at, offset(k, y_panel)), along, load(dy_at, offset(k, dy_panel)))
            dx_k = offset(k, dx_panel)
            store(dx_at, dx_k, fma(across, splat(r), load(dx_at, dx_k)))
