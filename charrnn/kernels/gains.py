"""Gains of normalised inputs as factors of the rows of a matrix: (g ⊙ y) W = y (diag(g) W).

Legend: W (K, N), g (K,).  The products use V = diag(g) W.  From the gradient of V follow the gradients of both:

    dg_k = Σ_n dV_kn W_kn        dW_kn = g_k dV_kn
"""

import numpy as np

from charrnn.kernels.compiler import Array1, Array2, Array3, intp, kernel, void
from charrnn.kernels.simd import WIDTH, fma, load, load_one, splat, store, store_one, total
from charrnn.kernels.tiles import PANEL

f32 = np.float32


# Padding is not multiplied: a gain that is not a number would stay in it, because packing writes no padding.


@kernel(void(Array1, intp, intp, intp, Array3))
def scale_rows(gains, columns, first, last, packed):
    """Multiply row k of panels ``first`` to ``last`` of packed (panels, K, 64) by gain k; N = ``columns``."""
    for panel in range(first, last):
        own = min(PANEL, columns - PANEL * panel)
        for k in range(gains.size):
            row_at = packed.ctypes.data + 4 * PANEL * (panel * gains.size + k)
            for j in range(0, own // WIDTH * WIDTH, WIDTH):
                store(row_at, j, load(row_at, j) * gains[k])
            for j in range(own // WIDTH * WIDTH, own):
                store_one(row_at, j, load_one(row_at, j) * gains[k])


@kernel(void(Array1, intp, intp, intp, Array3))
def scale_columns(gains, columns, first, last, packed):
    """The same for a packed transpose (panels over K, N padded, 64): multiply column k by gain k."""
    for panel in range(first, last):
        for j in range(min(PANEL, gains.size - PANEL * panel)):
            for n in range(columns):
                packed[panel, n, j] *= gains[PANEL * panel + j]


@kernel(void(Array2, Array1, intp, intp, Array2, Array1))
def gain_gradient(weights, gains, first, last, dweights, dgains):
    """Rows ``first`` to ``last``: dweights (K, N) become dW from dV, and dgains (K,) the gradient of the gains."""
    columns = weights.shape[1]
    for k in range(first, last):
        w_at, dw_at = weights.ctypes.data + 4 * k * columns, dweights.ctypes.data + 4 * k * columns
        sums, rest = splat(f32(0.0)), f32(0.0)
        whole = columns // WIDTH * WIDTH
        for n in range(0, whole, WIDTH):
            dv = load(dw_at, n)
            sums = fma(dv, load(w_at, n), sums)
            store(dw_at, n, dv * gains[k])
        for n in range(whole, columns):
            dv = load_one(dw_at, n)
            rest += dv * load_one(w_at, n)
            store_one(dw_at, n, dv * gains[k])
        dgains[k] = total(sums) + rest
