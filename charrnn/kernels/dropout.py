"""Dropout whose mask is a function of where it falls.

Whether a unit is dropped depends only on a hash of (seed, step, layer, t, batch row, unit): SplitMix64's finaliser
hashes all but the unit, that of MurmurHash3 (Appleby) the unit.  So there is no generator to save, and the mask is the
same in forward and backward, for any number of threads, and after a resume.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.compiler import Panels, float32, intp, kernel, uint32, uint64, void
from charrnn.kernels.packing import GROUP, first_row
from charrnn.kernels.simd import WIDTH, element_numbers, load, splat, store, where_below

f32, u32, u64 = np.float32, np.uint32, np.uint64


@njit
def mix(x):
    """The finaliser of SplitMix64 (Steele et al. 2014): a bijection of 64 bits that leaves no pattern."""
    x = (x ^ (x >> u64(30))) * u64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> u64(27))) * u64(0x94D049BB133111EB)
    return x ^ (x >> u64(31))


class Mask(NamedTuple):
    """What settles a mask.

    ``key`` stands for (seed, step, layer).  A unit is kept, times ``scale`` = 1 / (1 - p), where its 32-bit hash is
    below ``keep_below`` = (1 - p) 2³².  A place has the number ``stride`` t + ``first_row`` + b.  So ``stride`` is the
    number of all batch rows, or 0 if all t have the mask of t = 0; ``first_row`` is the number of the window's first
    batch row among all of them.
    """

    key: np.uint64
    keep_below: np.uint32
    scale: np.float32
    stride: int
    first_row: int


MASK = types.NamedTuple([uint64, uint32, float32, intp, intp], Mask)


@njit
def mask_factors(mask, place, first):
    """Of sixteen units from number ``first`` on: what a unit is multiplied by, 0 or the mask's scale.

    ``place`` is a hash of where they are, see :func:`mix`.
    """
    x = (element_numbers() + u32(first)) * u32(0x9E3779B9) + u32(place)
    x = (x ^ (x >> u32(16))) * u32(0x85EBCA6B)
    x = (x ^ (x >> u32(13))) * u32(0xC2B2AE35)
    x = (x ^ (x >> u32(16))) ^ u32(place >> u64(32))
    return where_below(x, splat(mask.keep_below), splat(mask.scale), splat(f32(0.0)))


@kernel(void(Panels, MASK, intp, GROUP, Panels))
def dropout(source, mask, batch, group, target):
    """target = source ⊙ mask, for a group of a window's B = ``batch`` rows, in panels (panels, R, columns).

    The rows of incoming states get a mask too, which nothing reads.  Source and target may be the same array.
    """
    panels, rows, columns = source.shape
    steps = rows // batch - 1
    for panel in range(panels):
        source_at = source.ctypes.data + panel * source.strides[0]
        target_at = target.ctypes.data + panel * target.strides[0]
        row = first_row(group.first, steps) * columns
        for t in range(-1, steps):
            for b in range(group.first, group.last):
                place = mix(mask.key + u64(mask.stride * t + mask.first_row + b))
                for column in range(0, columns, WIDTH):
                    factors = mask_factors(mask, place, panel * columns + column)
                    store(target_at, row + column, load(source_at, row + column) * factors)
                row += columns
