"""The curve of the losses of a run."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.terminal.curve import Curve, Series
from charrnn.display.terminal.text_width import text_width


def test_a_long_series_stays_small_and_keeps_its_shape():
    series = Series(16)
    for step in range(1000):
        series.add(step / 1000, step)
    points = series.points()
    assert 8 <= len(points) <= 16
    np.testing.assert_allclose(points[:, 0] * 1000, points[:, 1])
    assert np.all(np.diff(points[:, 0]) > 0)
    series.add(0.5, math.nan)
    assert np.array_equal(series.points(), points)


def drawn(curve, width=60, height=8, margin=0):
    return [line.plain for line in curve.lines(width, height, margin)]


def test_high_first_losses_leave_the_axis_to_the_later_ones():
    curve = Curve()
    for step in range(1, 1001):
        curve.add(step / 1000, 1.5 + 20 * math.exp(-step / 8) + 0.5 * math.exp(-step / 300))
    rows = drawn(curve)
    assert sum(any("\u2800" < cell <= "\u28ff" for cell in row) for row in rows) >= 7
    labels = [float(row[:5]) for row in rows if row[6] == "┤"]
    assert len(labels) >= 2 and labels == sorted(labels, reverse=True) and max(labels) < 3


def test_a_falling_loss_is_drawn_falling_and_ends_at_the_progress_of_the_run():
    curve = Curve()
    for step in range(1, 101):
        curve.add(step / 400, 3 - step / 100)
    rows = drawn(curve)
    columns = [min(place for place, cell in enumerate(row[7:]) if cell != " ") for row in rows[:-1] if row[7:].strip()]
    assert columns == sorted(columns)
    assert rows[-1].endswith("25 % of the run")  # the axis shows the first quarter of the run only
    assert max(len(row.rstrip()) for row in rows[:-1]) == 60


def test_a_resumed_run_begins_at_the_left():
    curve = Curve(start=0.5)
    for step in range(50, 101):
        curve.add(step / 100, 2.0 - step / 100)
    rows = drawn(curve)
    assert min(len(row[7:]) - len(row[7:].lstrip()) for row in rows[:-1] if row[7:].strip()) < 6
    assert rows[-1].strip("└─ ") == ""


def test_validation_is_marked_and_named():
    curve = Curve()
    for step in range(1, 101):
        curve.add(step / 100, 2 - step / 100)
        if step % 25 == 0:
            curve.add_validation(2.2 - step / 100)
    rows = drawn(curve, 80, 8, margin=20)
    assert sum(row.count("●") for row in rows) == 4
    assert sum("validation" in row for row in rows) == sum("training" in row for row in rows) == 1
    assert all(len(row) <= 80 for row in rows)


@given(st.lists(st.floats(), max_size=30), st.integers(8, 120), st.integers(2, 12))
def test_any_losses_can_be_drawn(losses, width, height):
    curve = Curve()
    for place, loss in enumerate(losses):
        curve.add((place + 1) / 30, min(max(loss, 0.0), 1e6))
        if place % 3 == 0:
            curve.add_validation(loss if 0 <= loss < 1e6 else math.nan)
    rows = drawn(curve, width, height)
    assert len(rows) == height + 1
    assert all(text_width(row) <= max(width, 11) for row in rows)


def test_a_few_validation_losses_high_above_the_training_loss_are_on_the_axis():
    curve = Curve(start=0.5)
    for step in range(500, 1001):
        curve.add(step / 1000, 0.85 - (step - 500) / 2000)
        if step in (600, 900):
            curve.add_validation(1.0262)
    rows = drawn(curve)
    assert sum(row.count("●") for row in rows) == 2
    labels = [float(row[:5]) for row in rows if row[6] == "┤"]
    assert min(labels) < 0.7 and max(labels) >= 0.9
