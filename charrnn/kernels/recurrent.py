"""What the kernels of recurrent layers share: packed weights, the first layer's look-up table, and states.

Legend: T steps, B batch rows, H hidden units in U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels.  The R rows of the arrays are
grouped as :class:`charrnn.network.workspace.Layout` says.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.compiler import Array3, intp
from charrnn.kernels.matmul import multiply_block
from charrnn.kernels.packing import copy_columns
from charrnn.kernels.simd import WIDTH, fetch, load, splat, store
from charrnn.kernels.step import load_id, struct_loader
from charrnn.kernels.tiles import PANEL

f32 = np.float32

LINE = 4 * WIDTH  # bytes of 16 floats: a vector, and a cache line
ROW = 4 * PANEL  # bytes of a row of a panel


class Weights(NamedTuple):
    """Packed weights of the forward pass; P is the number of panels of W_ih's and W_hh's columns.

    ``table`` (P, V, 64) has a row for every character if the layer reads characters: x W_ih + b for a one-hot x.
    Else it is (P, 1, 64), the bias.  ``w`` (P, D + H, 64) has each panel of W_ih followed by the same panel of W_hh, in
    the order in which they are read: memory is fastest as one stream.  D is 0 for a layer that reads characters.
    """

    table: np.ndarray
    w: np.ndarray


class Transposed(NamedTuple):
    """Packed transposes (Q, 64 P or fewer, 64) for the backward pass.

    ``w_ih`` has no panel for a layer that reads characters.
    """

    w_ih: np.ndarray
    w_hh: np.ndarray


WEIGHTS = types.NamedUniTuple(Array3, len(Weights._fields), Weights)
TRANSPOSED = types.NamedUniTuple(Array3, len(Transposed._fields), Transposed)


class Layer(NamedTuple):
    """A layer's arrays as addresses (``…_at``), strides from panel to panel in elements (``…_panel``), and sizes.

    ``z`` is where the product goes: the gates of a GRU, and h itself of an RNN.
    """

    table_at: int
    table_panel: int
    table_rows: int
    below_at: int
    below_panel: int
    w_at: int
    inputs: int
    units: int
    z_at: int
    z_panel: int
    h_at: int
    h_panel: int
    panels: int


load_layer = struct_loader(types.NamedUniTuple(intp, len(Layer._fields), Layer))


@njit
def layer_of(weights, below, z, h, units):
    """The :class:`Layer` of these arrays."""
    return Layer(
        weights.table.ctypes.data,
        weights.table.strides[0] // 4,
        weights.table.shape[1],
        below.ctypes.data,
        below.strides[0] // 4,
        weights.w.ctypes.data,
        weights.w.shape[1] - units,
        units,
        z.ctypes.data,
        z.strides[0] // 4,
        h.ctypes.data,
        h.strides[0] // 4,
        z.shape[0],
    )


@njit
def fetch_row(address):
    """Prefetch the row of a panel at an address."""
    for k in range(0, PANEL, WIDTH):
        fetch(address, k)


@njit
def look_up(layer, block, ids_at, rows, z_at):
    """Set ``rows`` rows of a panel at ``z_at`` to the table's row of each character, or to the bias."""
    table_at = layer.table_at + 4 * block * layer.table_panel
    for b in range(rows):
        source = load_id(ids_at, b) * PANEL if layer.table_rows > 1 else 0
        for k in range(0, PANEL, WIDTH):
            store(z_at, b * PANEL + k, load(table_at, source + k))


@njit
def multiply_gates(dz_at, dz_panel, w_at, c, panels, size, following):
    """C[rows, 16 vectors] += dz Wᵀ, with the first ``size.depth`` columns of each panel of dz, and any others left out.

    ``dz_at`` and ``w_at``, addresses in dz and in a panel of the transpose, may be behind blocks without weights.  The
    last product prefetches the memory at ``following``.
    """
    for panel in range(panels):
        b = w_at + ROW * PANEL * panel
        ahead = b + ROW * PANEL if panel + 1 < panels else following
        multiply_block(dz_at + 4 * panel * dz_panel, PANEL, b, c, PANEL, size, ahead, ahead + ROW * size.depth)


@njit
def clear_rows(address, rows, vectors):
    """Write zeros to the first 16 ``vectors`` columns of ``rows`` rows of a panel."""
    for row in range(0, rows * PANEL, PANEL):
        for k in range(0, vectors * WIDTH, WIDTH):
            store(address, row + k, splat(f32(0.0)))


@njit
def copy_in(states, first, last, start, panelled):
    """Rows from ``start`` on of panels (panels, R, columns) = states of batch rows ``first`` to ``last``, zero-padded.

    The padding must be written: with other steps another row stood there.
    """
    width, columns = states.shape[1], panelled.shape[2]
    for b in range(first, last):
        for k in range(0, width, WIDTH):
            row, column = start + b - first, k % columns
            target_at = panelled.ctypes.data + k // columns * panelled.strides[0] + 4 * (row * columns + column)
            store(target_at, 0, splat(f32(0.0)))
            copy_columns(states.ctypes.data + 4 * (b * width + k), target_at, min(WIDTH, width - k))


@njit
def copy_out(panelled, start, first, last, states):
    """States of batch rows ``first`` to ``last`` = rows from ``start`` on of panels (panels, R, columns)."""
    width, columns = states.shape[1], panelled.shape[2]
    for b in range(first, last):
        for k in range(0, width, WIDTH):
            row, column = start + b - first, k % columns
            source_at = panelled.ctypes.data + k // columns * panelled.strides[0] + 4 * (row * columns + column)
            copy_columns(source_at, states.ctypes.data + 4 * (b * width + k), min(WIDTH, width - k))
