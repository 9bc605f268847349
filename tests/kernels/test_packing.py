"""The layout of packed weights and of panels, bit for bit."""

import numpy as np
import pytest
from numba import njit

from charrnn.kernels import compiler, packing
from charrnn.kernels.packing import pack, pack_bias, pack_table, pack_transposed
from charrnn.kernels.simd import transpose
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import PanelRange, Picked, row_gradient, scratch_size, sort_places
from charrnn.network import sum_tree
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


# For each block of a panel the block of the parameter's columns, or None.
GATES = {
    packing.LSTM: (0, 1, 2, 3),
    packing.GRU_INPUT: (2, 0, 1, None),
    packing.GRU_RECURRENT: (None, 0, 1, 2),
    packing.GRU_BIAS: (2, 0, 1, 3),
    packing.COUPLED: (None, 0, 1, 2),
}
PARAMETER_GATES = {packing.LSTM: 4, packing.GRU_BIAS: 4} | dict.fromkeys(
    (packing.GRU_INPUT, packing.GRU_RECURRENT, packing.COUPLED), 3
)


def packed_columns(weights, order):
    """Columns in the order and with the padding of packed ones, by reshaping."""
    if order == packing.PLAIN:
        return np.pad(weights, ((0, 0), (0, -weights.shape[1] % 16)))
    depth, units = len(weights), weights.shape[1] // PARAMETER_GATES[order]
    padded = -(-units // 16) * 16
    wide = np.zeros((depth, 4, padded), np.float32)
    for block, gate in enumerate(GATES[order]):
        if gate is not None:
            wide[:, block, :units] = weights[:, gate * units : (gate + 1) * units]
    return wide.reshape(depth, 4, -1, 16).swapaxes(1, 2).reshape(depth, -1)


@pytest.mark.parametrize("order", [packing.PLAIN, *GATES])
@pytest.mark.parametrize("units", SIZES)
@pytest.mark.parametrize("depth", SIZES)
def test_packed_weights_are_panels_of_columns_in_their_order(rng, depth, units, order):
    compiler.prepare(pack, pack_transposed)
    weights = rng.random((depth, PARAMETER_GATES.get(order, 1) * units), np.float32)
    columns = packed_columns(weights, order)
    for kernel, expected in [(pack, as_panels(columns)), (pack_transposed, as_panels(columns.T))]:
        packed, half = np.zeros_like(expected), len(expected) // 2
        for first, last in [(0, half), (half, len(expected))]:
            kernel(weights, order, first, last, packed)
        np.testing.assert_array_equal(packed, expected)


BIASES = {packing.GRU_INPUT: packing.GRU_BIAS, packing.LSTM: packing.LSTM, packing.PLAIN: packing.PLAIN}


@pytest.mark.parametrize("order", BIASES)
@pytest.mark.parametrize("units", SIZES)
def test_a_table_is_weights_and_a_bias_in_packed_columns(rng, units, order):
    compiler.prepare(pack_table, pack_bias)
    weights = rng.random((5, PARAMETER_GATES.get(order, 1) * units), np.float32)
    bias = rng.random((1, PARAMETER_GATES.get(BIASES[order], 1) * units), np.float32)
    wide = packed_columns(bias, BIASES[order])
    expected = as_panels(packed_columns(weights, order) + wide)
    table = np.zeros_like(expected)
    pack_table(weights, bias[0], order, 0, 2, table)
    pack_table(weights, bias[0], order, 2, 5, table)
    np.testing.assert_array_equal(table, expected)
    packed = np.zeros_like(wide[0])
    pack_bias(bias[0], BIASES[order], packed)
    np.testing.assert_array_equal(packed, wide[0])


@pytest.mark.parametrize("order", [packing.PLAIN, packing.LSTM, packing.GRU_INPUT])
@pytest.mark.parametrize("units", [1, 17, 70])
def test_the_rows_of_a_table_gain_the_rows_that_picked_them(rng, units, order):
    """Whole numbers, so that sums are exact in any order."""
    compiler.prepare(row_gradient, sort_places)
    vocabulary, columns = 7, PARAMETER_GATES.get(order, 1) * units
    x = rng.integers(vocabulary, size=(4, 3)).astype(np.int32)
    dy = rng.integers(-9, 9, (x.size, columns)).astype(np.float32)
    rows = np.arange(x.size).reshape(x.shape)[::-1].copy()
    panelled = as_panels(packed_columns(dy, order))
    table, gradient = np.full((len(panelled), vocabulary, PANEL), -1, np.float32), np.zeros((vocabulary, columns), "f4")
    bounds, merges = np.array([[0, 1], [1, 3]]), np.array(sum_tree.merges(2))
    picked = Picked(*np.zeros((2, x.size), np.int64), np.zeros(vocabulary + 1, np.int64), merges)
    sort_places(x, rows, bounds, *picked[:3])
    for first in range(len(table)):
        scratch = np.empty(scratch_size(1, 2), np.float32)
        row_gradient(picked, panelled, PanelRange(first, first + 1), order, scratch, table, gradient)
    expected = np.zeros_like(gradient)
    np.add.at(expected, x, dy[rows])
    np.testing.assert_array_equal(gradient, expected)
    np.testing.assert_array_equal(table, as_panels(packed_columns(expected, order)))


@pytest.mark.parametrize("width", SIZES)
def test_rows_come_back_from_panels(rng, width):
    rows = rng.random((3, 2, width), np.float32)
    panelled = as_panels(rows)
    assert panelled.shape == (-(-width // PANEL), 3, 2, PANEL)
    np.testing.assert_array_equal(as_rows(panelled, width), rows)
    np.testing.assert_array_equal(as_rows(panelled, PANEL * len(panelled))[..., width:], 0)
