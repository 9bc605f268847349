"""Rotary positions: pairs of columns of a query or key are turned by angles that grow with the position.

Legend: d columns of a head in m = ⌊d/2⌋ pairs (i, i + m); p the position of a character.

    x_i      becomes  x_i cos pθ_i - x_{i+m} sin pθ_i
    x_{i+m}  becomes  x_{i+m} cos pθ_i + x_i sin pθ_i        θ_i = 10000^(-2i/d)

(Su et al. 2021, "RoFormer".)  The product of a rotated query and a rotated key depends on the distance of their
positions alone.

Every θ_i is rounded to a whole multiple of a turn / 2²³.  So an angle is a whole number of 23 bits, the product of p
and θ_i modulo 2²³: exact at any position, and the same bits on every machine.  Positions may be counted modulo 2²³.
"""

import decimal
import functools

import numpy as np
from numba import njit

from charrnn.kernels.simd import (
    WIDTH,
    bits_of,
    float_of_bits,
    fma,
    load,
    load_one,
    splat,
    store,
    store_one,
    where_below,
)

f32, u32 = np.float32, np.uint32

TURN_BITS = 23
TURN = 2**TURN_BITS
_BASE = 10_000
_EIGHTH = u32(TURN // 8)
_IN_QUARTER = u32(TURN // 4 - 1)
_ONE = u32(0x3F800000)  # the bits of 1.0; with 23 bits more those of a number from 1 to 2


@functools.cache
def angles(size: int) -> np.ndarray:
    """θ_i for the pairs of a head of ``size`` columns, in turns · 2²³: (⌈m/16⌉ 16,) uint32, padded with zeros."""
    pairs = size // 2
    found = np.zeros(max(-(-pairs // WIDTH), 1) * WIDTH, np.uint32)
    # Decimal arithmetic is the same everywhere, and a C library's power is not.
    with decimal.localcontext(decimal.Context(prec=40)):
        two_pi = 2 * decimal.Decimal("3.141592653589793238462643383279502884197")
        for pair in range(pairs):
            theta = decimal.Decimal(_BASE) ** (decimal.Decimal(-2 * pair) / size)
            found[pair] = int((theta / two_pi * TURN).to_integral_value())
    return found


@njit
def sine_and_cosine(phase):
    """Sine and cosine of angles in turns · 2²³ below 2²³ (uint32x16), within 1e-7.

    The nearest quarter of a turn is split off.  The rest is at most an eighth, for which a polynomial is enough.
    """
    shifted = phase + _EIGHTH
    quarter = shifted >> u32(TURN_BITS - 2)
    rest = (float_of_bits((shifted & _IN_QUARTER) | _ONE) - f32(1.125)) * f32(6.283185307179586)
    square = rest * rest
    sine = fma(splat(f32(2.71770265e-06)), square, splat(f32(-1.98392365e-04)))
    sine = fma(sine, square, splat(f32(8.33332891e-03)))
    sine = fma(sine, square, splat(f32(-1.66666666e-01)))
    sine = fma(sine * square, rest, rest)
    cosine = fma(splat(f32(2.44106699e-05)), square, splat(f32(-1.38869781e-03)))
    cosine = fma(cosine, square, splat(f32(4.16666300e-02)))
    cosine = fma(cosine, square, splat(f32(-0.5)))
    cosine = fma(cosine, square, splat(f32(1.0)))
    odd, one = quarter & u32(1), splat(u32(1))
    first, second = where_below(odd, one, sine, cosine), where_below(odd, one, cosine, sine)
    sign, other = (quarter & u32(2)) << u32(30), ((quarter + u32(1)) & u32(2)) << u32(30)
    return float_of_bits(bits_of(first) ^ sign), float_of_bits(bits_of(second) ^ other)


@njit
def fill_turns(thetas_at, pairs, position, turns_at):
    """Write cos pθ_i and then sin pθ_i for all ``pairs`` to ``turns_at``; :func:`angles` are at ``thetas_at``."""
    for i in range(0, pairs, WIDTH):
        phase = bits_of(load(thetas_at, i)) * u32(position & (TURN - 1)) & u32(TURN - 1)
        sine, cosine = sine_and_cosine(phase)
        store(turns_at, i, cosine)
        store(turns_at, pairs + i, sine)


@njit
def rotate(row_at, size, turns_at, pairs, sign):
    """Rotate a head's ``size`` neighbouring columns in place by the angles of :func:`fill_turns`.

    ``pairs`` is the padded number of pairs; ``sign`` is 1, or -1 to turn back.
    """
    half = size // 2
    if half % WIDTH == 0:
        for i in range(0, half, WIDTH):
            cosine, sine = load(turns_at, i), load(turns_at, pairs + i) * sign
            first, second = load(row_at, i), load(row_at, half + i)
            store(row_at, i, first * cosine - second * sine)
            store(row_at, half + i, second * cosine + first * sine)
    else:
        for i in range(half):
            cosine, sine = load_one(turns_at, i), load_one(turns_at, pairs + i) * sign
            first, second = load_one(row_at, i), load_one(row_at, half + i)
            store_one(row_at, i, first * cosine - second * sine)
            store_one(row_at, half + i, second * cosine + first * sine)
