"""Optimisers' updates over ranges of the flat buffers, clipping included, the gradient's norm, and the moving average.

All follow PyTorch's arithmetic.  ``ranges`` (N, 3) int64 says for each range of numbers where it starts and stops, both
multiples of 16, and whether it is of weights (1) or biases (0); a call works on ranges ``first`` to ``last``.

The update of dynamic evaluation, over ranges of the flat buffers that start and end at multiples of 16.

Krause, Kahembwe, Murray & Renals (2018), "Dynamic evaluation of neural sequence models", section 4.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.compiler import Array1, Doubles1, Longs2, float32, intp, kernel, void
from charrnn.kernels.simd import (
    WIDTH,
    at_least,
    at_most,
    bits_of,
    float_of_bits,
    fma,
    load,
    splat,
    sqrt,
    store,
    total,
    where_below,
)

f32, u32 = np.float32, np.uint32

_SIGN = u32(0x80000000)


class Regime(NamedTuple):
    """What is done to gradient and parameters by every optimiser alike, all float32.

    ``bound`` limits each element of the gradient to ± itself (infinity: no limit); then ``clip`` multiplies it; then
    ``l2`` · p and ``l1`` · sign(p) are added to it.  ``decay`` multiplies p, the decoupled form of weight decay.
    """

    bound: np.float32
    clip: np.float32
    l2: np.float32
    l1: np.float32
    decay: np.float32


REGIME = types.NamedUniTuple(float32, len(Regime._fields), Regime)


@njit
def _bounded(x, bound):
    """x limited to ± bound; a NaN stays."""
    return at_least(at_most(x, splat(bound)), splat(-bound))


@njit
def _signed(size, x):
    """size · sign(x), element by element; 0 for both zeros."""
    bits = bits_of(x)
    sized = float_of_bits((bits & _SIGN) | bits_of(splat(size)))
    return where_below(bits << u32(1), splat(u32(1)), splat(f32(0.0)), sized)


@njit
def _effective(g, p, regime):
    """The gradient as the optimiser sees it."""
    g = _bounded(g, regime.bound) * regime.clip
    return fma(p, splat(regime.l2), g) + _signed(regime.l1, p)


@kernel(void(Array1, Longs2, intp, intp, float32, Doubles1))
def sum_of_squares(gradient, ranges, first, last, bound, sums):
    """sums[n] = Σ gradient² over range n, its elements limited to ± bound.

    The caller keeps a range short enough for float32.
    """
    at = gradient.ctypes.data
    for number in range(first, last):
        squares = splat(f32(0.0))
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            g = _bounded(load(at, k), bound)
            squares = fma(g, g, squares)
        sums[number] = total(squares)


@kernel(
    void(
        *(Array1, Array1, Array1, Array1, Longs2, intp, intp, REGIME, REGIME),
        *(float32, float32, float32, float32, float32),
    ),
)
def adam(parameters, gradient, m, v, ranges, first, last, biases, weights, step_size, beta1, beta2, root, epsilon):
    """Adam (Kingma & Ba 2015), with decoupled weight decay (Loshchilov & Hutter 2019).

    ``step_size`` = lr / (1 - β1ᵗ), ``root`` = sqrt(1 - β2ᵗ), the regime's ``decay`` = 1 - lr · weight decay:
    p ← decay p;  m ← m + (1 - β1)(g - m);  v ← β2 v + (1 - β2) g²;  p ← p - step_size m / (sqrt(v) / root + ε)
    """
    p_at, g_at, m_at, v_at = parameters.ctypes.data, gradient.ctypes.data, m.ctypes.data, v.ctypes.data
    weight1, weight2 = f32(1.0) - beta1, f32(1.0) - beta2
    for number in range(first, last):
        regime = weights if ranges[number, 2] else biases
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            p = load(p_at, k)
            g = _effective(load(g_at, k), p, regime)
            mean = load(m_at, k)
            mean = fma(g - mean, splat(weight1), mean)
            square = fma(g * g, splat(weight2), load(v_at, k) * beta2)
            store(m_at, k, mean)
            store(v_at, k, square)
            change = mean / (sqrt(square) / root + epsilon)
            store(p_at, k, p * regime.decay - change * step_size)


@kernel(void(Array1, Array1, Array1, Longs2, intp, intp, REGIME, REGIME, float32, float32, float32, float32))
def rmsprop(parameters, gradient, v, ranges, first, last, biases, weights, lr, alpha, weight, epsilon):
    """RMSprop (Tieleman & Hinton 2012): v ← α v + w g²;  p ← decay p - lr g / (sqrt(v) + ε), where w = 1 - α.

    With α = w = 1 it is Adagrad (Duchi, Hazan & Singer 2011).
    """
    p_at, g_at, v_at = parameters.ctypes.data, gradient.ctypes.data, v.ctypes.data
    for number in range(first, last):
        regime = weights if ranges[number, 2] else biases
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            p = load(p_at, k)
            g = _effective(load(g_at, k), p, regime)
            square = fma(g * g, splat(weight), load(v_at, k) * alpha)
            store(v_at, k, square)
            store(p_at, k, p * regime.decay - g / (sqrt(square) + epsilon) * lr)


@kernel(void(Array1, Array1, Array1, Longs2, intp, intp, REGIME, REGIME, float32, float32, types.boolean))
def sgd(parameters, gradient, m, ranges, first, last, biases, weights, lr, momentum, nesterov):
    """SGD with momentum: m ← μ m + g;  p ← decay p - lr m, or with Nesterov's p ← decay p - lr (g + μ m).

    The form of Nesterov's momentum is that of Sutskever, Martens, Dahl & Hinton (2013), as PyTorch has it.
    """
    p_at, g_at, m_at = parameters.ctypes.data, gradient.ctypes.data, m.ctypes.data
    for number in range(first, last):
        regime = weights if ranges[number, 2] else biases
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            p = load(p_at, k)
            g = _effective(load(g_at, k), p, regime)
            velocity = fma(load(m_at, k), splat(momentum), g)
            store(m_at, k, velocity)
            change = fma(velocity, splat(momentum), g) if nesterov else velocity
            store(p_at, k, p * regime.decay - change * lr)


@kernel(void(Array1, Array1, Longs2, intp, intp, float32))
def follow(average, parameters, ranges, first, last, weight):
    """Exponential moving average: average ← average + weight (p - average)."""
    a_at, p_at = average.ctypes.data, parameters.ctypes.data
    for number in range(first, last):
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            a = load(a_at, k)
            store(a_at, k, fma(load(p_at, k) - a, splat(weight), a))


f32 = np.float32


@kernel(void(Array1, Array1, intp, intp, float32, intp, Doubles1))
def mean_squares(gradient, squares, start, stop, part, chunk, sums):
    """s ← s + part (g² - s), with ``part`` = 1/k at the k-th update the mean so far; sums[chunk] = Σ sqrt(s)."""
    g_at, s_at = gradient.ctypes.data, squares.ctypes.data
    roots = splat(f32(0.0))
    for k in range(start, stop, WIDTH):
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
    for k in range(start, stop, WIDTH):
        p, r = load(p_at, k), sqrt(load(s_at, k))
        back = at_most(r * (decay / mean), splat(f32(1.0)))
        p = fma(load(original_at, k) - p, back, p)
        store(p_at, k, p - load(g_at, k) / (r + epsilon) * lr)
