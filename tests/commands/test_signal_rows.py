"""``--signal i,f,o``: several signals of a cell, a row for each, in every command that shows cells over a text."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from command_line import invoke, succeed

import charrnn
from charrnn.commands.inspect import page as page_command

LINE = 'The fox said "no".\n'


def values_of(model, text=LINE):
    """What every signal is, by name: (characters, layers, units), c through tanh."""
    found = charrnn.load(model).activations(text)
    return {**found, "c": np.tanh(found["c"])}


def test_a_row_for_each_signal_under_each_line(model):
    lines = succeed("inspect", model, "--text", LINE, "--cell", "1:7", "--signal", "c,i,f").stdout.splitlines()
    assert lines[0].startswith("cell 1:7 ")
    assert lines[0].endswith("   tanh(c), what the cell remembers; i, the input gate; f, the forget gate")
    assert [line.split()[0] for line in lines[1:3]] == ["c", "i,"]
    assert lines[1].endswith("+1")
    assert lines[2].endswith("1")
    assert lines[4] == "   " + LINE.replace("\n", "↵")
    assert [line[:3] for line in lines[5:8]] == ["c  ", "i  ", "f  "]
    alone = succeed("inspect", model, "--text", LINE, "--cell", "1:7", "--signal", "f").stdout.splitlines()
    assert lines[7][3:] == alone[4]


def test_several_cells_and_signals(model):
    lines = succeed("inspect", model, "--text", LINE, "--cell", "1:7,0:12", "--signal", "i,o").stdout.splitlines()
    assert lines[0].startswith("cells 1:7")
    assert lines[0].endswith("   i, the input gate; o, the output gate")
    assert lines[1].startswith("0  ")  # both are on one scale
    assert [line[:8] for line in lines[4:8]] == [" 1:7 i  ", " 1:7 o  ", "0:12 i  ", "0:12 o  "]


def test_rows_keep_to_their_characters_where_the_text_wraps(model):
    """Wide characters, marks and tabs: every row is as wide as its text, whatever the width of the terminal."""
    from charrnn.display.terminal.text_width import text_width

    said = "漢字 e\u0301a\tb the fox ran over the hill\nand far away\n"
    shown = succeed(
        *("inspect", model, "--text", said, "--unknown", "replace", "--cell", "1:7", "--signal", "f,o"),
        env={"COLUMNS": "20"},
    ).stdout
    blocks = [block.split("\n") for block in shown.strip("\n").split("\n\n")[1:]]
    assert len(blocks) > 3
    for text, *rows in blocks:
        assert text_width(text) <= 20
        assert [row[:3] for row in rows] == ["f  ", "o  "]
        assert all(len(row) <= text_width(text) for row in rows)  # spaces at an end are left out


def test_without_a_cell_it_is_the_one_with_the_most_structure(model, text):
    best = json.loads(succeed("inspect", model, text, "--signal", "f", "--json").stdout.splitlines()[0])
    result = succeed("inspect", model, text, "--signal", "f,c", "--json")
    lines = result.stdout.splitlines()
    assert f"cell {best['layer']}:{best['unit']} has the most structure by f; --cell chooses another" in result.stderr
    found = list(map(json.loads, lines))
    assert [(each["layer"], each["unit"], each["signal"]) for each in found] == [
        (best["layer"], best["unit"], "f"),
        (best["layer"], best["unit"], "c"),
    ]


def test_json_has_an_object_for_each_cell_and_signal(model):
    options = ("inspect", model, "--text", LINE, "--cell", "1:7,0:3", "--signal", "c, o,c", "--json")
    found = [json.loads(line) for line in succeed(*options).stdout.splitlines()]
    keys = [(each["layer"], each["unit"], each["signal"]) for each in found]
    assert keys == [(1, 7, "c"), (1, 7, "o"), (0, 3, "c"), (0, 3, "o")]
    expected = values_of(model)
    for each in found:
        cell = expected[each["signal"]][:, each["layer"], each["unit"]]
        np.testing.assert_allclose(each["values"], cell, atol=1e-6)
    one = json.loads(succeed(*options[:4], "--cell", "1:7", "--signal", "o", "--json").stdout)
    assert one == found[1]


def test_a_long_text_is_read_in_parts(model, text):
    whole = json.loads(
        succeed("inspect", model, text, "--length", 9000, "--cell", "1:7", "--signal", "h,f", "--json").stdout.split(
            "\n"
        )[1]
    )
    expected = values_of(model, text.read_text()[:9000])["f"][:, 1, 7]
    np.testing.assert_allclose(whole["values"], expected, atol=1e-5)


def test_a_written_text(model, monkeypatch):
    options = ("inspect", "follow", model, "--cell", "1:3,0:2", "--length", 60, "--seed", 4)
    lines = [json.loads(line) for line in succeed(*options, "--signal", "f,c", "--json").stdout.splitlines()]
    single = [json.loads(line) for line in succeed(*options, "--signal", "c", "--json").stdout.splitlines()]
    assert [line["values"]["0:2"][1] for line in lines] == [line["values"]["0:2"] for line in single]
    result = succeed(*options, "--signal", "f,c")
    assert result.stdout == "".join(line["character"] for line in lines)
    assert "signal f, c, seed 4" in result.stderr
    shown = succeed(*options, "--signal", "f,c", env={"FORCE_COLOR": "1", "TERM": "xterm-256color"}).stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    for name in ("1:3 f", "1:3 c", "0:2 f", "0:2 c"):
        assert f"\n{name}  " in plain


def test_a_picture_has_a_row_for_each_signal_and_a_legend_for_each_scale(model, tmp_path):
    picture = tmp_path / "a.svg"
    succeed("inspect", "draw", model, "--text", LINE, "-o", picture, "--cell", "1:7", "--signal", "c,i,f")
    labels = ["".join(each.itertext()) for each in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert [labels.count(name) for name in ("c", "i", "f")] == [1, 1, 1]
    assert "c   -1" in labels
    assert "i, f   0" in labels


def test_arrays_have_an_axis_for_several_signals(model, tmp_path):
    succeed(
        "inspect", "arrays", model, "--text", LINE, "-o", tmp_path / "a.npz", "--cell", "1:7,0:3", "--signal", "f,c"
    )
    expected = values_of(model)
    with np.load(tmp_path / "a.npz") as found:
        assert found["signal"].tolist() == ["f", "c"]
        assert found["values"].shape == (len(LINE), 2, 2)
        for place, name in enumerate("fc"):
            np.testing.assert_allclose(found["values"][..., place], expected[name][:, [1, 0], [7, 3]], atol=1e-6)


def test_a_page_holds_every_signal_and_is_not_too_large(model, text, tmp_path, monkeypatch):
    options = ("inspect", "page", model, text, "-o", tmp_path / "page.html", "--length", 500, "--cells", 2)
    succeed(*options, "--signal", "c,i,f,o")
    about = json.loads(re.search(r'id="data-about">(.*?)</script>', (tmp_path / "page.html").read_text("ascii"))[1])
    assert [each["name"] for each in about["signals"]] == list("cifo")
    monkeypatch.setattr(page_command, "_MOST_VALUES", 500 * 2 * 4)
    succeed(*options, "--signal", "c,i,f,o")
    refused = invoke(*options, "--signal", "c,i,f,o,g")
    assert refused.exit_code == 1
    assert "500 characters x 2 cells x 5 signals are too much: a page has at most 4,000 values" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "--signal", "i,z"], "signal must be one of c, h, i, f, g, o, not 'z'"),
        (["page", "--signal", "z", "-o", "a.html"], "signal must be one of c, h, i, f, g, o, not 'z'"),
        (["find", "--signal", "z"], "signal must be one of c, h, i, f, g, o, not 'z'"),
        (["show", "--signal", "i,,f"], "'i,,f' is not a signal, or several as in i,f,o"),
        (["show", "--signal", ""], "'' is not a signal, or several as in i,f,o"),
        (["find", "--signal", "i,f"], "looks at one signal"),
        (["similar", "--signal", "i,f", "--span", "x"], "looks at one signal"),
        (["show", "--signal", "i,f", "--predictions"], "one --cell and one --signal"),
    ],
)
def test_wrong_signals(model, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    command, *options = arguments
    result = invoke("inspect", command, model, "--text", LINE, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
    assert not list(tmp_path.iterdir())
