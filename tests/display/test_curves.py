"""Several series in one plot, in a terminal and as a figure."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.figures.curves import curves_figure
from charrnn.display.figures.svg import to_svg
from charrnn.display.palette import ACCENTS, luminance
from charrnn.display.reports.comparison import axis_label
from charrnn.display.terminal import numbers
from charrnn.display.terminal.curves import Marked, curves_lines
from charrnn.display.terminal.text_width import text_width

SVG = "{http://www.w3.org/2000/svg}"


def falling(start, end, count=10, last=1.0):
    """Points of a loss that falls from ``start`` to ``end``, up to ``last``."""
    return np.stack([np.linspace(last / count, last, count), np.linspace(start, end, count)], axis=1)


def drawn(*curves, width=80, height=10):
    series = [
        Marked(mark, f"run {mark}", curve, style)
        for mark, curve, style in zip(
            "abcdefgh", curves, ["red", "green", "blue", "cyan", "magenta", "yellow", "white", "red"], strict=False
        )
    ]
    return curves_lines(series, width, height, lambda value: f"{value:g}")


def test_each_series_has_its_mark_along_its_line_and_its_name_at_its_end():
    rows = [line.plain for line in drawn(falling(2.0, 1.8), falling(2.0, 1.2))]
    assert len(rows) == 12
    upper, lower = (next(row for row in rows if f"{mark} run {mark}" in row) for mark in "ab")
    assert rows.index(upper) < rows.index(lower)
    plots = "".join(row[7:72] for row in rows[:10])
    assert plots.count("a") >= 3 and plots.count("b") >= 3
    assert all(text_width(row) <= 80 for row in rows)


def test_a_shorter_run_ends_where_it_ends():
    rows = drawn(falling(2.0, 1.2), falling(2.0, 1.6, last=0.5))
    ends = [max((row.plain[:72].rfind(mark) for row in rows[:10]), default=-1) for mark in "ab"]
    assert 30 < ends[1] < 45 < ends[0]


def test_crossing_lines_share_their_dots_and_keep_both_marks():
    up, down = falling(1.0, 2.0, 3), falling(2.0, 1.0, 3)
    both = sum(len(row.plain.split()) for row in drawn(up, down))
    assert both > len(drawn(up))
    text = "".join(row.plain for row in drawn(up, down))
    assert "a run a" in text and "b run b" in text


def test_names_of_runs_that_end_alike_stand_in_rows_of_their_own():
    rows = [row.plain for row in drawn(*[falling(2.0, 1.2)] * 5)]
    assert [row.rstrip()[-1] for row in rows if "run" in row] == list("abcde")
    crowded = [row.plain for row in drawn(*[falling(2.0, 1.2)] * 8, height=4)]
    assert sum("run" in row for row in crowded) == 4


def test_the_horizontal_axis_begins_at_zero_and_has_round_labels():
    axis, labels = (row.plain for row in drawn(falling(2.0, 1.2, last=0.9))[-2:])
    assert labels.split()[0] == "0" and len(labels.split()) >= 4
    assert axis.count("┬") == len(labels.split())
    assert [float(each) for each in labels.split()] == sorted(map(float, labels.split()))


def test_the_first_losses_leave_the_axis_to_the_later_ones():
    steep = np.array([(1, 9.0), (2, 1.9), (3, 1.8), (4, 1.7), (5, 1.6), (6, 1.5)])
    labels = [float(row.plain[:6]) for row in drawn(steep)[:10] if row.plain[6] == "┤"]
    assert len(labels) >= 2 and max(labels) < 3


def test_a_name_with_controls_is_shown_harmlessly_and_shortened():
    series = [Marked("a", "\x1b[31m\u202e" + "x" * 40, falling(2, 1))]
    rows = [row.plain for row in curves_lines(series, 80, 6, str)]
    assert any("a ␛[31m" in row for row in rows)
    assert all(text_width(row) <= 80 for row in rows)
    assert "\x1b" not in "".join(rows)


def test_without_points_there_is_no_plot():
    assert drawn(np.zeros((0, 2))) == []
    assert any("b run b" in row.plain for row in drawn(np.zeros((0, 2)), falling(2, 1)))


def test_runs_of_no_length_can_be_drawn():
    assert len(drawn(np.array([(0.0, 1.5)]), np.array([(5e-324, 1.2)]))) == 12


@given(
    st.lists(st.lists(st.tuples(st.floats(0, 1e15), st.floats(0, 1e6)), max_size=12), min_size=1, max_size=8),
    st.integers(1, 120),
    st.integers(1, 12),
)
def test_any_points_can_be_drawn(curves, width, height):
    curves = [np.array(sorted(each), float).reshape(-1, 2) for each in curves]
    rows = drawn(*curves, width=width, height=height)
    assert len(rows) == (height + 2 if any(map(len, curves)) else 0)
    assert all(text_width(row.plain) <= max(width, 11) for row in rows)


def test_ticks_are_round_and_within_the_range():
    assert numbers.ticks(0.0, 1.0, 5) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert numbers.ticks(1.31, 1.72, 4) == pytest.approx([1.4, 1.6])
    assert all(3 <= len(numbers.ticks(0.0, end, 8)) <= 9 for end in (0.003, 0.24, 7.0, 99.0, 5e6))


def test_accents_have_one_luminance():
    shown = luminance(np.array(ACCENTS))
    assert len({*ACCENTS}) == len(ACCENTS)
    assert shown.max() - shown.min() < 0.02


def records(*names):
    return [{"mark": mark, "name": name} for mark, name in zip("abcdefghijklmnopqrstuvwxyz", names, strict=False)]


def test_the_figure_has_a_line_and_a_name_for_each_run():
    names = ["one", "</text><script>\x1b", "x" * 90]
    curves = [falling(2, 1.5), falling(2, 1.2, last=0.6), np.zeros((0, 2))]
    root = ElementTree.fromstring(to_svg(curves_figure(records(*names), curves, "minutes", axis_label("minutes"))))
    lines = [each for each in root.findall(f"{SVG}polyline") if len(each.get("points").split()) == 10]
    first, second = lines
    assert first.get("stroke") != second.get("stroke")
    assert first.get("stroke-dasharray") != second.get("stroke-dasharray")
    places = [[tuple(map(float, point.split(","))) for point in each.get("points").split()] for each in lines]
    assert places[0][-1][0] > places[1][-1][0]  # the second run is shorter
    assert places[0][-1][1] < places[1][-1][1]  # y goes down
    labels = [each.text for each in root.findall(f"{SVG}text")]
    assert "a one" in labels and "b </text><script>␛" in labels and "minutes" in labels
    assert max(map(len, labels)) < 60
    assert not root.findall(f".//{SVG}script")


def test_the_figure_of_many_runs_is_high_enough_for_their_names():
    sheet = curves_figure(records(*["run"] * 26), [falling(2, 1)] * 26, "steps", axis_label("steps"))
    assert max(getattr(shape, "y", 0) for shape in sheet.shapes) < sheet.height
