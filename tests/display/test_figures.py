"""Drawings as SVG, in which text stays text, and as PNG, which needs matplotlib."""

import io
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from charrnn.display.figures import save
from charrnn.display.figures.drawing import Circle, Drawing, Label, Line, Rectangle
from charrnn.display.figures.png import to_png
from charrnn.display.figures.svg import to_svg
from charrnn.display.palette import BLUE, ORANGE
from charrnn.errors import ConfigError

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "</text><script>alert(1)</script>&amp;\x00\x1b\u2028\u202e\ud800 ]]> <!--"


def drawing(*shapes):
    sheet = Drawing(200, 100, "a sheet")
    sheet.add(*shapes)
    return sheet


def every_shape():
    return drawing(
        Rectangle(10, 10, 30, 20, BLUE),
        Circle(80, 20, 8, ORANGE, 0.5),
        Line([(10, 90), (60, 60), (100, 80)], BLUE, 2, dashes=(4, 2)),
        Label(100, 50, "words", anchor="middle", bold=True),
        Label(15, 90, "up", turned=True),
    )


def test_svg_has_every_shape_where_it_was_put():
    root = ElementTree.fromstring(to_svg(every_shape()))
    assert (root.get("width"), root.get("height"), root.get("aria-label")) == ("200", "100", "a sheet")
    sheet, rectangle = root.findall(f"{SVG}rect")
    assert sheet.get("width") == "200"
    assert (rectangle.get("x"), rectangle.get("width"), rectangle.get("fill")) == ("10", "30", "#50b0ff")
    assert root.find(f"{SVG}circle").get("fill-opacity") == "0.5"
    assert root.find(f"{SVG}polyline").get("points") == "10,90 60,60 100,80"
    words, up = root.findall(f"{SVG}text")
    assert (words.text, words.get("text-anchor"), words.get("font-weight")) == ("words", "middle", "bold")
    assert up.get("transform") == "rotate(-90 15 90)"


def test_hostile_text_stays_text_in_svg():
    sheet = drawing(Label(0, 10, HOSTILE))
    sheet.title = '" onload="alert(1)' + HOSTILE
    made = to_svg(sheet)
    assert made.isascii()
    root = ElementTree.fromstring(made)
    assert not root.findall(f".//{SVG}script")
    assert root.get("onload") is None
    assert root.find(f"{SVG}text").text.startswith("</text><script>alert(1)</script>&amp;␀␛")


def test_a_grid_gives_every_letter_its_place():
    text = ElementTree.fromstring(to_svg(drawing(Label(5, 10, "a b", grid=8)))).find(f"{SVG}text")
    assert text.get("x") == "5 13 21"
    assert text.text == "a b"


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="ends in"):
        save(drawing(), tmp_path / "picture.gif")


def test_png_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ConfigError, match="pip install matplotlib, where charrnn is installed"):
        save(drawing(), tmp_path / "picture.png")
    assert not list(tmp_path.iterdir())


def test_png_has_the_colours_where_they_were_put():
    image = pytest.importorskip("matplotlib.image", reason="matplotlib is not installed")
    pixels = image.imread(io.BytesIO(to_png(every_shape())))
    assert pixels.shape[:2] == (200, 400)
    assert np.allclose(pixels[40, 40, :3] * 255, BLUE, atol=1)
    assert np.allclose(pixels[0, 0, :3], 1)
    words = pixels[82:102, 160:240, :3]
    assert words.min() < 0.2, "the words are not there"
    assert np.allclose(words[:, 0], 1), "words reach further than letters of 0.602 em do"


def test_a_png_too_large_is_refused():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    with pytest.raises(ConfigError, match="32,000"):
        to_png(Drawing(10, 40_000))
