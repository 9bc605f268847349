"""Writing text: the forward pass of one step, the choice of a character, and again, all in one compiled loop.

Legend: N characters to draw, B streams, M models, L layers, U blocks of 16 units, V characters.

``model`` is table (U, V, 64), recurrent and inputs (L, U, H, 64), bias (L, 4Hp), output (panels, H, 64), output_bias
(Vp,).  ``state`` is h (2, L, B, Hp), c (L, B, Hp) and ids (B,), the character that each stream reads next; h[turn]
is from before a character, and what follows from it is written to the other half.  ``filters`` are temperature,
top_k, top_p, min_p and V.

``share`` is what one thread does: streams ``first`` to ``last``, and of these the panels that fall to ``worker`` of
``workers``, who meet on ``board``.  Neither changes a bit: a stream's text depends on its own random numbers only,
and a sum is never shared.
"""

import math

import numpy as np
from numba import njit, types

from charrnn.kernels.activations import exp
from charrnn.kernels.barrier import wait_at_barrier
from charrnn.kernels.compiler import (
    Array1,
    Array2,
    Array3,
    Array4,
    Doubles1,
    Doubles2,
    Ids1,
    Ids2,
    Longs1,
    float32,
    intp,
    kernel,
    void,
)
from charrnn.kernels.cross_entropy import log_sum_exp, row_maximum
from charrnn.kernels.lstm import cell_forward
from charrnn.kernels.matmul import multiply_panel, offset
from charrnn.kernels.simd import WIDTH, load, store
from charrnn.kernels.tiles import PANEL

Model = types.Tuple((Array3, Array4, Array4, Array2, Array3, Array1))
State = types.Tuple((Array4, Array3, Ids1))
Filters = types.Tuple((float32, intp, float32, float32, intp))
Share = types.UniTuple(intp, 4)

f32 = np.float32


@njit
def add_product(x_at, x_width, depth, packed_at, y_at, y_width, rows, first_panel, last_panel):
    """Panels of y (rows, Np) += x (rows, K) W."""
    for panel in range(first_panel, last_panel):
        column = PANEL * panel
        vectors = min(PANEL, y_width - column) // WIDTH
        b, c = packed_at + 4 * column * depth, y_at + 4 * column
        multiply_panel(x_at, x_width, PANEL, b, c, y_width, depth, rows, vectors, b + 4 * depth * PANEL)


@njit
def set_rows(y_at, width, rows, row_at, panel_step, first_panel, last_panel):
    """Panels of every row of y (rows, width) become those of the one at ``row_at``, which are ``panel_step`` apart."""
    for row in range(rows):
        for j in range(PANEL * first_panel, min(PANEL * last_panel, width), WIDTH):
            store(y_at, row * width + j, load(row_at, offset(j, panel_step)))


@njit
def sort_descending(values, order, count):
    """Order the indices 0 … count-1 by falling value, equal ones by index (Shell's sort, Knuth's gaps)."""
    for k in range(count):
        order[k] = k
    for gap in (29524, 9841, 3280, 1093, 364, 121, 40, 13, 4, 1):
        for k in range(gap, count):
            moving = order[k]
            value = values[moving]
            place = k
            while place >= gap:
                other = order[place - gap]
                if values[other] > value or (values[other] == value and other < moving):
                    break
                order[place] = other
                place -= gap
            order[place] = moving


@njit
def choose(logits_at, weights, order, count, uniform, temperature, top_k, top_p, min_p):
    """Draw an index from softmax(logits / temperature), restricted to the likeliest ones.

    ``top_k`` (0: all) keeps that many, ``min_p`` those at least that part as likely as the first (Nguyen et al.
    2024), ``top_p`` the fewest that hold that much of what is left (Holtzman et al. 2020).
    """
    width = weights.size
    top = row_maximum(logits_at, width)
    if temperature == f32(0.0):
        best = 0
        logits = weights  # a copy, to be read by index
        for j in range(0, width, WIDTH):
            store(logits.ctypes.data, j, load(logits_at, j))
        for k in range(count):
            if logits[k] > logits[best]:
                best = k
        return best
    scale = f32(1.0) / temperature
    for j in range(0, width, WIDTH):
        store(weights.ctypes.data, j, exp((load(logits_at, j) - top) * scale))
    kept = count
    filtered = 0 < top_k < count or top_p < f32(1.0) or min_p > f32(0.0)
    if filtered:
        sort_descending(weights, order, count)
        if 0 < top_k < count:
            kept = top_k
        while kept > 1 and weights[order[kept - 1]] < min_p * weights[order[0]]:
            kept -= 1
        if top_p < f32(1.0):
            mass = 0.0
            for k in range(kept):
                mass += weights[order[k]]
            held, kept_before, kept = 0.0, kept, 0
            while kept < kept_before and (kept == 0 or held < top_p * mass):
                held += weights[order[kept]]
                kept += 1
    mass = 0.0
    for k in range(kept):
        mass += weights[order[k]] if filtered else weights[k]
    threshold, running = uniform * mass, 0.0
    last = 0
    for k in range(kept):
        index = order[k] if filtered else k
        if weights[index] > f32(0.0):
            last = index
        running += weights[index]
        if running > threshold:
            return index
    return last


@njit
def predict_share(model, state, turn, share, board_at, met, gates, logits):
    """One thread's part of :func:`predict`, after ``met`` meetings; returns how many there have been."""
    table, recurrent, inputs, bias, output, output_bias = model
    h, c, ids = state
    first, last, worker, workers = share
    layers, streams, hidden = c.shape
    width, depth, rows = gates.shape[1], recurrent.shape[2], last - first
    first_panel, last_panel = recurrent.shape[1] * worker // workers, recurrent.shape[1] * (worker + 1) // workers
    gates_at = gates.ctypes.data + 4 * first * width
    half = 4 * layers * streams * hidden
    before_at, after_at = h.ctypes.data + turn * half, h.ctypes.data + (1 - turn) * half
    for layer in range(layers):
        place = 4 * (layer * streams + first) * hidden
        weights_at = 4 * layer * width * depth
        if layer == 0:
            for row in range(rows):
                row_at, panel_step = table.ctypes.data + 4 * ids[first + row] * PANEL, table.shape[1] * PANEL
                set_rows(gates_at + 4 * row * width, width, 1, row_at, panel_step, first_panel, last_panel)
        else:
            below_at = after_at + place - 4 * streams * hidden
            set_rows(gates_at, width, rows, bias.ctypes.data + 4 * layer * width, PANEL, first_panel, last_panel)
            packed_at = inputs.ctypes.data + weights_at
            add_product(below_at, hidden, depth, packed_at, gates_at, width, rows, first_panel, last_panel)
        packed_at = recurrent.ctypes.data + weights_at
        add_product(before_at + place, hidden, depth, packed_at, gates_at, width, rows, first_panel, last_panel)
        c_at, h_at = c.ctypes.data + place, after_at + place
        for row in range(rows):
            for panel in range(first_panel, last_panel):
                unit = row * hidden + WIDTH * panel
                cell_forward(gates_at, 4 * unit, c_at, c_at, unit, h_at, unit)
        if workers > 1:
            met += 1
            wait_at_barrier(board_at, workers * met)
    first_panel, last_panel = output.shape[0] * worker // workers, output.shape[0] * (worker + 1) // workers
    top_at = after_at + 4 * ((layers - 1) * streams + first) * hidden
    logits_at, width = logits.ctypes.data + 4 * first * logits.shape[1], logits.shape[1]
    set_rows(logits_at, width, rows, output_bias.ctypes.data, PANEL, first_panel, last_panel)
    add_product(top_at, hidden, depth, output.ctypes.data, logits_at, width, rows, first_panel, last_panel)
    if workers > 1:
        met += 1
        wait_at_barrier(board_at, workers * met)
    return met


@kernel(void(Model, State, intp, intp, intp, Array2, Array2))
def predict(model, state, turn, first, last, gates, logits):
    """Streams ``first`` to ``last`` read a character: logits (B, Vp) of what follows, and h, c move on.

    Scratch: gates (B, 4Hp).
    """
    predict_share(model, state, turn, (first, last, 0, 1), np.uintp(0), 0, gates, logits)


@kernel(void(Model, State, intp, Doubles2, Filters, Share, Longs1, Array2, Array2, Array2, Ids2, Ids2))
def write(model, state, turn, uniforms, filters, share, board, gates, logits, weights, order, drawn):
    """Read a character, draw the next one of each stream, read that, and so on: drawn (N, B).

    ``uniforms`` (N, B) in [0, 1).  Scratch: gates (B, 4Hp), logits and weights (B, Vp), order (B, Vp).
    """
    temperature, top_k, top_p, min_p, count = filters
    first, last, worker, workers = share
    ids, board_at, met = state[2], board.ctypes.data, 0
    for step in range(uniforms.shape[0]):
        met = predict_share(model, state, (turn + step) % 2, share, board_at, met, gates, logits)
        if worker == 0:
            for stream in range(first, last):
                row_at = logits.ctypes.data + 4 * stream * logits.shape[1]
                number = uniforms[step, stream]
                ids[stream] = choose(
                    row_at, weights[stream], order[stream], count, number, temperature, top_k, top_p, min_p
                )
                drawn[step, stream] = ids[stream]
        if workers > 1:
            met += 1
            wait_at_barrier(board_at, workers * met)


@njit
def average(logits, stream, count):
    """The first model's logits of a stream become those of the mean of all models' probabilities.

    The others' rows of logits (M, B, Vp) are left shifted.  With p_m = softmax(logits_m), z_m = log Σ exp(logits_m):

        log (Σ_m p_m / M) + z_0 = log (Σ_m exp(logits_m - z_m + z_0) / M)

    The z_0, which a softmax does not see, has models that agree change no bit.
    """
    models, streams, width = logits.shape
    first = f32(0.0)
    for model in range(models):
        row_at = logits.ctypes.data + 4 * (model * streams + stream) * width
        normaliser = log_sum_exp(row_at, width)
        if model == 0:
            first = normaliser
        for j in range(0, width, WIDTH):
            store(row_at, j, load(row_at, j) - (normaliser - first))
    for k in range(count):
        top = logits[0, stream, k]
        for model in range(1, models):
            top = max(top, logits[model, stream, k])
        mass = 0.0
        for model in range(models):
            mass += math.exp(logits[model, stream, k] - top)
        logits[0, stream, k] = top + math.log(mass / models)


@kernel(void(Array3, Doubles1, Filters, intp, intp, Array2, Ids2, Ids1))
def choose_from_mean(logits, uniforms, filters, first, last, weights, order, ids):
    """Draw ids (B,) from the mean of the probabilities of M models with logits (M, B, Vp), which are used up.

    ``uniforms`` (B,) in [0, 1).  Scratch: weights and order (B, Vp).
    """
    temperature, top_k, top_p, min_p, count = filters
    for stream in range(first, last):
        average(logits, stream, count)
        row_at = logits.ctypes.data + 4 * stream * logits.shape[2]
        number = uniforms[stream]
        ids[stream] = choose(row_at, weights[stream], order[stream], count, number, temperature, top_k, top_p, min_p)
