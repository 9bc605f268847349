"""The matrix product over packed panels, of tiles whose sums stay in registers.

Legend: C (m, n) += A (m, k) B (k, n).  Weights and activations are kept in panels of ``PANEL`` columns, each stored
(rows, PANEL): what a product reads lies together in memory, and its result is the operand of the next as it is.
(Rows of full length lie a power of two apart as a rule, and such share the same few places of a cache.)

B is used in blocks of 64 rows, 16 KB that stay in the nearest cache while all rows of A meet them.  Meanwhile what is
used next is fetched into the second, because a model does not fit there.  In a sum over places, which a gradient is, A
and B are both activations, and A is read across.
"""

from numba import njit

from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import LINE, PANEL, TILE_ROWS, TILE_VECTORS, multiply_tile, multiply_tile_of_runs


@njit
def offset(column, panel_step):
    """Where a column of a row is, if from one panel of 64 columns to the next there are so many elements."""
    return column // PANEL * panel_step + column % PANEL


@njit
def even_tiles(rows):
    """How many tiles so many rows make, of how many each, and how many of these have one more.

    25 rows are five tiles of 5 and not four of 6 and one of 1.
    """
    tiles = (rows + TILE_ROWS - 1) // TILE_ROWS
    return tiles, rows // tiles, rows % tiles


@njit
def multiply_block(a, a_row, b, c, c_row, depth, rows, vectors, ahead, further):
    """C[rows, 16 vectors] += A[rows, depth] B[depth, 16 vectors].

    Four tiles, or two of three or two, fetch as much as B is, from the address ``ahead`` on; more, if there are, go on
    at ``further``.  (One alone would spend more time on fetching than it saves.)
    """
    tiles, least, larger = even_tiles(rows)
    for first_vector in range(0, vectors, TILE_VECTORS):
        width = min(TILE_VECTORS, vectors - first_vector)
        shift = 4 * WIDTH * first_vector
        tile_a, tile_c = a, c + shift
        lines = 2 if 1 < tiles < 4 and width == TILE_VECTORS else 1
        coming = b if first_vector else ahead  # fetched once, whatever the width of a tile
        for tile in range(tiles):
            count = least + (tile < larger)
            multiply_tile(count, width, lines, tile_a, a_row, b + shift, tile_c, c_row, depth, coming)
            tile_a += 4 * count * a_row
            tile_c += 4 * count * c_row
            coming = further if lines * (tile + 1) == 4 else coming + 4 * LINE * lines * depth


@njit
def multiply_panel(a, a_row, panel_step, b, c, c_row, depth, rows, vectors, following):
    """C[rows, 16 vectors] += A[rows, depth] B[depth, 16 vectors]: a panel of C, any number of rows.

    ``panel_step`` is the stride from one panel of A to the next.  With the last of B what stands at ``following`` is
    fetched: as a rule the panel of B that is used next.
    """
    for k in range(0, depth, PANEL):
        size = min(PANEL, depth - k)
        panel_at, block = a + 4 * (k // PANEL) * panel_step, b + 4 * k * PANEL
        ahead = block + 4 * size * PANEL if k + PANEL < depth else following
        multiply_block(panel_at, a_row, block, c, c_row, size, rows, vectors, ahead, ahead + 4 * size * PANEL)


@njit
def multiply_runs(x, y, c, runs, runs_end, columns, vectors, ahead, ahead_rows, further, further_rows):
    """C[columns, 16 vectors] += Σ xᵀ y over runs of rows of two panels, at most 64 columns.

    As :func:`multiply_tile_of_runs`.  The first four tiles fetch what stands so many bytes after the address ``ahead``
    as the four ``ahead_rows`` say, the next four the same ``further``.
    """
    tiles, least, larger = even_tiles(columns)
    for first_vector in range(0, vectors, TILE_VECTORS):
        width, shift = min(TILE_VECTORS, vectors - first_vector), 4 * WIDTH * first_vector
        tile_x, tile_c = x, c + shift
        for tile in range(tiles):
            count = least + (tile < larger)
            coming = tile_c  # once all is fetched
            if first_vector == 0 and tile < 4:
                coming = ahead + ahead_rows[tile]
            elif first_vector == 0 and tile < 8:
                coming = further + further_rows[tile - 4]
            multiply_tile_of_runs(count, width, tile_x, y + shift, tile_c, runs, runs_end, coming)
            tile_x += 4 * count
            tile_c += 4 * count * PANEL
