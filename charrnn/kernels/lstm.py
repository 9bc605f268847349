"""One LSTM layer over a window, forward and backward.

Legend: T steps, B batch rows, H hidden units in U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels.  The R = B (T+1) rows of a
window are grouped as :class:`charrnn.network.workspace.Layout` says.  ``gates`` (U, R, 64) are interleaved as
:mod:`charrnn.kernels.packing` says; ``h`` (Q, R, 64) and ``c`` (U, R, 16).  σ is the sigmoid, ⊙ the product element by
element:

    i, f, o = σ(·)   g = tanh(·)   of the four blocks of   z_t = x_t W_ih + h_{t-1} W_hh + b
    c_t = f ⊙ c_{t-1} + i ⊙ g
    h_t = o ⊙ tanh(c_t)

(Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000 and no peepholes.)  A call works on
a group of batch rows, ``first`` to ``last``, and runs all T steps: batch rows do not meet before the weights'
gradients, so a thread takes a group through the whole network without waiting for the others.
"""

import numpy as np
from numba import njit

from charrnn.kernels.activations import sigmoid, tanh
from charrnn.kernels.compiler import Array2, Array3, Ids2, Panels, intp, kernel, void
from charrnn.kernels.matmul import multiply_panel, offset
from charrnn.kernels.packing import copy_columns, first_row
from charrnn.kernels.simd import WIDTH, fetch, fma, load, splat, store
from charrnn.kernels.tiles import PANEL

f32 = np.float32


@njit
def fetch_row(panels_at, offset):
    """Have the row of a panel that is ``offset`` elements after the address come near."""
    for k in range(0, PANEL, WIDTH):
        fetch(panels_at, offset + k)


@njit
def look_up(ids, count, table_at, gates_at):
    """Rows of a panel of gates = rows ``ids`` of one of the table, or its first where there are not more than one."""
    for b in range(ids.size):
        source, target = ids[b] * PANEL if count > 1 else 0, b * PANEL
        for k in range(0, PANEL, WIDTH):
            store(gates_at, target + k, load(table_at, source + k))


@njit
def cell_forward(gates_at, gate, before_at, after_at, cell, h_at, unit):
    """The cell equations for 16 units of one batch row; writes the activated gates, c (at ``after_at``) and h."""
    i = sigmoid(load(gates_at, gate))
    f = sigmoid(load(gates_at, gate + WIDTH))
    g = tanh(load(gates_at, gate + 2 * WIDTH))
    o = sigmoid(load(gates_at, gate + 3 * WIDTH))
    c = fma(f, load(before_at, cell), i * g)
    store(gates_at, gate, i)
    store(gates_at, gate + WIDTH, f)
    store(gates_at, gate + 2 * WIDTH, g)
    store(gates_at, gate + 3 * WIDTH, o)
    store(after_at, cell, c)
    store(h_at, unit, o * tanh(c))


@njit
def take_in(states, first, last, start, panelled):
    """Rows from ``start`` on of panels (panels, R, columns) = states of batch rows ``first`` to ``last``, padded with
    zeros.

    What stood there may be anything: with other steps it was another row.
    """
    width, columns = states.shape[1], panelled.shape[2]
    for b in range(first, last):
        for k in range(0, width, WIDTH):
            target = k // columns * (panelled.strides[0] // 4) + (start + b - first) * columns + k % columns
            store(panelled.ctypes.data, target, splat(f32(0.0)))
            copy_columns(states, b * width + k, panelled, target, min(WIDTH, width - k))


@njit
def hand_back(panelled, start, first, last, states):
    """The way back."""
    width, columns = states.shape[1], panelled.shape[2]
    for b in range(first, last):
        for k in range(0, width, WIDTH):
            source = k // columns * (panelled.strides[0] // 4) + (start + b - first) * columns + k % columns
            copy_columns(panelled, source, states, b * width + k, min(WIDTH, width - k))


@kernel(void(Ids2, Array3, Panels, Array3, Array3, intp, intp, Array2, Array2, Panels, Panels, Panels))
def layer_forward(x, table, below, w_ih, w_hh, first, last, state_h, state_c, gates, h, c):
    """The layer's steps: gates hold the activated gates on return; h and c are filled.

    What the first layer gets for characters x (T, B) are rows of ``table`` (U, V, 64), x W_ih + b for a one-hot x.  To
    the others below (Q, R, 64) is what the layer beneath passes on, and ``table`` (U, 1, 64) is b.  w_ih (U, D, 64),
    where D is 0 for the first layer, and w_hh (U, H, 64) are packed.  state_h and state_c (B, H) are the incoming state
    and become the outgoing one.
    """
    steps, blocks, rows = x.shape[0], gates.shape[0], last - first
    inputs, units, start = w_ih.shape[1], w_hh.shape[1], first_row(first, steps)
    gates_at, h_at, c_at, below_at = gates.ctypes.data, h.ctypes.data, c.ctypes.data, below.ctypes.data
    gates_panel, h_panel, c_block = gates.strides[0] // 4, h.strides[0] // 4, c.strides[0] // 4
    below_panel = below.strides[0] // 4
    take_in(state_h, first, last, start, h)
    take_in(state_c, first, last, start, c)
    for t in range(steps):
        before = start + t * rows
        place = before + rows
        for block in range(blocks):
            gate = block * gates_panel + place * PANEL
            z_at = gates_at + 4 * gate
            input_at = w_ih.ctypes.data + 4 * block * inputs * PANEL
            recurrent_at = w_hh.ctypes.data + 4 * block * units * PANEL
            used_next = input_at + 4 * inputs * PANEL if inputs else recurrent_at + 4 * units * PANEL
            look_up(x[t, first:last], table.shape[1], table.ctypes.data + block * table.strides[0], z_at)
            x_at, before_at = below_at + 4 * place * PANEL, h_at + 4 * before * PANEL
            multiply_panel(x_at, PANEL, below_panel, input_at, z_at, PANEL, inputs, rows, 4, recurrent_at)
            multiply_panel(before_at, PANEL, h_panel, recurrent_at, z_at, PANEL, units, rows, 4, used_next)
            cell, unit = block * c_block + before * WIDTH, offset(WIDTH * block, h_panel) + place * PANEL
            # Fetched meanwhile: what the block after next will write, or read and write, and of the next step's input
            # as much as is of the same units.
            further, then = divmod(block + 2, blocks)
            gate_then = (then - block) * gates_panel + further * rows * PANEL
            cell_then = (then - block) * c_block + (further + 1) * rows * WIDTH
            unit_then = offset(WIDTH * then, h_panel) - offset(WIDTH * block, h_panel) + further * rows * PANEL
            beneath_then = offset(WIDTH * block, below_panel) + (place + rows) * PANEL
            for _ in range(rows):
                fetch_row(gates_at, gate + gate_then)
                fetch(c_at, cell + cell_then)
                fetch(h_at, unit + unit_then)
                fetch(below_at, beneath_then)
                cell_forward(gates_at, gate, c_at, c_at + 4 * rows * WIDTH, cell, h_at, unit)
                gate += PANEL
                cell += WIDTH
                unit += PANEL
                beneath_then += PANEL
    hand_back(h, start + steps * rows, first, last, state_h)
    hand_back(c, start + steps * rows, first, last, state_c)


@njit
def cell_backward(gates_at, gate, before_at, after_at, cell, dh_at, unit, dc_at, carried):
    """Derivatives of the cell equations for 16 units of one batch row; dz replaces the gates.

    dc += dh ⊙ o ⊙ (1 - tanh²c_t);  dz_o = dh ⊙ tanh c_t ⊙ o(1 - o);  dz_i = dc ⊙ g ⊙ i(1 - i);
    dz_f = dc ⊙ c_{t-1} ⊙ f(1 - f);  dz_g = dc ⊙ i ⊙ (1 - g²);  dc_{t-1} = dc ⊙ f.
    """
    i = load(gates_at, gate)
    f = load(gates_at, gate + WIDTH)
    g = load(gates_at, gate + 2 * WIDTH)
    o = load(gates_at, gate + 3 * WIDTH)
    before, tanh_c = load(before_at, cell), tanh(load(after_at, cell))
    dh = load(dh_at, unit)
    dc = fma(dh * o, f32(1.0) - tanh_c * tanh_c, load(dc_at, carried))
    store(gates_at, gate, dc * g * (i * (f32(1.0) - i)))
    store(gates_at, gate + WIDTH, dc * before * (f * (f32(1.0) - f)))
    store(gates_at, gate + 2 * WIDTH, dc * i * (f32(1.0) - g * g))
    store(gates_at, gate + 3 * WIDTH, dh * tanh_c * (o * (f32(1.0) - o)))
    store(dc_at, carried, dc * f)


@kernel(void(Array3, Array3, intp, intp, Panels, Panels, Panels, Array3))
def layer_backward(w_hh, w_ih, first, last, gates, c, dh, dc):
    """Back through the layer's steps.

    w_hh and w_ih are packed transposes (Q, 4Hp, 64); w_ih has no panel if nothing is beneath.  dh (Q, R, 64) holds
    the loss's gradient with respect to each h_t by the way upwards, gains what comes back from t+1, and then becomes
    dx, the same for the layer beneath, if there is one; gates become dz.  dc (U, B, 16) is scratch.
    """
    blocks, batch, _ = dc.shape
    panels, width, rows, steps = w_hh.shape[0], blocks * PANEL, last - first, gates.shape[1] // batch - 1
    gates_at, c_at, dh_at, dc_at = gates.ctypes.data, c.ctypes.data, dh.ctypes.data, dc.ctypes.data
    gates_panel, dh_panel, c_block = gates.strides[0] // 4, dh.strides[0] // 4, c.strides[0] // 4
    for block in range(blocks):
        for b in range(first, last):
            store(dc_at, (block * batch + b) * WIDTH, splat(f32(0.0)))
    for t in range(steps - 1, -1, -1):
        before = first_row(first, steps) + t * rows
        place = before + rows
        for panel in range(panels):
            vectors = min(4, blocks - 4 * panel)
            unit = panel * dh_panel + place * PANEL
            if t < steps - 1:
                multiply_panel(
                    gates_at + 4 * (place + rows) * PANEL,
                    PANEL,
                    gates_panel,
                    w_hh.ctypes.data + panel * w_hh.strides[0],
                    dh_at + 4 * unit,
                    PANEL,
                    width,
                    rows,
                    vectors,
                    w_hh.ctypes.data + (panel + 1) * w_hh.strides[0],
                )
            # Fetched meanwhile: the next panel of dh, and of gates and c what the block after next reads.
            back, then = divmod(panel + 1, panels)
            unit_then = (then - panel) * dh_panel - back * rows * PANEL
            for block in range(4 * panel, 4 * panel + vectors):
                back, then = divmod(block + 2, blocks)
                gate_then = (then - block) * gates_panel - back * rows * PANEL
                cell_then = (then - block) * c_block - back * rows * WIDTH
                gate, cell = block * gates_panel + place * PANEL, block * c_block + before * WIDTH
                carried, unit = (block * batch + first) * WIDTH, offset(WIDTH * block, dh_panel) + place * PANEL
                for _ in range(rows):
                    fetch_row(gates_at, gate + gate_then)
                    fetch(c_at, cell + cell_then)
                    fetch(dh_at, unit + unit_then)
                    cell_backward(gates_at, gate, c_at, c_at + 4 * rows * WIDTH, cell, dh_at, unit, dc_at, carried)
                    gate += PANEL
                    cell += WIDTH
                    unit += PANEL
                    carried += WIDTH
        for panel in range(w_ih.shape[0]):
            vectors = min(4, blocks - 4 * panel)
            unit = panel * dh_panel + place * PANEL
            for b in range(rows):
                for k in range(0, vectors * WIDTH, WIDTH):
                    store(dh_at, unit + b * PANEL + k, splat(f32(0.0)))
            multiply_panel(
                gates_at + 4 * place * PANEL,
                PANEL,
                gates_panel,
                w_ih.ctypes.data + panel * w_ih.strides[0],
                dh_at + 4 * unit,
                PANEL,
                width,
                rows,
                vectors,
                w_ih.ctypes.data + (panel + 1) * w_ih.strides[0],
            )
