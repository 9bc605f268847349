"""Softmax, cross-entropy and its gradient in one pass over the logits.

    loss(t, b) = log Σ_v exp(logits_v) - logits_y        dlogits = (softmax(logits) - target) / count
    target = (1 - a) ((1 - ε) one-hot(y) + ε / V) + a q

With label smoothing ε (Szegedy et al. 2016), or with soft targets q of teachers and their weight a (Hinton, Vinyals &
Dean 2015), the gradient is that of the cross-entropy with this target; the loss is still the one of the character
itself, which is what losses are compared by.

The row's maximum is subtracted first, and the loss is log-sum-exp, never the log of a softmax.  V characters
are padded to Vp; padded logits are -inf, so that their probability is exactly 0.  A target below zero is a
place without a target: no loss, no gradient.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.activations import exp
from charrnn.kernels.compiler import Array2, Array3, Ids2, Ids3, Panels, float32, intp, kernel, void
from charrnn.kernels.matmul import offset
from charrnn.kernels.packing import GROUP, first_row
from charrnn.kernels.simd import WIDTH, at_least, largest, load, load_one, splat, store, store_one, total
from charrnn.kernels.tiles import PANEL

f32 = np.float32


class Soft(NamedTuple):
    """Soft targets: ``q`` (T, B, K) float32, the probabilities of the characters ``ids`` (T, B, K) int32 at each place.

    They are the part ``weight``, float32, of the target; no array is read where it is 0.
    """

    weight: np.float32
    ids: np.ndarray
    q: np.ndarray


SOFT = types.NamedTuple((float32, Ids3, Array3), Soft)
NO_SOFT = Soft(f32(0), np.zeros((1, 1, 0), np.int32), np.zeros((1, 1, 0), f32))


@njit
def row_maximum(row_at, width, panel_step=PANEL):
    """Largest of a row of logits."""
    top = load(row_at, 0)
    for j in range(WIDTH, width, WIDTH):
        top = at_least(load(row_at, offset(j, panel_step)), top)
    return largest(top)


@njit
def log_sum_exp(row_at, width):
    """log Σ_v exp(logits_v) of a row of logits."""
    top = row_maximum(row_at, width)
    sums = splat(f32(0.0))
    for j in range(0, width, WIDTH):
        sums = sums + exp(load(row_at, j) - top)
    return f32(math.log(total(sums)) + top)


@kernel(void(Ids2, float32, float32, SOFT, intp, GROUP, Panels, Array2))
def cross_entropy(y, scale, smoothing, soft, vocabulary, group, logits, losses):
    """losses (T, B) of a group's targets y; if scale is not 0, logits (panels, R, 64) become scale (p - target)."""
    steps, panel_step = y.shape[0], logits.strides[0] // 4
    width = (vocabulary + WIDTH - 1) // WIDTH * WIDTH
    row_at = logits.ctypes.data + 4 * PANEL * (first_row(group.first, steps) + group.last - group.first - 1)
    for t in range(steps):
        for b in range(group.first, group.last):
            row_at += 4 * PANEL
            target = y[t, b]
            if target < 0:
                losses[t, b] = f32(0.0)
                for j in range(0, width, WIDTH):
                    store(row_at, offset(j, panel_step), splat(f32(0.0)))
                continue
            top = row_maximum(row_at, width, panel_step)
            target_logit = load_one(row_at, offset(target, panel_step))
            sums = splat(f32(0.0))
            for j in range(0, width, WIDTH):
                e = exp(load(row_at, offset(j, panel_step)) - top)
                sums = sums + e
                if scale != f32(0.0):
                    store(row_at, offset(j, panel_step), e)
            mass = total(sums)
            losses[t, b] = f32(math.log(mass) + (top - target_logit))
            if scale != f32(0.0):
                factor, hard = scale / mass, f32(1.0) - soft.weight
                for j in range(0, width, WIDTH):
                    store(row_at, offset(j, panel_step), load(row_at, offset(j, panel_step)) * factor)
                place = offset(target, panel_step)
                store_one(row_at, place, load_one(row_at, place) - scale * hard * (f32(1.0) - smoothing))
                if soft.weight != f32(0.0):
                    for k in range(soft.ids.shape[2]):
                        place = offset(soft.ids[t, b, k], panel_step)
                        store_one(row_at, place, load_one(row_at, place) - scale * soft.weight * soft.q[t, b, k])
                if smoothing != f32(0.0):
                    share = scale * hard * smoothing / f32(vocabulary)
                    for character in range(vocabulary):
                        place = offset(character, panel_step)
                        store_one(row_at, place, load_one(row_at, place) - share)
