"""y = x W + b over a window, and dx = dy Wᵀ: the layers' input products and the output layer.

Legend: T steps, B lanes, K inputs (padded Kp), N outputs (padded Np, whole vectors of 16).  Calls work on lanes
``first`` to ``last``.
"""

from charrnn.kernels.compiler import Array1, Array3, intp, kernel, void
from charrnn.kernels.matmul import PANEL, multiply_panel
from charrnn.kernels.simd import LANES, load, store

# Rows that go through one panel before the next is taken: enough to use it often while it is in the cache.
BLOCK_ROWS = 96


@kernel(void(Array3, Array3, Array1, intp, intp, Array3))
def affine(x, packed, bias, first, last, y):
    """y (T, B, Np) = x (T, B, Kp) W + bias (Np,), with W packed (panels over N, depth K, 64)."""
    steps, lanes, width = y.shape
    depth, rows = packed.shape[1], last - first
    packed_at, bias_at, y_at = packed.ctypes.data, bias.ctypes.data, y.ctypes.data
    block = max(1, BLOCK_ROWS // rows)
    for start in range(0, steps, block):
        for panel in range(packed.shape[0]):
            column = PANEL * panel
            end = min(column + PANEL, width)
            for t in range(start, min(start + block, steps)):
                row = t * lanes + first
                for k in range(row, row + rows):
                    for j in range(column, end, LANES):
                        store(y_at, k * width + j, load(bias_at, j))
                multiply_panel(
                    x.ctypes.data + 4 * row * x.shape[2],
                    x.shape[2],
                    1,
                    packed_at + 4 * column * depth,
                    PANEL,
                    y_at + 4 * (row * width + column),
                    width,
                    depth,
                    rows,
                    (end - column) // LANES,
                )
