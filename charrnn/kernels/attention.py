"""Causal attention of a block of queries of one head.

Legend: N heads of d columns, C the context: a character at position p looks at the positions p-C+1 to p.  For one head:

    s_pj = q_p · k_j / sqrt(d)        a_p = Σ_j softmax(s_p)_j v_j

(Vaswani et al. 2017).  q and k are rotated by their positions first (:mod:`charrnn.kernels.rotation`); keys and values
are in rings of panels (:mod:`charrnn.kernels.key_cache`).

The softmax is streamed (Milakov & Gimelshein 2018; Dao et al. 2022, "FlashAttention"): queries are taken in blocks,
keys panel by panel.  Whenever a panel has a larger score than all panels before, the sums so far are scaled down.
Panels begin at multiples of 64 positions, so a query's sums have one order, whether it is a step or a row of a window.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.activations import exp
from charrnn.kernels.compiler import float32, intp, uint32
from charrnn.kernels.dropout import Mask, mask_factors, mix
from charrnn.kernels.key_cache import ROW, SQUARE, clear_rows, from_parts, keys_of, scatter, values_of
from charrnn.kernels.matmul import Size, multiply_block
from charrnn.kernels.simd import WIDTH, at_least, element_numbers, fma, largest, load, splat, store, total, where_below
from charrnn.kernels.tiles import PANEL

f32, u32, u64 = np.float32, np.uint32, np.uint64

QUERIES = 32  # of a block


class Heads(NamedTuple):
    """N heads of d = ``size`` columns that look at ``context`` positions.

    ``scale`` is 1 / sqrt(d), ``thetas`` are :func:`charrnn.kernels.rotation.angles`.
    """

    number: int
    size: int
    context: int
    scale: np.float32
    thetas: np.ndarray


HEADS = types.NamedTuple((intp, intp, intp, float32, types.Array(uint32, 1, "C")), Heads)


class Block(NamedTuple):
    """Scratch for a block of queries: addresses of scores (32, 64), of sums (parts, 32, 64), and of tops, masses and
    shrinks (32, 16).

    A query's top is its largest score so far, its mass the sum of its exponentials so far.  Its shrink is the factor by
    which both sums are scaled down when the top grows.  Each of the three is stored as 16 equal numbers, one vector.
    """

    scores_at: int
    sums_at: int
    tops_at: int
    masses_at: int
    shrinks_at: int


class Drops(NamedTuple):
    """The dropout of the probabilities of a block of queries.

    Query ``row`` has the place ``first_place`` + ``row`` · ``places`` among the masks, and the key at position
    ``origin`` is unit 0.  Nothing is dropped if ``places`` is 0.
    """

    mask: Mask
    first_place: int
    places: int
    origin: int


def block_floats(size: int) -> int:
    """Floats of scratch for a :class:`Block`."""
    return QUERIES * (PANEL + PANEL * -(-size // PANEL) + 3 * WIDTH)


@njit
def score(q_at, part_step, keys_at, size, count, vectors, scores_at):
    """scores (count, 64) = Σ q kᵀ, of 16 ``vectors`` keys of a panel."""
    clear_rows(scores_at, count)
    for k in range(0, size, PANEL):
        part = Size(min(PANEL, size - k), count, vectors)
        block = keys_at + ROW * k
        multiply_block(q_at + k // PANEL * part_step, PANEL, block, scores_at, PANEL, part, block, block)


@njit
def visible(heads, position, base):
    """The first and last key + 1 of the panel from position ``base`` on that a query sees, within 0 and 64."""
    return (
        min(max(position - heads.context + 1 - base, 0), PANEL),
        min(max(position + 1 - base, 0), PANEL),
    )


@njit
def weigh(heads, block, first, count, base, vectors):
    """Scale the scores of a panel's keys, set those that a query does not see to -∞, and keep the largest in its top.

    What the sums so far are to be multiplied by goes to ``shrinks``.  Scores of a query that sees no key become 0.
    """
    for row in range(count):
        since, until = visible(heads, first + row, base)
        row_at = block.scores_at + ROW * row
        if since >= until:
            for k in range(0, vectors * WIDTH, WIDTH):
                store(row_at, k, splat(f32(0.0)))
            continue
        length, nothing = splat(u32(until - since)), splat(f32(-np.inf))
        before = load(block.tops_at, row * WIDTH)
        top = before
        for k in range(0, vectors * WIDTH, WIDTH):
            seen = element_numbers() + u32(k - since)
            s = where_below(seen, length, load(row_at, k) * heads.scale, nothing)
            store(row_at, k, s)
            top = at_least(s, top)
        top = splat(largest(top))
        store(block.tops_at, row * WIDTH, top)
        store(block.shrinks_at, row * WIDTH, before - top)


@njit
def exponentiate(block, row, vectors, drops, base):
    """The scores of a query become exp(score - top); the query's mass gains their sum."""
    row_at, top, mass = block.scores_at + ROW * row, load(block.tops_at, row * WIDTH), splat(f32(0.0))
    place = mix(drops.mask.key + u64(drops.first_place + row * drops.places)) if drops.places else u64(0)
    for k in range(0, vectors * WIDTH, WIDTH):
        p = exp(load(row_at, k) - top)
        mass = mass + p
        if drops.places:
            p = p * mask_factors(drops.mask, place, base + k - drops.origin)
        store(row_at, k, p)
    shrink = exp(load(block.shrinks_at, row * WIDTH))
    store(block.shrinks_at, row * WIDTH, shrink)
    store(block.masses_at, row * WIDTH, fma(load(block.masses_at, row * WIDTH), shrink, splat(total(mass))))


@njit
def attend(heads, ring, q_at, part_step, first, count, block, drops):
    """Attention of ``count`` queries at positions from ``first`` on; ``block`` has sums, tops and masses at the end.

    The queries are rows of parts of 64 columns, ``part_step`` bytes apart.  The sums are those before the division by
    the masses.
    """
    for row in range(count):
        store(block.tops_at, row * WIDTH, splat(f32(-np.inf)))
        store(block.masses_at, row * WIDTH, splat(f32(0.0)))
    for part in range(ring.parts):
        clear_rows(block.sums_at + ROW * QUERIES * part, count)
    lowest, highest = max(first - heads.context + 1, 0), first + count - 1
    for base in range(lowest // PANEL * PANEL, highest + 1, PANEL):
        begin, end = max(lowest - base, 0), min(highest - base + 1, PANEL)
        vectors = (end + WIDTH - 1) // WIDTH
        score(q_at, part_step, keys_of(ring, base), ring.size, count, vectors, block.scores_at)
        weigh(heads, block, first, count, base, vectors)
        for row in range(count):
            since, until = visible(heads, first + row, base)
            if since < until:
                exponentiate(block, row, vectors, drops, base)
                shrink = load(block.shrinks_at, row * WIDTH)
                for part in range(ring.parts):
                    sums_at = block.sums_at + ROW * (QUERIES * part + row)
                    for k in range(0, PANEL, WIDTH):
                        store(sums_at, k, load(sums_at, k) * shrink)
        values_at = values_of(ring, base) + ROW * begin
        for part in range(ring.parts):
            vectors = (min(PANEL, ring.size - PANEL * part) + WIDTH - 1) // WIDTH
            b = values_at + SQUARE * part
            multiply_block(
                block.scores_at + 4 * begin,
                PANEL,
                b,
                block.sums_at + ROW * QUERIES * part,
                PANEL,
                Size(end - begin, count, vectors),
                b,
                b,
            )


@njit
def finish_row(ring, block, row, out_at, panel_step, column, temporary_at):
    """Divide a query's sums by its mass, and write them to columns of a row of panels."""
    inverse = f32(1.0) / load(block.masses_at, row * WIDTH)
    for part in range(ring.parts):
        sums_at = block.sums_at + ROW * (QUERIES * part + row)
        for k in range(0, PANEL, WIDTH):
            store(sums_at, k, load(sums_at, k) * inverse)
    from_parts(block.sums_at + ROW * row, ROW * QUERIES, ring.size, temporary_at)
    scatter(temporary_at, ring.size, out_at, panel_step, column)


@njit
def block_at(address, parts):
    """A block's scratch, from an address on: :func:`block_floats`."""
    sums_at = address + ROW * QUERIES
    tops_at = sums_at + ROW * QUERIES * parts
    masses_at = tops_at + 4 * WIDTH * QUERIES
    shrinks_at = masses_at + 4 * WIDTH * QUERIES
    return Block(address, sums_at, tops_at, masses_at, shrinks_at)
