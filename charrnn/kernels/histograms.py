"""Histograms of what cells do, split by labels of the text; ranks are read from them.

Legend: P places read in a window, C cells padded to blocks of 16, W columns of labels.  A cell's value x goes by a fine
grid of ``GRID`` equal steps and a table to one of ``BINS`` bins, which hold about equally many values each.  A cell
belongs to one thread, and places are taken in order, so that sums are the same bits for any number of threads.
"""

import numpy as np
from numba import types

from charrnn.kernels.compiler import Array1, Array2, Array3, Ids1, intp, kernel, void
from charrnn.kernels.simd import (
    LANES,
    at_least,
    at_most,
    bits_of,
    float_of_bits,
    fma,
    load,
    splat,
    store,
)

f32 = np.float32
GRID, BINS = 1024, 128
_CHUNK = 256  # places at a time: what is read of them stays near
_WHOLE = f32(2**23)  # a float of this size holds a rounded number in its low bits
_ZERO, _LANES, _GRID, _BINS = np.uint64(0), np.uint64(LANES), np.uint64(GRID), np.uint64(BINS)
_IN_GRID = np.uint32(GRID - 1)  # whatever a NaN makes of it, the index stays in the table

Strided = types.Array(types.float32, 4, "A")
Bytes2 = types.Array(types.uint8, 2, "C")


@kernel(void(*(Strided, Ids1, Ids1, Array2, Array1, Array1, Bytes2), *(intp, intp, intp, Array3, Bytes2)))
def count(values, places, rows, labels, scale, shift, table, offset, first, last, sums, bins):
    """sums[cell, bin of x] += labels for blocks ``first`` to ``last`` of one layer's cells, at so many places.

    values (T, B, C/16, 16), the layer's; ``places`` (P,) are indices t·B + b; labels (P, W), W = 2 or a multiple of
    16; scale, shift (C,) and table (C, GRID) for the cells of all layers, the layer's from ``offset`` on;
    sums (C, BINS, W).  Where ``rows`` (P,) is not negative, the bin is also kept in bins[row, cell].
    """
    width, grid = np.uint64(labels.shape[1]), np.empty(_CHUNK * LANES, np.uint32)
    grid_at, labels_at, sums_at = grid.ctypes.data, labels.ctypes.data, sums.ctypes.data
    table, bins, cells = table.ravel(), bins.ravel(), np.uint64(bins.shape[1])  # unsigned: no index is below zero
    for start in range(0, places.size, _CHUNK):
        stop = min(start + _CHUNK, places.size)
        for block in range(first, last):
            values_at = values.ctypes.data + block * values.strides[2]
            cell = np.uint64(offset + LANES * block)
            scales, shifts = load(scale.ctypes.data, cell), load(shift.ctypes.data, cell)
            for n in range(start, stop):  # apart from what follows, so that the far loads do not wait for it
                x = fma(load(values_at + places[n] * values.strides[1], 0), scales, shifts)
                x = at_least(at_most(x, splat(f32(GRID - 1))), splat(f32(0.0))) + _WHOLE
                store(grid_at, (n - start) * LANES, float_of_bits(bits_of(x) & _IN_GRID))
            for n in range(np.uint64(start), np.uint64(stop)):
                row, k = rows[n], (n - np.uint64(start)) * _LANES
                label = load(labels_at, n * width)
                for lane in range(_LANES):
                    found = np.uint64(table[(cell + lane) * _GRID + grid[k + lane]])
                    if row >= 0:
                        bins[np.uint64(row) * cells + cell + lane] = found
                    at = ((cell + lane) * _BINS + found) * width
                    store(sums_at, at, load(sums_at, at) + label)
                    for j in range(_LANES, width, _LANES):
                        store(sums_at, at + j, load(sums_at, at + j) + load(labels_at, n * width + j))


@kernel(void(Bytes2, Array2, intp, intp, Array3))
def look_up_bins(bins, table, first, last, values):
    """values[0, n, cell] = table[cell, bins[n, cell]] for rows ``first`` to ``last``; table (C, BINS)."""
    for n in range(first, last):
        for cell in range(bins.shape[1]):
            values[0, n, cell] = table[cell, bins[n, cell]]
