"""Rings of panels with the keys and values of a head, and the rows of a head.

Legend: a head has d columns, in ⌈d/64⌉ parts of 64.

Keys and values lie in panels of 64 positions, those of keys transposed: (d, 64) and (64, d), the latter in parts of 64
columns.  Panel n holds the positions 64 n to 64 n + 63.  A ring of panels is enough: the panel of position p has the
number ⌊p/64⌋ modulo the panels of the ring.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from charrnn.kernels.matmul import offset
from charrnn.kernels.packing import copy_columns
from charrnn.kernels.simd import WIDTH, load_one, splat, store, store_one, transpose
from charrnn.kernels.tiles import PANEL

f32 = np.float32

ROW = 4 * PANEL  # bytes of a row of a panel
SQUARE = PANEL * ROW  # bytes of 64 rows of a panel


class Ring(NamedTuple):
    """The panels of one batch row and head: addresses, the number of panels in the ring, d and its parts."""

    keys_at: int
    values_at: int
    panels: int
    size: int
    parts: int


def ring_panels(positions: int) -> int:
    """The panels that hold this many neighbouring positions, wherever they begin."""
    return (positions + PANEL - 2) // PANEL + 1


@njit
def clear_rows(address, count):
    """Set ``count`` rows of 64 floats to zero."""
    for k in range(0, count * PANEL, WIDTH):
        store(address, k, splat(f32(0.0)))


@njit
def copy_floats(source_at, target_at, count):
    """Copy ``count`` floats."""
    for k in range(0, count, WIDTH):
        copy_columns(source_at + 4 * k, target_at + 4 * k, min(WIDTH, count - k))


@njit
def gather(rows_at, panel_step, column, size, target_at):
    """``size`` neighbouring floats = columns from ``column`` on of a row of panels."""
    for k in range(0, size, WIDTH):
        count = min(WIDTH, size - k)
        if column % WIDTH == 0:
            copy_columns(rows_at + 4 * offset(column + k, panel_step), target_at + 4 * k, count)
        else:
            for j in range(k, k + count):
                store_one(target_at, j, load_one(rows_at, offset(column + j, panel_step)))


@njit
def scatter(source_at, size, rows_at, panel_step, column):
    """Columns from ``column`` on of a row of panels = ``size`` neighbouring floats."""
    for k in range(0, size, WIDTH):
        count = min(WIDTH, size - k)
        if column % WIDTH == 0:
            copy_columns(source_at + 4 * k, rows_at + 4 * offset(column + k, panel_step), count)
        else:
            for j in range(k, k + count):
                store_one(rows_at, offset(column + j, panel_step), load_one(source_at, j))


@njit
def to_parts(row_at, size, parts_at, part_step):
    """Copy a head's row to its parts of 64 columns, ``part_step`` bytes apart."""
    for k in range(0, size, WIDTH):
        copy_columns(row_at + 4 * k, parts_at + k // PANEL * part_step + 4 * (k % PANEL), min(WIDTH, size - k))


@njit
def from_parts(parts_at, part_step, size, row_at):
    """Copy a head's parts of 64 columns, ``part_step`` bytes apart, to one row."""
    for k in range(0, size, WIDTH):
        copy_columns(parts_at + k // PANEL * part_step + 4 * (k % PANEL), row_at + 4 * k, min(WIDTH, size - k))


@njit
def keys_of(ring, position):
    """The address of the panel of keys (d, 64) that holds a position."""
    return ring.keys_at + ROW * ring.size * (position // PANEL % ring.panels)


@njit
def values_of(ring, position):
    """The address of the panel of values (parts, 64, 64) that holds a position."""
    return ring.values_at + SQUARE * ring.parts * (position // PANEL % ring.panels)


@njit
def remember_keys(ring, rows_at, stride, count, position):
    """Put ``count`` rotated keys, rows of ``stride`` floats, into the ring from ``position`` on."""
    done = 0
    while done < count:
        slot = (position + done) % PANEL
        target_at = keys_of(ring, position + done) + 4 * slot
        if ring.size % WIDTH == 0 and count - done >= WIDTH and slot + WIDTH <= PANEL:
            for k in range(0, ring.size, WIDTH):
                transpose(rows_at + 4 * (done * stride + k), stride, target_at + ROW * k, PANEL)
            done += WIDTH
        else:
            for k in range(ring.size):
                store_one(target_at, k * PANEL, load_one(rows_at, done * stride + k))
            done += 1


@njit
def remember_value(ring, row_at, position):
    """Put a value (d,) into the ring."""
    to_parts(row_at, ring.size, values_of(ring, position) + ROW * (position % PANEL), SQUARE)
