"""A coloured text for notebooks: harmless HTML, short enough, and readable on a light and on a dark ground."""

from html.parser import HTMLParser

import numpy as np
import pytest

from charrnn.display.palette import contrast
from charrnn.model.coloured_text import BLUE, LONGEST, OPACITY, ORANGE, ColouredText
from charrnn.sanitise import visible

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> </pre></div><style>*{display:none}</style>",
    "&lt;b&gt; &amp; \" ' onmouseover='alert(3)' <!-- <![CDATA[ ]]> ]]>",
    "$\\href{javascript:alert(4)}{x}$ $$\\frac12$$ \\(a\\) `code` [a](javascript:1)",
    "\x1b]0;title\x07 \x00 \x08 \r \x85 \u202eevil\u2066 \u200b \ufeff \ufffe \ud800 \U0001f600",
    "tab\tand\nlines\n\n",
)


class Parsed(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.text = [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "pre" in self.open:
            self.text += data

    def handle_comment(self, data):
        raise AssertionError(data)

    handle_decl = unknown_decl = handle_pi = handle_comment


def coloured(text, values=None, low="-1"):
    values = np.sin(np.arange(len(text))) if values is None else np.asarray(values, float)
    return ColouredText(text, values, "cell 1:93, signal c", low, "+1")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_character_of_a_text_is_markup(text):
    page = coloured(text)._repr_html_()
    assert page.isascii()
    parsed = Parsed(page)
    assert parsed.open == []
    assert {tag for tag, _ in parsed.elements} == {"div", "pre", "span"}
    assert {name for _, attributes in parsed.elements for name in attributes} == {"class", "style"}
    assert parsed.text == visible(text).replace("\n", "\u21b5\n")


def test_a_title_is_no_markup():
    page = ColouredText("fox", np.zeros(3), "<b>\x1b[1m", None, "<i>")._repr_html_()
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\x1b" not in page
    assert "\x1b" not in repr(ColouredText("fox", np.zeros(3), "\x1b[1m", None, "+1"))


def test_mathjax_leaves_it_alone():
    tag, attributes = Parsed(coloured("$x$")._repr_html_()).elements[0]
    assert tag == "div"
    assert {"tex2jax_ignore", "mathjax_ignore"} < set(attributes["class"].split())


def test_neighbours_of_one_colour_share_an_element():
    page = coloured("abcdef", [1, 1, 1, -1, -1, 0])._repr_html_()
    assert f'background:{ORANGE}80">abc</span><span style="background:{BLUE}80">de</span>f</pre>' in page


def test_what_is_not_a_number_has_no_colour_and_large_values_have_the_strongest():
    page = coloured("abcd", [np.nan, 7, -np.inf, 0.01])._repr_html_()
    assert f'>a<span style="background:{ORANGE}80">b</span><span style="background:{BLUE}80">c</span>d</pre>' in page


def test_without_low_nothing_is_blue():
    assert BLUE not in coloured("abcd", [0, 0.2, 0.5, 1], low=None)._repr_html_()


def test_a_long_text_is_cut_and_says_so():
    short, long = ("".join(chr(97 + place % 26) for place in range(size)) for size in (LONGEST, LONGEST + 1234))
    assert "not shown" not in coloured(short)._repr_html_()
    page = coloured(long)._repr_html_()
    assert "1,234 more characters are not shown" in page
    assert len(Parsed(page).text) == LONGEST
    assert len(page) < 60 * LONGEST
    assert repr(coloured(long)) == "<ColouredText of 5,234 characters: cell 1:93, signal c>"


@pytest.mark.parametrize("ink, ground", [((33, 33, 33), (255, 255, 255)), ((212, 212, 212), (30, 30, 30))])
@pytest.mark.parametrize("colour", [ORANGE, BLUE])
def test_letters_can_be_read_on_any_ground(colour, ink, ground):
    strongest = [int(colour[start : start + 2], 16) for start in (1, 3, 5)]
    mixed = [OPACITY * above + (1 - OPACITY) * below for above, below in zip(strongest, ground, strict=True)]
    assert contrast(ink, mixed) >= 4.5
