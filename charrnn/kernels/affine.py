"""y = x W + b over a window, and dx = dy Wᵀ: the layers' input products and the output layer.

Legend: T steps, B lanes, K inputs, N outputs (padded Np, whole vectors of 16).  Calls work on lanes ``first`` to
``last``.
"""

from charrnn.kernels.compiler import Array1, Array3, Panels, intp, kernel, void
from charrnn.kernels.matmul import PANEL, multiply_block
from charrnn.kernels.simd import LANES, load, store

# Rows that go through a block of a panel before the next is taken: enough to use it often, few enough that their own
# blocks are in the nearest cache beside it.
BLOCK_ROWS = 48


@kernel(void(Panels, Array3, Array1, intp, intp, Panels))
def affine(x, packed, bias, first, last, y):
    """y (panels, T, B, 64) = x (panels, T, B, 64) W + bias (Np,), with W packed (panels over N, K, 64)."""
    _, steps, lanes, _ = y.shape
    depth, rows = packed.shape[1], last - first
    packed_at, bias_at, x_at, y_at = packed.ctypes.data, bias.ctypes.data, x.ctypes.data, y.ctypes.data
    together = max(1, BLOCK_ROWS // rows)
    for start in range(0, steps, together):
        end = min(start + together, steps)
        for panel in range(packed.shape[0]):
            column = PANEL * panel
            vectors = min(PANEL, bias.size - column) // LANES
            y_panel = y_at + panel * y.strides[0]
            for t in range(start, end):
                for row in range(t * lanes + first, t * lanes + last):
                    for j in range(0, vectors * LANES, LANES):
                        store(y_panel, row * PANEL + j, load(bias_at, column + j))
            for k in range(0, depth, PANEL):
                size = min(PANEL, depth - k)
                x_panel = x_at + k // PANEL * x.strides[0]
                block = packed_at + 4 * (panel * depth + k) * PANEL
                for t in range(start, end):
                    row = 4 * (t * lanes + first) * PANEL
                    # Fetched ahead: the block of W that follows, and the rows of x that meet it, or where they were
                    # read before, the next panel of y.
                    next_rows = row + (x_panel + x.strides[0] if panel == 0 else y_panel + y.strides[0])
                    ahead = block + 4 * size * PANEL if t == start else next_rows
                    multiply_block(
                        x_panel + row, PANEL, 1, block, y_panel + row, PANEL, size, rows, vectors, ahead, next_rows
                    )
