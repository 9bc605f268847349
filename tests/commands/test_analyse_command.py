"""``charrnn inspect``: saturation, errors, distance; tables, figures, JSON, refusals."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest
from command_line import SMALL, invoke, succeed

SVG = "{http://www.w3.org/2000/svg}"


def objects(*arguments):
    return [json.loads(line) for line in succeed("inspect", *arguments, "--json").stdout.splitlines()]


def refusal(*arguments, status=1):
    result = invoke("inspect", *arguments)
    assert result.exit_code == status
    assert result.stdout == ""
    return result.stderr


def test_saturation(model, text, tmp_path):
    figure = tmp_path / "gates.svg"
    layers = objects("saturation", model, text, "-o", figure)
    assert [layer["layer"] for layer in layers] == [0, 1]
    assert layers[0]["part"] == "validation"
    assert layers[0]["characters"] == 2000
    for side in ("low", "high"):
        assert {name: len(shares) for name, shares in layers[1][side].items()} == dict.fromkeys(
            ("i", "f", "o", "g", "tanh_c"), 20
        )
    # A disc for every unit and gate.
    assert len(list(ElementTree.parse(figure).getroot().iter(f"{SVG}circle"))) == 2 * 3 * 20
    shown = succeed("inspect", "saturation", model).stdout
    share = max(layers[1]["high"]["f"])
    assert f"{100 * share:.1f} in 1:{layers[1]['high']['f'].index(share)}" in shown
    assert "layer 1, forget gate" in shown
    assert any("\u2800" < sign <= "\u28ff" for sign in shown)


def test_errors(model, text, tmp_path):
    figure = tmp_path / "errors.svg"
    result = succeed("inspect", "errors", model, text, "-o", figure)
    assert f"wrote {figure}" in result.stderr
    (report,) = objects("errors", model)
    assert (report["part"], report["characters"]) == ("validation", 2000)
    assert sum(each["errors"] for each in report["oracles"]) == report["errors"]
    assert sum(each["share"] for each in report["oracles"]) == pytest.approx(1)
    assert sum(each["loss_share"] for each in report["oracles"]) == pytest.approx(report["loss_share"])
    scored = json.loads(succeed("evaluate", model, "--part", "validation", "--json").stdout)
    assert report["loss"] == pytest.approx(scored["loss"])
    assert f"{report['errors']:,} (" in result.stdout
    assert "█" in result.stdout
    narrow = succeed("inspect", "errors", model, env={"COLUMNS": "60"}).stdout
    assert "█" not in narrow  # each bar would stand on a line of its own
    assert "the rest" in narrow
    words = [each.text for each in ElementTree.parse(figure).getroot().iter(f"{SVG}text")]
    assert "never seen" in words
    assert f"{report['errors']:,} errors of 2,000 characters" in words


def test_distance(model, text, tmp_path):
    figure = tmp_path / "far.svg"
    (report,) = objects("distance", model, text, "--order", 3, "-o", figure)
    assert report["order"] == 3
    bins = report["kinds"]["newline"]
    assert sum(each["count"] for each in bins) == text.read_text()[18_000:].count("\n")
    assert len(list(ElementTree.parse(figure).getroot().iter(f"{SVG}polyline"))) > 4
    shown = succeed("inspect", "distance", model, text).stdout
    assert "line ends" in shown
    assert "● the model" in shown


def test_a_text_without_signs(model, tmp_path):
    plain = tmp_path / "plain.txt"
    plain.write_text("nothing that opens or closes " * 20)
    result = succeed("inspect", "distance", model, plain, "-o", tmp_path / "none.svg")
    assert "no closing quotation mark or bracket" in result.stdout


@pytest.mark.parametrize("name", ["errors", "distance"])
def test_a_training_text_is_no_test(model, text, name):
    assert "choose another --part" in refusal(name, model, text, "--part", "train")


@pytest.mark.parametrize("name", ["errors", "distance"])
def test_a_text_is_no_test_of_n_grams_that_learn_from_it(model, name, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("The fox saw (it) and said no.\n" * 20)
    assert "--fit another text" in refusal(name, model, other, "--fit", other)


def test_wrong_usage(model, text, tmp_path):
    assert "does not end in .svg or .png" in refusal("saturation", model, "-o", tmp_path / "x.pdf", status=2)
    assert refusal("distance", model, "--order", 0, status=2)


@pytest.mark.parametrize("name", ["saturation", "errors", "distance"])
def test_quiet_is_quiet_and_lines_fit(model, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = succeed("inspect", name, model, "-q")
    assert result.stderr == ""
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("columns", [10, 20, 40, 60])
def test_scatter_plots_of_a_narrow_terminal_stand_below_each_other(model, text, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = succeed("inspect", "saturation", model, text).stdout
    assert shown.count("layer 0, ") + shown.count("layer 1, ") == 6  # i, f and o of two layers
    plotted = [line for line in shown.splitlines() if set(line) & set("┤│┴")]
    assert max(map(len, plotted)) <= max(columns, 18)


def test_a_model_of_one_character_loses_nothing(tmp_path, monkeypatch):
    """Its loss is 0.0: no share of it can be had, and no report shows -0.0."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a" * 3000)
    begun = succeed("train", "a.txt", *SMALL, "--steps", 2).stderr
    for shown in (begun, succeed("info", "a").stdout):
        assert re.search(r"\b1 character\b", shown)
        assert not re.search(r"\b1 characters\b", shown)
    (report,) = objects("errors", "a")
    assert (report["loss"], report["errors"], report["share"], report["loss_share"]) == (0, 0, 0, 0)
    assert {each["loss_share"] for each in report["oracles"]} == {0}
    for command in (["inspect", "errors"], ["inspect", "distance"], ["baselines"]):
        for more in ([], ["--json"]):
            shown = succeed(*command, "a", *more).stdout
            assert not re.search(r"-0\.0\b|-0\.0000", shown.partition("compressors")[0].partition("gzip")[0])
    assert "-0.0" not in succeed("score", "a", "a.txt").stdout
    assert "-0.0" not in succeed("score", "a", "a.txt", "--json").stdout
