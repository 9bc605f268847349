"""What ``inspect page``, ``draw`` and ``arrays`` write."""

import io
import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from command_line import invoke, succeed

import charrnn
from charrnn.display.figures.axes import Axes
from charrnn.display.figures.drawing import ADVANCE, Drawing, Label, Rectangle
from charrnn.display.figures.heat_map import heat_map
from charrnn.display.figures.svg import to_svg
from charrnn.display.palette import NEUTRAL, PAPER, PAPER_BLUE, PAPER_ORANGE
from charrnn.display.terminal.text_width import text_width
from charrnn.inspection.arrays import as_npz
from charrnn.inspection.reading import read

SVG = "{http://www.w3.org/2000/svg}"


def about(page):
    return json.loads(re.search(r'id="data-about">(.*?)</script>', page.read_text("ascii"))[1])


def test_a_page_has_the_cells_that_are_asked_for_and_the_gallery_s(model, text, tmp_path):
    page = tmp_path / "page.html"
    result = succeed("inspect", "page", model, text, "-o", page, "--cell", "0:3,1:7", "--cells", 3, "--length", 3000)
    assert result.stdout == ""
    assert f"wrote {page}" in result.stderr
    names = [cell["name"] for cell in about(page)["cells"]]
    assert names[:2] == ["0:3", "1:7"]
    assert 3 <= len(names) <= 5
    assert "<title>fables</title>" in page.read_text("ascii")
    assert "reading 3,000 characters of" in page.read_text("ascii")


def test_files_have_the_cells_that_find_ranks_first(model, text, tmp_path):
    wish = (model, text, "--track", "word", "--json")
    ranking = ("--cells", 2, "--permutations", 19, "--no-probe")
    (ranked,) = map(json.loads, succeed("inspect", "find", *wish, *ranking).stdout.splitlines())
    best = [f"{cell['layer']}:{cell['unit']}" for cell in ranked["cells"]]
    succeed("inspect", "page", *wish, "--cells", 2, "-o", tmp_path / "page.html")
    succeed("inspect", "draw", *wish, "--no-names", "-o", tmp_path / "a.svg")
    succeed("inspect", "arrays", *wish, "--cells", 2, "-o", tmp_path / "a.npz")
    cells = about(tmp_path / "page.html")["cells"]
    assert [cell["name"] for cell in cells] == best
    score = ranked["cells"][0]["score"]
    assert cells[0]["note"].startswith(f"AUC on {score:.3f}" if score >= 0.5 else f"AUC off {1 - score:.3f}")
    assert cells[0]["note"].endswith(", p 0.005")
    assert f"cell {best[0]} " in "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    with np.load(tmp_path / "a.npz") as found:
        assert [f"{layer}:{unit}" for layer, unit in found["cells"]] == best
    other = next(f"0:{unit}" for unit in range(9) if f"0:{unit}" not in best)
    succeed("inspect", "draw", *wish, "--no-names", "--cell", other, "-o", tmp_path / "b.svg")
    assert f"cells {other}, {best[0]} " in "".join(ElementTree.parse(tmp_path / "b.svg").getroot().itertext())
    refused = invoke("inspect", "page", model, text, "--track", "all", "-o", tmp_path / "b.html")
    assert refused.exit_code == 2
    assert "wants one hypothesis" in refused.stderr


def test_with_json_every_file_is_an_object(model, tmp_path):
    for command, name in (("page", "a.html"), ("draw", "a.svg"), ("arrays", "a.npz")):
        path = tmp_path / name
        told = succeed("inspect", command, model, "--text", "Hello", "-o", path, "--cell", "0:1", "--json").stdout
        assert json.loads(told) == {"record": "file", "path": str(path), "bytes": path.stat().st_size}


def test_a_page_reads_far_more_than_a_screen_by_default(model, text, tmp_path):
    succeed("inspect", "page", model, text, "-o", tmp_path / "page.html", "--surprise")
    assert "reading 20,000 characters" in (tmp_path / "page.html").read_text("ascii")
    assert about(tmp_path / "page.html")["bySurprise"]


def test_arrays_are_those_of_the_python_interface(model, tmp_path):
    said = '"Come in," said the fox.'
    succeed("inspect", "arrays", model, "--text", said, "-o", tmp_path / "a.npz", "--cell", "1:7,0:3", "--signal", "h")
    expected = charrnn.load(model, threads=1).activations(said)
    with np.load(tmp_path / "a.npz") as found:
        assert "".join(map(chr, found["text"])) == said
        assert "".join(map(chr, found["symbols"][found["ids"]])) == said
        assert found["cells"].tolist() == [[1, 7], [0, 3]]
        assert np.allclose(found["values"], expected["h"][:, [1, 0], [7, 3]], atol=1e-6)
        assert np.allclose(found["log_probabilities"], expected["log_probabilities"], atol=1e-5)
        assert str(found["signal"]) == "h"
        assert np.isnan(found["surprise"]).tolist() == [True, *[False] * (len(said) - 1)]


def test_arrays_of_every_cell(model, tmp_path):
    succeed(
        "inspect", "arrays", model, "--text", "Hello there", "-o", tmp_path / "a.npz", "--all-cells", "--signal", "f"
    )
    expected = charrnn.load(model, threads=1).activations("Hello there")["f"]
    with np.load(tmp_path / "a.npz") as found:
        assert np.allclose(found["values"], expected.reshape(11, -1), atol=1e-6)
        assert found["cells"][21].tolist() == [1, 1]


def test_an_npz_of_the_gallery_is_what_numpy_opens_without_pickles(model, text):
    loaded = charrnn.load(model, threads=1)
    data = as_npz(read(loaded, loaded.encode(text.read_text()[:500])), loaded.vocabulary, [(0, 1)], offset=9)
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        assert all(found[name].dtype != object for name in found)
        assert int(found["offset"]) == 9


@pytest.mark.parametrize("options", [["--cell", "0:1"], ["--cell", "0:1,1:2"], ["--surprise"], ["--signal", "f"], []])
def test_pictures_have_the_text(options, model, text, tmp_path):
    picture = tmp_path / "picture.svg"
    succeed("inspect", "draw", model, text, "-o", picture, "--length", 200, *options)
    letters = "".join(label.text for label in ElementTree.parse(picture).findall(f"{SVG}text"))
    shown = text.read_text()[:200].replace("\n", "↵").replace("\t", "→")
    for word in ("Ebble", "fables"):
        assert sorted(letters).count(word[0]) >= shown.count(word[0]) > 0


def test_a_png_is_drawn(model, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    succeed("inspect", "draw", model, "--text", "Hello there", "-o", tmp_path / "a.png", "--cell", "0:1", "--dark")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["draw", "-o", "a.pdf"], "does not end in .svg or .png"),
        (["draw"], "Missing option '-o'"),
        (["draw", "-o", "a.svg", "--cell", "0:1", "--surprise"], "both colour the text"),
        (["show", "--dark"], "No such option '--dark'"),
        (["page", "--all-cells", "-o", "a.html"], "No such option '--all-cells'"),
        (["page", "-o", "a.html", "--predictions"], "No such option '--predictions'"),
    ],
)
def test_options_that_mean_nothing_are_not_there(options, says, model):
    command, *others = options
    result = invoke("inspect", command, model, "--text", "Hello", *others)
    assert result.exit_code == 2
    assert says in result.stderr


def test_what_cannot_be_written_is_one_line(model, tmp_path):
    for command, name in (("page", "a.html"), ("draw", "a.svg"), ("arrays", "a.npz")):
        there = tmp_path / "nowhere" / name
        result = invoke("inspect", command, model, "--text", "Hello", "-o", there, "--cell", "0:1")
        assert result.exit_code == 2
        assert "there is no folder" in result.stderr.splitlines()[-1]
    for command, name in (("page", "a.html"), ("draw", "a.svg"), ("arrays", "a.npz")):
        result = invoke("inspect", command, model, "--text", "Hello", "-o", tmp_path / name, "--cell", "7:1")
        assert (result.exit_code, "there is no cell 7:1" in result.stderr) == (1, True)
    assert not list(tmp_path.iterdir())


# ---- the heat map itself ---------------------------------------------------------------------------------------


def rectangles(drawing):
    return [shape for shape in drawing.shapes if isinstance(shape, Rectangle) and shape.y > 50]


def labels(drawing):
    return [shape for shape in drawing.shapes if isinstance(shape, Label) and shape.y > 50]


def test_the_ends_of_the_scale_are_orange_and_blue():
    drawing = heat_map("ab c", ["0:1"], np.array([[1.0], [-1.0], [0.0], [np.nan]]), "title")
    one, other = rectangles(drawing)
    assert np.abs(np.subtract(one.fill, PAPER_ORANGE)).max() <= 4
    assert np.abs(np.subtract(other.fill, PAPER_BLUE)).max() <= 4
    assert other.x == pytest.approx(one.x + one.width)
    assert drawing.background == PAPER
    assert heat_map("a", ["0:1"], np.zeros((1, 1)), "title", dark=True).background == NEUTRAL


def test_several_cells_are_rows_with_their_names():
    drawing = heat_map("ab\ncd", ["0:1", "1:2"], np.ones((5, 2)), "title")
    assert len(rectangles(drawing)) == 4
    assert [label.text for label in labels(drawing)].count("1:2") == 2


def test_lines_break_and_wide_letters_keep_their_place():
    drawing = heat_map("x" * 25 + "中y", ["0:1"], np.zeros((27, 1)), "", columns=10)
    tops = sorted({label.y for label in labels(drawing)})
    assert len(tops) == 3
    wide = next(label for label in labels(drawing) if "中" in label.text)
    following = next(label for label in labels(drawing) if label.text == "y")
    assert following.x - wide.x == pytest.approx(2 * 13 * 0.602)


def test_an_empty_line_and_hostile_text_are_drawn():
    drawing = heat_map("\n\n\x1b<a>\u202e\ud800", ["0:1"], np.zeros((8, 1)), "</svg>")
    root = ElementTree.fromstring(to_svg(drawing))
    assert root.find(f"{SVG}a") is None


def test_a_long_title_wraps_within_the_drawing():
    title = "cells 1:173 column, 0:144 quotes   tanh(c), what the cell remembers; i, the input gate; 漢字 at the end"
    one = heat_map("ab c\n" * 3, ["0:1"], np.zeros((15, 1)), "short")
    many = heat_map("ab c\n" * 3, ["0:1"], np.zeros((15, 1)), title)
    lines = [shape for shape in many.shapes if isinstance(shape, Label) and shape.bold]
    assert len(lines) > 2
    assert " ".join(line.text for line in lines).split() == title.split()
    assert all(line.x + text_width(line.text) * line.size * ADVANCE <= many.width for line in lines)
    assert many.width == one.width
    assert many.height == one.height + 16 * (len(lines) - 1)
    first = min(shape.y for shape in many.shapes if isinstance(shape, Label) and not shape.bold)
    assert max(line.y for line in lines) < first - 10


def test_a_long_title_of_a_plot_wraps_above_it():
    sheet = Drawing(400, 200)
    Axes(62, 60, 170, 100).draw(sheet, "layer 12, a gate with a name that is long", [], [])
    lines = [shape for shape in sheet.shapes if isinstance(shape, Label)]
    assert sorted(line.y for line in lines) == [40.0, 52.0]
    assert all(text_width(line.text) * line.size * ADVANCE <= 170 for line in lines)
