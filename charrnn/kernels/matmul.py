"""The matrix product over packed panels, in tiles whose sums stay in registers.

Legend: C (m, n) += A (m, k) B (k, n).  Weights and activations are kept in panels of ``PANEL`` columns, each stored
(rows, PANEL).  So the elements that one product reads lie together in memory, and its result is an operand of the next
product without a copy.  (Rows of full length would mostly lie a power of two apart, and so compete for the same few
sets of a cache.)

B is used in blocks of 64 rows, 16 KB, which stay in the L1 cache while all rows of A use them.  Meanwhile the next
block is prefetched into the L2 cache, because a whole model does not fit there.  A weight gradient is a sum over
places: A and B are both activations, and A is used transposed.
"""

from typing import NamedTuple

from numba import njit

from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tile_kernels import multiply_tile, multiply_transposed_tile
from charrnn.kernels.tiles import LINE, PANEL, TILE_ROWS, TILE_VECTORS


class Size(NamedTuple):
    """The size of a product: k is ``depth``, m is ``rows``, and n is 16 ``vectors``, at most four of them."""

    depth: int
    rows: int
    vectors: int


class Sums(NamedTuple):
    """Sums at an address: they start ``anew`` from zeros, or go on.

    They lie on top of a stack of sums, ``below`` bytes apart.  At the end the two sums on top are replaced by their
    sum, ``merges`` times.
    """

    at: int
    anew: int
    below: int
    merges: int


class Prefetch(NamedTuple):
    """Rows of a panel to prefetch, listed as :func:`charrnn.kernels.tile_kernels.multiply_transposed_tile` says."""

    panel: int
    listed: int


@njit
def offset(column, panel_step):
    """Where a column of a row is, in elements, if panels of 64 columns are ``panel_step`` elements apart."""
    return column // PANEL * panel_step + column % PANEL


@njit
def even_tiles(rows):
    """How many tiles ``rows`` rows make, how many rows each has at least, and how many tiles have one more.

    25 rows are five tiles of 5 and not four of 6 and one of 1.
    """
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    return tiles, rows // tiles, rows % tiles


@njit
def multiply_block(a, a_row, b, c, c_row, size, ahead, further):
    """C[rows, 16 vectors] += A[rows, depth] B[depth, 16 vectors]; ``a``, ``b`` and ``c`` are addresses.

    The first four tiles together prefetch as many bytes as B has, from the address ``ahead`` on; two or three tiles
    prefetch twice as much each.  Further tiles prefetch from ``further`` on.  (With a single tile, prefetching all of
    it would cost more time than it saves.)
    """
    tiles, least, larger = even_tiles(size.rows)
    for first_vector in range(0, size.vectors, TILE_VECTORS):
        width = min(TILE_VECTORS, size.vectors - first_vector)
        shift = 4 * WIDTH * first_vector
        tile_a, tile_c = a, c + shift
        lines = 2 if 1 < tiles < 4 and width == TILE_VECTORS else 1
        coming = b if first_vector else ahead  # prefetched once, whatever the width of a tile
        for tile in range(tiles):
            count = least + (tile < larger)
            multiply_tile(count, width, lines, tile_a, a_row, b + shift, tile_c, c_row, size.depth, coming)
            tile_a += 4 * count * a_row
            tile_c += 4 * count * c_row
            coming = further if lines * (tile + 1) == 4 else coming + 4 * LINE * lines * size.depth


@njit
def multiply_panel(a, a_row, panel_step, b, c, c_row, size, following):
    """C[rows, 16 vectors] += A[rows, depth] B[depth, 16 vectors]: a panel of C, any number of rows.

    ``a``, ``b`` and ``c`` are addresses, ``a_row`` and ``c_row`` the elements from row to row, ``panel_step`` those
    from panel to panel of A.  The last block of B prefetches the memory at ``following``, usually the next panel of B.
    """
    for k in range(0, size.depth, PANEL):
        depth = min(PANEL, size.depth - k)
        panel_at, block = a + 4 * (k // PANEL) * panel_step, b + 4 * k * PANEL
        ahead = block + 4 * depth * PANEL if k + PANEL < size.depth else following
        part = Size(depth, size.rows, size.vectors)
        multiply_block(panel_at, a_row, block, c, c_row, part, ahead, ahead + 4 * depth * PANEL)


@njit
def multiply_transposed(x, y, sums, size, listed, y_ahead, x_ahead, nothing):
    """C[rows, 16 vectors] += xᵀ y over ``depth`` rows of two panels; ``rows`` are columns of x, at most 64.

    ``x`` and ``y`` are addresses, ``listed`` that of the rows' places, ``sums`` are :class:`Sums`, the others are
    ``depth`` rows to :class:`Prefetch`.  A vector of a row is a cache line: each of the first tiles prefetches one of
    the rows of ``y_ahead``, each of the next four tiles one of ``x_ahead``, and further tiles ``nothing``, which should
    be in the cache.
    """
    tiles, least, larger = even_tiles(size.rows)
    for first_vector in range(0, size.vectors, TILE_VECTORS):
        width, shift = min(TILE_VECTORS, size.vectors - first_vector), 4 * WIDTH * first_vector
        tile_x, tile_c = x, sums.at + shift
        for tile in range(tiles):
            count = least + (tile < larger)
            ahead, line = nothing, 0
            if first_vector == 0 and tile < size.vectors:
                ahead, line = y_ahead, tile
            elif first_vector == 0 and tile < size.vectors + 4:
                ahead, line = x_ahead, tile - size.vectors
            of_sums = tile_c, sums.anew, sums.below, sums.merges
            coming = ahead.panel + 4 * LINE * line, ahead.listed
            multiply_transposed_tile(count, width, 1, tile_x, y + shift, *of_sums, size.depth, listed, *coming)
            tile_x += 4 * count
            tile_c += 4 * count * PANEL
