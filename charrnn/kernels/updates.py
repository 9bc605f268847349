"""Optimisers' updates over a range of the flat buffers, clipping included, and the gradient's norm.

All follow PyTorch's arithmetic.  ``clip`` multiplies the gradient; ``l2`` adds l2 · p to it and ``decay`` multiplies p
(the coupled and the decoupled form of weight decay); ranges start and end at multiples of 16.
"""

import numpy as np

from charrnn.kernels.compiler import Array1, Doubles1, float32, intp, kernel, void
from charrnn.kernels.simd import LANES, fma, load, splat, sqrt, store, total

f32 = np.float32


@kernel(void(Array1, intp, intp, intp, Doubles1))
def sum_of_squares(gradient, start, stop, chunk, sums):
    """sums[chunk] = Σ gradient² over the range, which the caller keeps short enough for float32."""
    at = gradient.ctypes.data
    squares = splat(f32(0.0))
    for k in range(start, stop, LANES):
        g = load(at, k)
        squares = fma(g, g, squares)
    sums[chunk] = total(squares)


@kernel(
    void(
        *(Array1, Array1, Array1, Array1, intp, intp),
        *(float32, float32, float32, float32, float32, float32, float32, float32),
    )
)
def adam(parameters, gradient, m, v, start, stop, clip, l2, decay, step_size, beta1, beta2, root, epsilon):
    """Adam (Kingma & Ba 2015), with decoupled weight decay (Loshchilov & Hutter 2019).

    ``step_size`` = lr / (1 - β1ᵗ), ``root`` = sqrt(1 - β2ᵗ), ``decay`` = 1 - lr · weight decay:
    p ← decay p;  m ← m + (1 - β1)(g - m);  v ← β2 v + (1 - β2) g²;  p ← p - step_size m / (sqrt(v) / root + ε)
    """
    p_at, g_at, m_at, v_at = parameters.ctypes.data, gradient.ctypes.data, m.ctypes.data, v.ctypes.data
    weight1, weight2 = f32(1.0) - beta1, f32(1.0) - beta2
    for k in range(start, stop, LANES):
        p = load(p_at, k)
        g = fma(p, splat(l2), load(g_at, k) * clip)
        first = load(m_at, k)
        first = fma(g - first, splat(weight1), first)
        second = fma(g * g, splat(weight2), load(v_at, k) * beta2)
        store(m_at, k, first)
        store(v_at, k, second)
        change = first / (sqrt(second) / root + epsilon)
        store(p_at, k, p * decay - change * step_size)


@kernel(void(Array1, Array1, Array1, intp, intp, float32, float32, float32, float32, float32, float32))
def rmsprop(parameters, gradient, v, start, stop, clip, l2, decay, lr, alpha, epsilon):
    """RMSprop (Tieleman & Hinton 2012): v ← α v + (1 - α) g²;  p ← decay p - lr g / (sqrt(v) + ε)."""
    p_at, g_at, v_at = parameters.ctypes.data, gradient.ctypes.data, v.ctypes.data
    weight = f32(1.0) - alpha
    for k in range(start, stop, LANES):
        p = load(p_at, k)
        g = fma(p, splat(l2), load(g_at, k) * clip)
        second = fma(g * g, splat(weight), load(v_at, k) * alpha)
        store(v_at, k, second)
        store(p_at, k, p * decay - g / (sqrt(second) + epsilon) * lr)


@kernel(void(Array1, Array1, Array1, intp, intp, float32, float32, float32, float32, float32))
def sgd(parameters, gradient, m, start, stop, clip, l2, decay, lr, momentum):
    """SGD with momentum: m ← μ m + g;  p ← decay p - lr m."""
    p_at, g_at, m_at = parameters.ctypes.data, gradient.ctypes.data, m.ctypes.data
    for k in range(start, stop, LANES):
        p = load(p_at, k)
        g = fma(p, splat(l2), load(g_at, k) * clip)
        velocity = fma(load(m_at, k), splat(momentum), g)
        store(m_at, k, velocity)
        store(p_at, k, p * decay - velocity * lr)
