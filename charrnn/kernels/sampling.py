"""Writing text: the forward pass of one step, the choice of a character, and again, all in one compiled loop.

Legend: N characters to draw, B streams, M models, L layers, U blocks of 16 units, V characters.  Streams
``first`` to ``last`` are one thread's; a stream's text depends on its own random numbers only.
"""

import math

import numpy as np
from numba import njit

from charrnn.kernels.activations import exp
from charrnn.kernels.compiler import (
    Array1,
    Array2,
    Array3,
    Array4,
    Doubles1,
    Doubles2,
    Ids1,
    Ids2,
    float32,
    intp,
    kernel,
    void,
)
from charrnn.kernels.lstm import cell_forward
from charrnn.kernels.matmul import PANEL, multiply_panel
from charrnn.kernels.output import log_sum_exp, row_maximum
from charrnn.kernels.simd import LANES, load, store

f32 = np.float32


@njit
def add_product(x_at, x_width, depth, packed_at, y_at, y_width, rows):
    """y (rows, Np) += x (rows, K) W."""
    for column in range(0, y_width, PANEL):
        vectors = min(PANEL, y_width - column) // LANES
        multiply_panel(
            x_at, x_width, 1, packed_at + 4 * column * depth, PANEL, y_at + 4 * column, y_width, depth, rows, vectors
        )


@njit
def set_rows(y_at, width, rows, row_at):
    """Every row of y (rows, width) becomes the one at ``row_at``."""
    for row in range(rows):
        for j in range(0, width, LANES):
            store(y_at, row * width + j, load(row_at, j))


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
        for j in range(0, width, LANES):
            store(logits.ctypes.data, j, load(logits_at, j))
        for k in range(count):
            if logits[k] > logits[best]:
                best = k
        return best
    scale = f32(1.0) / temperature
    for j in range(0, width, LANES):
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


@kernel(void(*(Array2, Array4, Array4, Array2, Array3, Array1), *(Array3, Array3, Ids1, Array2, Array2, intp, intp)))
def predict(table, recurrent, inputs, bias, output, output_bias, h, c, ids, gates, logits, first, last):
    """Read ids (B,), one of each stream: logits (B, Vp) of what follows, and h, c (L, B, Hp) move on.

    The model: table (V, 4Hp), recurrent and inputs (L, U, H, 64), bias (L, 4Hp), output (panels, H, 64),
    output_bias (Vp,).  Scratch: gates (B, 4Hp).
    """
    layers, streams, hidden = h.shape
    width, depth, rows = gates.shape[1], recurrent.shape[2], last - first
    gates_at = gates.ctypes.data + 4 * first * width
    logits_at = logits.ctypes.data + 4 * first * logits.shape[1]
    for layer in range(layers):
        state = 4 * (layer * streams + first) * hidden
        h_at, c_at = h.ctypes.data + state, c.ctypes.data + state
        weights_at = 4 * layer * width * depth
        if layer == 0:
            for row in range(rows):
                set_rows(gates_at + 4 * row * width, width, 1, table.ctypes.data + 4 * ids[first + row] * width)
        else:
            set_rows(gates_at, width, rows, bias.ctypes.data + 4 * layer * width)
            below_at = h_at - 4 * streams * hidden
            add_product(below_at, hidden, depth, inputs.ctypes.data + weights_at, gates_at, width, rows)
        add_product(h_at, hidden, depth, recurrent.ctypes.data + weights_at, gates_at, width, rows)
        for unit in range(0, rows * hidden, LANES):
            cell_forward(gates_at, 4 * unit, c_at, c_at, h_at, unit)
    set_rows(logits_at, logits.shape[1], rows, output_bias.ctypes.data)
    top_at = h.ctypes.data + 4 * ((layers - 1) * streams + first) * hidden
    add_product(top_at, hidden, depth, output.ctypes.data, logits_at, logits.shape[1], rows)


@kernel(
    void(
        *(Array2, Array4, Array4, Array2, Array3, Array1),
        *(Array3, Array3, Ids1, Doubles2, float32, intp, float32, float32),
        *(intp, intp, intp, Array2, Array2, Array2, Ids2, Ids2),
    )
)
def write(
    table,
    recurrent,
    inputs,
    bias,
    output,
    output_bias,
    h,
    c,
    ids,
    uniforms,
    temperature,
    top_k,
    top_p,
    min_p,
    count,
    first,
    last,
    gates,
    logits,
    weights,
    order,
    drawn,
):
    """Read ids (B,), draw the next character of each stream, read that, and so on: drawn (N, B).

    Model and state as in :func:`predict`.  ``uniforms`` (N, B) in [0, 1); ``count`` is V.
    Scratch: gates (B, 4Hp), logits and weights (B, Vp), order (B, Vp).
    """
    logits_at, width = logits.ctypes.data, logits.shape[1]
    filters = temperature, top_k, top_p, min_p
    for step in range(uniforms.shape[0]):
        predict(table, recurrent, inputs, bias, output, output_bias, h, c, ids, gates, logits, first, last)
        for stream in range(first, last):
            row_at = logits_at + 4 * stream * width
            ids[stream] = choose(row_at, weights[stream], order[stream], count, uniforms[step, stream], *filters)
            drawn[step, stream] = ids[stream]


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
        for j in range(0, width, LANES):
            store(row_at, j, load(row_at, j) - (normaliser - first))
    for k in range(count):
        top = logits[0, stream, k]
        for model in range(1, models):
            top = max(top, logits[model, stream, k])
        mass = 0.0
        for model in range(models):
            mass += math.exp(logits[model, stream, k] - top)
        logits[0, stream, k] = top + math.log(mass / models)


@kernel(
    void(*(Array3, Doubles1, float32, intp, float32, float32), *(intp, intp, intp, Array2, Ids2, Ids1)),
)
def choose_from_mean(logits, uniforms, temperature, top_k, top_p, min_p, count, first, last, weights, order, ids):
    """Draw ids (B,) from the mean of the probabilities of M models with logits (M, B, Vp), which are used up.

    ``uniforms`` (B,) in [0, 1); ``count`` is V.  Scratch: weights and order (B, Vp).
    """
    filters = temperature, top_k, top_p, min_p
    for stream in range(first, last):
        average(logits, stream, count)
        row_at = logits.ctypes.data + 4 * stream * logits.shape[2]
        ids[stream] = choose(row_at, weights[stream], order[stream], count, uniforms[stream], *filters)
