"""exp, sigmoid, tanh and log on vectors of float32.

The coefficients are made by ``benchmarks/fit_activations.py``.  Bounds, tested over the whole float32 range:
exp within 2 ulp, tanh within 6 ulp, sigmoid within 4 ulp above -88 and within 1.2e-38 below; the limits at
the infinities are exact, and NaN stays NaN.
"""

import numpy as np
from numba import njit

from charrnn.kernels.simd import at_least, at_most, bits_of, float_of_bits, fma, splat

f32, u32 = np.float32, np.uint32

_LOG2_E = f32(1.4426950408889634)
_LN2_HIGH = f32(0.693145751953125)  # few bits, so that n * _LN2_HIGH is exact
_LN2_LOW = f32(1.428606765330187e-06)
_ROUND = f32(12582912.0)  # 1.5 * 2**23: adding it leaves the nearest integer in the low bits
_ROUND_BITS = u32(0x4B400000)


@njit
def _reduced(x):
    """(p, shifted) for e**x = p 2**n: p near 1, and n in the low bits of shifted."""
    shifted = fma(x, splat(_LOG2_E), splat(_ROUND))
    n = shifted - _ROUND
    r = fma(n, splat(-_LN2_HIGH), x)
    r = fma(n, splat(-_LN2_LOW), r)
    p = fma(splat(f32(0.001381461275741458)), r, splat(f32(0.008368710055947304)))
    p = fma(p, r, splat(f32(0.04166838899254799)))
    p = fma(p, r, splat(f32(0.1666652113199234)))
    p = fma(p, r, splat(f32(0.4999999403953552)))
    return fma(p, r * r, r + f32(1.0)), shifted


@njit
def exp(x):
    """e**x: x = n ln2 + r, a polynomial for e**r, and 2**n in two factors so that neither overflows."""
    x = at_least(at_most(x, splat(f32(89.0))), splat(f32(-104.0)))
    p, shifted = _reduced(x)
    # 2**n = 2**half * 2**(n - half); the offset of 512 keeps the shifted number positive.
    whole = bits_of(shifted) - u32(_ROUND_BITS - 512)
    half = whole >> u32(1)
    first = float_of_bits((half + u32(127 - 256)) << u32(23))
    second = float_of_bits((whole - half + u32(127 - 256)) << u32(23))
    return p * first * second


_ROOT_HALF_BITS = u32(0x3F3504F3)  # of the square root of 1/2
_ONE_BITS = u32(0x3F800000)


@njit
def log(x):
    """The natural logarithm of normal positive numbers, within 2e-7 of itself or of 1, whichever is more.

    x = 2^k m with m from sqrt(1/2) to sqrt(2), and log m = 2 atanh(s) with s = (m - 1) / (m + 1): its series to s^9.
    """
    bits = bits_of(x) + u32(_ONE_BITS - _ROOT_HALF_BITS)
    k = float_of_bits((bits >> u32(23)) | _ROUND_BITS) - (_ROUND + f32(127.0))
    m = float_of_bits((bits & u32(0x007FFFFF)) + _ROOT_HALF_BITS)
    s = (m - f32(1.0)) / (m + f32(1.0))
    z = s * s
    series = fma(splat(f32(2 / 9)), z, splat(f32(2 / 7)))
    series = fma(series, z, splat(f32(2 / 5)))
    series = fma(series, z, splat(f32(2 / 3)))
    return fma(k, splat(_LN2_HIGH), fma(k, splat(_LN2_LOW), fma(series * z, s, s + s)))


@njit
def sigmoid(x):
    """1 / (1 + e**-x); here 2**n is one factor, because it may well be infinite."""
    x = at_least(at_most(x, splat(f32(87.0))), splat(f32(-89.0)))
    p, shifted = _reduced(f32(0.0) - x)
    power = float_of_bits((bits_of(shifted) - u32(_ROUND_BITS - 127)) << u32(23))
    return f32(1.0) / (p * power + f32(1.0))


@njit
def tanh(x):
    """x P(x²) / Q(x²) on [-9, 9], where it reaches ±1."""
    x = at_least(at_most(x, splat(f32(9.0))), splat(f32(-9.0)))
    u = x * x
    p = fma(splat(f32(-8.488952677734515e-14)), u, splat(f32(5.278051953827578e-11)))
    p = fma(p, u, splat(f32(-2.0225462193934618e-08)))
    p = fma(p, u, splat(f32(1.1154371350130532e-05)))
    p = fma(p, u, splat(f32(0.0031039626337587833)))
    p = fma(p, u, splat(f32(0.13084015250205994)))
    p = fma(p, u, splat(f32(1.0)))
    q = fma(splat(f32(0.0002546154137235135)), u, splat(f32(0.0244952030479908)))
    q = fma(q, u, splat(f32(0.46417343616485596)))
    q = fma(q, u, splat(f32(1.0)))
    return at_least(at_most(x * p / q, splat(f32(1.0))), splat(f32(-1.0)))
