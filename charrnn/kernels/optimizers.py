"""Updates of the parameters over ranges of the flat buffers: optimisers, gradient clipping, and the moving average.

All follow PyTorch's arithmetic.  ``ranges`` (N, 3) int64 has for each range the element at which it starts, the one at
which it stops, both multiples of 16, and whether it holds weights (1) or biases (0).  A call works on ranges ``first``
to ``last``.  Dynamic evaluation, at the end, has an update of its own.
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
    """What every optimiser does to gradient and parameters, all float32.

    ``bound`` limits each element of the gradient to ± itself (infinity: no limit); then ``clip`` multiplies it; then
    ``l2`` · p and ``l1`` · sign(p) are added to it.  ``decay`` multiplies p, the decoupled form of weight decay.
    """

    bound: np.float32
    clip: np.float32
    l2: np.float32
    l1: np.float32
    decay: np.float32


class Regimes(NamedTuple):
    """The regime of biases and the regime of weights."""

    biases: Regime
    weights: Regime


class Moments2(NamedTuple):
    """Buffers (P,) float32 of an optimiser with two moments."""

    parameters: np.ndarray
    gradient: np.ndarray
    m: np.ndarray
    v: np.ndarray


class Moments1(NamedTuple):
    """Buffers (P,) float32 of an optimiser with one moment."""

    parameters: np.ndarray
    gradient: np.ndarray
    moment: np.ndarray


class Adam(NamedTuple):
    """Settings of Adam, float32: ``step_size`` = lr / (1 - β1ᵗ), ``root`` = sqrt(1 - β2ᵗ)."""

    step_size: np.float32
    beta1: np.float32
    beta2: np.float32
    root: np.float32
    epsilon: np.float32


class RMSprop(NamedTuple):
    """Settings of RMSprop, float32; ``weight`` = 1 - α."""

    lr: np.float32
    alpha: np.float32
    weight: np.float32
    epsilon: np.float32


class SGD(NamedTuple):
    """Settings of SGD: two float32, and whether the momentum is Nesterov's."""

    lr: np.float32
    momentum: np.float32
    nesterov: bool


def _uniform(element, kind):
    return types.NamedUniTuple(element, len(kind._fields), kind)


REGIMES = _uniform(_uniform(float32, Regime), Regimes)
_UPDATE = (Longs2, intp, intp, REGIMES)


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

    The caller keeps a range short enough for a sum in float32.
    """
    at = gradient.ctypes.data
    for number in range(first, last):
        squares = splat(f32(0.0))
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            g = _bounded(load(at, k), bound)
            squares = fma(g, g, squares)
        sums[number] = total(squares)


@kernel(void(_uniform(Array1, Moments2), *_UPDATE, _uniform(float32, Adam)))
def adam(buffers, ranges, first, last, regimes, settings):
    """Adam (Kingma & Ba 2015), with decoupled weight decay (Loshchilov & Hutter 2019).

    The regime's ``decay`` is 1 - lr · weight decay:
    p ← decay p;  m ← m + (1 - β1)(g - m);  v ← β2 v + (1 - β2) g²;  p ← p - step_size m / (sqrt(v) / root + ε)
    """
    p_at, g_at = buffers.parameters.ctypes.data, buffers.gradient.ctypes.data
    m_at, v_at = buffers.m.ctypes.data, buffers.v.ctypes.data
    weight1, weight2 = f32(1.0) - settings.beta1, f32(1.0) - settings.beta2
    for number in range(first, last):
        regime = regimes.weights if ranges[number, 2] else regimes.biases
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            p = load(p_at, k)
            g = _effective(load(g_at, k), p, regime)
            mean = load(m_at, k)
            mean = fma(g - mean, splat(weight1), mean)
            square = fma(g * g, splat(weight2), load(v_at, k) * settings.beta2)
            store(m_at, k, mean)
            store(v_at, k, square)
            change = mean / (sqrt(square) / settings.root + settings.epsilon)
            store(p_at, k, p * regime.decay - change * settings.step_size)


@kernel(void(_uniform(Array1, Moments1), *_UPDATE, _uniform(float32, RMSprop)))
def rmsprop(buffers, ranges, first, last, regimes, settings):
    """RMSprop (Tieleman & Hinton 2012): v ← α v + w g²;  p ← decay p - lr g / (sqrt(v) + ε), where w = 1 - α.

    With α = w = 1 it is Adagrad (Duchi, Hazan & Singer 2011).
    """
    p_at, g_at = buffers.parameters.ctypes.data, buffers.gradient.ctypes.data
    v_at = buffers.moment.ctypes.data
    for number in range(first, last):
        regime = regimes.weights if ranges[number, 2] else regimes.biases
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            p = load(p_at, k)
            g = _effective(load(g_at, k), p, regime)
            square = fma(g * g, splat(settings.weight), load(v_at, k) * settings.alpha)
            store(v_at, k, square)
            store(p_at, k, p * regime.decay - g / (sqrt(square) + settings.epsilon) * settings.lr)


@kernel(void(_uniform(Array1, Moments1), *_UPDATE, types.NamedTuple((float32, float32, types.boolean), SGD)))
def sgd(buffers, ranges, first, last, regimes, settings):
    """SGD with momentum: m ← μ m + g;  p ← decay p - lr m, or with Nesterov's p ← decay p - lr (g + μ m).

    The form of Nesterov's momentum is that of Sutskever, Martens, Dahl & Hinton (2013), as in PyTorch.
    """
    p_at, g_at = buffers.parameters.ctypes.data, buffers.gradient.ctypes.data
    m_at, momentum = buffers.moment.ctypes.data, settings.momentum
    for number in range(first, last):
        regime = regimes.weights if ranges[number, 2] else regimes.biases
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            p = load(p_at, k)
            g = _effective(load(g_at, k), p, regime)
            velocity = fma(load(m_at, k), splat(momentum), g)
            store(m_at, k, velocity)
            change = fma(velocity, splat(momentum), g) if settings.nesterov else velocity
            store(p_at, k, p * regime.decay - change * settings.lr)


@kernel(void(Array1, Array1, Longs2, intp, intp, float32))
def update_average(average, parameters, ranges, first, last, weight):
    """Exponential moving average: average ← average + weight (p - average)."""
    a_at, p_at = average.ctypes.data, parameters.ctypes.data
    for number in range(first, last):
        for k in range(ranges[number, 0], ranges[number, 1], WIDTH):
            a = load(a_at, k)
            store(a_at, k, fma(load(p_at, k) - a, splat(weight), a))


# ---- dynamic evaluation: Krause, Kahembwe, Murray & Renals (2018), "Dynamic evaluation of neural sequence models" --


class Adapted(NamedTuple):
    """Buffers (P,) float32: the weights, their gradient, the mean squares s of gradients, and the first weights p₀."""

    parameters: np.ndarray
    gradient: np.ndarray
    squares: np.ndarray
    original: np.ndarray


class Adaptation(NamedTuple):
    """Settings of :func:`adapt`, float32; ``mean`` is the mean of all roots sqrt(s)."""

    lr: np.float32
    decay: np.float32
    mean: np.float32
    epsilon: np.float32


ADAPTED = _uniform(Array1, Adapted)


@kernel(void(ADAPTED, intp, intp, float32, intp, Doubles1))
def mean_squares(buffers, start, stop, part, chunk, sums):
    """s ← s + part (g² - s): with ``part`` = 1/k at the k-th update the mean so far; sums[chunk] = Σ sqrt(s).

    Works on elements ``start`` to ``stop``, multiples of 16.
    """
    g_at, s_at = buffers.gradient.ctypes.data, buffers.squares.ctypes.data
    roots = splat(f32(0.0))
    for k in range(start, stop, WIDTH):
        g, s = load(g_at, k), load(s_at, k)
        s = fma(g * g - s, splat(part), s)
        store(s_at, k, s)
        roots = roots + sqrt(s)
    sums[chunk] = total(roots)


@kernel(void(ADAPTED, intp, intp, _uniform(float32, Adaptation)))
def adapt(buffers, start, stop, settings):
    """p ← p - lr g / (r + ε) + min(decay r / mean, 1) (p₀ - p), where r = sqrt(s); section 4 of the paper."""
    p_at, g_at = buffers.parameters.ctypes.data, buffers.gradient.ctypes.data
    s_at, original_at = buffers.squares.ctypes.data, buffers.original.ctypes.data
    for k in range(start, stop, WIDTH):
        p, r = load(p_at, k), sqrt(load(s_at, k))
        back = at_most(r * (settings.decay / settings.mean), splat(f32(1.0)))
        p = fma(load(original_at, k) - p, back, p)
        store(p_at, k, p - load(g_at, k) / (r + settings.epsilon) * settings.lr)
