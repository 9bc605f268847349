"""Writing text: a step of every layer, the choice of a character, and again, all in one compiled loop.

Legend: N characters to draw, B streams, M models, V characters of the vocabulary, padded to Vp.

Neither the number of streams nor the number of threads changes a bit: a stream's text depends on its own random numbers
only, and no sum is split between threads.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.activations import exp
from charrnn.kernels.barrier import wait_at_barrier
from charrnn.kernels.compiler import (
    Array2,
    Array3,
    Doubles1,
    Doubles2,
    Ids1,
    Ids2,
    Longs1,
    Longs2,
    float32,
    intp,
    kernel,
    void,
)
from charrnn.kernels.cross_entropy import log_sum_exp, row_maximum
from charrnn.kernels.simd import WIDTH, load, store
from charrnn.kernels.step import SHARE, Share, call_step

f32 = np.float32


class Steps(NamedTuple):
    """A network as a list of steps, its layers' and last its head's.

    ``addresses`` (S,) int64 are the steps' addresses, ``arguments`` (S, A) int64 have a row of arguments for each.
    """

    addresses: np.ndarray
    arguments: np.ndarray


class Filters(NamedTuple):
    """How a character is chosen, see :func:`choose`; ``characters`` is V."""

    temperature: np.float32
    top_k: int
    top_p: np.float32
    min_p: np.float32
    characters: int


class Scratch(NamedTuple):
    """Arrays of :func:`write`: ``logits`` and ``weights`` (B, Vp) float32, ``order`` (B, Vp) int32, barrier flags."""

    logits: np.ndarray
    weights: np.ndarray
    order: np.ndarray
    flags: np.ndarray


STEPS = types.NamedTuple((Longs1, Longs2), Steps)
FILTERS = types.NamedTuple((float32, intp, float32, float32, intp), Filters)
SCRATCH = types.NamedTuple((Array2, Array2, Ids2, Longs1), Scratch)


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
def choose(logits_at, weights, order, uniform, filters):
    """Draw an index from softmax(logits / temperature), restricted to the likeliest ones.

    ``top_k`` (0: all) keeps the k likeliest, ``min_p`` those that are at least this part as likely as the likeliest
    (Nguyen et al. 2024), ``top_p`` the fewest that hold this part of the remaining probability (Holtzman et al. 2020).
    ``logits_at`` is the address of the logits (Vp,); weights and order (Vp,) are scratch.
    """
    temperature, top_k, top_p, min_p, count = filters
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
def read_character(steps, ids, turn, share, flags_at, barriers):
    """Run all steps of a network for the streams of a share; returns how many barriers there have been.

    The character ids[b] of each stream is read.  The state before it is in half ``turn`` (0 or 1) of the rows of the
    steps' arrays; the state after it goes to the other half.
    """
    before, place = turn * ids.size, (1 - turn) * ids.size
    for k in range(len(steps.addresses)):
        arguments_at = steps.arguments.ctypes.data + k * steps.arguments.strides[0]
        call_step(steps.addresses[k], arguments_at, ids.ctypes.data, before, place, share)
        if share.workers > 1:
            barriers += 1
            wait_at_barrier(flags_at, share.workers * barriers)
    return barriers


@kernel(void(STEPS, Ids1, intp, intp, intp))
def predict(steps, ids, turn, first, last):
    """Streams ``first`` to ``last`` read a character each: the head's logits are written, and the states move on."""
    read_character(steps, ids, turn, Share(first, last, 0, 1), np.uintp(0), 0)


@kernel(void(STEPS, Ids1, intp, Doubles2, FILTERS, SHARE, SCRATCH, Ids2))
def write(steps, ids, turn, uniforms, filters, share, scratch, drawn):
    """Read a character of each stream, draw the next one, read that, and so on: drawn (N, B).

    ``ids`` (B,) are the characters to read first, and at the end those to read next; ``uniforms`` (N, B) are in [0, 1).
    The head's logits are ``scratch.logits``.
    """
    flags_at, barriers = scratch.flags.ctypes.data, 0
    for number in range(uniforms.shape[0]):
        barriers = read_character(steps, ids, (turn + number) % 2, share, flags_at, barriers)
        if share.worker == 0:
            for stream in range(share.first, share.last):
                row_at = scratch.logits.ctypes.data + 4 * stream * scratch.logits.shape[1]
                uniform = uniforms[number, stream]
                ids[stream] = choose(row_at, scratch.weights[stream], scratch.order[stream], uniform, filters)
                drawn[number, stream] = ids[stream]
        if share.workers > 1:
            barriers += 1
            wait_at_barrier(flags_at, share.workers * barriers)


@njit
def average(logits, stream, count):
    """The first model's logits of a stream become the logits of the mean of all models' probabilities.

    The other rows of logits (M, B, Vp) are shifted by a constant.  With p_m = softmax(logits_m) and
    z_m = log Σ exp(logits_m):

        log (Σ_m p_m / M) + z_0 = log (Σ_m exp(logits_m - z_m + z_0) / M)

    A softmax is the same with and without z_0.  With it, models that agree change no bit.
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


@kernel(void(Array3, Doubles1, FILTERS, intp, intp, Array2, Ids2, Ids1))
def choose_from_mean(logits, uniforms, filters, first, last, weights, order, ids):
    """Draw ids (B,) from the mean of the probabilities of M models with logits (M, B, Vp), which are used up.

    Works on streams ``first`` to ``last``; ``uniforms`` (B,) are in [0, 1).  Scratch: weights and order (B, Vp).
    """
    for stream in range(first, last):
        average(logits, stream, filters.characters)
        row_at = logits.ctypes.data + 4 * stream * logits.shape[2]
        ids[stream] = choose(row_at, weights[stream], order[stream], uniforms[stream], filters)
