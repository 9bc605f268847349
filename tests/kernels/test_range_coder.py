"""The range coder: against a coder of whole numbers without bounds, with carries, with logits that are no numbers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from charrnn.kernels import range_coder
from charrnn.kernels.compiler import prepare
from charrnn.kernels.range_coder import AT, CODED, COLUMNS, DAMAGED, END, ESCAPES, Codes
from charrnn.network.parameters import aligned_zeros

TOTAL = 2**20


@njit
def encode_all(codes, symbols, total):
    """Encode (below, size) pairs into row 0."""
    for below, size in symbols:
        range_coder.encode(codes.intervals[0], codes.places[0], codes.data[0], below, size, total)


@njit
def decode_all(codes, symbols, total):
    """Decode as many targets, and narrow by the right pairs; returns the targets."""
    found = np.zeros(len(symbols), np.int64)
    for k in range(len(symbols)):
        found[k] = range_coder.target(codes.intervals[0], codes.places[0], total)
        below, size = symbols[k]
        range_coder.decode(codes.intervals[0], codes.places[0], codes.data[0], below, size, total)
    return found


@njit
def shares_of(logits, weights, shares, count):
    return range_coder.set_shares(logits.ctypes.data, weights, shares, count)


@njit
def escape(total, places):
    return range_coder.escape_share(total, places)


def codes(size):
    return Codes(np.zeros((1, COLUMNS), np.uint64), np.zeros((1, COLUMNS), np.int64), np.zeros((1, size), np.uint8))


def encoded(symbols, total=TOTAL):
    prepare(range_coder.begin_encoding, range_coder.end_encoding)
    made = codes(8 * len(symbols) + 16)
    range_coder.begin_encoding(made)
    encode_all(made, symbols, total)
    range_coder.end_encoding(made)
    return made.data[0, : made.places[0, AT]].tobytes()


def decoded(data, symbols, total=TOTAL):
    prepare(range_coder.begin_decoding)
    made = codes(max(len(data), 1))
    made.data[0, : len(data)] = np.frombuffer(data, np.uint8)
    made.places[0, END] = len(data)
    range_coder.begin_decoding(made)
    return decode_all(made, symbols, total), made.places[0]


def exact(symbols, total=TOTAL):
    """The interval of the code in whole numbers: (low, size, digits in base 256) as the coder narrows it."""
    low, size, digits = 0, 2**64 - 1, 8
    for below, share in symbols.tolist():
        unit = size // total
        low, size = low + unit * below, unit * share
        while size < 2**56:
            low, size, digits = low << 8, size << 8, digits + 1
    return low, size, digits


pairs = st.lists(
    st.tuples(st.integers(0, TOTAL - 1), st.integers(1, TOTAL)).map(
        lambda pair: (pair[0], min(pair[1], TOTAL - pair[0]))
    ),
    min_size=1,
    max_size=60,
).map(lambda found: np.array(found, np.int64))


@given(pairs)
def test_the_code_is_in_the_interval_and_is_decoded(symbols):
    data = encoded(symbols)
    low, size, digits = exact(symbols)
    number = int.from_bytes(data.ljust(digits, b"\0"), "big")
    assert len(data) <= digits
    assert low <= number < low + size
    targets, places = decoded(data, symbols)
    assert (symbols[:, 0] <= targets).all() and (targets < symbols.sum(axis=1)).all()
    assert not places[DAMAGED]
    assert places[AT] == places[END] + 7


def test_a_carry_goes_through_many_bytes():
    """The interval stays around a number that ends in 0xFF…, and the last symbol pushes it over."""
    total = 3
    symbols = np.array([(1, 1)] * 400 + [(2, 1)], np.int64)  # thirds of thirds: 0.0101… in base 3, half of one
    data = encoded(symbols, total)
    low, size, digits = exact(symbols, total)
    assert low <= int.from_bytes(data.ljust(digits, b"\0"), "big") < low + size
    up = np.array([(0, 1), (2, 1)] + [(2, 1)] * 300, np.int64)
    targets, places = decoded(encoded(up, total), up, total)
    assert targets.tolist() == up[:, 0].tolist()
    assert not places[DAMAGED]


def test_a_symbol_costs_what_its_share_says():
    rng = np.random.default_rng(1)
    p = np.array([0.7, 0.2, 0.09, 0.01])
    sizes = np.round(p * TOTAL).astype(np.int64)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    drawn = rng.choice(4, 20_000, p=p)
    symbols = np.stack([bounds[drawn], sizes[drawn]], axis=1)
    ideal = -np.log2(sizes[drawn] / bounds[-1]).sum() / 8
    assert ideal <= len(encoded(symbols, int(bounds[-1]))) <= ideal + 2


@pytest.mark.parametrize("count", [1, 5, 16, 17, 100, 5000])
def test_shares_follow_the_softmax(count, rng):
    width = -(-count // 16) * 16
    logits, weights, shares = aligned_zeros(width), aligned_zeros(width), np.zeros(width, np.int32)
    logits[:] = -np.inf
    logits[:count] = rng.normal(size=count) * 3
    total = shares_of(logits, weights, shares, count)
    assert total == shares[:count].sum()
    assert shares[:count].min() >= 1
    p = np.exp(logits[:count].astype(float) - logits.max())
    np.testing.assert_allclose(shares[:count] / total, p / p.sum(), rtol=1e-3, atol=3e-6)


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 3, 20, 39])
def test_shares_of_logits_that_are_no_numbers_are_shares(strange, place):
    logits, weights, shares = aligned_zeros(48), aligned_zeros(48), np.zeros(48, np.int32)
    logits[40:] = -np.inf
    logits[place] = strange
    total = shares_of(logits, weights, shares, 40)
    assert total == shares[:40].sum()
    assert 1 <= shares[:40].min() <= shares[:40].max() <= 2**24 + 1


def test_the_escape_follows_how_often_it_came():
    places = np.zeros(COLUMNS, np.int64)
    assert escape(64_000, places) == 1000  # 1/64 at first
    for escapes, coded in ((0, 10**6), (10, 10**6), (10**6, 2 * 10**6), (10**7, 10**7), (2**31, 2**31)):
        places[ESCAPES], places[CODED] = escapes, coded
        for total in (1, 2**24, 2**41):
            found = escape(total, places)
            odds = (escapes + 1 / 64) / (coded - escapes + 1)
            assert found == pytest.approx(min(odds, 16) * total, rel=0.02, abs=1.0 + total / 2**12)
            assert 1 <= found <= 16 * total


def test_bytes_that_end_too_early_are_noticed():
    symbols = np.array([(5, 3)] * 50, np.int64)
    data = encoded(symbols)
    _, places = decoded(data[: len(data) // 2], symbols)
    assert places[DAMAGED]
    assert math.ceil(50 * math.log2(TOTAL / 3) / 8) <= len(data)
