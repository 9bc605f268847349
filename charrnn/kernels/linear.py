"""y = x W + b, and dx = dy Wᵀ: the output layer, and the table of an embedding.

Legend: R rows, K inputs, N outputs (padded Np, whole vectors of 16).  Calls work on rows ``first`` to ``last``.
"""

from numba import njit

from charrnn.kernels.compiler import Array1, Array3, Panels, intp, kernel, void
from charrnn.kernels.matmul import multiply_block
from charrnn.kernels.simd import WIDTH, load, store
from charrnn.kernels.tiles import PANEL

# Rows that go through a block of a panel before the next is taken: enough to use it often, few enough that their own
# blocks are in the nearest cache beside it.
BLOCK_ROWS = 48


@njit
def step_to_next(panel, panels, panel_step):
    """From a panel's rows to those used after them: of the next panel, or the first one's next."""
    return panel_step if panel + 1 < panels else 4 * BLOCK_ROWS * PANEL - panel * panel_step


@kernel(void(Panels, Array3, Array1, intp, intp, Panels))
def linear(x, packed, bias, first, last, y):
    """y (panels, R, 64) = x (panels, R, 64) W + bias (Np,), with W packed (panels over N, K, 64)."""
    panels, depth, _ = packed.shape
    packed_at, bias_at = packed.ctypes.data, bias.ctypes.data
    for start in range(first, last, BLOCK_ROWS):
        rows = min(BLOCK_ROWS, last - start)
        x_at, y_at = x.ctypes.data + 4 * start * PANEL, y.ctypes.data + 4 * start * PANEL
        for panel in range(panels):
            column = PANEL * panel
            vectors = min(PANEL, bias.size - column) // WIDTH
            y_panel = y_at + panel * y.strides[0]
            y_next = y_panel + step_to_next(panel, panels, y.strides[0])
            for row in range(0, rows * PANEL, PANEL):
                for j in range(0, vectors * WIDTH, WIDTH):
                    store(y_panel, row + j, load(bias_at, column + j))
            for k in range(0, depth, PANEL):
                size = min(PANEL, depth - k)
                x_panel = x_at + k // PANEL * x.strides[0]
                x_next = x_panel + step_to_next(k // PANEL, (depth + PANEL - 1) // PANEL, x.strides[0])
                block = packed_at + 4 * (panel * depth + k) * PANEL
                # Fetched meanwhile: the block of W that follows, and the rows of x that are used next, or where they
                # are near already, those of y.
                ahead, further = block + 4 * size * PANEL, x_next if panel == 0 else y_next
                multiply_block(x_panel, PANEL, block, y_panel, PANEL, size, rows, vectors, ahead, further)
