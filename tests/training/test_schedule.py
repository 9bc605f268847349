"""The learning rate: every schedule against values computed by hand, its warm-up and its bounds."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import SCHEDULES, TrainConfig
from charrnn.errors import ConfigError
from charrnn.training.schedule import learning_rate, plateaus


def rate(config, step=1000, done=0.5, epoch=0.0, val_losses=()):
    return learning_rate(config, step, done, epoch, val_losses)


def test_the_default_is_the_cosine_to_the_last_bit():
    config = TrainConfig()
    for step in (0, 1, 50, 99, 100, 101, 777, 1999):
        done = step / 2000
        warm = max((step + 1) / 101, min(1.0, done / 0.1)) if step < 100 else 1.0
        cosine = 0.02 + (1 - 0.02) * 0.5 * (1 + math.cos(math.pi * done))
        assert learning_rate(config, step, done, done * 10, (3.0, 4.0, 5.0)) == 2.4e-2 * warm * cosine


def test_learning_rate_rises_to_its_peak_and_falls_along_a_cosine():
    config = TrainConfig(lr=1.0, warmup=100, final_lr=0.1)
    rates = [rate(config, step, step / 2000) for step in range(2000)]
    assert rates[0] < 0.02
    assert all(a < b for a, b in itertools.pairwise(rates[:100]))
    assert max(rates) == pytest.approx(1.0, abs=0.02)
    assert all(a > b for a, b in itertools.pairwise(rates[101:]))
    assert rates[-1] == pytest.approx(0.1, abs=1e-3)
    assert rates[1000] == pytest.approx(0.55, abs=0.01)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_warms_up(schedule):
    config = TrainConfig(lr=2.0, schedule=schedule, warmup=9, decay_after=5)
    rates = [rate(config, step, step / 10_000, step / 1000) for step in range(10)]
    assert rates == pytest.approx([0.2 * (step + 1) for step in range(10)], rel=2e-3)
    assert rate(TrainConfig(lr=2.0, schedule=schedule, warmup=0), 0, 0.0) == 2.0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_short_run_still_reaches_a_useful_rate(schedule):
    config = TrainConfig(lr=1.0, warmup=100, schedule=schedule)
    assert max(rate(config, step, step / 50) for step in range(50)) > 0.9


@pytest.mark.parametrize(
    ("settings", "where", "expected"),
    [
        ({"schedule": "constant"}, {"done": 0.9, "epoch": 99.0}, 1.0),
        ({"schedule": "linear", "final_lr": 0.2}, {"done": 0.25}, 0.8),
        ({"schedule": "linear", "final_lr": 0.0}, {"done": 1.0}, 0.0),
        ({"schedule": "cosine", "final_lr": 0.2}, {"done": 0.5}, 0.6),
        ({"schedule": "step", "decay_rate": 0.5, "decay_after": 2, "decay_every": 3}, {"epoch": 1.99}, 1.0),
        ({"schedule": "step", "decay_rate": 0.5, "decay_after": 2, "decay_every": 3}, {"epoch": 2.0}, 0.5),
        ({"schedule": "step", "decay_rate": 0.5, "decay_after": 2, "decay_every": 3}, {"epoch": 4.99}, 0.5),
        ({"schedule": "step", "decay_rate": 0.5, "decay_after": 2, "decay_every": 3}, {"epoch": 8.5}, 0.125),
        ({"schedule": "exponential", "decay_rate": 0.5, "decay_after": 2, "decay_every": 3}, {"epoch": 2.0}, 1.0),
        ({"schedule": "exponential", "decay_rate": 0.5, "decay_after": 2, "decay_every": 3}, {"epoch": 3.5}, 0.5**0.5),
        ({"schedule": "exponential", "decay_rate": 0.5, "decay_after": 2, "decay_every": 3}, {"epoch": 8.0}, 0.25),
        ({"schedule": "plateau"}, {"val_losses": (3.0, 2.0, 2.0)}, 1.0),
        ({"schedule": "plateau"}, {"val_losses": (3.0, 2.0, 2.0, 2.1)}, 0.5),
        ({"schedule": "plateau", "decay_rate": 0.1}, {"val_losses": (3.0, 2.0, 2.0, 2.1, 2.1, 2.1)}, 0.01),
        ({"schedule": "plateau", "plateau_patience": 1}, {"val_losses": (1.0, 2.0, 0.9, 0.95)}, 0.25),
    ],
)
def test_values_by_hand(settings, where, expected):
    assert rate(TrainConfig(lr=1.0, **settings), **where) == pytest.approx(expected, rel=1e-12)


def test_char_rnn_s_recipe():
    """The rate of char-rnn's loop at each iteration: times 0.97 at the end of each epoch from the tenth on."""
    config = TrainConfig(optimizer="rmsprop", schedule="step", warmup=0)
    windows, expected = 7, 2e-3
    for iteration in range(1, 15 * windows + 1):
        step = iteration - 1
        epoch = step // windows + step % windows / windows
        assert rate(config, step, step / (50 * windows), epoch) == pytest.approx(expected, rel=1e-12)
        if iteration % windows == 0 and iteration / windows >= 10:
            expected *= 0.97


def test_a_plateau_counts_evaluations_since_the_best_or_the_last_fall():
    assert plateaus((), 1) == 0
    assert plateaus((2.0, 2.0), 1) == 1  # equal is not better
    assert plateaus((5.0, 4.0, 3.0), 1) == 0
    assert plateaus((1.0, 2.0, 2.0, 0.5, 2.0, 2.0, 2.0, 2.0), 2) == 3
    assert plateaus((1.0, 2.0, 0.9, 2.0, 0.8, 2.0), 2) == 0
    assert plateaus((1.0, math.nan, math.nan), 2) == 1


@given(losses=st.lists(st.floats(0, 10), max_size=40), patience=st.integers(1, 5), cut=st.integers(0, 40))
def test_plateaus_are_never_taken_back_and_each_needs_patience(losses, patience, cut):
    assert plateaus(losses[:cut], patience) <= plateaus(losses, patience) <= max(0, len(losses) - 1) // patience


@given(
    schedule=st.sampled_from(SCHEDULES),
    warmup=st.integers(0, 300),
    final=st.floats(0, 1),
    decay=st.one_of(st.none(), st.floats(1e-6, 1)),
    after=st.floats(0, 30),
    every=st.floats(1e-6, 30),
    step=st.integers(0, 10**6),
    done=st.floats(0, 1),
    epoch=st.floats(0, 1e6),
    losses=st.lists(st.floats(0, 20), max_size=20),
)
def test_the_rate_is_between_zero_and_its_peak(schedule, warmup, final, decay, after, every, step, done, epoch, losses):
    config = TrainConfig(
        **{"lr": 3.0, "warmup": warmup, "schedule": schedule, "final_lr": final},
        **{"decay_rate": decay, "decay_after": after, "decay_every": every},
    )
    found = learning_rate(config, step, done, epoch, losses)
    assert 0 <= found <= 3.0
    later = learning_rate(config, max(step, warmup), min(1.0, done + 0.1), epoch + 1, [*losses, 30.0])
    assert step < warmup or later <= found


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "cosin"},
        {"decay_rate": 0.0},
        {"decay_rate": 1.1},
        {"decay_after": -1},
        {"decay_every": 0},
        {"plateau_patience": 0},
        {"plateau_patience": 1.5},
        {"final_lr": math.nan},
    ],
)
def test_settings_are_checked(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        TrainConfig(**settings)
