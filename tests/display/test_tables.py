"""Tables, columns, and numbers for people."""

import math

import pytest
from rich.text import Text

from charrnn.display.terminal import numbers
from charrnn.display.terminal.colours import Depth, Look
from charrnn.display.terminal.columns import side_by_side
from charrnn.display.terminal.heatmap import coloured
from charrnn.display.terminal.tables import key_values, table
from charrnn.display.terminal.text_width import text_width


def test_tables_align_numbers_right_and_words_left():
    lines = table(["cell", "kind", "score"], [[7, "quotes", 0.5], [12345, "漢字", None]])
    assert [line.plain for line in lines] == [
        "  cell  kind     score",
        "──────────────────────",
        "     7  quotes  0.5000",
        "12,345  漢字         –",
    ]


def test_a_text_in_a_table_keeps_its_coloured_spaces():
    cell = coloured([" "] * 3, Look(depth=Depth.ANSI16).styles([0.9] * 3))
    row = table(["cell", "where"], [[1, cell]])[-1]
    assert row.plain == "   1  " + " " * 5
    assert [(span.start, span.end) for span in row.spans] == [(6, 9)]


def test_long_values_wrap_within_their_column():
    assert [line.plain for line in key_values([("name", "one two three four"), ("n", 1234)], 20)] == [
        "name  one two three",
        "      four",
        "n     1,234",
    ]
    lines = table(["a", "b"], [["x", "one two three four five"]], 20)
    assert [line.plain for line in lines[2:]] == ["x  one two three", "   four five"]


HEADS = ["hypothesis", "best cell", "after the training text", "p", ""]
ROWS = [
    ["word-position", "1:173", 0.5, 12345, "characters of the word that have been read, 漢字 too"],
    ["tag", "0:4", None, 7, "inside a tag"],
    ["url", "10:1023", 1.25, 0, ""],
]


@pytest.mark.parametrize("rows", [ROWS, [row[:4] for row in ROWS], [[*row[:4], Text("█" * 50, "red")] for row in ROWS]])
def test_a_table_loses_nothing_at_any_width(rows):
    """Wide, folded, with the last column under the rows, and as blocks: every word of every place is there."""
    heads, shapes = HEADS[: len(rows[0])], set()
    wide = [line.plain for line in table(heads, rows)]
    words = [word for line in wide for word in line.split() if "─" not in word and "█" not in word]
    for width in range(16, 120):
        lines = [line.plain for line in table(heads, rows, width)]
        assert max(map(text_width, lines)) <= width
        found = " ".join(lines).split()
        for word in set(words):
            assert found.count(word) >= min(words.count(word), 1), (width, word)
        assert "".join(lines).count("█") == "".join(wide).count("█")
        shapes.add(len(lines))
    assert len(shapes) > 2


def test_the_last_column_stands_under_its_row_before_a_table_becomes_blocks():
    heads, rows = ["name", "best cell", "means"], [["quotes", "1:150", "inside quotation marks"]]
    assert [line.plain for line in table(heads, rows, 26)] == [
        "name    best cell",
        "        means",
        "─" * 26,
        "quotes  1:150",
        "        inside quotation",
        "        marks",
    ]
    assert [line.plain for line in table(heads, rows, 10)] == [
        "─" * 10,
        "name",
        " quotes",
        "best cell",
        " 1:150",
        "means",
        " inside",
        " quotation",
        " marks",
    ]


def test_a_value_stands_under_its_name_where_there_is_no_room_beside_it():
    lines = key_values([("a long name of it", "a value that is long"), ("x", "y"), ("", "more")], 30)
    assert [line.plain for line in lines] == ["a long name of it", " a value that is long", "x  y", "more"]


def test_columns_stand_side_by_side_where_there_is_room():
    lines = side_by_side(["cold", "hot"], ["one\ntwo\n", "漢字 " * 12], 57)
    assert [line.plain for line in lines] == [
        "cold" + " " * 23 + " │ hot",
        "─" * 27 + "─┼─" + "─" * 27,
        "one" + " " * 24 + " │ " + "漢字 " * 4 + "漢字",
        "two" + " " * 24 + " │ " + "漢字 " * 4 + "漢字",
        " " * 27 + " │ 漢字 漢字",
    ]


def test_texts_follow_each_other_where_there_is_no_room():
    lines = [line.plain for line in side_by_side(["cold", "hot"], ["one", "two"], 50)]
    assert lines == ["cold", "─" * 50, "one", "", "hot", "─" * 50, "two"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.count(12345), "12,345"),
        (numbers.short(7), "7"),
        (numbers.short(865_345), "865 k"),
        (numbers.short(34_212.4), "34.2 k"),
        (numbers.short(999_600), "1.00 M"),
        (numbers.short(1_020_000), "1.02 M"),
        (numbers.short(4_350), "4.35 k"),
        (numbers.short(99.7), "99.7"),
        (numbers.short(math.nan), "nan"),
        (numbers.duration(0.84), "0.8 s"),
        (numbers.duration(58.97), "59 s"),
        *zip(
            map(numbers.ordinal, (1, 2, 3, 4, 11, 21, 112)),
            ["1st", "2nd", "3rd", "4th", "11th", "21st", "112th"],
            strict=True,
        ),
        (numbers.duration(192), "3 m 12 s"),
        (numbers.duration(59.97), "1 m 00 s"),
        (numbers.clock(7500), "2 h 05 m"),
        (numbers.clock(3 * 86400 + 4 * 3600), "3 d 04 h"),
        (numbers.clock(-3), "0 s"),
        (numbers.loss(1.73421), "1.7342"),
        (numbers.loss(None), "–"),
        (numbers.bpc(2.5019), "2.502"),
        (numbers.learning_rate(0.002), "0.002"),
        (numbers.learning_rate(0.0000125), "1.25e-05"),
        (numbers.percent(0.999), "99 %"),
        (numbers.percent(1.0), "100 %"),
        (numbers.percent(0.29), "29 %"),
    ],
)
def test_numbers(written, expected):
    assert written == expected
