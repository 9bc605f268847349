"""One GRU layer: over a window forward and backward, and for one step.

Legend: T steps, B batch rows, H hidden units in U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels.  ``gates`` (U, R, 64) are
interleaved as :mod:`charrnn.kernels.packing` says; ``h`` (Q, R, 64).  σ is the sigmoid, ⊙ the product element by
element:

    r, z = σ(·)   of two blocks of   x_t W_ih + h_{t-1} W_hh + b
    n   = tanh(n_x + r ⊙ n_h)   n_x = x_t W_in + b_nx   n_h = h_{t-1} W_hn + b_nh
    h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}

(Cho et al. 2014, with the reset gate after the product, as PyTorch and cuDNN have it.)  The four blocks of a panel of
``gates`` are n_x, r, z, n_h.  W_ih has columns for the first three and W_hh for the last three, so each product writes
three neighbouring blocks.  After the cell equations the blocks are n, r, z, n_h.

A call over a window works on a group of batch rows and runs all T steps, see :mod:`charrnn.kernels.lstm`.
"""

import numpy as np
from numba import njit

from charrnn.kernels.activations import sigmoid, tanh
from charrnn.kernels.compiler import Array2, Array3, Ids2, Panels, kernel, void
from charrnn.kernels.matmul import Size, multiply_panel, offset
from charrnn.kernels.packing import GROUP, first_row
from charrnn.kernels.recurrent import (
    LINE,
    ROW,
    TRANSPOSED,
    WEIGHTS,
    clear_rows,
    copy_in,
    copy_out,
    fetch_row,
    layer_of,
    load_layer,
    look_up,
    multiply_gates,
)
from charrnn.kernels.simd import WIDTH, fetch, fma, load, splat, store
from charrnn.kernels.step import STEP
from charrnn.kernels.tiles import PANEL

f32 = np.float32

BLOCKS = 3  # of 16 columns that a product writes to a panel of gates, or reads from it


@njit
def cell_forward(gates_at, before_at, h_at):
    """The cell equations for 16 units of one batch row; writes n, r, z and h. n_h stays."""
    r = sigmoid(load(gates_at, WIDTH))
    z = sigmoid(load(gates_at, 2 * WIDTH))
    n = tanh(fma(r, load(gates_at, 3 * WIDTH), load(gates_at, 0)))
    store(gates_at, 0, n)
    store(gates_at, WIDTH, r)
    store(gates_at, 2 * WIDTH, z)
    store(h_at, 0, fma(z, load(before_at, 0), (f32(1.0) - z) * n))


# Inlined, as the LSTM's.
@njit(forceinline=True)
def step_forward(layer, ids_at, before, place, rows, first_block, last_block):
    """One time step of ``rows`` batch rows, for blocks ``first_block`` to ``last_block`` of their units.

    The state before the step is in the rows from ``before`` on, the output of the layer below in the rows from
    ``place`` on.  Gates and h are written to the rows from ``place`` on.  ``ids_at`` is the address of the characters
    (rows,) int32.
    """
    blocks = layer.panels
    for block in range(first_block, last_block):
        z_at = layer.z_at + 4 * block * layer.z_panel + ROW * place
        input_at = layer.w_at + ROW * block * (layer.inputs + layer.units)
        recurrent_at = input_at + ROW * layer.inputs + LINE  # without the first block of columns, which has no weights
        next_at = recurrent_at + ROW * layer.units
        look_up(layer, block, ids_at, rows, z_at)
        x_at, before_at = layer.below_at + ROW * place, layer.h_at + ROW * before
        size = Size(layer.inputs, rows, BLOCKS)
        multiply_panel(x_at, PANEL, layer.below_panel, input_at, z_at, PANEL, size, recurrent_at)
        size = Size(layer.units, rows, BLOCKS)
        multiply_panel(before_at, PANEL, layer.h_panel, recurrent_at, z_at + LINE, PANEL, size, next_at)
        unit = offset(WIDTH * block, layer.h_panel)
        h_at = layer.h_at + 4 * unit + ROW * place
        h_before_at = layer.h_at + 4 * unit + ROW * before
        below_at = layer.below_at + 4 * offset(WIDTH * block, layer.below_panel) + ROW * place
        # Prefetch what the block after the next one writes, and as much of the next step's input as belongs to the
        # same units.
        further, then = divmod(block + 2, blocks)
        z_ahead = 4 * (then - block) * layer.z_panel + ROW * further * rows
        h_ahead = 4 * (offset(WIDTH * then, layer.h_panel) - unit) + ROW * further * rows
        for _ in range(rows):
            fetch_row(z_at + z_ahead)
            fetch(h_at + h_ahead, 0)
            fetch(below_at + ROW * rows, 0)
            cell_forward(z_at, h_before_at, h_at)
            z_at += ROW
            h_before_at += ROW
            h_at += ROW
            below_at += ROW


@kernel(void(Ids2, Panels, WEIGHTS, GROUP, Array2, Panels, Panels))
def forward(x, below, weights, group, state, gates, h):
    """All steps of a window for a group of batch rows: gates and h are filled, and the state h (B, H) moves on.

    x (T, B) are the characters; below (Q, R, 64) is the output of the layer below.  A layer reads the one or the other,
    as :class:`charrnn.kernels.recurrent.Weights` says.
    """
    steps, rows, start = x.shape[0], group.last - group.first, first_row(group.first, x.shape[0])
    layer = layer_of(weights, below, gates, h, state.shape[1])
    copy_in(state, group.first, group.last, start, h)
    for t in range(steps):
        before, ids_at = start + t * rows, x.ctypes.data + 4 * (t * x.shape[1] + group.first)
        step_forward(layer, ids_at, before, before + rows, rows, 0, layer.panels)
    copy_out(h, start + steps * rows, group.first, group.last, state)


@kernel(STEP)
def step(arguments_at, ids_at, before, place, share):
    """One step of a layer for streams of text, see :mod:`charrnn.kernels.step`.

    The arguments are a :class:`charrnn.kernels.recurrent.Layer`.
    """
    layer, first = load_layer(arguments_at), share.first
    first_block = layer.panels * share.worker // share.workers
    last_block = layer.panels * (share.worker + 1) // share.workers
    step_forward(layer, ids_at + 4 * first, before + first, place + first, share.last - first, first_block, last_block)


@njit
def cell_backward(gates_at, before_at, dh_at, kept_at):
    """Derivatives of the cell equations for 16 units of one batch row; dn_x, dr, dz, dn_h replace n, r, z, n_h.

    All four are gradients with respect to what the nonlinearities get.  dh += kept, the gradient that reached h_t
    beside the products;  dn_x = dh ⊙ (1 - z) ⊙ (1 - n²);  dn_h = dn_x ⊙ r;  dr = dn_x ⊙ n_h ⊙ r(1 - r);
    dz = dh ⊙ (h_{t-1} - n) ⊙ z(1 - z);  kept = dh ⊙ z.
    """
    n, r = load(gates_at, 0), load(gates_at, WIDTH)
    z, n_h = load(gates_at, 2 * WIDTH), load(gates_at, 3 * WIDTH)
    dh = load(dh_at, 0) + load(kept_at, 0)
    dn = dh * (f32(1.0) - z) * (f32(1.0) - n * n)
    store(gates_at, 0, dn)
    store(gates_at, WIDTH, dn * n_h * (r * (f32(1.0) - r)))
    store(gates_at, 2 * WIDTH, dh * (load(before_at, 0) - n) * (z * (f32(1.0) - z)))
    store(gates_at, 3 * WIDTH, dn * r)
    store(kept_at, 0, dh * z)


@kernel(void(TRANSPOSED, GROUP, Panels, Panels, Panels, Array3))
def backward(weights, group, gates, h, dh, kept):
    """Back through the steps of a window for a group of batch rows.

    dh (Q, R, 64) comes in as the gradient of the loss with respect to each h_t through the layer above.  The gradient
    through t+1 is added; then dh becomes dx, the gradient with respect to the output of the layer below, if there is
    one.  gates become dz.  kept (U, B, 16) is scratch.
    """
    blocks, batch, _ = kept.shape
    w_hh, w_ih, first, rows = weights.w_hh, weights.w_ih, group.first, group.last - group.first
    panels, steps = w_hh.shape[0], gates.shape[1] // batch - 1
    gates_at, h_at, dh_at, kept_at = gates.ctypes.data, h.ctypes.data, dh.ctypes.data, kept.ctypes.data
    gates_panel, h_panel, dh_panel = gates.strides[0] // 4, h.strides[0] // 4, dh.strides[0] // 4
    w_hh_at = w_hh.ctypes.data + ROW * WIDTH  # without the first block of a panel of dz, which has no weights
    for block in range(blocks):
        for b in range(first, group.last):
            store(kept_at, (block * batch + b) * WIDTH, splat(f32(0.0)))
    for t in range(steps - 1, -1, -1):
        before = first_row(first, steps) + t * rows
        place = before + rows
        for panel in range(panels):
            vectors = min(4, blocks - 4 * panel)
            dh_panel_at = dh_at + 4 * panel * dh_panel + ROW * place
            if t < steps - 1:
                multiply_gates(
                    gates_at + ROW * (place + rows) + LINE,
                    gates_panel,
                    w_hh_at + panel * w_hh.strides[0],
                    dh_panel_at,
                    blocks,
                    Size(BLOCKS * WIDTH, rows, vectors),
                    w_hh_at + (panel + 1) * w_hh.strides[0],
                )
            # Prefetch the next panel of dh, and of gates and h what the block after the next one reads.
            back, then = divmod(panel + 1, panels)
            dh_ahead = 4 * (then - panel) * dh_panel - ROW * back * rows
            for block in range(4 * panel, 4 * panel + vectors):
                back, then = divmod(block + 2, blocks)
                unit = offset(WIDTH * block, h_panel)
                gates_ahead = 4 * (then - block) * gates_panel - ROW * back * rows
                h_ahead = 4 * (offset(WIDTH * then, h_panel) - unit) - ROW * back * rows
                z_at = gates_at + 4 * block * gates_panel + ROW * place
                before_at = h_at + 4 * unit + ROW * before
                dh_row_at = dh_at + 4 * offset(WIDTH * block, dh_panel) + ROW * place
                kept_row_at = kept_at + LINE * (block * batch + first)
                for _ in range(rows):
                    fetch_row(z_at + gates_ahead)
                    fetch(before_at + h_ahead, 0)
                    fetch(dh_row_at + dh_ahead, 0)
                    cell_backward(z_at, before_at, dh_row_at, kept_row_at)
                    z_at += ROW
                    before_at += ROW
                    dh_row_at += ROW
                    kept_row_at += LINE
        for panel in range(w_ih.shape[0]):
            vectors = min(4, blocks - 4 * panel)
            dx_at = dh_at + 4 * panel * dh_panel + ROW * place
            clear_rows(dx_at, rows, vectors)
            multiply_gates(
                gates_at + ROW * place,
                gates_panel,
                w_ih.ctypes.data + panel * w_ih.strides[0],
                dx_at,
                blocks,
                Size(BLOCKS * WIDTH, rows, vectors),
                w_ih.ctypes.data + (panel + 1) * w_ih.strides[0],
            )
