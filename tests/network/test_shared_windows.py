"""Ranks that share the batch rows of a window get the gradient of the whole window, bit for bit."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_ranks import on_ranks
from teams import every_thread_works, nothing_is_too_small

from charrnn.config import ModelConfig
from charrnn.kernels.cross_entropy import NO_SOFT, Soft
from charrnn.kernels.packing import Group
from charrnn.network.network import Elsewhere, Network, State
from charrnn.network.regularisation import Regularisation
from charrnn.training.plan import Readings

READINGS = Readings(0.0, 0.0, 0.0, 0.0)


def case(config, steps, batch, seed=0):
    """Weights, ids x, y, some of which are no targets, and a state of a window."""
    rng = np.random.default_rng(seed)
    network = Network(config, seed=seed)
    network.prepare_training()  # before there are threads that would compile at the same time
    weights = network.parameters.flat.copy()
    weights += rng.normal(0, 0.1, weights.shape).astype(np.float32) * (weights != 0)
    x, y = rng.integers(config.vocabulary, size=(2, steps, batch)).astype(np.int32)
    y[rng.random(y.shape) < 0.1] = -1
    arrays = network.initial_state(batch).arrays
    if config.cell != "transformer":  # whose state also has a number of places
        for array in arrays.values():
            array[:] = rng.normal(0, 0.3, array.shape)
    return weights, x, y, arrays


def soft_targets(vocabulary, steps, batch):
    rng = np.random.default_rng(4)
    count = min(5, vocabulary)
    ids = rng.permuted(np.broadcast_to(np.arange(vocabulary, dtype=np.int32), (steps, batch, vocabulary)), axis=2)
    q = rng.dirichlet(np.ones(count), (steps, batch)).astype(np.float32)
    return Soft(np.float32(0.3), ids[:, :, :count].copy(), q)


def part_of(soft, rows):
    if soft is NO_SOFT:
        return soft
    return Soft(soft.weight, np.ascontiguousarray(soft.ids[:, rows]), np.ascontiguousarray(soft.q[:, rows]))


def computed(config, groups, given, regular, rows=None, elsewhere=None, threads=1):
    """Loss, gradient and state, as bytes, of the batch rows from the first of ``rows`` to before the second."""
    weights, x, y, arrays = given
    batch = x.shape[1]
    first, last = rows or (0, batch)
    own = slice(first, last)
    network = Network(config, threads=threads)
    network.parameters.flat[:] = weights
    network.parameters_changed()
    network.sum_groups = groups
    state = State({name: np.array(array[:, own]) for name, array in arrays.items()})
    regular = dataclasses.replace(regular, rows=batch, first_row=first, soft=part_of(regular.soft, own))
    x, y = np.ascontiguousarray(x[:, own]), np.ascontiguousarray(y[:, own])
    losses = []
    for _ in range(2):  # the second window begins with what the first one has left behind
        losses.append(network.loss_and_gradient(x, y, state, regular, elsewhere))
    return losses, network.gradient.flat.tobytes(), state.arrays


def shared(config, groups, given, regular, size):
    """The same on so many ranks, put together."""
    _, x, y, arrays = given

    def work(ranks):
        rows = ranks.rows(x.shape[1], groups)
        count = int(np.count_nonzero(y >= 0))
        elsewhere = Elsewhere(count, lambda arrays, loss: ranks.add_up(arrays, loss, READINGS)[0])
        found = computed(config, groups // size, given, regular, rows, elsewhere)
        assert ranks.additions == 2
        return found

    parts = on_ranks(size, work)
    assert all(part[:2] == parts[0][:2] for part in parts), "the ranks have different results"
    state = {name: np.concatenate([part[2][name] for part in parts], axis=1) for name in arrays}
    return *parts[0][:2], state


def assert_same(one, other):
    assert one[0] == other[0]
    assert one[1] == other[1]
    assert {name: array.tobytes() for name, array in one[2].items()} == {
        name: array.tobytes() for name, array in other[2].items()
    }


MODELS = [
    ModelConfig(20, 21, 2),
    ModelConfig(20, 70, 2, 9),
    ModelConfig(20, 21, 2, cell="gru"),
    ModelConfig(90, 33, 1, 9, "gru"),
    ModelConfig(20, 21, 2, cell="rnn"),
    ModelConfig(20, 21, 2, 9, "rnn"),
    ModelConfig(20, 21, 2, cell="coupled-lstm"),
    ModelConfig(20, 21, 2, cell="capped-lstm"),
    ModelConfig(20, 24, 2, cell="transformer", heads=2, context=8),
]
RECURRENT = [config for config in MODELS if config.cell != "transformer"]
NONE = Regularisation(seed=3, step=5)


@pytest.fixture(autouse=True)
def threads_for_the_smallest_window():
    with nothing_is_too_small():
        yield


@pytest.mark.parametrize("config", MODELS, ids=str)
def test_parts_add_up_to_the_whole_gradient(config):
    given = case(config, 7, 8)
    regular = Regularisation(0.3, 3, 5, label_smoothing=0.1, soft=soft_targets(config.vocabulary, 7, 8))
    for each in (NONE, regular):
        whole = computed(config, 8, given, each)
        for size in (2, 4, 8):
            assert_same(shared(config, 8, given, each, size), whole)


@pytest.mark.parametrize(
    "regular",
    [
        Regularisation(0.3, 3, 5),
        Regularisation(0.3, 3, 5, variational=True),
        Regularisation(0.0, 3, 5, recurrent_dropout=0.4),
        Regularisation(0.0, 3, 5, input_dropout=0.3),
        Regularisation(0.0, 3, 5, tar=3.0),
        Regularisation(0.2, 3, 5, True, 0.3, 0.2, 0.1, 3.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("config", RECURRENT, ids=str)
def test_parts_have_the_masks_of_the_whole_window(config, regular):
    given = case(config, 5, 8)
    regular = dataclasses.replace(regular, soft=soft_targets(config.vocabulary, 5, 8))
    assert_same(shared(config, 4, given, regular, 4), computed(config, 4, given, regular))


@settings(max_examples=25)
@given(
    config=st.sampled_from(MODELS),
    steps=st.integers(1, 9),
    rows_of_a_group=st.integers(1, 3),
    ranks=st.integers(1, 5),
    power=st.integers(0, 2),
    dropout=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 100),
)
def test_any_sizes_can_be_shared(config, steps, rows_of_a_group, ranks, power, dropout, seed):
    groups = ranks << power
    given = case(config, steps, groups * rows_of_a_group, seed)
    regular = Regularisation(dropout, 3, 5, tar=0.0 if config.cell == "transformer" else 3.0)
    assert_same(shared(config, groups, given, regular, ranks), computed(config, groups, given, regular))


@pytest.mark.parametrize("config", MODELS, ids=str)
def test_groups_change_the_gradient_by_roundings_only(config):
    given = case(config, 7, 8)
    (plain, gradient, _), (losses, grouped, _) = (computed(config, groups, given, NONE) for groups in (None, 8))
    gradient, grouped = (np.frombuffer(flat, np.float32) for flat in (gradient, grouped))
    assert losses == pytest.approx(plain, rel=1e-6)
    assert np.linalg.norm(gradient - grouped) < 1e-6 * np.linalg.norm(gradient)
    if config.cell != "transformer" or config.vocabulary > 30:
        assert gradient.tobytes() != grouped.tobytes(), "the sums have another order"


@pytest.mark.parametrize("groups", [2, 3, 8])
@pytest.mark.parametrize("config", MODELS, ids=str)
def test_threads_do_not_change_the_sums_of_groups(config, groups):
    given, found = case(config, 7, 24), []
    for threads in (1, 2, 5):
        with every_thread_works(threads) as watch:
            losses, gradient, _ = computed(config, groups, given, NONE, threads=threads)
        assert max(watch.workers("weight_gradients")) > 1 or threads == 1
        found.append((losses, gradient))
    assert found[1:] == found[:1] * 2


def test_the_loss_of_a_group_has_the_same_bits_alone_and_among_others():
    """Its places lie together only if it is alone, and of more than 8192 NumPy then adds others first.

    Losses from 1e-12 to 10 make sums in float64 inexact.
    """
    network, rng = Network(ModelConfig(20, 8, 1)), np.random.default_rng(1)

    def total(own, groups):
        """The sum that a network gets whose losses are these."""
        batch = own.shape[1]
        x = np.zeros((len(own), batch), np.int32)
        network.sum_groups = groups
        window = network._open(x, x, network.initial_state(batch), training=True)
        window.each_group(
            lambda worker, group: (window.forward(worker, group), window.backward(worker, group, NONE, 1.0))
        )
        window.losses[:] = own
        return window.weight_gradients(None)

    for _ in range(12):
        losses = (10.0 ** rng.uniform(-12, 1, (700, 24))).astype(np.float32)
        alone = [total(np.ascontiguousarray(losses[:, first : first + 12]), 1) for first in (0, 12)]
        found = total(losses, 2)
        assert found == alone[0] + alone[1]
        assert found == pytest.approx(losses.sum(dtype=np.float64), rel=1e-14)


@given(
    rows=st.integers(1, 12),
    first=st.integers(0, 11),
    steps=st.integers(1, 6),
    hidden=st.integers(1, 70),
    variational=st.booleans(),
)
def test_the_mask_of_some_batch_rows_is_that_part_of_the_whole_mask(rows, first, steps, hidden, variational):
    first = min(first, rows - 1)

    def mask(own, regular):
        ones = np.ones((-(-hidden // 64), own * (steps + 1), 64), np.float32)
        regular.drop((1,), ones, own, Group(0, own), ones)
        return ones.reshape(len(ones), steps + 1, own, 64)[:, 1:]

    whole = Regularisation(0.4, seed=9, step=2, variational=variational)
    part = dataclasses.replace(whole, rows=rows, first_row=first)
    np.testing.assert_array_equal(mask(rows - first, part), mask(rows, whole)[:, :, first:])
    if rows - first < rows and steps * hidden > 60:
        assert (mask(rows - first, whole) != mask(rows, whole)[:, :, first:]).any(), "the rows have the same masks"
