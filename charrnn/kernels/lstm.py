"""One LSTM layer: over a window forward and backward, and for one step.

Legend: T steps, B batch rows, H hidden units in U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels.  The R rows of the arrays are
grouped as :class:`charrnn.network.workspace.Layout` says.  ``gates`` (U, R, 64) are interleaved as
:mod:`charrnn.kernels.packing` says; ``h`` (Q, R, 64) and ``c`` (U, R, 16).  σ is the sigmoid, ⊙ the product element by
element:

    i, f, o = σ(·)   g = tanh(·)   of the four blocks of   z_t = x_t W_ih + h_{t-1} W_hh + b
    c_t = f ⊙ c_{t-1} + i ⊙ g
    h_t = o ⊙ tanh(c_t)

(Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000 and no peepholes.)  With a capped input gate i
is min(σ(·), 1 - f), and c stays between -1 and 1 (as in Melis, Kočiský & Blunsom 2020, "Mogrifier LSTM").  With coupled
gates i is 1 - f (Greff et al. 2017): a capped input gate with a z that is always large.  Then products have columns for
f, g and o alone.

A call over a window works on a group of batch rows and runs all T steps.  Batch rows do not depend on each other before
the weights' gradients, so a thread takes a group through the whole network without waiting for the other threads.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.activations import sigmoid, tanh
from charrnn.kernels.compiler import Array2, Array3, Ids2, Panels, intp, kernel, void
from charrnn.kernels.matmul import Size, multiply_panel, offset
from charrnn.kernels.packing import GROUP, first_row
from charrnn.kernels.recurrent import LINE, ROW, clear_rows, copy_in, copy_out, fetch_row, look_up, multiply_gates
from charrnn.kernels.simd import WIDTH, at_most, bits_of, fetch, fma, load, splat, store, where_below
from charrnn.kernels.step import STEP, struct_loader
from charrnn.kernels.tiles import PANEL

f32 = np.float32


class Weights(NamedTuple):
    """Packed weights of the forward pass.

    ``table`` (U, V, 64) has a row for every character if the layer reads characters: x W_ih + b for a one-hot x.
    Else it is (U, 1, 64), the bias.  ``w`` (U, D + H, 64) has each panel of W_ih followed by the same panel of W_hh, in
    the order in which they are read: memory is fastest as one stream.  D is 0 for a layer that reads characters.
    ``capped`` says whether the input gate is.  The last ``vectors`` of a panel's four blocks have weights: all 4, or 3
    with coupled gates.
    """

    table: np.ndarray
    w: np.ndarray
    capped: bool
    vectors: int


class Transposed(NamedTuple):
    """Packed transposes for the backward pass (Q, 4Hp, 64); ``capped`` and ``vectors`` as in :class:`Weights`.

    ``w_ih`` has no panel for a layer that reads characters.
    """

    w_ih: np.ndarray
    w_hh: np.ndarray
    capped: bool
    vectors: int


class State(NamedTuple):
    """``h`` and ``c`` (B, H): the incoming state, which becomes the outgoing one."""

    h: np.ndarray
    c: np.ndarray


WEIGHTS = types.NamedTuple((Array3, Array3, types.boolean, intp), Weights)
TRANSPOSED = types.NamedTuple((Array3, Array3, types.boolean, intp), Transposed)
STATE = types.NamedUniTuple(Array2, len(State._fields), State)


class Layer(NamedTuple):
    """A layer's arrays as addresses (``…_at``), strides from panel to panel in elements (``…_panel``), and sizes.

    ``capped`` is 1 if the input gate is capped, else 0; ``vectors`` as in :class:`Weights`.
    """

    table_at: int
    table_panel: int
    table_rows: int
    below_at: int
    below_panel: int
    w_at: int
    inputs: int
    units: int
    gates_at: int
    gates_panel: int
    h_at: int
    h_panel: int
    c_at: int
    c_panel: int
    blocks: int
    capped: int
    vectors: int


load_layer = struct_loader(types.NamedUniTuple(intp, len(Layer._fields), Layer))


@njit
def layer_of(weights, below, gates, h, c, units):
    """The :class:`Layer` of these arrays."""
    return Layer(
        weights.table.ctypes.data,
        weights.table.strides[0] // 4,
        weights.table.shape[1],
        below.ctypes.data,
        below.strides[0] // 4,
        weights.w.ctypes.data,
        weights.w.shape[1] - units,
        units,
        gates.ctypes.data,
        gates.strides[0] // 4,
        h.ctypes.data,
        h.strides[0] // 4,
        c.ctypes.data,
        c.strides[0] // 4,
        gates.shape[0],
        intp(weights.capped),
        weights.vectors,
    )


@njit
def room_of(capped):
    """The room in i ≤ room - f: 1 for a capped input gate; 4 for a plain one, whose i is always below 4 - f."""
    return f32(1.0) if capped else f32(4.0)


@njit
def cell_forward(gates_at, before_at, after_at, h_at, room):
    """The cell equations for 16 units of one batch row; writes the activated gates, c (at ``after_at``) and h."""
    f = sigmoid(load(gates_at, WIDTH))
    i = at_most(sigmoid(load(gates_at, 0)), room - f)
    g = tanh(load(gates_at, 2 * WIDTH))
    o = sigmoid(load(gates_at, 3 * WIDTH))
    c = fma(f, load(before_at, 0), i * g)
    store(gates_at, 0, i)
    store(gates_at, WIDTH, f)
    store(gates_at, 2 * WIDTH, g)
    store(gates_at, 3 * WIDTH, o)
    store(after_at, 0, c)
    store(h_at, 0, o * tanh(c))


# Inlined, because LLVM does not do it by itself, and passing the layer's fields for every step costs 1 to 3 %.
@njit(forceinline=True)
def step_forward(layer, ids_at, before, place, rows, first_block, last_block):
    """One time step of ``rows`` batch rows, for blocks ``first_block`` to ``last_block`` of their units.

    The state before the step is in the rows from ``before`` on, the output of the layer below in the rows from
    ``place`` on.  Gates, h and c are written to the rows from ``place`` on.  ``ids_at`` is the address of the
    characters (rows,) int32.
    """
    blocks, room = layer.blocks, room_of(layer.capped)
    for block in range(first_block, last_block):
        z_at = layer.gates_at + 4 * block * layer.gates_panel + ROW * place
        shift = LINE * (4 - layer.vectors)  # over a block without weights
        input_at = layer.w_at + ROW * block * (layer.inputs + layer.units) + shift
        recurrent_at = input_at + ROW * layer.inputs
        next_at = recurrent_at + ROW * layer.units
        look_up(layer, block, ids_at, rows, z_at)
        x_at, before_at = layer.below_at + ROW * place, layer.h_at + ROW * before
        product_at, size = z_at + shift, Size(layer.inputs, rows, layer.vectors)
        multiply_panel(x_at, PANEL, layer.below_panel, input_at, product_at, PANEL, size, recurrent_at)
        size = Size(layer.units, rows, layer.vectors)
        multiply_panel(before_at, PANEL, layer.h_panel, recurrent_at, product_at, PANEL, size, next_at)
        c_at = layer.c_at + 4 * block * layer.c_panel + LINE * before
        h_at = layer.h_at + 4 * offset(WIDTH * block, layer.h_panel) + ROW * place
        below_at = layer.below_at + 4 * offset(WIDTH * block, layer.below_panel) + ROW * place
        # Prefetch what the block after the next one writes, or reads and writes, and as much of the next step's input
        # as belongs to the same units.
        further, then = divmod(block + 2, blocks)
        gates_ahead = 4 * (then - block) * layer.gates_panel + ROW * further * rows
        c_ahead = 4 * (then - block) * layer.c_panel + LINE * (further + 1) * rows
        h_ahead = (
            4 * (offset(WIDTH * then, layer.h_panel) - offset(WIDTH * block, layer.h_panel)) + ROW * further * rows
        )
        for _ in range(rows):
            fetch_row(z_at + gates_ahead)
            fetch(c_at + c_ahead, 0)
            fetch(h_at + h_ahead, 0)
            fetch(below_at + ROW * rows, 0)
            cell_forward(z_at, c_at, c_at + LINE * (place - before), h_at, room)
            z_at += ROW
            c_at += LINE
            h_at += ROW
            below_at += ROW


@kernel(void(Ids2, Panels, WEIGHTS, GROUP, STATE, Panels, Panels, Panels))
def forward(x, below, weights, group, state, gates, h, c):
    """All steps of a window for a group of batch rows: the activated gates, h and c are filled, and the state moves on.

    x (T, B) are the characters; below (Q, R, 64) is the output of the layer below.  A layer reads the one or the other,
    as :class:`Weights` says.
    """
    steps, rows, start = x.shape[0], group.last - group.first, first_row(group.first, x.shape[0])
    layer = layer_of(weights, below, gates, h, c, state.h.shape[1])
    copy_in(state.h, group.first, group.last, start, h)
    copy_in(state.c, group.first, group.last, start, c)
    for t in range(steps):
        before, ids_at = start + t * rows, x.ctypes.data + 4 * (t * x.shape[1] + group.first)
        step_forward(layer, ids_at, before, before + rows, rows, 0, layer.blocks)
    copy_out(h, start + steps * rows, group.first, group.last, state.h)
    copy_out(c, start + steps * rows, group.first, group.last, state.c)


@kernel(STEP)
def step(arguments_at, ids_at, before, place, share):
    """One step of a layer for streams of text, see :mod:`charrnn.kernels.step`; the arguments are a :class:`Layer`."""
    layer, first = load_layer(arguments_at), share.first
    first_block = layer.blocks * share.worker // share.workers
    last_block = layer.blocks * (share.worker + 1) // share.workers
    step_forward(layer, ids_at + 4 * first, before + first, place + first, share.last - first, first_block, last_block)


@njit
def cell_backward(gates_at, before_at, after_at, dh_at, dc_at, room):
    """Derivatives of the cell equations for 16 units of one batch row; dz replaces the gates.

    dc += dh ⊙ o ⊙ (1 - tanh²c_t);  dz_o = dh ⊙ tanh c_t ⊙ o(1 - o);  dz_i = dc ⊙ g ⊙ i(1 - i);
    dz_f = dc ⊙ c_{t-1} ⊙ f(1 - f);  dz_g = dc ⊙ i ⊙ (1 - g²);  dc_{t-1} = dc ⊙ f.
    Where i was capped, it is 1 - f: dz_i = 0;  dz_f = dc ⊙ (c_{t-1} - g) ⊙ f(1 - f).
    """
    i = load(gates_at, 0)
    f = load(gates_at, WIDTH)
    g = load(gates_at, 2 * WIDTH)
    free, bound, zero = bits_of(i), bits_of(room - f), splat(f32(0.0))  # of positive floats bits are in their order
    o = load(gates_at, 3 * WIDTH)
    before, tanh_c = load(before_at, 0), tanh(load(after_at, 0))
    dh = load(dh_at, 0)
    dc = fma(dh * o, f32(1.0) - tanh_c * tanh_c, load(dc_at, 0))
    store(gates_at, 0, where_below(free, bound, dc * g * (i * (f32(1.0) - i)), zero))
    store(gates_at, WIDTH, dc * (before - where_below(free, bound, zero, g)) * (f * (f32(1.0) - f)))
    store(gates_at, 2 * WIDTH, dc * i * (f32(1.0) - g * g))
    store(gates_at, 3 * WIDTH, dh * tanh_c * (o * (f32(1.0) - o)))
    store(dc_at, 0, dc * f)


@kernel(void(TRANSPOSED, GROUP, Panels, Panels, Panels, Array3))
def backward(weights, group, gates, c, dh, dc):
    """Back through the steps of a window for a group of batch rows.

    dh (Q, R, 64) comes in as the gradient of the loss with respect to each h_t through the layer above.  The gradient
    through t+1 is added; then dh becomes dx, the gradient with respect to the output of the layer below, if there is
    one.  gates become dz.  dc (U, B, 16) is scratch.
    """
    blocks, batch, _ = dc.shape
    room = room_of(weights.capped)
    w_hh, w_ih, first, rows = weights.w_hh, weights.w_ih, group.first, group.last - group.first
    panels, depth, steps = w_hh.shape[0], WIDTH * weights.vectors, gates.shape[1] // batch - 1
    shift = 4 - weights.vectors  # blocks without weights
    w_hh_at = w_hh.ctypes.data + ROW * WIDTH * shift
    w_ih_at = w_ih.ctypes.data + ROW * WIDTH * shift
    gates_at, c_at, dh_at, dc_at = gates.ctypes.data, c.ctypes.data, dh.ctypes.data, dc.ctypes.data
    gates_panel, dh_panel, c_panel = gates.strides[0] // 4, dh.strides[0] // 4, c.strides[0] // 4
    for block in range(blocks):
        for b in range(first, group.last):
            store(dc_at, (block * batch + b) * WIDTH, splat(f32(0.0)))
    for t in range(steps - 1, -1, -1):
        before = first_row(first, steps) + t * rows
        place = before + rows
        for panel in range(panels):
            vectors = min(4, blocks - 4 * panel)
            dh_panel_at = dh_at + 4 * panel * dh_panel + ROW * place
            if t < steps - 1:
                multiply_gates(
                    gates_at + ROW * (place + rows) + LINE * shift,
                    gates_panel,
                    w_hh_at + panel * w_hh.strides[0],
                    dh_panel_at,
                    blocks,
                    Size(depth, rows, vectors),
                    w_hh_at + (panel + 1) * w_hh.strides[0],
                )
            # Prefetch the next panel of dh, and of gates and c what the block after the next one reads.
            back, then = divmod(panel + 1, panels)
            dh_ahead = 4 * (then - panel) * dh_panel - ROW * back * rows
            for block in range(4 * panel, 4 * panel + vectors):
                back, then = divmod(block + 2, blocks)
                gates_ahead = 4 * (then - block) * gates_panel - ROW * back * rows
                c_ahead = 4 * (then - block) * c_panel - LINE * back * rows
                z_at = gates_at + 4 * block * gates_panel + ROW * place
                before_at = c_at + 4 * block * c_panel + LINE * before
                dh_row_at = dh_at + 4 * offset(WIDTH * block, dh_panel) + ROW * place
                dc_row_at = dc_at + LINE * (block * batch + first)
                for _ in range(rows):
                    fetch_row(z_at + gates_ahead)
                    fetch(before_at + c_ahead, 0)
                    fetch(dh_row_at + dh_ahead, 0)
                    cell_backward(z_at, before_at, before_at + LINE * rows, dh_row_at, dc_row_at, room)
                    z_at += ROW
                    before_at += LINE
                    dh_row_at += ROW
                    dc_row_at += LINE
        for panel in range(w_ih.shape[0]):
            vectors = min(4, blocks - 4 * panel)
            dx_at = dh_at + 4 * panel * dh_panel + ROW * place
            clear_rows(dx_at, rows, vectors)
            multiply_gates(
                gates_at + ROW * place + LINE * shift,
                gates_panel,
                w_ih_at + panel * w_ih.strides[0],
                dx_at,
                blocks,
                Size(depth, rows, vectors),
                w_ih_at + (panel + 1) * w_ih.strides[0],
            )
