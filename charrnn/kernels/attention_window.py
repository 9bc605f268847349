"""Attention of all heads of a layer over a window, forward and backward; keys and values are carried on to the next.

Legend: T steps, B batch rows, H columns, N heads of d = H/N columns, C the context.

The backward pass makes the probabilities again from the scores, the rows' maxima and their sums.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.activations import exp
from charrnn.kernels.attention import HEADS, QUERIES, Drops, attend, block_at, block_floats, finish_row, score, visible
from charrnn.kernels.compiler import Array2, Array3, Longs2, Panels, intp, kernel, void
from charrnn.kernels.dropout import MASK, mask_factors, mix
from charrnn.kernels.key_cache import (
    ROW,
    SQUARE,
    Ring,
    clear_rows,
    copy_floats,
    from_parts,
    gather,
    keys_of,
    remember_keys,
    remember_value,
    scatter,
    to_parts,
    values_of,
)
from charrnn.kernels.matmul import Prefetch, Size, Sums, multiply_block, multiply_transposed
from charrnn.kernels.packing import GROUP, first_row
from charrnn.kernels.rotation import fill_turns, rotate
from charrnn.kernels.simd import (
    WIDTH,
    element_numbers,
    fma,
    load,
    load_one,
    splat,
    store,
    store_one,
    total,
    transpose,
    where_below,
)
from charrnn.kernels.tiles import PANEL, PLACE

f32, u32, u64 = np.float32, np.uint32, np.uint64


class Cache(NamedTuple):
    """What the forward pass keeps for the backward pass, and scratch.

    Rings of n panels of each batch row and head, ``keys`` (B, N n d, 64) and ``values`` (B, N n ⌈d/64⌉ 64, 64);
    ``starts`` (B, 1), the position of the window's first character; ``tops`` and ``masses`` (1, R, N), the maximum and
    the sum of each softmax; ``scratch`` (B, :func:`forward_floats`).
    """

    keys: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    tops: np.ndarray
    masses: np.ndarray
    scratch: np.ndarray


class State(NamedTuple):
    """What is carried from window to window.

    ``k`` (B, C, H), rotated, and ``v`` (B, C, H) of the last C characters, the last one at the end; ``position``
    (B, 1), the position of the next character.  Positions begin at 0; the rows of no character are not read.
    """

    k: np.ndarray
    v: np.ndarray
    position: np.ndarray


CACHE = types.NamedTuple((Array3, Array3, Array2, Array3, Array3, Array2), Cache)
STATE = types.NamedTuple((Array3, Array3, Array2), State)


class Places(NamedTuple):
    """The T = ``steps`` rows of a batch row: the first is ``start``, and they are ``stride`` rows apart."""

    start: int
    stride: int
    steps: int


class Queries(NamedTuple):
    """Addresses of turns (T, 2, ``pairs``), of scratch for a row, and of the queries (parts, T, 64)."""

    turns_at: int
    pairs: int
    row_at: int
    queries_at: int


@njit
def ring_of(cache, heads, batch_row, head):
    """The ring of a batch row and head."""
    parts = (heads.size + PANEL - 1) // PANEL
    panels = cache.keys.shape[1] // (heads.number * heads.size)
    return Ring(
        cache.keys.ctypes.data + batch_row * cache.keys.strides[0] + ROW * head * panels * heads.size,
        cache.values.ctypes.data + batch_row * cache.values.strides[0] + SQUARE * head * panels * parts,
        panels,
        heads.size,
        parts,
    )


@njit
def recall(state, batch_row, position, heads, head, ring):
    """Put the keys and values of the characters before a window into the ring, and zeros before these in their panel.

    Zeros, because the gradient multiplies whole panels: 0 times what an earlier window has left there may be no number.
    """
    width, context = state.k.shape[2], heads.context
    known = min(position, context)
    for unseen in range((position - known) // PANEL * PANEL, position - known):
        for k in range(ring.size):
            store_one(keys_of(ring, unseen), k * PANEL + unseen % PANEL, f32(0.0))
        for part in range(ring.parts):
            clear_rows(values_of(ring, unseen) + SQUARE * part + ROW * (unseen % PANEL), 1)
    start = (batch_row * context + context - known) * width + head * heads.size
    remember_keys(ring, state.k.ctypes.data + 4 * start, width, known, position - known)
    for row in range(known):
        remember_value(ring, state.v.ctypes.data + 4 * (start + row * width), position - known + row)


@njit
def shift_state(state, batch_row, steps):
    """Make room in a batch row's state for ``steps`` characters, at its end."""
    _, context, width = state.k.shape
    for row in range(max(context - steps, 0)):
        source, target = (batch_row * context + row + steps) * width, (batch_row * context + row) * width
        copy_floats(state.k.ctypes.data + 4 * source, state.k.ctypes.data + 4 * target, width)
        copy_floats(state.v.ctypes.data + 4 * source, state.v.ctypes.data + 4 * target, width)


def forward_floats(steps: int, size: int) -> int:
    """Floats of scratch for a batch row in :func:`forward`: turns, a query's row, queries, and a block."""
    pairs, parts = -(-(size // 2) // WIDTH) * WIDTH or WIDTH, -(-size // PANEL)
    return steps * 2 * pairs + (WIDTH + 1) * parts * PANEL + parts * steps * PANEL + block_floats(size)


@njit
def gather_queries(qkv, places, column, heads, scratch):
    """The rotated queries of a batch row and head, (parts, T, 64)."""
    for t in range(places.steps):
        row_at = qkv.ctypes.data + ROW * (places.start + t * places.stride)
        gather(row_at, qkv.strides[0] // 4, column, heads.size, scratch.row_at)
        rotate(scratch.row_at, heads.size, scratch.turns_at + 8 * scratch.pairs * t, scratch.pairs, f32(1.0))
        to_parts(scratch.row_at, heads.size, scratch.queries_at + ROW * t, ROW * places.steps)


@kernel(void(Panels, HEADS, GROUP, STATE, MASK, CACHE, Panels))
def forward(qkv, heads, group, state, mask, cache, out):
    """Attention of all heads over a window, for a group of batch rows; the state moves on.

    qkv (⌈3H/64⌉, R, 64) has queries, keys and values, each of all heads side by side, before the rotation.  If
    ``mask.scale`` is above 1, probabilities are dropped.  out (Q, R, 64) gets all heads side by side.
    """
    batch, width, pairs = cache.keys.shape[0], heads.number * heads.size, heads.thetas.size
    rows, panel_step = group.last - group.first, qkv.strides[0] // 4
    steps = (qkv.shape[1] - batch) // batch
    parts = (heads.size + PANEL - 1) // PANEL
    turns_at = cache.scratch.ctypes.data + group.first * cache.scratch.strides[0]
    temporary_at = turns_at + 8 * pairs * steps
    queries_at = temporary_at + ROW * parts * (WIDTH + 1)
    scratch = Queries(turns_at, pairs, temporary_at, queries_at)
    block = block_at(queries_at + ROW * parts * steps, parts)
    stride = PANEL * parts
    for b in range(group.first, group.last):
        position = intp(state.position[b, 0])
        start = first_row(group.first, steps) + rows + b - group.first
        for t in range(steps):
            fill_turns(heads.thetas.ctypes.data, pairs, position + t, turns_at + 8 * pairs * t)
        cache.starts[b, 0] = state.position[b, 0]
        for head in range(heads.number):
            recall(state, b, position, heads, head, ring_of(cache, heads, b, head))
        shift_state(state, b, steps)
        for head in range(heads.number):
            ring, column = ring_of(cache, heads, b, head), head * heads.size
            waiting = 0
            for t in range(steps):
                row_at = qkv.ctypes.data + ROW * (start + t * rows)
                slot = heads.context - steps + t  # of the state
                state_place = 4 * ((b * heads.context + slot) * width + column)
                gather(row_at, panel_step, 2 * width + column, heads.size, temporary_at)
                remember_value(ring, temporary_at, position + t)
                if slot >= 0:
                    copy_floats(temporary_at, state.v.ctypes.data + state_place, heads.size)
                key_at = temporary_at + 4 * stride * (1 + waiting)
                gather(row_at, panel_step, width + column, heads.size, key_at)
                rotate(key_at, heads.size, turns_at + 8 * pairs * t, pairs, f32(1.0))
                if slot >= 0:
                    copy_floats(key_at, state.k.ctypes.data + state_place, heads.size)
                waiting += 1
                if waiting == WIDTH or t == steps - 1 or (position + t + 1) % WIDTH == 0:
                    remember_keys(ring, temporary_at + 4 * stride, stride, waiting, position + t + 1 - waiting)
                    waiting = 0
            gather_queries(qkv, Places(start, rows, steps), column, heads, scratch)
            for first in range(0, steps, QUERIES):
                count = min(QUERIES, steps - first)
                drops = drops_of(mask, first, b, heads, head, position)
                attend(heads, ring, queries_at + ROW * first, ROW * steps, position + first, count, block, drops)
                for row in range(count):
                    place = start + (first + row) * rows
                    cache.tops[0, place, head] = load_one(block.tops_at, row * WIDTH)
                    cache.masses[0, place, head] = load_one(block.masses_at, row * WIDTH)
                    out_at = out.ctypes.data + ROW * place
                    finish_row(ring, block, row, out_at, out.strides[0] // 4, column, temporary_at)
        state.position[b, 0] = f32(wrapped(position + steps))


@njit
def drops_of(mask, first, batch_row, heads, head, position):
    """Where dropout falls on the queries of a batch row and head from step ``first`` on; nowhere without dropout."""
    if mask.scale == f32(1.0):
        return Drops(mask, 0, 0, 0)
    place = (first * mask.stride + mask.first_row + batch_row) * heads.number + head
    return Drops(mask, place, mask.stride * heads.number, position - heads.context)


LAST_POSITION = 2**24  # below it a float32 holds every whole number


@njit
def wrapped(position):
    """A position that a float32 can hold: angles are the same 2²³ positions earlier."""
    return position - LAST_POSITION // 2 if position >= LAST_POSITION else position


# ---- back through a window ----------------------------------------------------------------------------


class Work(NamedTuple):
    """Scratch (B, :func:`backward_floats`), and ``places`` (QUERIES, PLACE): of rows one behind the other."""

    scratch: np.ndarray
    places: np.ndarray


WORK = types.NamedTuple((Array2, Longs2), Work)
PLACES = np.array([[ROW * number] * PLACE for number in range(QUERIES)], np.int64)


def backward_floats(steps: int, size: int) -> int:
    """Floats of scratch for a batch row in :func:`backward`."""
    pairs, parts = -(-(size // 2) // WIDTH) * WIDTH or WIDTH, -(-size // PANEL)
    return (
        steps * (2 * pairs + 3 * parts * PANEL + WIDTH) + 2 * parts * PANEL + 2 * QUERIES * PANEL + 4 * parts * PANEL**2
    )


@njit
def transpose_panel(source_at, rows, columns, target_at):
    """target (columns, 64) = the transpose of the first columns of source (rows, 64)."""
    if rows % WIDTH == 0 and columns % WIDTH == 0:
        for i in range(0, rows, WIDTH):
            for j in range(0, columns, WIDTH):
                transpose(source_at + 4 * (i * PANEL + j), PANEL, target_at + 4 * (j * PANEL + i), PANEL)
    else:
        for i in range(rows):
            for j in range(columns):
                store_one(target_at, j * PANEL + i, load_one(source_at, i * PANEL + j))


@njit
def dot(x_at, y_at, size):
    """x · y of two rows that are zero from ``size`` on to the next multiple of 16."""
    sums = splat(f32(0.0))
    for k in range(0, size, WIDTH):
        sums = fma(load(x_at, k), load(y_at, k), sums)
    return total(sums)


@kernel(void(Panels, HEADS, GROUP, MASK, CACHE, Panels, Panels, WORK))
def backward(qkv, heads, group, mask, cache, out, dout, work):
    """Back through :func:`forward`: from dout (Q, R, 64), the gradient of its output; qkv become their gradient.

    With P the probabilities, dropped ones P ⊙ m, and δ_p = da_p · a_p:

        dv_j = Σ_p (P ⊙ m)_pj da_p      dP = m ⊙ (da vᵀ)      ds = P ⊙ (dP - δ)      dq, dk from ds / sqrt(d)

    The keys and values of characters before the window get no gradient.
    """
    batch, width, pairs = cache.keys.shape[0], heads.number * heads.size, heads.thetas.size
    rows, panel_step, size = group.last - group.first, qkv.strides[0] // 4, heads.size
    steps = (qkv.shape[1] - batch) // batch
    parts = (size + PANEL - 1) // PANEL
    turns_at = work.scratch.ctypes.data + group.first * work.scratch.strides[0]
    temporary_at = turns_at + 8 * pairs * steps
    other_at = temporary_at + ROW * parts
    queries_at = other_at + ROW * parts
    scratch = Queries(turns_at, pairs, temporary_at, queries_at)
    douts_at = queries_at + ROW * parts * steps
    dqueries_at = douts_at + ROW * parts * steps
    deltas_at = dqueries_at + ROW * parts * steps
    scores_at = deltas_at + 4 * WIDTH * steps
    dscores_at = scores_at + ROW * QUERIES
    keys_at = dscores_at + ROW * QUERIES
    values_at = keys_at + SQUARE * parts
    dkeys_at = values_at + SQUARE * parts
    dvalues_at = dkeys_at + SQUARE * parts
    clear_rows(temporary_at, 2 * parts)  # what lies behind the columns of a head stays zero
    listed = work.places.ctypes.data
    for b in range(group.first, group.last):
        position = intp(cache.starts[b, 0])
        start = first_row(group.first, steps) + rows + b - group.first
        for t in range(steps):
            fill_turns(heads.thetas.ctypes.data, pairs, position + t, turns_at + 8 * pairs * t)
        for head in range(heads.number):
            ring, column = ring_of(cache, heads, b, head), head * size
            gather_queries(qkv, Places(start, rows, steps), column, heads, scratch)
            clear_rows(dqueries_at, parts * steps)
            for t in range(steps):
                place = ROW * (start + t * rows)
                gather(out.ctypes.data + place, out.strides[0] // 4, column, size, other_at)
                gather(dout.ctypes.data + place, dout.strides[0] // 4, column, size, temporary_at)
                to_parts(temporary_at, size, douts_at + ROW * t, ROW * steps)
                store_one(deltas_at, t, dot(temporary_at, other_at, size))
            lowest, last = max(position - heads.context + 1, 0), position + steps - 1
            for base in range(lowest // PANEL * PANEL, last + 1, PANEL):
                for part in range(parts):
                    columns = min(PANEL, size - PANEL * part)
                    transpose_panel(keys_of(ring, base) + SQUARE * part, columns, PANEL, keys_at + SQUARE * part)
                    transpose_panel(values_of(ring, base) + SQUARE * part, PANEL, columns, values_at + SQUARE * part)
                is_own = base + PANEL > position
                clear_rows(dkeys_at, 2 * parts * PANEL)
                for first in range(
                    max(base - position, 0), min(steps, base + PANEL - 1 + heads.context - position), QUERIES
                ):
                    count = min(QUERIES, steps - first)
                    end = min(position + first + count - base, PANEL)
                    vectors = (end + WIDTH - 1) // WIDTH
                    q_at, da_at = queries_at + ROW * first, douts_at + ROW * first
                    score(q_at, ROW * steps, keys_of(ring, base), size, count, vectors, scores_at)
                    score(da_at, ROW * steps, values_at, size, count, vectors, dscores_at)
                    drops = drops_of(mask, first, b, heads, head, position)
                    for row in range(count):
                        since, until = visible(heads, position + first + row, base)
                        length, zero = splat(u32(max(until - since, 0))), splat(f32(0.0))
                        source = start + (first + row) * rows
                        top, inverse = cache.tops[0, source, head], f32(1.0) / cache.masses[0, source, head]
                        delta = load_one(deltas_at, first + row)
                        place = mix(mask.key + u64(drops.first_place + row * drops.places)) if drops.places else u64(0)
                        for k in range(0, vectors * WIDTH, WIDTH):
                            at = row * PANEL + k
                            seen = element_numbers() + u32(k - since)
                            p = exp(load(scores_at, at) * heads.scale - top) * inverse
                            p = where_below(seen, length, p, zero)
                            dp = load(dscores_at, at)
                            if drops.places:
                                factors = mask_factors(mask, place, base + k - drops.origin)
                                store(scores_at, at, p * factors)
                                dp = dp * factors
                            else:
                                store(scores_at, at, p)
                            store(dscores_at, at, p * (dp - delta) * heads.scale)
                    none = Prefetch(q_at, listed)  # it is in the cache
                    for part in range(parts):
                        wide = (min(PANEL, size - PANEL * part) + WIDTH - 1) // WIDTH
                        block, dq_at = keys_at + SQUARE * part, dqueries_at + ROW * (steps * part + first)
                        multiply_block(dscores_at, PANEL, block, dq_at, PANEL, Size(end, count, wide), block, block)
                        if is_own:
                            shift, x = ROW * steps * part, SQUARE * part
                            dkeys, dvalues = Sums(dkeys_at + x, 0, 0, 0), Sums(dvalues_at + x, 0, 0, 0)
                            of = Size(count, end, wide)
                            multiply_transposed(dscores_at, q_at + shift, dkeys, of, listed, none, none, none)
                            multiply_transposed(scores_at, da_at + shift, dvalues, of, listed, none, none, none)
                for p in range(max(base, position), min(base + PANEL, last + 1)):
                    row_at = qkv.ctypes.data + ROW * (start + (p - position) * rows)
                    from_parts(dvalues_at + ROW * (p - base), SQUARE, size, temporary_at)
                    scatter(temporary_at, size, row_at, panel_step, 2 * width + column)
                    from_parts(dkeys_at + ROW * (p - base), SQUARE, size, temporary_at)
                    rotate(temporary_at, size, turns_at + 8 * pairs * (p - position), pairs, f32(-1.0))
                    scatter(temporary_at, size, row_at, panel_step, width + column)
            for t in range(steps):
                from_parts(dqueries_at + ROW * t, ROW * steps, size, temporary_at)
                rotate(temporary_at, size, turns_at + 8 * pairs * t, pairs, f32(-1.0))
                scatter(temporary_at, size, qkv.ctypes.data + ROW * (start + t * rows), panel_step, column)
