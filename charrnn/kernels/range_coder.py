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

from charrnn.kernels.activations import exp, log
from charrnn.kernels.barrier import wait_at_barrier
from charrnn.kernels.compiler import Array2, Doubles2, Ids1, Ids2, Longs1, Longs2, float64, intp, kernel, uint64, void
from charrnn.kernels.cross_entropy import row_maximum
from charrnn.kernels.ngrams import TRIE, Trie, expect, read_symbol
from charrnn.kernels.sampling import STEPS, read_character
from charrnn.kernels.simd import WIDTH, at_least, load, splat, store
from charrnn.kernels.step import SHARE

f32, i64, u64, u8 = np.float32, np.int64, np.uint64, np.uint8

FINE, COARSE = f32(2.0**24), f32(2.0**20)  # shares of the likeliest symbol
MOST_FINE = 4096  # with more symbols than this the likeliest one has COARSE shares, so that the total stays below 2⁴¹
LOWEST_RANGE = u64(1 << 56)
LEAST, TINIEST = f32(-40.0), 1e-30  # a logit below the largest one, and a probability, that are mixed
MOST_WEIGHT = 4.0

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
    """Arrays of :func:`code`.

    ``logits``, ``mixed``, ``weights`` (B, Vp) float32, ``shares`` (B, Vp) int32, barrier flags.
    """

    logits: np.ndarray
    mixed: np.ndarray
    weights: np.ndarray
    shares: np.ndarray
    flags: np.ndarray


class Blend(NamedTuple):
    """N-grams that are mixed with the network, with weights that follow the text.

    The probabilities of both are multiplied, each with a weight as exponent, and normalised (log-linear interpolation;
    Klakow 1998).  After each symbol the weights make a step of gradient descent on its loss.

    Attributes:
        trie: has a reader for every row.
        weights: (B, 2) float64, those of the network and of the n-grams; (0, 2) without n-grams.
        logs: (B, Vp) float32, scratch.
        rate: of the descent.
    """

    trie: Trie
    weights: np.ndarray
    logs: np.ndarray
    rate: float


Words2 = types.Array(uint64, 2, "C")
Bytes2 = types.Array(types.uint8, 2, "C")
TASK = types.NamedTuple((Ids2, Longs1, intp, intp, intp, intp), Task)
CODES = types.NamedTuple((Words2, Longs2, Bytes2), Codes)
BLEND = types.NamedTuple((TRIE, Doubles2, Array2, float64), Blend)
SCRATCH = types.NamedTuple((Array2, Array2, Array2, Ids2, Longs1), Scratch)


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
def blend_in(blend, row, character, logits_at, count):
    """A row's reader reads a character, and its row of ``logs`` becomes the log of what the n-grams then expect.

    The logits (Vp,) are shifted, so that the largest is 0 and none is below LEAST.  Returns the weights of both.
    """
    trie, weights, logs = blend.trie, blend.weights[row], blend.logs[row]
    read_symbol(trie, row, character)
    expect(trie, row)
    for k in range(count):
        logs[k] = f32(max(trie.chances[row, k], TINIEST))
    for k in range(count, logs.size):
        logs[k] = f32(1.0)
    top, of_network, of_ngrams = row_maximum(logits_at, logs.size), f32(weights[0]), f32(weights[1])
    logs_at = logs.ctypes.data
    for j in range(0, logs.size, WIDTH):
        shifted = at_least(load(logits_at, j) - top, splat(LEAST))
        expected = log(load(logs_at, j))
        store(logits_at, j, shifted)  # what the weights learn from
        store(logs_at, j, expected)
    return of_network, of_ngrams


@njit
def weigh(blend, row, logits_at, weights_of_both, mixed, count):
    """mixed (Vp,) = the sum of logits and logs, each times its weight; -inf from V on."""
    of_network, of_ngrams = weights_of_both
    logs_at = blend.logs[row].ctypes.data
    for j in range(0, mixed.size, WIDTH):
        store(mixed.ctypes.data, j, load(logits_at, j) * of_network + load(logs_at, j) * of_ngrams)
    for k in range(count, mixed.size):
        mixed[k] = f32(-np.inf)


@njit
def learn_weights(blend, row, logits, shares, total, symbol):
    """A step of gradient descent on a symbol's loss: each weight moves by what was seen minus what was expected."""
    weights, logs = blend.weights[row], blend.logs[row]
    network, ngrams = 0.0, 0.0
    for k in range(shares.size):
        network += shares[k] * float64(logits[k])
        ngrams += shares[k] * float64(logs[k])
    weights[0] += blend.rate * (logits[symbol] - network / total)
    weights[1] += blend.rate * (logs[symbol] - ngrams / total)
    for k in range(2):
        weights[k] = min(max(weights[k], 0.0), MOST_WEIGHT)
        if not weights[k] >= 0.0:
            weights[k] = float64(k)  # not a number: n-grams alone


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


@kernel(void(STEPS, Ids1, intp, TASK, SHARE, CODES, SCRATCH, BLEND))
def code(steps, ids, turn, task, share, codes, scratch, blend):
    """Read a character of each row, code the next one, read that, and so on.

    ``ids`` (B,) are the characters to read first, and at the end those to read next.  ``turn`` is the half of the rows
    that holds the state, as in :func:`charrnn.kernels.sampling.read_character`.  A row that has ended stays as it is,
    but for its state.  An encoder's ``data`` has room for 8 N bytes more than are written.
    """
    flags_at, barriers, logits, count = scratch.flags.ctypes.data, 0, scratch.logits, task.characters
    for number in range(task.symbols.shape[0]):
        barriers = read_character(steps, ids, (turn + number) % 2, share, flags_at, barriers)
        if share.worker == 0:
            for row in range(share.first, share.last):
                if number < task.lengths[row]:
                    row_at = logits.ctypes.data + 4 * row * logits.shape[1]
                    shares = scratch.shares[row]
                    if blend.weights.size:
                        mixed = scratch.mixed[row]
                        both = blend_in(blend, row, ids[row], row_at, count)
                        weigh(blend, row, row_at, both, mixed, count)
                        row_at = mixed.ctypes.data
                    total = set_shares(row_at, scratch.weights[row], shares, count)
                    ids[row] = code_symbol(row, number, task, codes, shares, total)
                    if blend.weights.size:
                        learn_weights(blend, row, logits[row], shares[:count], total, ids[row])
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
