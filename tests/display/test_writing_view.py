"""The rows and lines of the screen of writing together, without a terminal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.display.terminal.colours import Depth
from charrnn.display.terminal.text_width import text_width
from charrnn.display.writing.layout import LONGEST, place_in, rows_around
from charrnn.display.writing.view import HELP, KEYS, Scene, View, shown_part
from charrnn.sanitise import visible

TEXT = "The fox met the heron at the river.\n\nGood morning, said the fox, who wanted something.\n"
letters = st.sampled_from("ab  \n\t漢e\u0301🦊\x1b\u202e\ufe0f\u200d")
texts = st.text(letters, max_size=200)


def shown(row):
    return "".join(item.shown for item in row.items)


@given(texts, st.integers(0, 200), texts, st.integers(4, 30), st.integers(1, 10))
def test_rows_are_a_part_of_the_text_without_gaps_and_fit(text, cursor, ghost, columns, height):
    cursor = min(cursor, len(text))
    found = rows_around(text, cursor, shown_part(ghost), columns, height)
    assert 0 <= found.row < len(found.rows)
    assert 0 <= found.column < columns
    for row in found.rows:
        line = shown(row)
        assert sum(item.width for item in row.items) <= columns
        assert line == visible(line, "")
        places = [item.place + row.base for item in row.items if item.place >= 0]
        assert all(row.start <= place < row.stop for place in places)
        assert places == sorted(set(places))
    for above, below in zip(found.rows, found.rows[1:], strict=False):
        assert below.start - above.stop in (0, 1)
        assert text[above.stop : below.start] in ("", "\n")
    assert found.rows[found.row].start <= cursor <= found.rows[found.row].stop
    # Enough rows above and below, unless the text ends.
    assert found.row >= height or found.rows[0].start == 0
    assert len(found.rows) - found.row > height or found.rows[-1].stop == len(text)


@given(texts, st.integers(0, 200), st.integers(4, 30))
def test_the_cursor_is_where_the_text_before_it_ends(text, cursor, columns):
    text = text.replace("\t", " ").replace("\u0301", "").replace("\ufe0f", "").replace("\u200d", "")
    cursor = min(cursor, len(text))
    found = rows_around(text, cursor, "", columns, 5)
    row = found.rows[found.row]
    assert found.column == min(text_width(visible(text[row.start : cursor], "")), columns - 1)
    if row.start < cursor < row.stop:
        assert place_in(row, found.column) == cursor


def test_words_stay_whole_and_a_ghost_stands_behind_the_cursor():
    found = rows_around(TEXT, 7, " and", 20, 10)
    assert [shown(row) for row in found.rows[:3]] == ["The fox and met the ", "heron at the river.", ""]
    assert (found.row, found.column) == (0, 7)
    assert [item.place for item in found.rows[0].items][6:12] == [6, -1, -1, -1, -1, 7]


def test_a_ghost_without_colours_stands_between_marks():
    found = rows_around("The fox", 7, " and", 20, 10, ("‹", "›"))
    assert shown(found.rows[0]) == "The fox‹ and›"


def test_a_very_long_line_is_laid_out_around_the_cursor():
    text = "fox " * 300_000
    found = rows_around(text, 600_001, "", 80, 30)
    assert 30 <= found.row <= 30 + LONGEST / 60
    assert found.rows[0].start > 500_000
    assert found.rows[found.row].start <= 600_001 < found.rows[found.row].stop


@pytest.mark.parametrize(
    ("ghost", "part"),
    [("fox", "fox"), ("fox\nhen\n", "fox\n"), ("\n\nfox\nhen", "\n\nfox\n"), ("\n", "\n"), ("", "")],
)
def test_a_ghost_is_shown_up_to_a_line_break(ghost, part):
    assert shown_part(ghost) == part


def scene(**changes):
    about = {
        "text": TEXT,
        "cursor": 7,
        "ghost": " and the hen",
        "guesses": [("e", 0.5), (" ", 0.25), ("\n", 0.125), ("漢", 0.1), ("\x1b", 0.001)],
        "state": [(0, "story.txt changed"), (1, "most probable"), (2, "temperature 0.8"), (4, "line 1, column 8")],
    }
    return Scene(**about | changes)


def plain(lines):
    return ["".join(text for _, text in line) for line in lines]


@pytest.mark.parametrize("depth", list(Depth))
@pytest.mark.parametrize("columns", [20, 40, 60, 100])
@pytest.mark.parametrize("height", [1, 2, 3, 5, 8, 24])
@pytest.mark.parametrize("cell", [None, "1:37 c"])
def test_every_size_is_filled_and_nothing_is_too_wide(depth, columns, height, cell):
    values = (lambda first, last: np.linspace(-1, 1, last - first)) if cell else None
    for changes in ({}, {"message": "saved " * 30}, {"prompt": ("Temperature: ", "0.8")}, {"guesses": None}):
        lines, row, column = View(depth).lines(scene(cell=cell, **changes), columns, height, values)
        assert len(lines) == height
        assert 0 <= row < height
        assert 0 <= column < columns
        assert max(map(text_width, plain(lines))) <= columns


def test_what_stands_on_a_screen_of_60_columns():
    lines = plain(View(Depth.TRUECOLOUR).lines(scene(), 60, 10)[0])
    assert lines[0] == "The fox and the hen met the heron at the river."
    assert lines[2] == "Good morning, said the fox, who wanted something."
    assert lines[7] == "e ██    50% ␣ █     25% ↵ ▌     12% 漢▍     10% ␛       <1% "
    assert lines[8].strip() == "story.txt changed · most probable · temperature 0.8"
    assert "F1 keys" in lines[9] and "Tab word" in lines[9]


def test_without_colours_signs_say_the_same():
    values = np.linspace(-1, 1, len(TEXT))
    lines = plain(View(Depth.NONE).lines(scene(cell="1:37 c", here=0.5), 60, 14, lambda a, b: values[a:b])[0])
    assert lines[0] == "The fox‹ and the hen› met the heron at the river."
    assert lines[1].startswith("======-              ----------:::")
    assert "cell 1:37 c, here +0.50" in lines[11]
    assert "=-:. '\"+# +1" in lines[11]


def test_a_terminal_without_unicode_gets_ascii():
    lines = plain(View(Depth.NONE, ascii=True).lines(scene(), 60, 10)[0])
    assert all(line.isascii() for line in lines)
    assert lines[0] == "The fox< and the hen> met the heron at the river."
    assert "e ##" in lines[7]


def test_colours_are_those_of_the_values_and_none_where_there_is_no_value():
    values = np.full(len(TEXT), np.nan)
    values[:2] = -1, 1
    line = View(Depth.TRUECOLOUR).lines(scene(cell="1:37 c"), 60, 10, lambda a, b: values[a:b])[0][0]
    assert [text for _, text in line][:3] == ["T", "h", "e fox"]
    assert line[0][0] != line[1][0]
    assert all(style.startswith("fg:#") for style, _ in line[:2])
    assert line[2][0] == ""
    basic = View(Depth.ANSI16).lines(scene(cell="1:37 c"), 60, 10, lambda a, b: values[a:b])[0][0]
    assert basic[0][0] == "fg:ansiwhite bg:ansiblue"


def test_the_screen_scrolls_as_little_as_possible():
    text = "\n".join(map(str, range(100)))
    view = View(Depth.NONE)
    at = text.index("\n50\n") + 1
    first = plain(view.lines(scene(text=text, cursor=at, ghost=""), 60, 14)[0])
    assert first[10] == "50"
    again = plain(view.lines(scene(text=text, cursor=text.index("\n45\n") + 1, ghost=""), 60, 14)[0])
    assert again[:11] == first[:11]
    up = plain(view.lines(scene(text=text, cursor=text.index("\n30\n") + 1, ghost=""), 60, 14)[0])
    assert up[0] == "30"


def test_the_page_of_keys_can_be_read_at_60_columns_and_in_few_lines():
    view = View(Depth.NONE)
    assert all(text_width(line) <= 60 for line in KEYS.split("\n"))
    seen, offset = set(), 0
    for _ in range(20):
        lines, offset = view.keys(60, 8, offset)
        seen.update(plain(lines))
        offset += 5
    assert set(KEYS.split("\n")) <= seen
    assert all(word in KEYS for word in ("Ctrl-S", "Ctrl-Q", "Tab"))
    assert {key for key, _ in HELP} >= {"Tab", "F1", "^Q"}
