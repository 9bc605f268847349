"""Where places stand in the arrays, and the order in which sums go through them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.kernels import compiler
from charrnn.kernels.packing import Group
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import BLOCK_PLACES, PANELS, PanelRange, scratch_size, weight_gradient
from charrnn.network.packed_weights import as_panels
from charrnn.network.workspace import Layout, in_order

sizes = st.integers(1, 40), st.integers(1, 90), st.integers(1, 9)


def spread(portions):
    """The rows (x, y) that meet, in order."""
    assert not portions.places[portions.blocks[-1, 0] :].any()
    return [(x // (4 * PANEL), y // (4 * PANEL)) for x, y in portions.places[: portions.blocks[-1, 0]].tolist()]


@given(*sizes)
def test_groups_share_out_the_batch_rows_and_their_rows_lie_together(steps, batch, groups):
    layout = Layout(steps, batch, groups)
    assert [b for first, last in layout.groups for b in range(first, last)] == list(range(batch))
    assert len(layout.groups) == min(groups, batch)
    assert layout.size == batch * (steps + 1)
    at = 0
    for first, last in layout.groups:
        states = np.concatenate([layout.before[:1, first:last], layout.rows[:, first:last]])
        np.testing.assert_array_equal(states.ravel(), at + np.arange(states.size))
        np.testing.assert_array_equal(layout.before[1:, first:last], layout.rows[:-1, first:last])
        assert layout.of_group(Group(first, last)) == (states[1, 0], states[-1, -1] + 1)
        at += states.size


@given(*sizes)
def test_sums_take_every_place_once_in_an_order_that_groups_do_not_change(steps, batch, groups):
    layout, place = Layout(steps, batch, groups), {}
    for t in range(steps):
        for b in range(batch):
            place[layout.rows[t, b]] = t, b
    order = [place[y] for _, y in spread(layout.portions)]
    halves = [batch // 2, batch]
    assert order == [
        (t, b)
        for first, last in zip([0, *halves], halves, strict=False)
        for t in range(steps)
        for b in range(first, last)
    ]
    assert all(x == y for x, y in spread(layout.portions))
    before = dict(zip(layout.rows.ravel().tolist(), layout.before.ravel().tolist(), strict=True))
    assert spread(layout.portions_from_before) == [(before[y], y) for _, y in spread(layout.portions)]


@given(*sizes)
def test_places_fill_blocks_and_a_block_knows_whether_its_rows_are_scattered(steps, batch, groups):
    layout = Layout(steps, batch, groups)
    for portions in (layout.portions, layout.portions_from_before):
        rows, blocks = np.array(spread(portions)), portions.blocks
        assert blocks[0, 0] == 0
        assert blocks[-1].tolist() == [len(rows), 0, 0]
        assert len(portions.places) == len(rows) + BLOCK_PLACES
        for (first, scattered, _), (last, *_) in itertools.pairwise(blocks.tolist()):
            assert 0 < last - first <= BLOCK_PLACES
            neighbours = rows[first] + np.arange(last - first)[:, None]
            assert scattered == (not np.array_equal(rows[first:last], neighbours))
    full = sum(steps * (last - first) // BLOCK_PLACES for first, last in ((0, batch // 2), (batch // 2, batch)))
    assert len(layout.portions.blocks) - 1 - full in (0, 1, 2)
    if groups == 2:
        assert not layout.portions.blocks[:, 1].any()


@pytest.mark.parametrize("rows", [1, 15, 16, 63, 64, 65, 200])
def test_rows_in_order(rows):
    assert spread(in_order(rows)) == [(row, row) for row in range(rows)]


@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (5, 1), (3, 7), (30, 9), (4, 130)])
@pytest.mark.parametrize("columns", [4, 70, 400])
def test_the_kernel_sums_scattered_rows_as_those_that_lie_together(rng, steps, batch, columns):
    compiler.prepare(weight_gradient)
    depth, found = 75, []
    x, y = rng.normal(size=(steps, batch, depth)), rng.normal(size=(steps, batch, columns))
    for groups in (1, 2, 3, 8):
        layout = Layout(steps, batch, groups)
        spread_x, spread_y = (np.full((layout.size, width), np.nan) for width in (depth, columns))
        spread_x[layout.rows], spread_y[layout.rows] = x, y
        gradient, bias = np.zeros((depth, columns), np.float32), np.zeros((1, columns), np.float32)
        x_panels, y_panels = as_panels(spread_x), as_panels(spread_y)
        scratch = np.full(scratch_size(depth), np.nan, np.float32)  # the sums start from zeros
        for first in range(0, len(y_panels), PANELS):
            panels = PanelRange(first, min(first + PANELS, len(y_panels)))
            weight_gradient(x_panels, y_panels, layout.portions, panels, scratch, False, gradient, bias)
        found.append(gradient.tobytes() + bias.tobytes())
        exact = np.einsum("tbk,tbn->kn", x, y)
        np.testing.assert_allclose(gradient, exact, atol=1e-5 * np.sqrt(steps * batch) * 3, rtol=1e-5)
        np.testing.assert_allclose(bias[0], y.sum((0, 1)), atol=1e-5 * np.sqrt(steps * batch) * 3, rtol=1e-5)
    assert len(set(found)) == 1
