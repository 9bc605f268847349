"""One layer of a plain recurrent network (Elman 1990): over a window forward and backward, and for one step.

    h_t = tanh(x_t W_ih + h_{t-1} W_hh + b)

Legend: T steps, B batch rows, H hidden units in Q = ⌈H/64⌉ panels.  ``h`` and ``dz`` (Q, R, 64) have plain columns.
The product is made in place: the rows of h are the pre-activations first.

A call over a window works on a group of batch rows and runs all T steps, see :mod:`charrnn.kernels.lstm`.
"""

import numpy as np
from numba import njit

from charrnn.kernels.activations import tanh
from charrnn.kernels.compiler import Array2, Ids2, Panels, intp, kernel, void
from charrnn.kernels.matmul import Size, multiply_panel
from charrnn.kernels.packing import GROUP, first_row
from charrnn.kernels.recurrent import (
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
)
from charrnn.kernels.simd import WIDTH, load, store
from charrnn.kernels.step import STEP
from charrnn.kernels.tiles import PANEL

f32 = np.float32


@njit
def vectors_of(units, panel):
    """How many vectors of 16 columns a panel of h uses."""
    return min(4, (units - PANEL * panel + WIDTH - 1) // WIDTH)


# Inlined, as the LSTM's.
@njit(forceinline=True)
def step_forward(layer, ids_at, before, place, rows, first_panel, last_panel):
    """One time step of ``rows`` batch rows, for panels ``first_panel`` to ``last_panel`` of their units.

    The state before the step is in the rows of h from ``before`` on, the output of the layer below in the rows from
    ``place`` on.  h is written to the rows from ``place`` on.  ``ids_at`` is the address of the characters (rows,)
    int32.
    """
    for panel in range(first_panel, last_panel):
        vectors = vectors_of(layer.units, panel)
        h_at = layer.h_at + 4 * panel * layer.h_panel + ROW * place
        below_at = layer.below_at + 4 * panel * layer.below_panel + ROW * place
        input_at = layer.w_at + ROW * panel * (layer.inputs + layer.units)
        recurrent_at = input_at + ROW * layer.inputs
        next_at = recurrent_at + ROW * layer.units
        look_up(layer, panel, ids_at, rows, h_at)
        x_at, before_at = layer.below_at + ROW * place, layer.h_at + ROW * before
        size = Size(layer.inputs, rows, vectors)
        multiply_panel(x_at, PANEL, layer.below_panel, input_at, h_at, PANEL, size, recurrent_at)
        size = Size(layer.units, rows, vectors)
        multiply_panel(before_at, PANEL, layer.h_panel, recurrent_at, h_at, PANEL, size, next_at)
        # Prefetch the rows that the next panel writes, and as much of the next step's input as belongs to this panel.
        further, then = divmod(panel + 1, layer.panels)
        h_ahead = 4 * (then - panel) * layer.h_panel + ROW * further * rows
        for _ in range(rows):
            fetch_row(h_at + h_ahead)
            fetch_row(below_at + ROW * rows)
            for k in range(0, vectors * WIDTH, WIDTH):
                store(h_at, k, tanh(load(h_at, k)))
            h_at += ROW
            below_at += ROW


@kernel(void(Ids2, Panels, WEIGHTS, GROUP, Array2, Panels))
def forward(x, below, weights, group, state, h):
    """All steps of a window for a group of batch rows: h is filled, and the state h (B, H) moves on.

    x (T, B) are the characters; below (Q, R, 64) is the output of the layer below.  A layer reads the one or the other,
    as :class:`charrnn.kernels.recurrent.Weights` says.
    """
    steps, rows, start = x.shape[0], group.last - group.first, first_row(group.first, x.shape[0])
    layer = layer_of(weights, below, h, h, state.shape[1])
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
    first_panel = layer.panels * share.worker // share.workers
    last_panel = layer.panels * (share.worker + 1) // share.workers
    step_forward(layer, ids_at + 4 * first, before + first, place + first, share.last - first, first_panel, last_panel)


@kernel(void(TRANSPOSED, GROUP, intp, Panels, Panels, Panels))
def backward(weights, group, steps, h, dh, dz):
    """Back through the ``steps`` steps of a window for a group of batch rows: dz = dh ⊙ (1 - h²).

    dh (Q, R, 64) comes in as the gradient of the loss with respect to each h_t through the layer above.  The gradient
    through t+1 is added; then dh becomes dx, the gradient with respect to the output of the layer below, if there is
    one.  dz (Q, R, 64) is written.
    """
    w_hh, w_ih, rows = weights.w_hh, weights.w_ih, group.last - group.first
    panels, width = w_hh.shape[0], w_hh.shape[1]
    h_at, dh_at, dz_at = h.ctypes.data, dh.ctypes.data, dz.ctypes.data
    h_panel, dh_panel, dz_panel = h.strides[0] // 4, dh.strides[0] // 4, dz.strides[0] // 4
    for t in range(steps - 1, -1, -1):
        place = first_row(group.first, steps) + (t + 1) * rows
        for panel in range(panels):
            vectors = vectors_of(width, panel)
            h_row_at = h_at + 4 * panel * h_panel + ROW * place
            dh_row_at = dh_at + 4 * panel * dh_panel + ROW * place
            dz_row_at = dz_at + 4 * panel * dz_panel + ROW * place
            if t < steps - 1:
                multiply_panel(
                    dz_at + ROW * (place + rows),
                    PANEL,
                    dz_panel,
                    w_hh.ctypes.data + panel * w_hh.strides[0],
                    dh_row_at,
                    PANEL,
                    Size(width, rows, vectors),
                    w_hh.ctypes.data + (panel + 1) * w_hh.strides[0],
                )
            # Prefetch the next panel's rows.
            back, then = divmod(panel + 1, panels)
            h_ahead = 4 * (then - panel) * h_panel - ROW * back * rows
            dh_ahead = 4 * (then - panel) * dh_panel - ROW * back * rows
            for _ in range(rows):
                fetch_row(h_row_at + h_ahead)
                fetch_row(dh_row_at + dh_ahead)
                for k in range(0, vectors * WIDTH, WIDTH):
                    value = load(h_row_at, k)
                    store(dz_row_at, k, load(dh_row_at, k) * (f32(1.0) - value * value))
                h_row_at += ROW
                dh_row_at += ROW
                dz_row_at += ROW
        for panel in range(w_ih.shape[0]):
            vectors = vectors_of(width, panel)
            dx_at = dh_at + 4 * panel * dh_panel + ROW * place
            clear_rows(dx_at, rows, vectors)
            multiply_panel(
                dz_at + ROW * place,
                PANEL,
                dz_panel,
                w_ih.ctypes.data + panel * w_ih.strides[0],
                dx_at,
                PANEL,
                Size(width, rows, vectors),
                w_ih.ctypes.data + (panel + 1) * w_ih.strides[0],
            )
