"""Weights' gradients with groups of batch rows: the groups' sums, added in a tree, bit for bit."""

import numpy as np
import pytest
from conftest import relative

from charrnn.kernels import compiler, packing
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import (
    PANELS,
    PanelRange,
    Picked,
    row_gradient,
    scratch_size,
    sort_places,
    weight_gradient,
)
from charrnn.network import sum_tree
from charrnn.network.packed_weights import as_panels
from charrnn.network.workspace import Layout

GROUPS = [1, 2, 3, 4, 6, 7, 8]
SIZES = [(1, 8), (5, 8), (3, 24), (30, 9), (9, 40)]  # steps, batch rows


def in_tree(parts):
    return sum_tree.tree_sum((part.copy() for part in parts), len(parts), np.add)


def product(x, y, layout):
    """Gradient and bias that the kernel makes of x (T, B, K) and y (T, B, N)."""
    spread_x, spread_y = (np.full((layout.size, each.shape[2]), np.nan) for each in (x, y))
    spread_x[layout.rows], spread_y[layout.rows] = x, y
    x_panels, y_panels = as_panels(spread_x), as_panels(spread_y)
    gradient = np.full((x.shape[2], y.shape[2]), np.nan, np.float32)
    bias = np.full((1, y.shape[2]), np.nan, np.float32)
    scratch = np.full(scratch_size(x.shape[2], sum_tree.depth(len(layout.sum_bounds))), np.nan, np.float32)
    for first in range(0, len(y_panels), PANELS):
        panels = PanelRange(first, min(first + PANELS, len(y_panels)))
        weight_gradient(x_panels, y_panels, layout.portions, panels, scratch, packing.PLAIN, gradient, bias)
    return gradient, bias


@pytest.mark.parametrize("columns", [4, 70, 200])
@pytest.mark.parametrize(("steps", "batch"), SIZES)
def test_a_gradient_is_the_tree_of_its_groups(rng, steps, batch, columns):
    compiler.prepare(weight_gradient)
    x, y = rng.normal(size=(steps, batch, 75)), rng.normal(size=(steps, batch, columns))
    for groups in (each for each in GROUPS if each <= batch):
        found = [product(x, y, Layout(steps, batch, threads, groups)) for threads in (1, 2, 3, 8)]
        for gradient, bias in found[1:]:
            assert (gradient.tobytes(), bias.tobytes()) == (found[0][0].tobytes(), found[0][1].tobytes())
        bounds = [(batch * group // groups, batch * (group + 1) // groups) for group in range(groups)]
        # A group alone is a window of its batch rows, summed as one group.
        alone = [product(x[:, a:b], y[:, a:b], Layout(steps, b - a, 1, 1)) for a, b in bounds]
        assert found[0][0].tobytes() == in_tree([gradient for gradient, _ in alone]).tobytes()
        assert found[0][1].tobytes() == in_tree([bias for _, bias in alone]).tobytes()
        assert relative(found[0][0], np.einsum("tbk,tbn->kn", x, y)) < 1e-6
        assert relative(found[0][1][0], y.sum((0, 1))) < 1e-6


def rows_of(x, y, vocabulary, layout):
    """The gradient (V, N) of the rows that characters x (T, B) pick, and the table, of y (T, B, N)."""
    spread_y = np.full((layout.size, y.shape[2]), np.nan)
    spread_y[layout.rows] = y
    panelled = as_panels(spread_y)
    picked = layout.picked(np.full(vocabulary + 1, -1, np.int64))
    sort_places(x, layout.rows, layout.sum_bounds, *picked[:3])
    table = np.full((len(panelled), vocabulary, PANEL), np.nan, np.float32)
    gradient = np.full((vocabulary, y.shape[2]), np.nan, np.float32)
    scratch = np.full(scratch_size(1, sum_tree.depth(len(layout.sum_bounds))), np.nan, np.float32)
    for first in range(len(panelled)):
        panels = PanelRange(first, first + 1)
        row_gradient(picked, panelled, panels, packing.PLAIN, scratch, table, gradient)
    return gradient, table


@pytest.mark.parametrize("vocabulary", [1, 3, 40, 500])
@pytest.mark.parametrize(("steps", "batch"), SIZES)
def test_the_rows_that_characters_pick_are_the_tree_of_their_groups(rng, steps, batch, vocabulary):
    """With many characters most groups have none of a character: nothing is added for them."""
    compiler.prepare(row_gradient, sort_places)
    x, y = rng.integers(vocabulary, size=(steps, batch)).astype(np.int32), rng.normal(size=(steps, batch, 70))
    expected = np.zeros((vocabulary, 70))
    np.add.at(expected, x, y)
    for groups in (each for each in GROUPS if each <= batch):
        found = [rows_of(x, y, vocabulary, Layout(steps, batch, threads, groups)) for threads in (1, 2, 3, 8)]
        assert len({gradient.tobytes() + table.tobytes() for gradient, table in found}) == 1
        bounds = [(batch * group // groups, batch * (group + 1) // groups) for group in range(groups)]
        alone = [
            rows_of(np.ascontiguousarray(x[:, a:b]), y[:, a:b], vocabulary, Layout(steps, b - a, 1, 1))
            for a, b in bounds
        ]
        for number in (0, 1):
            np.testing.assert_array_equal(found[0][number], in_tree([each[number] for each in alone]))
        assert relative(found[0][0], expected) < 1e-6


@pytest.mark.parametrize("groups", GROUPS)
def test_places_are_sorted_by_character_then_group_then_step_then_batch_row(rng, groups):
    compiler.prepare(sort_places)
    steps, batch, vocabulary = 6, 8, 5
    layout = Layout(steps, batch, 2, groups)
    x = rng.integers(vocabulary - 1, size=(steps, batch)).astype(np.int32)  # one character never comes
    picked = layout.picked(np.full(vocabulary + 1, -1, np.int64))
    sort_places(x, layout.rows, layout.sum_bounds, *picked[:3])
    group = {b: number for number, (first, last) in enumerate(layout.sum_bounds) for b in range(first, last)}
    places = sorted((x[t, b], group[b], t, b) for t in range(steps) for b in range(batch))
    assert picked.rows.tolist() == [layout.rows[t, b] for _, _, t, b in places]
    assert picked.groups.tolist() == [number for _, number, _, _ in places]
    characters = [character for character, *_ in places]
    assert picked.starts.tolist() == np.searchsorted(characters, np.arange(vocabulary + 1)).tolist()
    assert isinstance(picked, Picked)


@pytest.mark.parametrize("groups", [None, *GROUPS])
def test_the_places_of_a_group_come_step_by_step(groups):
    steps, batch = 7, 11
    layout = Layout(steps, batch, 3, groups)
    bounds = [(0, 5), (5, 11)] if groups is None else layout.sum_bounds.tolist()
    place = {layout.rows[t, b]: (t, b) for t in range(steps) for b in range(batch)}
    places, blocks = layout.portions
    order = [place[y // (4 * PANEL)] for y in places[: blocks[-1, 0], 1].tolist()]
    assert order == [(t, b) for first, last in bounds for t in range(steps) for b in range(first, last)]
    merges = [count for count in blocks[:-1, 2].tolist() if count >= 0]
    assert merges == ([0] if groups is None else sum_tree.merges(groups))
