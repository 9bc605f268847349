"""Gradients of weights: sums over all places (t, b) of a window.

    dW = Σ_p x_pᵀ dy_p        db = Σ_p dy_p        for one-hot x:  dW[x_p] += dy_p

A call makes some panels of 64 columns of dW, so threads share out panels, and no sum is split between threads.  The
places are taken in an order that is the same for any number of threads (:class:`charrnn.network.workspace.Layout`), and
in blocks, so that a block of x, a block of dy's panel and the panels' sums stay in the near caches while they are
multiplied.  If the batch rows are divided into several groups, the sums of the groups are added in a tree
(:mod:`charrnn.network.sum_tree`).  The rows of a group are scattered over the window, often a power of two apart.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.compiler import Array1, Array2, Array3, Ids2, Longs1, Longs2, Panels, intp, kernel, void
from charrnn.kernels.matmul import Prefetch, Size, Sums, multiply_transposed
from charrnn.kernels.packing import BIAS_ORDER, unpack, used_blocks
from charrnn.kernels.simd import WIDTH, load, splat, store
from charrnn.kernels.tiles import PANEL, TILES_LIST_ROWS

f32 = np.float32

PANELS = 2  # of a call, at most: x is read once for all of them
BLOCK_PLACES = 64


class Portions(NamedTuple):
    """Which rows of x and dy are multiplied with each other, and in what order.

    ``places`` (n + BLOCK_PLACES, 2) int64 lists rows, in bytes behind the beginning of a panel of x, and of dy.  The
    last BLOCK_PLACES are zeros.  ``blocks`` (m + 1, 3) int64 lists blocks of at most BLOCK_PLACES rows.  Columns: the
    block's first place; whether its rows are scattered, instead of one behind the other; -1 or, behind the last block
    of a group, how often the two sums on top of the stack are added.  The last block is only an end.
    """

    places: np.ndarray
    blocks: np.ndarray


class PanelRange(NamedTuple):
    """Panels ``first`` to ``last`` of a gradient: what one call makes."""

    first: int
    last: int


PORTIONS = types.NamedUniTuple(Longs2, len(Portions._fields), Portions)
PANEL_RANGE = types.NamedUniTuple(intp, len(PanelRange._fields), PanelRange)


class Picked(NamedTuple):
    """The places of a window, sorted by the character that is read there, then by their groups of batch rows.

    ``rows`` (T·B,) int64 has the places' rows in a window's arrays.  Those of character v are numbers ``starts[v]`` to
    ``starts[v + 1]``.  ``groups`` (T·B,) int64 has their groups, and ``merges`` says for each group how often the two
    sums on top of the stack are added behind it.
    """

    rows: np.ndarray
    groups: np.ndarray
    starts: np.ndarray
    merges: np.ndarray


PICKED = types.NamedUniTuple(Longs1, len(Picked._fields), Picked)


def scratch_size(depth: int, sums: int = 1) -> int:
    """Floats of scratch that the kernels need for K = ``depth`` inputs and at most ``sums`` sums on the stack."""
    copies = BLOCK_PLACES * PANEL * (-(-depth // PANEL) + 1)
    return PANEL * PANELS * (depth + 1) * sums + copies


def panel_ranges(count: int, threads: int) -> list[PanelRange]:
    """Split ``count`` panels into nearly equal calls of at most PANELS, an equal number of calls for every thread."""
    rounds = -(-count // (PANELS * threads))
    calls = min(count, rounds * threads)
    return [PanelRange(count * call // calls, count * (call + 1) // calls) for call in range(calls)]


@njit
def clear(address, elements):
    """Write zeros to ``elements`` floats (a multiple of 16)."""
    for k in range(0, elements, WIDTH):
        store(address, k, splat(f32(0.0)))


@njit
def add(sums, others, elements):
    """sums += others, for ``elements`` floats (a multiple of 16) at two addresses."""
    for k in range(0, elements, WIDTH):
        store(sums, k, load(sums, k) + load(others, k))


@njit
def add_rows(panel, places, begin, end, sums_at):
    """sums (64,) += Σ of the rows of a panel of dy at the places ``begin`` to ``end``."""
    # Four sums at a time, in registers: one alone waits for each addition.
    a, b = load(sums_at, 0), load(sums_at, WIDTH)
    c, d = load(sums_at, 2 * WIDTH), load(sums_at, 3 * WIDTH)
    for number in range(begin, end):
        row_at = panel + places[number, 1]
        a = a + load(row_at, 0)
        b = b + load(row_at, WIDTH)
        c = c + load(row_at, 2 * WIDTH)
        d = d + load(row_at, 3 * WIDTH)
    store(sums_at, 0, a)
    store(sums_at, WIDTH, b)
    store(sums_at, 2 * WIDTH, c)
    store(sums_at, 3 * WIDTH, d)


@njit
def copy(source, target, elements):
    """target = source, for ``elements`` floats (a multiple of 16) at two addresses."""
    for k in range(0, elements, WIDTH):
        store(target, k, load(source, k))


@njit
def place_at(places, number):
    """The address of a place."""
    return places.ctypes.data + number * places.strides[0]


@njit
def rows_at(panel, places, column, begin, end, target, copies):
    """The address that tiles read the rows of a panel from: those at the places ``begin`` to ``end``.

    ``column`` is 0 for a panel of x and 1 for one of dy.  With ``copies`` the rows are copied to ``target`` first;
    tiles that look up where each row is need no copies.
    """
    if TILES_LIST_ROWS:
        return panel
    if not copies:
        return panel + places[begin, column]
    for number in range(begin, end):
        copy(panel + places[number, column], target + 4 * PANEL * (number - begin), PANEL)
    return target


@njit
def sum_rows(panel_at, rows, first, last, sums_at):
    """sums (64,) = Σ of a panel's rows with the numbers rows[first] to rows[last]."""
    zero = splat(f32(0.0))
    a, b, c, d = zero, zero, zero, zero
    for k in range(first, last):
        row = rows[k] * PANEL
        a = a + load(panel_at, row)
        b = b + load(panel_at, row + WIDTH)
        c = c + load(panel_at, row + 2 * WIDTH)
        d = d + load(panel_at, row + 3 * WIDTH)
    store(sums_at, 0, a)
    store(sums_at, WIDTH, b)
    store(sums_at, 2 * WIDTH, c)
    store(sums_at, 3 * WIDTH, d)


@kernel(void(Panels, Panels, PORTIONS, PANEL_RANGE, Array1, intp, Array2, Array2))
def weight_gradient(x, dy, portions, panels, scratch, order, gradient, bias):
    """Some panels, at most PANELS, of gradient (K, N) = Σ xᵀ dy and of bias (1, N) = Σ dy.

    x and dy (panels, R, 64); ``portions`` says which of their rows are multiplied.  The columns of dy are
    in ``order``, see :mod:`charrnn.kernels.packing`.  bias may have no row: then its sum is left out.
    :func:`scratch_size` says how large scratch is.
    """
    depth, columns = gradient.shape
    places, blocks, first, count = portions.places, portions.blocks, panels.first, panels.last - panels.first
    panel_size, block_size = PANEL * depth, 4 * BLOCK_PLACES * PANEL
    size = count * (panel_size + PANEL)
    dy_copy = intp(scratch.ctypes.data)
    x_copies = dy_copy + block_size
    sums_at = x_copies + block_size * ((depth + PANEL - 1) // PANEL)  # the sum on top of the stack
    biases, begins_group = count * PANEL, True
    nothing_at = place_at(places, blocks[len(blocks) - 1, 0])
    for number in range(len(blocks) - 1):
        bias_at = sums_at + 4 * count * panel_size
        if begins_group:
            clear(bias_at, biases)
        begin, scattered, merges = blocks[number]
        end = blocks[number + 1, 0]
        listed, next_listed, copies = place_at(places, begin), place_at(places, end), scattered and not TILES_LIST_ROWS
        for panel in range(count):
            dy_panel = dy.ctypes.data + (first + panel) * dy.strides[0]
            dy_at = rows_at(dy_panel, places, 1, begin, end, dy_copy, copies)
            if bias.shape[0]:
                add_rows(dy_panel, places, begin, end, bias_at + 4 * panel * PANEL)
            block, vectors = used_blocks(columns, first + panel, order)
            shift = 4 * WIDTH * block
            nothing = Prefetch(dy_at, nothing_at)
            for k in range(0, depth, PANEL):
                x_panel = x.ctypes.data + k // PANEL * x.strides[0]
                x_copy = x_copies + k // PANEL * block_size
                x_at = rows_at(x_panel, places, 0, begin, end, x_copy, copies) if panel == 0 or not copies else x_copy
                added_to = Sums(sums_at + 4 * (panel * panel_size + k * PANEL) + shift, begins_group, 4 * size, merges)
                # Prefetch this panel's next block once, and while the first panel is made x's next blocks.
                dy_ahead = Prefetch(dy_panel + shift, next_listed + places.strides[1]) if k == 0 else nothing
                x_ahead = Prefetch(x_panel, next_listed) if panel == 0 else nothing
                part = Size(end - begin, min(PANEL, depth - k), vectors)
                multiply_transposed(x_at, dy_at + shift, added_to, part, listed, dy_ahead, x_ahead, nothing)
        begins_group = merges >= 0
        for _ in range(merges):  # the tiles have added the two sums on top of the stack, but for the biases
            sums_at, bias_at = sums_at - 4 * size, bias_at - 4 * size
            add(bias_at, bias_at + 4 * size, biases)
        if begins_group and number + 2 < len(blocks):
            sums_at += 4 * size
    unpack(sums_at, panels, order, gradient)
    unpack(sums_at + 4 * count * panel_size, panels, BIAS_ORDER[order], bias)


@kernel(void(Ids2, Longs2, Longs2, Longs1, Longs1, Longs1))
def sort_places(x, x_rows, bounds, rows, groups, starts):
    """Sort the places of ids x (T, B) by their character, then by group, step and batch row: see :class:`Picked`.

    ``x_rows`` (T, B) has the places' rows, ``bounds`` (G, 2) the first batch row of each group and the one behind it.
    """
    starts[:] = 0
    for t in range(x.shape[0]):
        for b in range(x.shape[1]):
            starts[x[t, b] + 1] += 1
    for character in range(1, starts.size):
        starts[character] += starts[character - 1]
    # While places are put in, starts[v] is where the next place of v goes.  At the end it is the start of v + 1.
    for group in range(bounds.shape[0]):
        for t in range(x.shape[0]):
            for b in range(bounds[group, 0], bounds[group, 1]):
                number = starts[x[t, b]]
                starts[x[t, b]] += 1
                rows[number], groups[number] = x_rows[t, b], group
    for character in range(starts.size - 1, 0, -1):
        starts[character] = starts[character - 1]
    starts[0] = 0


@kernel(void(PICKED, Panels, PANEL_RANGE, intp, Array1, Array3, Array2))
def row_gradient(picked, dy, panels, order, scratch, dtable, gradient):
    """Some panels of dtable (panels, V, 64), the gradient of the rows that one-hot characters pick.

    A character's row is the sum of the rows of dy (panels, R, 64) at its places.  The columns of dy are in ``order``.
    The panels are written to their columns of gradient (V, N) too, unless it has no row.
    """
    rows, starts, groups, merges = dtable.shape[1], picked.starts, picked.groups, picked.merges
    for panel in range(panels.first, panels.last):
        dy_at, table_at = dy.ctypes.data + panel * dy.strides[0], dtable.ctypes.data + panel * dtable.strides[0]
        for character in range(rows):
            number, end, row_at = starts[character], starts[character + 1], table_at + 4 * PANEL * character
            if number == end:
                clear(row_at, PANEL)
                continue
            # A group without a place of the character would add zeros.  So its sum, marked as missing, is not added.
            stack, missing, sums_at = 0, 0, intp(scratch.ctypes.data)
            for group in range(merges.size):
                first = number
                while number < end and groups[number] == group:
                    number += 1
                if first < number:
                    sum_rows(dy_at, picked.rows, first, number, sums_at + 4 * PANEL * stack)
                missing = missing << 1 | (first == number)
                for _ in range(merges[group]):
                    stack -= 1
                    below = sums_at + 4 * PANEL * stack
                    if missing & 3 == 0:
                        add(below, below + 4 * PANEL, PANEL)
                    elif missing & 3 == 2:
                        copy(below + 4 * PANEL, below, PANEL)
                    missing = missing >> 2 << 1 | (missing & 3 == 3)
                stack += 1
            copy(sums_at, row_at, PANEL)
    unpack(dtable.ctypes.data + 4 * panels.first * rows * PANEL, panels, order, gradient)
