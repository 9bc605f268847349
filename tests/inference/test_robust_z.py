"""The robust z of a stream, against its definition."""

import math

import numpy as np
import pytest

from charrnn.inference.robust_z import FLOOR, LEAST, RobustZ


def by_definition(numbers, count, floor=FLOOR):
    found = []
    for k, number in enumerate(numbers):
        before = np.array(numbers[max(k - count, 0) : k])
        if len(before) < LEAST:
            found.append(None)
            continue
        median = np.median(before)
        found.append((number - median) / max(1.4826 * np.median(np.abs(before - median)), floor))
    return found


@pytest.mark.parametrize("count", [20, 21, 50, 1000])
@pytest.mark.parametrize("kind", ["normal", "rounded", "two values", "rising"])
def test_it_is_the_definition(rng, count, kind):
    normal = rng.normal(3, 2, 400)
    numbers = {
        "normal": normal, "rounded": normal.round(), "two values": rng.integers(2, size=400) * 5.0,
        "rising": np.arange(400.0),
    }[kind].tolist()  # fmt: skip
    robust = RobustZ(count)
    found = [robust.add(number) for number in numbers]
    wanted = by_definition(numbers, count)
    assert [each is None for each in found] == [each is None for each in wanted]
    assert found[LEAST:] == pytest.approx(wanted[LEAST:], rel=1e-12, abs=1e-9)


def test_where_all_before_are_equal_z_counts_floors():
    robust = RobustZ(floor=0.5)
    for _ in range(30):
        z = robust.add(2.0)
    assert z == 0
    assert robust.add(3.0) == 2
    assert robust.add(1.5) == -1


def test_outliers_move_it_little():
    robust = RobustZ()
    numbers = [*np.linspace(-1, 1, 60), *[1e9] * 25]
    for number in numbers:
        robust.add(float(number))
    assert abs(robust.add(0.0)) < 2
    assert robust.add(1e9) > 1e6


def test_numbers_that_are_not_finite_have_no_z_and_are_not_kept():
    robust, other = RobustZ(30), RobustZ(30)
    for k in range(200):
        assert robust.add(math.nan) is None and robust.add(math.inf) is None
        assert robust.add(float(k % 7)) == other.add(float(k % 7))


def test_it_keeps_no_more_than_it_needs():
    robust = RobustZ(100)
    for k in range(5000):
        robust.add(float(k * 37 % 101))
    assert len(robust._sorted) == len(robust._queue) == 100
    assert robust._sorted == sorted(robust._queue)
