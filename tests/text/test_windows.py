"""Tests of training windows: y is x one character later, rows continue, every character is a target once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.text.windows import TrainingWindows, fitting_window


@given(length=st.integers(2, 400), batch=st.integers(1, 12), steps=st.integers(1, 30), epoch=st.integers(0, 5))
def test_an_epoch_has_every_target_once_in_rows_that_continue(length, batch, steps, epoch):
    batch = min(batch, length)
    epochs = TrainingWindows(np.arange(length), batch, steps, seed=3)
    windows = [epochs.window(epoch, number) for number in range(epochs.count)]
    targets = []
    for number, (x, y) in enumerate(windows):
        assert x.shape == y.shape
        assert x.dtype == y.dtype == np.int32
        assert x.flags.c_contiguous
        assert x.shape == (steps if number < epochs.count - 1 else (epochs.row_length - 1) % steps + 1, batch)
        there = y >= 0
        np.testing.assert_array_equal(y[there], x[there] + 1)
        targets.append(y[there])
    assert sorted(np.concatenate(targets)) == list(range(1, length))
    x = np.concatenate([x for x, _ in windows])
    np.testing.assert_array_equal(x[1:], (x[:-1] + 1) % length)


def test_epochs_begin_at_different_places_that_depend_on_the_seed_alone():
    epochs = TrainingWindows(np.arange(1000), 4, 10, seed=5)
    offsets = [epochs.offset(epoch) for epoch in range(20)]
    assert len(set(offsets)) > 15
    assert offsets == [TrainingWindows(np.arange(1000), 4, 10, seed=5).offset(epoch) for epoch in range(20)]
    assert offsets != [TrainingWindows(np.arange(1000), 4, 10, seed=6).offset(epoch) for epoch in range(20)]


@pytest.mark.parametrize(
    ("length", "batch", "steps", "expected"),
    [
        (1_000_000, 32, 64, (32, 64)),
        (300, 32, 64, (4, 64)),
        (40, 32, 64, (1, 39)),
        (2, 32, 64, (2, 1)),
        (10, 3, 1, (3, 1)),
    ],
)
def test_small_texts_get_fewer_rows(length, batch, steps, expected):
    assert fitting_window(length, batch, steps) == expected


@given(
    length=st.integers(2, 400),
    batch=st.integers(1, 12),
    steps=st.integers(1, 30),
    epoch=st.integers(0, 3),
    cut=st.integers(0, 12),
)
def test_some_batch_rows_are_that_part_of_the_whole_window(length, batch, steps, epoch, cut):
    batch = min(batch, length)
    cut, ids = min(cut, batch), np.arange(length)
    whole = TrainingWindows(ids, batch, steps, seed=3)
    parts = [TrainingWindows(ids, batch, steps, 3, rows) for rows in ((0, cut), (cut, batch))]
    assert {part.count for part in parts} == {whole.count}
    for number in range(whole.count):
        x, y = whole.window(epoch, number)
        own = [part.window(epoch, number) for part in parts]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in own], axis=1), x)
        np.testing.assert_array_equal(np.concatenate([y for _, y in own], axis=1), y)
        places = np.concatenate([part.places(epoch, number) for part in parts], axis=1)
        np.testing.assert_array_equal(places, whole.places(epoch, number))
        assert [part.targets(epoch, number) for part in (whole, *parts)] == [np.count_nonzero(y >= 0)] * 3
