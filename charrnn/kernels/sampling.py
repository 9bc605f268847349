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
from charrnn.kernels.constraint import CONSTRAINT, ENDED, Constraint, advance, all_ended, leave_out
from charrnn.kernels.cross_entropy import log_sum_exp, row_maximum
from charrnn.kernels.ngrams import TRIE, Trie, expect, read_symbol
from charrnn.kernels.simd import WIDTH, load, store
from charrnn.kernels.step import SHARE, call_step

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


class Draws(NamedTuple):
    """N characters to draw for each stream: ``uniforms`` (N, B) float64 in [0, 1), and ``ids`` (N, B) int32.

    ``constraint`` says which characters may come; from the end of a text on, ``ids`` stay as they are.
    """

    uniforms: np.ndarray
    ids: np.ndarray
    constraint: Constraint


class Mixture(NamedTuple):
    """N-grams with a reader for each stream, and ``weights`` (2,) float64 as in :func:`mix`; (0,) without n-grams."""

    trie: Trie
    weights: np.ndarray


class Scratch(NamedTuple):
    """Arrays of :func:`write`.

    ``logits`` (M, B, Vp) and ``weights`` (B, Vp) float32, ``order`` (B, Vp) int32, barrier flags.
    """

    logits: np.ndarray
    weights: np.ndarray
    order: np.ndarray
    flags: np.ndarray


STEPS = types.NamedTuple((Longs1, Longs2), Steps)
FILTERS = types.NamedTuple((float32, intp, float32, float32, intp), Filters)
DRAWS = types.NamedTuple((Doubles2, Ids2, CONSTRAINT), Draws)
MIXTURE = types.NamedTuple((TRIE, Doubles1), Mixture)
SCRATCH = types.NamedTuple((Array3, Array2, Ids2, Longs1), Scratch)


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


@njit
def mix(mixture, stream, character, logits):
    """A stream's reader reads a character, and its logits (Vp,) become a · logits + b · log p_ngrams.

    So the probabilities of the network and of the n-grams are multiplied, with the weights a and b as exponents, and
    normalised (log-linear interpolation; Klakow 1998).
    """
    trie, weights = mixture
    read_symbol(trie, stream, character)
    expect(trie, stream)
    for k in range(trie.chances.shape[1]):
        logits[k] = weights[0] * logits[k] + weights[1] * math.log(trie.chances[stream, k])


@kernel(void(STEPS, Ids1, intp, DRAWS, FILTERS, SHARE, MIXTURE, SCRATCH))
def write(steps, ids, turn, draws, filters, share, mixture, scratch):
    """Read a character of each stream, draw the next one, read that, and so on.

    ``steps`` are those of M networks, whose heads write ``scratch.logits``; the mean of their probabilities is drawn
    from.  ``ids`` (B,) are the characters to read first, and at the end those to read next.
    """
    flags_at, barriers, logits = scratch.flags.ctypes.data, 0, scratch.logits
    is_bound = draws.constraint.states.size > 0
    for number in range(draws.ids.shape[0]):
        if is_bound and all_ended(draws.constraint, share.first, share.last):
            break
        barriers = read_character(steps, ids, (turn + number) % 2, share, flags_at, barriers)
        if share.worker == 0:
            for stream in range(share.first, share.last):
                if is_bound and draws.constraint.states[stream] == ENDED:
                    continue
                if logits.shape[0] > 1:
                    average(logits, stream, filters.characters)
                if mixture.weights.size:
                    mix(mixture, stream, ids[stream], logits[0, stream])
                row_at = logits.ctypes.data + 4 * stream * logits.shape[2]
                if is_bound:
                    leave_out(draws.constraint, stream, row_at, logits[0, stream])
                uniform = draws.uniforms[number, stream]
                chosen = choose(row_at, scratch.weights[stream], scratch.order[stream], uniform, filters)
                if is_bound and not advance(draws.constraint, stream, chosen):
                    continue
                ids[stream] = chosen
                draws.ids[number, stream] = chosen
        if share.workers > 1:
            barriers += 1
            wait_at_barrier(flags_at, share.workers * barriers)
