"""Powers and a cosine that no C library computes, against those of this machine's."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.system.exact import cosine_of_half_turns, power


@given(st.floats(0, 1, allow_subnormal=False), st.integers(0, 10**6) | st.floats(0, 1000, allow_subnormal=False))
def test_powers(base, exponent):
    assert power(base, exponent) == pytest.approx(base**exponent, rel=1e-12, abs=1e-300)


@given(st.floats(0.5, 1), st.integers(0, 500))
def test_whole_powers_are_the_nearest_doubles(base, exponent):
    assert power(base, exponent) == float(Fraction(base) ** exponent)


@given(st.floats(0, 1))
def test_the_cosine(x):
    assert cosine_of_half_turns(x) == pytest.approx(math.cos(math.pi * x), abs=7e-16)


def test_values_that_are_known():
    assert [power(0, 0), power(0, 3), power(1, 9), power(0.5, 3), power(0.25, 0.5)] == [1, 0, 1, 0.125, 0.5]
    assert [cosine_of_half_turns(x) for x in (0, 1)] == [1, -1]
    assert abs(cosine_of_half_turns(0.5)) < 1e-30
    assert cosine_of_half_turns(0.2) == 0.8090169943749475  # (1 + √5) / 4
