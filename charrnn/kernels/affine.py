"""y = x W + b over a window, and dx = dy Wᵀ: the output layer, and the table of an embedding.

Legend: T steps, B lanes, K inputs, N outputs (padded Np, whole vectors of 16).  Calls work on lanes ``first`` to
``last``.
"""

from numba import njit

from charrnn.kernels.compiler import Array1, Array3, Panels, intp, kernel, void
from charrnn.kernels.matmul import PANEL, fetch_row, multiply_block
from charrnn.kernels.simd import LANES, load, store

# Rows that go through a block of a panel before the next is taken: enough to use it often, few enough that their own
# blocks are in the nearest cache beside it.
BLOCK_ROWS = 48


@njit
def step_to_next(panel, panels, panel_step, rows_step):
    """From a panel to what is used after it: the next panel of the same rows, or the first one of the next rows."""
    return panel_step if panel + 1 < panels else rows_step - panel * panel_step


@kernel(void(Panels, Array3, Array1, intp, intp, Panels))
def affine(x, packed, bias, first, last, y):
    """y (panels, T, B, 64) = x (panels, T, B, 64) W + bias (Np,), with W packed (panels over N, K, 64)."""
    _, steps, lanes, _ = y.shape
    panels, depth, rows = packed.shape[0], packed.shape[1], last - first
    packed_at, bias_at, x_at, y_at = packed.ctypes.data, bias.ctypes.data, x.ctypes.data, y.ctypes.data
    together = max(1, BLOCK_ROWS // rows)
    rows_step = together * 4 * lanes * PANEL
    for start in range(0, steps, together):
        end = min(start + together, steps)
        for panel in range(panels):
            column = PANEL * panel
            vectors = min(PANEL, bias.size - column) // LANES
            y_panel = y_at + panel * y.strides[0]
            y_next = y_panel + step_to_next(panel, panels, y.strides[0], rows_step)
            for t in range(start, end):
                for row in range(t * lanes + first, t * lanes + last):
                    if together > 1:
                        fetch_row(y_next, row * PANEL)
                    for j in range(0, vectors * LANES, LANES):
                        store(y_panel, row * PANEL + j, load(bias_at, column + j))
            for k in range(0, depth, PANEL):
                size = min(PANEL, depth - k)
                x_panel = x_at + k // PANEL * x.strides[0]
                x_next = x_panel + step_to_next(k // PANEL, (depth + PANEL - 1) // PANEL, x.strides[0], rows_step)
                block = packed_at + 4 * (panel * depth + k) * PANEL
                for t in range(start, end):
                    at = 4 * (t * lanes + first) * PANEL
                    # Fetched meanwhile: the block of W that follows, and the rows of x that are used next, or where
                    # they are near already, those of y. Few rows are fetched one by one: a tile would fetch those of
                    # other lanes too.
                    ahead, further = block + 4 * size * PANEL, at + (x_next if panel == 0 else y_next)
                    if together > 1:
                        for row in range(rows if panel == 0 else 0):
                            fetch_row(x_next + at, row * PANEL)
                        ahead = further = ahead if t == start else block
                    multiply_block(
                        x_panel + at, PANEL, 1, block, y_panel + at, PANEL, size, rows, vectors, ahead, further
                    )
