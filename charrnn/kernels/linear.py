"""y = x W + b, and dx = dy Wᵀ: the output layer, and the table of an embedding; also one step of the output layer.

Legend: R rows, K inputs, N outputs (padded Np, whole vectors of 16).  Calls work on rows ``first`` to ``last``.
"""

from typing import NamedTuple

from numba import njit, types

from charrnn.kernels.compiler import Array1, Array3, Panels, intp, kernel, void
from charrnn.kernels.matmul import Size, multiply_block, multiply_panel
from charrnn.kernels.simd import WIDTH, load, store
from charrnn.kernels.step import STEP, struct_loader
from charrnn.kernels.tiles import PANEL

# Rows that are multiplied by one block of a panel before the next block is taken: enough to use it often, few enough
# that their own blocks stay in the nearest cache beside it.
BLOCK_ROWS = 48


@njit
def step_to_next(panel, panels, panel_step):
    """Bytes from a panel's rows to the rows used after them: the next panel's, or the first panel's next rows."""
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
                part = Size(min(PANEL, depth - k), rows, vectors)
                x_panel = x_at + k // PANEL * x.strides[0]
                x_next = x_panel + step_to_next(k // PANEL, (depth + PANEL - 1) // PANEL, x.strides[0])
                block = packed_at + 4 * (panel * depth + k) * PANEL
                # Prefetch the next block of W, and the next rows of x; after the first panel, which has brought all of
                # x, the next rows of y instead.
                ahead, further = block + 4 * part.depth * PANEL, x_next if panel == 0 else y_next
                multiply_block(x_panel, PANEL, block, y_panel, PANEL, part, ahead, further)


class Head(NamedTuple):
    """The output layer for streams of text: addresses, strides in elements, and sizes.

    ``x`` (Q, R, 64) are the inputs, ``w`` (panels over V, H, 64) the packed weights, ``bias`` (Vp,); ``logits`` (B, Vp)
    are written.
    """

    x_at: int
    x_panel: int
    w_at: int
    panels: int
    depth: int
    bias_at: int
    logits_at: int
    width: int


load_head = struct_loader(types.NamedUniTuple(intp, len(Head._fields), Head))


@kernel(STEP)
def linear_step(arguments_at, ids_at, before, place, share):
    """Logits of streams of text after a step, see :mod:`charrnn.kernels.step`; the arguments are a :class:`Head`."""
    head, rows = load_head(arguments_at), share.last - share.first
    x_at = head.x_at + 4 * (place + share.first) * PANEL
    first_panel = head.panels * share.worker // share.workers
    last_panel = head.panels * (share.worker + 1) // share.workers
    for panel in range(first_panel, last_panel):
        column, w_at = PANEL * panel, head.w_at + 4 * PANEL * panel * head.depth
        vectors = min(PANEL, head.width - column) // WIDTH
        y_at = head.logits_at + 4 * (share.first * head.width + column)
        for row in range(rows):
            for j in range(0, vectors * WIDTH, WIDTH):
                store(y_at, row * head.width + j, load(head.bias_at, column + j))
        size, following = Size(head.depth, rows, vectors), w_at + 4 * head.depth * PANEL
        multiply_panel(x_at, PANEL, head.x_panel, w_at, y_at, head.width, size, following)
