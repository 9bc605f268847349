"""The layout of packed weights and of panels, bit for bit."""

import numpy as np
import pytest
from numba import njit

from charrnn.kernels import compiler
from charrnn.kernels.packing import pack, pack_transposed
from charrnn.kernels.simd import transpose
from charrnn.kernels.tiles import PANEL
from charrnn.network.packed_weights import as_panels, as_rows

SIZES = (1, 15, 16, 17, 63, 64, 65, 100)


@njit
def transpose_a_block(source, target):
    """Sixteen by sixteen from row 2, column 5 to row 1, column 32."""
    columns, width = source.shape[1], target.shape[1]
    transpose(source.ctypes.data + 4 * (2 * columns + 5), columns, target.ctypes.data + 4 * (width + 32), width)


def test_sixteen_rows_become_columns_and_nothing_else_changes(rng):
    source, target = rng.random((20, 37), np.float32), np.full((20, 64), -1, np.float32)
    transpose_a_block(source, target)
    np.testing.assert_array_equal(target[1:17, 32:48], source[2:18, 5:21].T)
    target[1:17, 32:48] = -1
    assert (target == -1).all()


def interleaved(weights, gated):
    """Columns in the order and with the padding of packed ones, by reshaping."""
    groups = 4 if gated else 1
    depth, units = len(weights), weights.shape[1] // groups
    padded = -(-units // 16) * 16
    wide = np.zeros((depth, groups, padded), np.float32)
    wide[:, :, :units] = weights.reshape(depth, groups, units)
    return wide.reshape(depth, groups, -1, 16).swapaxes(1, 2).reshape(depth, -1)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("units", SIZES)
@pytest.mark.parametrize("depth", SIZES)
def test_packed_weights_are_panels_of_interleaved_columns(rng, depth, units, gated):
    compiler.prepare(pack, pack_transposed)
    weights = rng.random((depth, 4 * units if gated else units), np.float32)
    columns = interleaved(weights, gated)
    for kernel, expected in [(pack, as_panels(columns)), (pack_transposed, as_panels(columns.T))]:
        packed, half = np.zeros_like(expected), len(expected) // 2
        for first, last in [(0, half), (half, len(expected))]:
            kernel(weights, gated, first, last, packed)
        np.testing.assert_array_equal(packed, expected)


@pytest.mark.parametrize("width", SIZES)
def test_rows_come_back_from_panels(rng, width):
    rows = rng.random((3, 2, width), np.float32)
    panelled = as_panels(rows)
    assert panelled.shape == (-(-width // PANEL), 3, 2, PANEL)
    np.testing.assert_array_equal(as_rows(panelled, width), rows)
    np.testing.assert_array_equal(as_rows(panelled, PANEL * len(panelled))[..., width:], 0)
