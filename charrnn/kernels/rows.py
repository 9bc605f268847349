"""Small operations on the rows of a Transformer's panels: look-up, sum, and the gate of its MLP.

Legend: R rows, of which a call works on ``first`` to ``last``; H columns in Q = ⌈H/64⌉ panels; F columns of the MLP.
"""

import numpy as np
from numba import njit

from charrnn.kernels.activations import sigmoid
from charrnn.kernels.compiler import Array2, Ids2, Panels, intp, kernel, void
from charrnn.kernels.packing import GROUP, copy_columns, first_row
from charrnn.kernels.simd import WIDTH, fma, load, splat, store
from charrnn.kernels.tiles import PANEL

f32 = np.float32


@njit
def copy_row(source_at, width, target_at, panel_step):
    """A row of panels = ``width`` neighbouring floats."""
    for k in range(0, width, WIDTH):
        place = k // PANEL * panel_step + k % PANEL
        copy_columns(source_at + 4 * k, target_at + 4 * place, min(WIDTH, width - k))


@kernel(void(Array2, Ids2, GROUP, Panels))
def look_up_rows(embedding, x, group, y):
    """The rows of a group's places in y (Q, R, 64) = the row of embedding (V, H) of each character x (T, B)."""
    steps, width = x.shape[0], embedding.shape[1]
    row = first_row(group.first, steps) + group.last - group.first
    for t in range(steps):
        for b in range(group.first, group.last):
            source_at, target_at = embedding.ctypes.data + 4 * width * x[t, b], y.ctypes.data + 4 * PANEL * row
            copy_row(source_at, width, target_at, y.strides[0] // 4)
            row += 1


@kernel(void(Panels, Panels, intp, intp, Panels))
def add(x, branch, first, last, y):
    """y = x + branch."""
    for panel in range(x.shape[0]):
        x_at, branch_at = x.ctypes.data + panel * x.strides[0], branch.ctypes.data + panel * branch.strides[0]
        y_at = y.ctypes.data + panel * y.strides[0]
        for k in range(first * PANEL, last * PANEL, WIDTH):
            store(y_at, k, load(x_at, k) + load(branch_at, k))


@kernel(void(Panels, intp, intp, Panels))
def copy(x, first, last, y):
    """y = x."""
    for panel in range(x.shape[0]):
        x_at, y_at = x.ctypes.data + panel * x.strides[0], y.ctypes.data + panel * y.strides[0]
        for k in range(first * PANEL, last * PANEL, WIDTH):
            store(y_at, k, load(x_at, k))


@njit
def gate_row(gate_at, up_at, y_at):
    """y = silu(gate) ⊙ up for 64 columns."""
    for k in range(0, PANEL, WIDTH):
        gate = load(gate_at, k)
        store(y_at, k, gate * sigmoid(gate) * load(up_at, k))


@kernel(void(Panels, intp, intp, Panels))
def swiglu(gates, first, last, y):
    """y (F/64, R, 64) = silu(gate) ⊙ up of gates (2F/64, R, 64), the gates' panels before the others.

    silu(a) = a σ(a); the two together are Shazeer's (2020) SwiGLU.
    """
    panels = y.shape[0]
    for panel in range(panels):
        gate_at = gates.ctypes.data + panel * gates.strides[0] + 4 * PANEL * first
        up_at = gate_at + panels * gates.strides[0]
        y_at = y.ctypes.data + panel * y.strides[0] + 4 * PANEL * first
        for row in range(0, 4 * PANEL * (last - first), 4 * PANEL):
            gate_row(gate_at + row, up_at + row, y_at + row)


@kernel(void(Panels, intp, intp, Panels))
def swiglu_backward(dy, first, last, gates):
    """gates become their gradient: with s = σ(gate), dup = dy gate s and dgate = dy up s (1 + gate (1 - s))."""
    panels, one = dy.shape[0], splat(f32(1.0))
    for panel in range(panels):
        gate_at = gates.ctypes.data + panel * gates.strides[0]
        up_at = gate_at + panels * gates.strides[0]
        dy_at = dy.ctypes.data + panel * dy.strides[0]
        for k in range(first * PANEL, last * PANEL, WIDTH):
            gate, up, back = load(gate_at, k), load(up_at, k), load(dy_at, k)
            s = sigmoid(gate)
            store(gate_at, k, back * up * (s * fma(gate, one - s, one)))
            store(up_at, k, back * (gate * s))
