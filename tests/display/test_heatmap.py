"""Texts coloured by numbers: everyone can tell the colours apart, and characters stay aligned."""

import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from charrnn.display.palette import contrast, foreground, lightness, linear_light, luminance
from charrnn.display.reports.predictions import prediction_legend, prediction_rows
from charrnn.display.terminal.colours import DIVERGING, SEQUENTIAL, Depth, Look, cube_rgb
from charrnn.display.terminal.heatmap import heat_text, legend
from charrnn.display.terminal.text_width import text_width
from charrnn.sanitise import visible

SCALES = [DIVERGING, SEQUENTIAL]
COLOURED = [Depth.ANSI16, Depth.ANSI256, Depth.TRUECOLOUR]
SYSTEMS = {Depth.ANSI16: "standard", Depth.ANSI256: "256", Depth.TRUECOLOUR: "truecolor"}
HOSTILE = "a\x1b]52;c;x\x07b\x9b31m\u202ec[red]d[/] :skull:\r\x1bPq\x1b\\\x7f"
ANY_TEXT = st.text(st.characters(codec=None) | st.sampled_from("ab \n\t漢\u0301\x1b"), max_size=60)

# Viénot, Brettel and Mollon (1999): linear light as people who lack one kind of cones see it.
PROTANOPIA = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
DEUTERANOPIA = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


def lab(light):
    """Linear light as CIELAB."""
    xyz = light @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    f = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 0))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def in_256(scale):
    """The colours (n, 3) of a scale in the table of 256 colours."""
    return np.array([cube_rgb(number) for number in scale.cube])


def plain_lines(lines):
    return [line.plain for line in lines]


def printed(lines, depth):
    """The lines as rich sends them to a terminal."""
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=True, color_system=SYSTEMS.get(depth), width=500, legacy_windows=False
    )
    for line in lines:
        console.print(line, soft_wrap=True)
    return stream.getvalue()


# Scales


@pytest.mark.parametrize("scale", SCALES)
def test_all_forms_of_a_scale_have_an_odd_number_of_steps(scale):
    forms = [scale.colours, scale.cube, scale.basic, scale.symbols]
    assert all(len(form) % 2 == 1 for form in forms)
    assert len(scale.cube) == len(scale.colours)
    assert len(set(scale.symbols)) == len(scale.symbols)


def test_diverging_luminance_is_symmetric_and_rises_with_the_distance_from_zero():
    shown = luminance(np.array(DIVERGING.colours))
    middle = len(shown) // 2
    np.testing.assert_allclose(shown, shown[::-1], atol=0.006)  # one step of 8 bits
    assert np.all(np.diff(shown[middle:]) > 0)
    assert np.all(np.diff(shown[: middle + 1]) < 0)


def test_diverging_luminance_in_256_colours_is_nearly_symmetric_and_monotone():
    shown = luminance(in_256(DIVERGING))
    middle = len(shown) // 2
    np.testing.assert_allclose(shown, shown[::-1], atol=0.03)
    assert np.all(np.diff(shown[middle:]) >= 0)
    assert np.all(np.diff(shown[: middle + 1]) <= 0)
    assert len(set(in_256(DIVERGING)[middle])) == 1  # zero is a grey


def test_sequential_luminance_rises():
    assert np.all(np.diff(luminance(np.array(SEQUENTIAL.colours))) > 0)
    assert np.all(np.diff(luminance(in_256(SEQUENTIAL))) >= 0)


@pytest.mark.parametrize(("scale", "levels"), [(DIVERGING, 17), (SEQUENTIAL, 12)])
def test_256_colours_show_nearly_the_lightness_of_true_colour(scale, levels):
    """A value is read by the lightness of its colour (0 to 100). A difference of 2.3 is just noticeable."""
    fine, coarse = (116 * lightness(colours) - 16 for colours in (scale.colours, in_256(scale)))
    errors = np.abs(fine - coarse)
    assert errors.mean() < 2.4
    assert errors.max() < 10
    used = list(dict.fromkeys(scale.cube))
    assert len(used) == levels
    seen = [lab(linear_light(cube_rgb(number))) for number in used]
    assert min(np.linalg.norm(one - other) for one, other in itertools.pairwise(seen)) > 5 * 2.3


def test_small_values_have_a_sign_in_256_colours():
    """From 0.1 on, the sign is as easily seen as in true colour, or more easily."""
    for value in (0.1, 0.2, 0.3):
        places = DIVERGING.levels([-value, value], len(DIVERGING.colours))
        apart = [
            np.linalg.norm(np.subtract(*(lab(linear_light(table[place])) for place in places)))
            for table in (DIVERGING.colours, in_256(DIVERGING))
        ]
        assert apart[1] >= apart[0] > 10


def test_equal_steps_of_the_diverging_scale_look_equal():
    half = [lab(linear_light(colour))[0] for colour in DIVERGING.colours[len(DIVERGING.colours) // 2 :]]
    steps = np.diff(half)
    assert steps.max() < 2 * steps.min()


@pytest.mark.parametrize("eyes", [np.eye(3), PROTANOPIA, DEUTERANOPIA], ids=["all", "protan", "deutan"])
@pytest.mark.parametrize("table", ["colours", "cube"])
def test_positive_and_negative_can_be_told_apart_without_red_or_green_cones(eyes, table):
    colours = DIVERGING.colours if table == "colours" else in_256(DIVERGING)
    seen = [lab(linear_light(colour) @ eyes.T) for colour in colours]
    for place in range(len(seen) // 4 + 1):
        assert np.linalg.norm(seen[place] - seen[-1 - place]) > 30  # 2.3 is just noticeable


@pytest.mark.parametrize("faint", [False, True])
@pytest.mark.parametrize("scale", SCALES)
def test_text_is_readable_on_every_colour(scale, faint):
    for background in scale.colours:
        assert contrast(foreground(background, faint), background) >= 4.5
    for style in scale.styles(scale.ramp(len(scale.cube)), Depth.ANSI256, faint):
        assert contrast(cube_rgb(style.color.number), cube_rgb(style.bgcolor.number)) >= 4.5


def test_foreground_is_readable_on_any_background():
    for background in np.random.default_rng(5).integers(0, 256, (500, 3)).tolist():
        assert contrast(foreground(tuple(background)), background) >= 4.5


def test_16_colours_are_five_steps_and_zero_is_the_terminals_own():
    styles = DIVERGING.styles([-1, -0.5, 0, 0.5, 1], Depth.ANSI16)
    assert len(set(map(str, styles))) == 5
    assert styles[2].bgcolor is None
    assert [style.bgcolor.number for style in styles if style.bgcolor] == [4, 14, 11, 1]


def test_values_out_of_range_are_clipped_and_nan_is_zero():
    values = [-np.inf, -7, np.nan, 0, 7, np.inf]
    assert DIVERGING.symbols_for(values) == "==  ##"
    assert SEQUENTIAL.symbols_for(values) == "    @@"
    assert DIVERGING.symbols_for(np.linspace(-1, 1, 9)) == DIVERGING.symbols


@given(st.floats(-1, 1))
def test_levels_are_symmetric(value):
    for steps in (5, 9, 65):
        up, down = DIVERGING.levels([value, -value], steps)
        assert up + down == steps - 1


# Heat maps


def test_a_heat_map_without_colour_has_a_line_of_symbols_under_each_line():
    values = np.array([-1, -0.5, 0, 0.5, 1, 1, 0.2, -1])
    lines = heat_text("wo漢lf\nab", values, Look(20, Depth.NONE))
    assert plain_lines(lines) == ["wo漢lf↵", '=:  "##', "ab", "'="]


def test_tabs_reach_their_stop_and_wide_characters_stay_aligned():
    lines = heat_text("ab\tc\n漢\td\n", np.ones(9), Look(40, Depth.NONE))
    assert plain_lines(lines) == ["ab→     c↵", "#" * 10, "漢→     d↵", "#" * 10]


def test_a_mark_shares_the_place_of_its_letter_and_the_stronger_value_shows():
    lines = heat_text("e\u0301f", [0.1, -1.0, 0.0], Look(10, Depth.NONE))
    assert plain_lines(lines) == ["e\u0301f", "="]


def test_lines_break_at_the_width_and_wide_characters_are_not_cut():
    lines = heat_text("abc漢d", np.ones(5), Look(4, Depth.NONE))
    assert plain_lines(lines) == ["abc", "###", "漢d", "###"]


def test_every_character_has_the_background_of_its_value():
    (line,) = heat_text("abc", [-1, 0, 1])
    backgrounds = [span.style.bgcolor.triplet for span in line.spans]
    assert [tuple(colour) for colour in backgrounds] == [
        DIVERGING.colours[0],
        DIVERGING.colours[len(DIVERGING.colours) // 2],
        DIVERGING.colours[-1],
    ]


def test_neighbours_of_one_colour_share_a_span():
    (line,) = heat_text("a" * 60, np.full(60, 0.5))
    assert len(line.spans) == 1


def test_the_number_of_values_must_fit():
    with pytest.raises(ValueError, match="3 characters"):
        heat_text("abc", [0.0, 1.0])


@given(ANY_TEXT, st.integers(2, 40), st.sampled_from([*COLOURED, Depth.NONE]))
def test_heat_maps_of_any_text_fit_and_are_harmless(text, width, depth):
    lines = heat_text(text, np.linspace(-1, 1, len(text)), Look(width, depth))
    for line in lines:
        assert text_width(line.plain) <= width
        assert visible(line.plain, "") == line.plain


@pytest.mark.parametrize("depth", COLOURED)
def test_nothing_but_colours_reaches_the_terminal(depth):
    lines = heat_text(HOSTILE, np.linspace(-1, 1, len(HOSTILE)), Look(20, depth))
    lines += prediction_rows(HOSTILE, [list("\x1b\x9b\u202e\n]")] * len(HOSTILE), np.full((len(HOSTILE), 5), 0.2))
    lines += [legend(Look(depth=depth)), *prediction_legend(Look(depth=depth))]
    sent = printed(lines, depth)
    parts = sent.split("\x1b[")
    assert len(parts) > 10
    assert all(part.partition("m")[0].replace(";", "").isdigit() for part in parts[1:])
    rest = "".join(part.partition("m")[2] for part in parts[1:])
    assert visible(rest, "\n") == rest
    assert "[red]d[/] :skull:" in "".join(line.plain for line in lines).replace("\n", "")


# Legends


def test_legends_name_the_ends():
    assert legend(Look(depth=Depth.NONE)).plain == "-1  =  -  :  .     '  \"  +  #  +1"
    for depth in COLOURED:
        line = legend(Look(depth=depth, scale=SEQUENTIAL), "0 bits", "8 bits")
        assert line.plain.startswith("0 bits  ") and line.plain.endswith("  8 bits")
    assert "tenths" in prediction_legend(Look(depth=Depth.NONE))[0].plain


# Predictions


GUESSES = np.array([list("o\nxyz"), list("l abc"), list("fklmn")])
CHANCES = np.array([[0.9, 0.06, 0.02, 0.01, 0.01], [0.55, 0.3, 0.05, 0.05, 0.05], [0.04] * 5])


def test_guesses_stand_under_their_character():
    lines = prediction_rows("wol", GUESSES, CHANCES)
    assert plain_lines(lines) == ["wol", "olf", "↵␣k", "xal", "ybm", "zcn"]


def test_predictions_without_colour_give_the_first_probability_in_tenths():
    lines = prediction_rows("wol", GUESSES, CHANCES, Look(depth=Depth.NONE))
    assert plain_lines(lines) == ["wol", "95", "ol", "↵␣", " a", " b", " c"]


def test_a_wide_guess_widens_its_column():
    lines = prediction_rows("ab", [["漢", "x"], ["y", "z"]], np.full((2, 2), 0.5))
    assert plain_lines(lines) == ["a b", "漢y", "x z"]
    lines = prediction_rows("漢b", [["a", "x"], ["y", "z"]], np.full((2, 2), 0.5))
    assert plain_lines(lines) == ["漢b", "a y", "x z"]


def test_blocks_end_at_line_feeds_and_at_the_width():
    guesses, chances = [["x"]] * 6, np.full((6, 1), 0.5)
    lines = prediction_rows("ab\ncde", guesses, chances, Look(width=2))
    assert [line for line in plain_lines(lines) if "x" not in line] == ["ab", "", "↵", "", "cd", "", "e"]


def test_a_correct_guess_is_marked():
    line = prediction_rows("wol", GUESSES, CHANCES)[1]
    assert [bool(span.style.underline) for span in line.spans if line.plain[span.start : span.end]] == [
        True,
        True,
        False,
    ]


def test_the_text_above_predictions_takes_its_values_colours():
    line = prediction_rows("wol", GUESSES, CHANCES, values=np.array([-1, 0, 1]))[0]
    assert tuple(line.spans[0].style.bgcolor.triplet) == DIVERGING.colours[0]


@given(ANY_TEXT, st.integers(2, 30), st.sampled_from([*COLOURED, Depth.NONE]))
def test_predictions_of_any_text_stay_aligned(text, width, depth):
    guesses = [[character, text[0], "漢"] for character in text]
    lines = prediction_rows(text, guesses, np.full((len(text), 3), 0.3), Look(width, depth))
    for line in lines:
        assert text_width(line.plain) <= max(width, 2)
        assert visible(line.plain, "") == line.plain
    if depth != Depth.NONE:
        blocks = "\n".join(map(str, plain_lines(lines))).split("\n\n")
        for block in blocks:
            assert len({text_width(line) for line in block.split("\n")}) == 1


def test_predictions_must_fit_the_text():
    with pytest.raises(ValueError, match="3 characters"):
        prediction_rows("wol", GUESSES[:2], CHANCES)
