"""One LSTM layer over a window, forward and backward.

Legend: T steps, B lanes, H hidden units padded to Hp, U = Hp/16 blocks of units, D inputs of the layer.
``gates`` (T, B, 4Hp) interleaved as :mod:`charrnn.kernels.packing` says; ``h``, ``c`` (T+1, B, Hp), row 0 the
incoming state.  σ is the sigmoid, ⊙ the product element by element:

    i, f, o = σ(·)   g = tanh(·)   of the four blocks of   z_t = x_t W_ih + h_{t-1} W_hh + b
    c_t = f ⊙ c_{t-1} + i ⊙ g
    h_t = o ⊙ tanh(c_t)

(Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000 and no peepholes.)  A call works on
lanes ``first`` to ``last`` only and runs all T steps: lanes do not meet before the weights' gradients, so a
thread takes a group of lanes through the whole network without waiting for the others.
"""

import numpy as np
from numba import njit

from charrnn.kernels.activations import sigmoid, tanh
from charrnn.kernels.compiler import Array2, Array3, Ids2, intp, kernel, void
from charrnn.kernels.matmul import PANEL, multiply_panel
from charrnn.kernels.simd import LANES, fma, load, splat, store

f32 = np.float32


@kernel(void(Ids2, Array2, intp, intp, Array3))
def look_up(x, table, first, last, gates):
    """gates[t, b] = table[x[t, b]]: the first layer's x W_ih + b, for a one-hot x."""
    table_at, gates_at = table.ctypes.data, gates.ctypes.data
    lanes, width = gates.shape[1], gates.shape[2]
    for t in range(x.shape[0]):
        for lane in range(first, last):
            source, target = x[t, lane] * width, (t * lanes + lane) * width
            for k in range(0, width, LANES):
                store(gates_at, target + k, load(table_at, source + k))


@njit
def cell_forward(gates_at, gate, before_at, after_at, h_at, unit):
    """The cell equations for 16 units of one lane: gates become activated, c (at ``after_at``) and h are written."""
    i = sigmoid(load(gates_at, gate))
    f = sigmoid(load(gates_at, gate + LANES))
    g = tanh(load(gates_at, gate + 2 * LANES))
    o = sigmoid(load(gates_at, gate + 3 * LANES))
    c = fma(f, load(before_at, unit), i * g)
    store(gates_at, gate, i)
    store(gates_at, gate + LANES, f)
    store(gates_at, gate + 2 * LANES, g)
    store(gates_at, gate + 3 * LANES, o)
    store(after_at, unit, c)
    store(h_at, unit, o * tanh(c))


@kernel(void(Array3, intp, intp, Array3, Array3, Array3))
def recurrence(packed, first, last, gates, h, c):
    """The layer's steps: gates hold x W_ih + b on entry, the activated gates on return; h and c are filled."""
    steps, lanes, width = gates.shape
    hidden, depth, rows = h.shape[2], packed.shape[1], last - first
    packed_at, gates_at, h_at, c_at = packed.ctypes.data, gates.ctypes.data, h.ctypes.data, c.ctypes.data
    after = 4 * lanes * hidden
    for t in range(steps):
        row = t * lanes + first
        for panel in range(packed.shape[0]):
            gate = row * width + PANEL * panel
            multiply_panel(
                h_at + 4 * row * hidden,
                hidden,
                1,
                packed_at + 4 * panel * depth * PANEL,
                PANEL,
                gates_at + 4 * gate,
                width,
                depth,
                rows,
                4,
            )
            unit = row * hidden + LANES * panel
            for _ in range(rows):
                cell_forward(gates_at, gate, c_at, c_at + after, h_at + after, unit)
                gate += width
                unit += hidden


@njit
def cell_backward(gates_at, gate, before_at, after_at, dh_at, unit, dc_at, carried):
    """Derivatives of the cell equations for 16 units of one lane; dz replaces the gates.

    dc += dh ⊙ o ⊙ (1 - tanh²c_t);  dz_o = dh ⊙ tanh c_t ⊙ o(1 - o);  dz_i = dc ⊙ g ⊙ i(1 - i);
    dz_f = dc ⊙ c_{t-1} ⊙ f(1 - f);  dz_g = dc ⊙ i ⊙ (1 - g²);  dc_{t-1} = dc ⊙ f.
    """
    i = load(gates_at, gate)
    f = load(gates_at, gate + LANES)
    g = load(gates_at, gate + 2 * LANES)
    o = load(gates_at, gate + 3 * LANES)
    before, tanh_c = load(before_at, unit), tanh(load(after_at, unit))
    dh = load(dh_at, unit)
    dc = fma(dh * o, f32(1.0) - tanh_c * tanh_c, load(dc_at, carried))
    store(gates_at, gate, dc * g * (i * (f32(1.0) - i)))
    store(gates_at, gate + LANES, dc * before * (f * (f32(1.0) - f)))
    store(gates_at, gate + 2 * LANES, dc * i * (f32(1.0) - g * g))
    store(gates_at, gate + 3 * LANES, dh * tanh_c * (o * (f32(1.0) - o)))
    store(dc_at, carried, dc * f)


@kernel(void(Array3, intp, intp, Array3, Array3, Array3, Array2))
def recurrence_backward(packed, first, last, gates, c, dh, dc):
    """Back through the layer's steps.

    packed is W_hh transposed (panels over H, 4Hp, 64); dh (T, B, Hp) holds the loss's gradient with respect
    to each h_t by the way upwards, and gains what comes back from t+1; gates become dz.  dc (B, Hp) is scratch.
    """
    steps, lanes, width = gates.shape
    hidden, rows = dh.shape[2], last - first
    packed_at, gates_at, c_at = packed.ctypes.data, gates.ctypes.data, c.ctypes.data
    dh_at, dc_at = dh.ctypes.data, dc.ctypes.data
    for k in range(first * hidden, last * hidden, LANES):
        store(dc_at, k, splat(f32(0.0)))
    for t in range(steps - 1, -1, -1):
        row = t * lanes + first
        for panel in range(packed.shape[0]):
            column = PANEL * panel
            end = min(column + PANEL, hidden)
            if t < steps - 1:
                multiply_panel(
                    gates_at + 4 * (row + lanes) * width,
                    width,
                    1,
                    packed_at + 4 * column * width,
                    PANEL,
                    dh_at + 4 * (row * hidden + column),
                    hidden,
                    width,
                    rows,
                    (end - column) // LANES,
                )
            for lane in range(rows):
                for j in range(column, end, LANES):
                    cell_backward(
                        gates_at,
                        (row + lane) * width + 4 * j,
                        c_at,
                        c_at + 4 * lanes * hidden,
                        dh_at,
                        (row + lane) * hidden + j,
                        dc_at,
                        (first + lane) * hidden + j,
                    )
