"""The update of dynamic evaluation, over ranges of the flat buffers that start and end at multiples of 16.

Krause, Kahembwe, Murray & Renals (2018), "Dynamic evaluation of neural sequence models", section 4.
"""

import numpy as np

from charrnn.kernels.compiler import Array1, Doubles1, float32, intp, kernel, void
from charrnn.kernels.simd import LANES, at_most, fma, load, splat, sqrt, store, total

f32 = np.float32


@kernel(void(Array1, Array1, intp, intp, float32, intp, Doubles1))
def mean_squares(gradient, squares, start, stop, part, chunk, sums):
    """s ← s + part (g² - s), with ``part`` = 1/k at the k-th update the mean so far; sums[chunk] = Σ sqrt(s)."""
    g_at, s_at = gradient.ctypes.data, squares.ctypes.data
    roots = splat(f32(0.0))
    for k in range(start, stop, LANES):
        g, s = load(g_at, k), load(s_at, k)
        s = fma(g * g - s, splat(part), s)
        store(s_at, k, s)
        roots = roots + sqrt(s)
    sums[chunk] = total(roots)


@kernel(void(Array1, Array1, Array1, Array1, intp, intp, float32, float32, float32, float32))
def adapt(parameters, gradient, squares, original, start, stop, lr, decay, mean, epsilon):
    """p ← p - lr g / (r + ε) + min(decay r / mean, 1) (p₀ - p), where r = sqrt(s) and ``mean`` is that of all r."""
    p_at, g_at = parameters.ctypes.data, gradient.ctypes.data
    s_at, original_at = squares.ctypes.data, original.ctypes.data
    for k in range(start, stop, LANES):
        p, r = load(p_at, k), sqrt(load(s_at, k))
        back = at_most(r * (decay / mean), splat(f32(1.0)))
        p = fma(load(original_at, k) - p, back, p)
        store(p_at, k, p - load(g_at, k) / (r + epsilon) * lr)
