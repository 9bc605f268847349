"""A range coder over what a network expects: symbols become bytes, and bytes become symbols again, in a compiled loop.

Legend: N steps, B rows of text that are coded side by side, V symbols of the network, padded to Vp.  One more symbol,
V, is the escape: it stands for something that the network does not know.

A row's code is a number from 0 to 1, written in base 256 (Martin 1979).  ``low`` and ``range`` are its interval, 64
bits each, and ``range`` is at least 2⁵⁶.  A symbol that has ``size`` of ``total`` shares, behind ``below`` shares of
the symbols before it, narrows the interval:

    unit = ⌊range / total⌋      low += unit · below      range = unit · size

Shares are whole numbers, and every step from logits to shares is the same bits on any processor, for any vector width,
and for any number of threads.  So the decoder has the encoder's shares.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.activations import exp
from charrnn.kernels.barrier import wait_at_barrier
from charrnn.kernels.compiler import Array2, Ids1, Ids2, Longs1, Longs2, intp, kernel, uint64, void
from charrnn.kernels.cross_entropy import row_maximum
from charrnn.kernels.sampling import STEPS, read_character
from charrnn.kernels.simd import WIDTH, load, store
from charrnn.kernels.step import SHARE

f32, i64, u64, u8 = np.float32, np.int64, np.uint64, np.uint8

FINE, COARSE = f32(2.0**24), f32(2.0**20)  # shares of the likeliest symbol
MOST_FINE = 4096  # with more symbols than this the likeliest one has COARSE shares, so that the total stays below 2⁴¹
LOWEST_RANGE = u64(1 << 56)

# Columns of ``intervals``.  CODE is the decoder's: the code's next eight bytes minus ``low``.
LOW = CODE = 0
RANGE = 1
# Columns of ``places``: bytes written or read, bytes there are to read, symbols and escapes coded so far, and whether
# the bytes can be no encoder's.
AT, END, CODED, ESCAPES, DAMAGED = range(5)
COLUMNS = 8  # of both, so that the rows of two threads are not in one cache line


class Task(NamedTuple):
    """What to code.

    Attributes:
        symbols: (N, B) int32, to be encoded, or room for what is decoded.
        lengths: (B,) int64: a row codes the first so many of its N symbols.
        decoding: 1 to decode, 0 to encode.
        characters: V.
        replacement: the id that the network reads in place of an escape.
        escapes: 1 if there is an escape symbol, else 0.
    """

    symbols: np.ndarray
    lengths: np.ndarray
    decoding: int
    characters: int
    replacement: int
    escapes: int


class Codes(NamedTuple):
    """The rows' codes: ``intervals`` (B, 8) uint64, ``places`` (B, 8) int64, and the bytes ``data`` (B, C) uint8."""

    intervals: np.ndarray
    places: np.ndarray
    data: np.ndarray


class Scratch(NamedTuple):
    """Arrays of :func:`code`: ``logits``, ``weights`` (B, Vp) float32, ``shares`` (B, Vp) int32, barrier flags."""

    logits: np.ndarray
    weights: np.ndarray
    shares: np.ndarray
    flags: np.ndarray


Words2 = types.Array(uint64, 2, "C")
Bytes2 = types.Array(types.uint8, 2, "C")
TASK = types.NamedTuple((Ids2, Longs1, intp, intp, intp, intp), Task)
CODES = types.NamedTuple((Words2, Longs2, Bytes2), Codes)
SCRATCH = types.NamedTuple((Array2, Array2, Ids2, Longs1), Scratch)


@njit
def set_shares(logits_at, weights, shares, count):
    """shares (count,) = 1 + ⌊scale · exp(logit - largest logit)⌋; returns their sum.

    Where a logit is not a number, or all are infinite, the share is 1.
    """
    width, scale = weights.size, FINE if count <= MOST_FINE else COARSE
    top = row_maximum(logits_at, width)
    for j in range(0, width, WIDTH):
        store(weights.ctypes.data, j, exp(load(logits_at, j) - top))
    total = i64(0)
    for k in range(count):
        weight = weights[k]
        weight = weight if weight > f32(0.0) else f32(0.0)  # a NaN becomes 0, too
        weight = weight if weight < f32(1.0) else f32(1.0)
        share = np.int32(weight * scale) + np.int32(1)
        shares[k] = share
        total += share
    return total


@njit
def escape_share(total, places):
    """The share of the escape beside symbols with ``total`` shares.

    It is to ``total`` as the escapes in the row so far, plus 1/64, are to the other symbols, plus 1; at most 16 times
    the total.
    """
    escapes, others = places[ESCAPES], places[CODED] - places[ESCAPES]
    odds_up, odds_down = 64 * escapes + 1, 64 * (others + 1)
    if odds_up >= 16 * odds_down:
        return 16 * total
    while odds_up > 1 << 16:  # the product below must fit into 63 bits
        odds_up, odds_down = odds_up >> 1, odds_down >> 1
    return max(total * odds_up // max(odds_down, 1), 1)


@njit
def write_byte(places, data, byte):
    """Append a byte to a row."""
    data[places[AT]] = byte
    places[AT] += 1


@njit
def carry(places, data):
    """Add one to the number that the written bytes are."""
    at = places[AT] - 1
    while data[at] == u8(255):
        data[at] = u8(0)
        at -= 1
    data[at] += u8(1)


@njit
def encode(interval, places, data, below, size, total):
    """Narrow a row's interval to ``size`` of ``total`` shares behind ``below``."""
    unit = interval[RANGE] // u64(total)
    low = interval[LOW] + unit * u64(below)
    if low < interval[LOW]:
        carry(places, data)
    width = unit * u64(size)
    while width < LOWEST_RANGE:
        write_byte(places, data, u8(low >> u64(56)))
        low, width = low << u64(8), width << u64(8)
    interval[LOW], interval[RANGE] = low, width


@njit
def read_byte(places, data):
    """The next byte of a row; 0 behind its end."""
    at = places[AT]
    places[AT] = at + 1
    return u64(data[at]) if at < places[END] else u64(0)


@njit
def target(interval, places, total):
    """Which of ``total`` shares the code is in.  Damaged bytes may be behind all of them."""
    share = i64(interval[CODE] // (interval[RANGE] // u64(total)))
    if share >= total:
        places[DAMAGED] = 1
        return total - 1
    return share


@njit
def decode(interval, places, data, below, size, total):
    """As :func:`encode`, for the decoder."""
    unit = interval[RANGE] // u64(total)
    found, width = interval[CODE] - unit * u64(below), unit * u64(size)
    while width < LOWEST_RANGE:
        found, width = (found << u64(8)) | read_byte(places, data), width << u64(8)
    interval[CODE], interval[RANGE] = found, width
    if places[AT] > places[END] + 7:  # an encoder's last byte is the first of the last eight
        places[DAMAGED] = 1


@njit
def code_symbol(row, number, task, codes, shares, total):
    """Encode or decode one symbol of a row; returns what the network reads next."""
    interval, places, data, count = codes.intervals[row], codes.places[row], codes.data[row], task.characters
    escape = escape_share(total, places) if task.escapes else i64(0)
    below, symbol = i64(0), i64(0)
    if task.decoding:
        wanted = target(interval, places, total + escape)
        while symbol < count and below + shares[symbol] <= wanted:
            below += shares[symbol]
            symbol += 1
        task.symbols[number, row] = symbol
    else:
        symbol = i64(task.symbols[number, row])
        for k in range(symbol):
            below += shares[k]
    size = i64(shares[symbol]) if symbol < count else escape
    if task.decoding:
        decode(interval, places, data, below, size, total + escape)
    else:
        encode(interval, places, data, below, size, total + escape)
    places[CODED] += 1
    if symbol == count:
        places[ESCAPES] += 1
        return task.replacement
    return symbol


@kernel(void(STEPS, Ids1, intp, TASK, SHARE, CODES, SCRATCH))
def code(steps, ids, turn, task, share, codes, scratch):
    """Read a character of each row, code the next one, read that, and so on.

    ``ids`` (B,) are the characters to read first, and at the end those to read next.  ``turn`` is the half of the rows
    that holds the state, as in :func:`charrnn.kernels.sampling.read_character`.  A row that has ended stays as it is,
    but for its state.  An encoder's ``data`` has room for 8 N bytes more than are written.
    """
    flags_at, barriers, logits = scratch.flags.ctypes.data, 0, scratch.logits
    for number in range(task.symbols.shape[0]):
        barriers = read_character(steps, ids, (turn + number) % 2, share, flags_at, barriers)
        if share.worker == 0:
            for row in range(share.first, share.last):
                if number < task.lengths[row]:
                    row_at = logits.ctypes.data + 4 * row * logits.shape[1]
                    total = set_shares(row_at, scratch.weights[row], scratch.shares[row], task.characters)
                    ids[row] = code_symbol(row, number, task, codes, scratch.shares[row], total)
        if share.workers > 1:
            barriers += 1
            wait_at_barrier(flags_at, share.workers * barriers)


@kernel(void(CODES))
def begin_encoding(codes):
    """Empty codes."""
    codes.places[:] = 0
    codes.intervals[:, LOW] = u64(0)
    codes.intervals[:, RANGE] = ~u64(0)


@kernel(void(CODES))
def end_encoding(codes):
    """Write the last byte of each row: the first byte of a number in its interval whose other bytes are 0."""
    for row in range(codes.intervals.shape[0]):
        low = codes.intervals[row, LOW]
        last = low + (LOWEST_RANGE - u64(1))
        if last < low:
            carry(codes.places[row], codes.data[row])
        write_byte(codes.places[row], codes.data[row], u8(last >> u64(56)))


@kernel(void(CODES))
def begin_decoding(codes):
    """Codes whose ``data`` are to be decoded; column END of their places is set."""
    for row in range(codes.intervals.shape[0]):
        places = codes.places[row]
        places[AT] = places[CODED] = places[ESCAPES] = places[DAMAGED] = 0
        found = u64(0)
        for _ in range(8):
            found = (found << u64(8)) | read_byte(places, codes.data[row])
        codes.intervals[row, CODE], codes.intervals[row, RANGE] = found, ~u64(0)
