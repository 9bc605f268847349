"""exp, sigmoid and tanh against extended precision, over the whole float32 range."""

import numpy as np
import pytest
from numba import njit

from charrnn.kernels import activations, simd


def compiled(function):
    @njit("void(float32[::1], float32[::1])")
    def over(x, y):
        for k in range(0, x.size, 16):
            simd.store(y.ctypes.data, k, function(simd.load(x.ctypes.data, k)))

    def apply(x):
        padded = np.zeros(-(-x.size // 16) * 16, np.float32)
        padded[: x.size] = x
        y = np.empty_like(padded)
        over(padded, y)
        return y[: x.size]

    return apply


FUNCTIONS = {
    "exp": (activations.exp, np.exp, 2.0, 0.0),
    "sigmoid": (activations.sigmoid, lambda x: 1 / (1 + np.exp(-x)), 4.0, 1.2e-38),
    "tanh": (activations.tanh, np.tanh, 6.0, 0.0),
}


@pytest.fixture(scope="module", params=FUNCTIONS)
def case(request):
    kernel, exact, ulps, tiny = FUNCTIONS[request.param]
    return compiled(kernel), exact, ulps, tiny


def test_error_is_bounded_over_all_floats(case):
    function, exact, ulps, tiny = case
    # Every 997th bit pattern: normal, subnormal, infinite and NaN, both signs.
    x = np.arange(0, 2**32, 997, np.uint64).astype(np.uint32).view(np.float32)
    x = x[~np.isnan(x)]
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.longdouble))
        rounded = expected.astype(np.float32)
        found = function(x)
        finite = np.isfinite(rounded)
        error = np.abs(found[finite] - expected[finite])
        bound = ulps * np.spacing(np.abs(rounded[finite])).astype(np.longdouble) + tiny
    assert (error <= bound).all()
    assert (found[~finite] == rounded[~finite]).all()


def test_limits_and_nan(case):
    function, exact, _, _ = case
    special = np.array([np.inf, -np.inf, 0.0, -0.0], np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(function(special), exact(special))
    nans = np.array([0x7FC00000, 0xFFC00000, 0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(function(nans)).all()


def test_range_is_kept(rng):
    x = rng.normal(0, 10, 100_000).astype(np.float32)
    assert np.abs(compiled(activations.tanh)(x)).max() <= 1
    assert (compiled(activations.sigmoid)(x) >= 0).all()
    assert (compiled(activations.sigmoid)(x) <= 1).all()
