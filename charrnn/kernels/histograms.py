"""Histograms of cells' values, split by labels of the text; scores that depend on ranks are computed from them.

Legend: P places read in a window, C cells padded to blocks of 16, W columns of labels.  A fine grid of ``GRID`` equal
steps and a table map a cell's value x to one of ``BINS`` bins, which hold about equally many values each.  A cell
belongs to one thread, and places are taken in order, so that sums are the same bits for any number of threads.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.compiler import Array1, Array2, Array3, Ids1, Longs1, Panels, intp, kernel, void
from charrnn.kernels.simd import WIDTH, at_least, at_most, bits_of, float_of_bits, fma, load, splat, store

f32 = np.float32
GRID, BINS = 1024, 128
_CHUNK = 256  # places at a time: their grid steps stay in the nearest cache
_WHOLE = f32(2**23)  # a float of this size holds a rounded number in its low bits
_WIDTH, _GRID, _BINS = np.uint64(WIDTH), np.uint64(GRID), np.uint64(BINS)
_IN_GRID = np.uint32(GRID - 1)  # a mask that keeps the index inside the table even for a NaN

Strided = types.Array(types.float32, 3, "A")
Bytes2 = types.Array(types.uint8, 2, "C")
Words1, Words2 = types.Array(types.uint64, 1, "C"), types.Array(types.uint64, 2, "C")


class Grid(NamedTuple):
    """From values to bins, for the cells of all layers: x · scale + shift is the step of the grid, table its bin.

    ``scale`` and ``shift`` (C,) float32, ``table`` (C, GRID) uint8.
    """

    scale: np.ndarray
    shift: np.ndarray
    table: np.ndarray


class CellRange(NamedTuple):
    """Blocks ``first`` to ``last`` of 16 cells of one layer; its cells begin at ``offset`` among all layers' cells."""

    offset: int
    first: int
    last: int


_GRID_TYPE = types.NamedTuple((Array1, Array1, Bytes2), Grid)
_CELLS = types.NamedUniTuple(intp, len(CellRange._fields), CellRange)


@njit
def find_steps(values, places, block, grid, cell, steps_at):
    """The grid steps of 16 cells' values at ``places``, 16 uint32 a place, from address ``steps_at`` on.

    This is a pass of its own before the counting, so that the loads from far memory do not wait for the counting.
    """
    values_at = values.ctypes.data + block * values.strides[1]
    scales, shifts = load(grid.scale.ctypes.data, cell), load(grid.shift.ctypes.data, cell)
    for n in range(places.size):
        x = fma(load(values_at + places[n] * values.strides[0], 0), scales, shifts)
        x = at_least(at_most(x, splat(f32(GRID - 1))), splat(f32(0.0))) + _WHOLE
        store(steps_at, n * WIDTH, float_of_bits(bits_of(x) & _IN_GRID))


@kernel(void(Strided, Longs1, Ids1, Words1, _GRID_TYPE, _CELLS, Words2, Bytes2))
def count_words(values, places, rows, words, grid, cells, sums, bins):
    """sums[cell, bin of x] += words, for some blocks of one layer's cells.

    values (R, C/16, 16) are the layer's; ``places`` (P,) are rows of it; words (P,) uint64 are the numbers to add up;
    sums (C, BINS).  Where ``rows`` (P,) is not negative, the bin is also kept in bins[row, cell].
    """
    steps, table, sums = np.empty(_CHUNK * WIDTH, np.uint32), grid.table.ravel(), sums.ravel()
    bins, row_size = bins.ravel(), np.uint64(bins.shape[1])  # unsigned: no index is below zero
    for start in range(0, places.size, _CHUNK):
        stop = min(start + _CHUNK, places.size)
        for block in range(cells.first, cells.last):
            cell = np.uint64(cells.offset + WIDTH * block)
            find_steps(values, places[start:stop], block, grid, cell, steps.ctypes.data)
            for n in range(np.uint64(start), np.uint64(stop)):
                row, k, word = rows[n], (n - np.uint64(start)) * _WIDTH, words[n]
                for element in range(_WIDTH):
                    found = np.uint64(table[(cell + element) * _GRID + steps[k + element]])
                    if row >= 0:
                        bins[np.uint64(row) * row_size + cell + element] = found
                    sums[(cell + element) * _BINS + found] += word


@kernel(void(Strided, Longs1, Ids1, Array2, _GRID_TYPE, _CELLS, Array3, Bytes2))
def count_columns(values, places, rows, columns, grid, cells, sums, bins):
    """As :func:`count_words`, for columns (P, W) float32 with W a multiple of 16; sums (C, BINS, W)."""
    width, columns_at, sums_at = np.uint64(columns.shape[1]), columns.ctypes.data, sums.ctypes.data
    steps, table = np.empty(_CHUNK * WIDTH, np.uint32), grid.table.ravel()
    bins, row_size = bins.ravel(), np.uint64(bins.shape[1])
    for start in range(0, places.size, _CHUNK):
        stop = min(start + _CHUNK, places.size)
        for block in range(cells.first, cells.last):
            cell = np.uint64(cells.offset + WIDTH * block)
            find_steps(values, places[start:stop], block, grid, cell, steps.ctypes.data)
            for n in range(np.uint64(start), np.uint64(stop)):
                row, k = rows[n], (n - np.uint64(start)) * _WIDTH
                label = load(columns_at, n * width)
                for element in range(_WIDTH):
                    found = np.uint64(table[(cell + element) * _GRID + steps[k + element]])
                    if row >= 0:
                        bins[np.uint64(row) * row_size + cell + element] = found
                    at = ((cell + element) * _BINS + found) * width
                    store(sums_at, at, load(sums_at, at) + label)
                    for j in range(_WIDTH, width, _WIDTH):
                        store(sums_at, at + j, load(sums_at, at + j) + load(columns_at, n * width + j))


@kernel(void(Bytes2, Array2, intp, intp, Panels))
def look_up_bins(bins, table, first, last, values):
    """The value table[cell, bins[n, cell]] of cell and place n, for rows ``first`` to ``last``; table (C, BINS).

    values (panels, N, 64) has the cells for columns.
    """
    columns = values.shape[2]
    for panel in range(values.shape[0]):
        for n in range(first, last):
            for column in range(min(columns, bins.shape[1] - panel * columns)):
                cell = panel * columns + column
                values[panel, n, column] = table[cell, bins[n, cell]]
