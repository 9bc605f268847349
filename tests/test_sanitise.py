"""Untrusted text: harmful characters are replaced before they reach a terminal, and widths are right."""

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.display.terminal.text_width import CARRIER, clip, clusters, glyph, plain, text_width, wrap
from charrnn.sanitise import escaped, visible

EVERY_CHARACTER = "".join(map(chr, range(0x110000)))
ANY_TEXT = st.text(st.characters(codec=None) | st.sampled_from("\x1b\x9b\r\n\t\x07\u202e\u200b\ud800 漢\u0301"))

# Format characters that are visible signs of a script.
VISIBLE_FORMAT = {
    *range(0x600, 0x606),
    *(0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD),
}


def test_no_character_that_acts_or_hides_passes():
    shown = visible(EVERY_CHARACTER, keep="")
    assert len(shown) == len(EVERY_CHARACTER)
    for character in set(shown):
        category = unicodedata.category(character)
        assert category not in {"Cc", "Cs", "Zl", "Zp"}, hex(ord(character))
        assert category != "Cf" or ord(character) in VISIBLE_FORMAT, hex(ord(character))
        assert ord(character) & 0xFFFE != 0xFFFE and not 0xFDD0 <= ord(character) <= 0xFDEF


def test_letters_of_every_script_pass_unchanged():
    letters = [c for c in EVERY_CHARACTER if unicodedata.category(c) in {"Lu", "Ll", "Lt", "Nd", "Sm", "Sc", "Po"}]
    assert visible("".join(letters)) == "".join(letters)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred", "␛[31mred"),
        ("\x1b]52;c;cm0gLXJm\x07", "␛]52;c;cm0gLXJm␇"),
        ("\x1b]8;;http://x\x1b\\", "␛]8;;http://x␛\\"),
        ("\x9b31m\x90q\x9c", "\ufffd31m\ufffdq\ufffd"),
        ("a\rb\x00\x7f", "a␍b␀␡"),
        ("\u202egpj\u2066\u200f", "\ufffdgpj\ufffd\ufffd"),
        ("a\u200bb\ufeffc\u00ad\U000e0041", "a\ufffdb\ufffdc\ufffd\ufffd"),
        ("\u2028\u2029\ud800\udfff\uffff", "\ufffd" * 5),
        ("line\n\tindented", "line\n\tindented"),
    ],
)
def test_harmful_characters_are_replaced(hostile, shown):
    assert visible(hostile) == shown


def test_keep_decides_about_line_feeds_tabs_and_returns():
    assert visible("\n\t\r", keep="") == "␊␉␍"
    assert visible("\n\t\r", keep="\r") == "␊␉\r"


@given(ANY_TEXT)
def test_visible_is_idempotent_and_keeps_the_number_of_characters(text):
    shown = visible(text)
    assert visible(shown) == shown
    assert len(shown) == len(text)
    shown.encode("utf-8")


@given(ANY_TEXT, st.integers(0, 100))
def test_a_stream_may_be_cut_anywhere(text, cut):
    assert visible(text[:cut]) + visible(text[cut:]) == visible(text)


@given(ANY_TEXT)
@example("\x1b\x9b\u202e\ud800\udc00\x7f\U000e0041")
def test_escaped_json_is_the_same_value_and_harmless(text):
    line = escaped(json.dumps(text, ensure_ascii=False))
    assert visible(line, keep="") == line
    # JSON reads a pair of surrogates as one character, whoever wrote it.
    assert json.loads(line) == json.loads(json.dumps(text))


def test_widths():
    assert [text_width(c) for c in "aé漢😀\u0301\x1b\u200b"] == [1, 1, 2, 2, 0, 1, 1]
    assert text_width("a漢\u0301\n") == 4  # a line feed is shown in one column


def test_presentation_selectors_are_left_out_of_layouts():
    assert plain("❤\ufe0f!") == "❤!"


def test_glyphs_can_stand_alone():
    assert [glyph(c, "␣") for c in "\n\t \x1ba\u0301"] == ["↵", "→", "␣", "␛", "a", CARRIER + "\u0301"]


def test_marks_join_the_character_before_them():
    found = clusters("\u0301e\u0301\n\u0301")
    assert [(c.glyph, c.start, c.stop, c.ends_line) for c in found] == [
        (CARRIER + "\u0301", 0, 1, False),
        ("e\u0301", 1, 3, False),
        ("↵", 3, 4, True),
        (CARRIER + "\u0301", 4, 5, False),
    ]


@given(ANY_TEXT)
def test_clusters_cover_the_text(text):
    found = clusters(text)
    assert [place for c in found for place in range(c.start, c.stop)] == list(range(len(text)))
    assert all(visible(c.glyph, "") == c.glyph for c in found)


@given(ANY_TEXT, st.integers(2, 40))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces(text, limit):
    lines = wrap(text, limit)
    assert all(text_width(line) <= limit for line in lines)
    assert "".join(lines).replace(" ", "") == plain(text, "\n\t").translate({9: None, 10: None, 32: None})


def test_words_stay_whole_and_indents_stay():
    assert wrap("the quick brown fox\n\n    indented", 10) == ["the quick", "brown fox", "", "indented"]
    assert wrap("  to be", 10) == ["  to be"]
    assert wrap("unbreakable", 4) == ["unbr", "eaka", "ble"]
    assert wrap("a\tb", 20) == ["a       b"]
    assert wrap("", 10) == [""]


@given(ANY_TEXT, st.integers(0, 40))
def test_clipped_text_fits(text, limit):
    assert text_width(clip(text, limit)) <= limit
