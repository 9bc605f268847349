"""The tree of sums: its order for any number of groups, and that neighbouring groups are a subtree."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.network.sum_tree import depth, merges, tree_sum


def tree(values):
    """The order in which values are added, as nested pairs."""
    return tree_sum(values, len(values), lambda left, right: (left, right))


def by_definition(leaves):
    """The largest complete tree that fits, and the tree of the other leaves to the right of it."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << (len(leaves) - 1).bit_length() - 1
    return by_definition(leaves[:left]), by_definition(leaves[left:])


@pytest.mark.parametrize("groups", range(1, 70))
def test_the_order_is_that_of_the_largest_complete_trees_from_the_left(groups):
    assert tree(list(range(groups))) == by_definition(list(range(groups)))


def test_the_tree_of_six_groups():
    assert tree("abcdef") == ((("a", "b"), ("c", "d")), ("e", "f"))


@given(ranks=st.integers(1, 40), power=st.integers(0, 5))
def test_the_groups_of_a_rank_are_a_subtree(ranks, power):
    each = 1 << power
    leaves = list(range(ranks * each))
    parts = [tree(leaves[first : first + each]) for first in range(0, len(leaves), each)]
    assert tree(parts) == tree(leaves)


@given(st.integers(1, 300))
def test_the_stack_is_never_deeper_than_said_and_has_one_sum_at_the_end(groups):
    height, counts = 0, merges(groups)
    assert len(counts) == groups
    for count in counts:
        height += 1
        assert height <= depth(groups)
        height -= count
        assert height >= 1
    assert height == 1


def test_the_bits_depend_on_the_order():
    """Otherwise no test of equal bits could fail."""
    rng = np.random.default_rng(3)
    values = (rng.normal(size=(8, 200)) * 10.0 ** rng.integers(-6, 6, (8, 200))).astype(np.float32)
    in_tree = tree_sum(values, 8, np.add)
    one_by_one = sum(values[1:], values[0])
    assert in_tree.tobytes() != one_by_one.tobytes()
    np.testing.assert_allclose(in_tree, values.astype(float).sum(0), rtol=1e-5, atol=1.0)


def test_a_number_of_values_that_is_not_said_is_refused():
    with pytest.raises(ValueError, match="zip"):
        tree_sum([1, 2], 3, int.__add__)
