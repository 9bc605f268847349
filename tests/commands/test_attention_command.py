"""``charrnn inspect attention``, and heads in ``inspect find``, ``ablate`` and ``page``."""

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from command_line import invoke, succeed
from planted_heads import PATTERNS, model_of, text_of

from charrnn.display.reports.attention import map_lines, map_room, view_lines
from charrnn.display.terminal.colours import SEQUENTIAL, Depth, Look
from charrnn.inspection import head_patterns


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A checkpoint with heads made by hand, and a text."""
    folder = tmp_path_factory.mktemp("planted")
    model_of().save(folder / "planted.safetensors")
    (folder / "text.txt").write_text(text_of(3000))
    return folder / "planted.safetensors", folder / "text.txt"


def records(*arguments):
    return [json.loads(line) for line in succeed(*arguments, "--json").stdout.splitlines()]


def test_a_table_of_all_heads(planted, monkeypatch):
    found = records("inspect", "attention", *planted)
    assert [(each["layer"], each["head"]) for each in found] == [(layer, head) for layer in (0, 1) for head in range(3)]
    assert {(each["layer"], each["head"]): each["looks_at"] for each in found if each["looks_at"]} == PATTERNS
    first = found[0]
    assert first["characters"] == 3000
    assert first["patterns"]["previous"]["weight"] > 0.95
    assert first["patterns"]["previous"]["places"] == 2999
    assert "opening" not in first["patterns"]  # nowhere in this text
    assert len(first["by_distance"]) == 32 and sum(first["by_distance"]) == pytest.approx(1, abs=1e-4)
    for width in (60, 100):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = succeed("inspect", "attention", *planted).stdout.splitlines()
        assert max(map(len, lines[:-1])) <= width  # the last line is a command
        (line,) = [line for line in lines if line.startswith("0:0")]
        assert re.search(r"0:0 +previous +(9\d|100) % +3 % +1\.\d +0\.\d +@", line)
        assert "previous: the character before." in lines
        assert re.search(r"text.txt --head (0:0|0:1)$", lines[-1])


def test_a_part_of_the_text(planted):
    path, text = planted
    (first, *_) = records("inspect", "attention", path, text, "--offset", 100, "--length", 50)
    assert first["characters"] == 50
    (again, *_) = records("inspect", "attention", path, "--text", text.read_text()[100:150])
    assert again == first


def test_a_map_of_a_head(planted, monkeypatch):
    path, text = planted
    monkeypatch.setenv("COLUMNS", "60")
    options = ("inspect", "attention", path, text, "--head", "0:0", "--offset", 4)
    lines = succeed(*options, "--length", 5).stdout.splitlines()
    written = text.read_text()[4:9].replace(" ", "␣").replace("\n", "↵")
    assert f"   «{written}" in lines
    start = lines.index(f"   «{written}") + 1
    assert [line[:3].strip() for line in lines[start : start + 5]] == list(written)
    # Each character looks at the one before; the first one at earlier text.
    assert [line[3:].rstrip() for line in lines[start : start + 5]] == [" " * place + "@" for place in range(5)]
    lines = succeed(*options).stdout.splitlines()
    assert max(map(len, lines)) == 60
    assert sum(line.startswith("   «") for line in lines) == 1
    result = succeed(*options, "--length", 200, "--head", "1:0")
    assert "a terminal 60 columns wide has room for the first 56 characters" in " ".join(result.stderr.split())
    assert sum(line.startswith("   «") for line in result.stdout.splitlines()) == 2


def test_a_map_as_numbers(planted):
    path, text = planted
    first, second = records("inspect", "attention", path, text, "--head", "0:0,0:2", "--offset", 40, "--length", 6)
    assert (first["layer"], first["head"], first["offset"], first["text"]) == (0, 0, 40, text.read_text()[40:46])
    weights = np.array(second["weights"])
    assert weights.shape == (6, 7)
    np.testing.assert_allclose(weights[2], [29 / 32, *[1 / 32] * 3, 0, 0, 0], atol=1e-5)
    (whole,) = records("inspect", "attention", path, text, "--head", "0:0")
    assert len(whole["text"]) == 100


def test_one_characters_view(planted, monkeypatch):
    path, text = planted
    monkeypatch.setenv("COLUMNS", "60")
    found = records("inspect", "attention", path, text, "--at", 200)
    assert len(found) == 6
    assert found[0]["text"] == text.read_text()[169:201]
    assert (found[0]["at"], found[0]["offset"]) == (200, 169)
    assert np.argmax(found[0]["weights"]) == 30
    (chosen,) = records("inspect", "attention", path, text, "--at", 200, "--head", "0:2")
    np.testing.assert_allclose(chosen["weights"], 1 / 32, atol=1e-5)
    shown = succeed("inspect", "attention", path, text, "--at", 200).stdout
    assert "where character 200, " in shown
    assert re.search(r"0:0 +. 1 back (9\d|100) %", shown)
    assert max(map(len, shown.splitlines())) <= 60
    at_zero = succeed("inspect", "attention", path, text, "--at", 0, "--head", "0:0").stdout
    assert re.search(r"0:0 +. itself 100 %$", at_zero.strip())


def test_pictures(planted, tmp_path):
    path, text = planted
    for options in (("--head", "0:0", "--length", 20), ("--at", 90), ("--at", 90, "--head", "0:1", "--dark")):
        file = tmp_path / "a.svg"
        (told,) = records("inspect", "attention", path, text, *options, "-o", file)
        assert told == {"record": "file", "path": str(file), "bytes": file.stat().st_size}
        root = ElementTree.fromstring(file.read_text())
        assert len(root) > 20
        assert root.get("aria-label").startswith("head 0:0" if options[0] == "--head" else "where character 90")


def test_a_picture_has_a_square_for_each_weight():
    from charrnn.display.figures.attention import CELL, attention_map
    from charrnn.display.figures.drawing import Rectangle

    weights = np.array([[0.2, 0.8, 0], [0, 1, 0.0]], np.float32)
    drawing = attention_map("a\n", weights, "a head", 0.5)
    squares = [each for each in drawing.shapes if isinstance(each, Rectangle) and each.width == CELL - 1]
    assert len(squares) == 3
    assert squares[1].fill == squares[2].fill != squares[0].fill  # the scale ends at 0.5
    assert squares[1].x == squares[2].x == squares[0].x + CELL
    assert squares[2].y == squares[1].y + CELL


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--head", "0:3"], 1, "there is no head 0:3: layers are 0 to 1, heads 0 to 2"),
        (["--head", "1-2"], 2, "LAYER:HEAD"),
        (["--at", "3000"], 1, "there is nothing at offset 3,000"),
        (["--at", "3", "--offset", "2"], 2, "--at says what is read"),
        (["--at", "3", "--length", "2"], 2, "--at says what is read"),
        (["--offset", "3000"], 1, "there is nothing at offset 3,000"),
        (["-o", "a.svg"], 2, "-o draws one head or one character"),
        (["-o", "a.svg", "--head", "0:0,0:1"], 2, "-o draws one head or one character"),
        (["--head", "0:0", "--length", "2001"], 1, "2,001 characters is too much: give a --length up to 2,000"),
    ],
)
def test_wrong_usage(planted, arguments, status, message):
    result = invoke("inspect", "attention", *planted, *arguments)
    assert (result.exit_code, result.stdout) == (status, "")
    assert message in " ".join(result.stderr.split())
    assert result.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    "arguments", [["attention"], ["find", "--track", "heads"], ["page", "--head", "0:0", "-o", "x.html"]]
)
def test_a_recurrent_model_is_refused_in_one_line(model, text, arguments):
    command, *options = arguments
    result = invoke("inspect", command, model, text, *options)
    assert (result.exit_code, result.stdout) == (1, "")
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and last.endswith("the LSTM has no attention: only a Transformer has heads")


def test_hostile_text_is_harmless(planted, tmp_path):
    hostile = "\x1b[31ma\u202e\u0301\t漢é\n\ud800"
    weights = np.full((len(hostile), len(hostile) + 1), 1 / 16)
    for depth in (Depth.NONE, Depth.TRUECOLOUR):
        look = Look(40, depth, SEQUENTIAL)
        lines = [*map_lines(hostile, weights, look), *view_lines(hostile, ["0:0"], weights[:1, 1:].T, look)]
        assert not any(sign in line.plain for line in lines for sign in "\x1b\u202e\ud800\t")
        assert {line.cell_len for line in map_lines(hostile, weights, look)[1:2]} <= set(range(41))


def test_a_map_holds_as_many_characters_as_have_room():
    assert map_room("abcdef", 8) == 4
    assert map_room("漢字abc", 8) == 2
    assert map_room("e\u0301bcdef", 8) == 5  # the accent takes no column
    assert map_room("abc", 1) == 1


# ---- find ----------------------------------------------------------------------------------------------


def test_heads_are_found(planted):
    found = records("inspect", "find", *planted, "--track", "heads", "--permutations", 19)
    assert [each["pattern"] for each in found] == [name for name in head_patterns.NAMES if name != "opening"]
    best = {each["pattern"]: each["heads"][0] for each in found}
    for (layer, head), name in PATTERNS.items():
        assert (best[name]["layer"], best[name]["head"], best[name]["significant"]) == (layer, head, True)
        assert best[name]["p"] == best[name]["p_of_all"] == 1 / 20
    assert found[0]["heads_tried"] == 6 and found[0]["patterns_tried"] == 8
    result = succeed("inspect", "find", *planted, "--track", "heads", "--permutations", 19)
    assert "nowhere in this text: opening" in result.stderr
    assert re.search(r"induction +1:0 +\d\d\.\d % +\d\.\d % +0\.050", result.stdout)


def test_all_heads_for_one_pattern(planted, monkeypatch):
    options = ("inspect", "find", *planted, "--track", "induction", "--permutations", 19)
    (found,) = records(*options, "--cells", 4)
    weights = [each["weight"] - each["expected"] for each in found["heads"]]
    assert len(weights) == 4 and weights[0] > 0.3
    monkeypatch.setenv("COLUMNS", "60")
    shown = succeed(*options).stdout
    assert "charrnn inspect ablate" in shown and "--head 1:0 --track induction" in shown
    assert "n.s." in shown
    assert max(len(line) for line in shown.splitlines() if not line.startswith("  charrnn")) <= 60


def test_a_pattern_without_a_p(planted):
    path, _ = planted
    rare = "ab\n" * 500 + "a" * 1500
    shown = succeed("inspect", "find", path, "--text", rare, "--track", "line-start", "--permutations", 19).stdout
    assert "No p for line-start: " in " ".join(shown.split())
    assert "prove it" not in shown
    (found,) = records("inspect", "find", path, "--text", rare, "--track", "line-start", "--permutations", 19)
    assert found["block"] is None and found["heads"][0]["p"] is None and found["heads"][0]["significant"] is None


# ---- ablate --------------------------------------------------------------------------------------------


def test_a_head_is_silenced(planted):
    options = ("inspect", "ablate", *planted, "--head", "1:0", "--track", "induction", "--samples", 2)
    first, *samples = records(*options)
    assert (first["heads"], first["held"], first["tracks"], first["mean_inside"]) == (["1:0"], {}, {}, {})
    assert first["inside"].startswith("where a head can look at what followed")
    assert 0.5 < first["share_inside"] < 1
    assert {heads for each in first["others"] for heads in each["heads"]} == {"0:0", "0:1", "0:2", "1:1", "1:2"}
    assert 1 <= first["rank"] <= 6
    assert first["change"]["overall"]["value"] != 0
    assert [each["cells"] for each in samples] == ["free", "silenced"]
    assert samples[0]["text"] != samples[1]["text"]
    assert all(0 < each["share_inside"] < 1 for each in samples)
    shown = succeed(*options).stdout
    assert "Silenced: head 1:0" in shown and "when nothing is silenced" in shown
    assert re.search(r"5 other heads, inside - outside: .*; this head ranks \d.. of 6", " ".join(shown.split()))


def test_a_head_that_does_nothing_costs_nothing(planted):
    (first,) = records("inspect", "ablate", *planted, "--head", "0:2,1:2", "--samples", 0, "--others", 2)
    assert first["change"]["overall"]["value"] == 0
    assert [len(each["heads"]) for each in first["others"]] == [2, 2]


def test_a_pattern_that_is_everywhere_has_no_inside(planted):
    result = succeed("inspect", "ablate", *planted, "--head", "0:0", "--track", "previous", "--samples", 0)
    assert "previous is everywhere: nothing to compare" in result.stderr
    assert "inside" not in result.stdout


# ---- page, and what shows cells ------------------------------------------------------------------------


def test_a_page_has_heads(planted, tmp_path):
    path = tmp_path / "a.html"
    options = ("inspect", "page", *planted, "-o", path, "--length", 500, "--cells", 2)

    def heads(*more):
        succeed(*options, *more)
        about = re.search(r'id="data-about">(.*?)</script>', path.read_text())[1]
        return [each["name"] for each in json.loads(about)["heads"]]

    assert set(heads("--heads", 3)) == {"0:0", "0:1", "1:0"}
    assert heads("--head", "1:2", "--heads", 0) == ["1:2"]
    assert heads("--heads", 0) == []
    assert len(heads()) == 6
    assert re.search(r'"name":"0:0","note":"previous (9\d|100) %"', path.read_text())


@pytest.mark.parametrize(
    "arguments",
    [
        ["show"],
        ["show", "--cell", "1:3", "--predictions"],
        ["show", "--surprise"],
        ["find", "--permutations", 19],
        ["ablate", "--cell", "1:3", "--track", "word", "--samples", 1, "--others", 1],
        ["similar", "--span", "100:104"],
        ["draw", "-o", "a.svg", "--length", 100],
        ["arrays", "-o", "a.npz", "--length", 100],
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_that_show_cells_know_a_transformer(planted, arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, *options = arguments
    succeed("inspect", command, *planted, *options)


def test_following_a_transformer_writes_what_it_samples(planted):
    path, _ = planted
    followed = succeed("inspect", "follow", path, "--length", 50, "--seed", 2).stdout
    assert followed == succeed("sample", path, "--length", 50, "--seed", 2, "--ngrams", "off").stdout


def test_a_transformer_has_no_gates(planted):
    result = invoke("inspect", "saturation", *planted)
    assert result.exit_code == 1
    assert "a Transformer has no gates" in result.stderr
