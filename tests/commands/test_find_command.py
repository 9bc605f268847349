"""``charrnn inspect find``, with ``--track``, ``--where`` and ``--mask``."""

import json
import os
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, succeed

from charrnn.display.reports.findings import all_lines, finding_lines, verdict
from charrnn.display.terminal.colours import Depth, Look
from charrnn.inspection import head_patterns
from charrnn.inspection.hypotheses import NAMES

QUICK = ("--permutations", 19)
POSIX = pytest.mark.skipif(os.name == "nt", reason="a shell of Windows quotes otherwise")


def records(*arguments):
    return [json.loads(line) for line in succeed(*arguments, "--json").stdout.splitlines()]


def test_cells_ranked_against_a_hypothesis(model, text):
    (found,) = records("inspect", "find", model, text, "--track", "word", *QUICK, "--cells", 4)
    assert found["hypothesis"] == "word"
    assert (found["score"], found["characters"], found["cells_tried"]) == ("auc", 20_000, 40)
    assert 0.6 < found["base"] < 0.9
    strengths = [abs(cell["score"] - 0.5) for cell in found["cells"]]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] > 0.2
    assert found["cells"][0]["p"] == 1 / 20
    assert found["probe"]["score"] > 0.95
    shown = succeed("inspect", "find", model, text, "--track", "word", *QUICK, "--cells", 4).stdout
    best = found["cells"][0]
    assert f"{best['layer']}:{best['unit']}" in shown
    assert "holds at" in shown
    assert "the label itself" in shown
    assert "\x1b" not in shown


def test_the_best_cell_for_every_hypothesis(model, text):
    result = succeed("inspect", "find", model, text, *QUICK, "--no-probe")
    assert "url" in result.stderr  # nowhere in the fables
    found = records("inspect", "find", model, text, "--track", "all", *QUICK, "--no-probe")
    assert {each["hypothesis"] for each in found} < set(NAMES)
    assert all(cell["p_of_all"] >= cell["p"] for each in found for cell in each["cells"])
    assert all(each["hypothesis"] in result.stdout and each["probe"] is None for each in found)


def test_a_pattern_and_a_mask_that_say_the_same(model, text, tmp_path):
    content = text.read_text()
    np.save(tmp_path / "mask.npy", np.array([sign in "aeiou" for sign in content]))
    (tmp_path / "mask.txt").write_text("".join("01"[sign in "aeiou"] for sign in content))
    (expected,) = records("inspect", "find", model, text, "--where", "[aeiou]", *QUICK)
    for name in ("mask.npy", "mask.txt"):
        (found,) = records("inspect", "find", model, text, "--mask", tmp_path / name, *QUICK)
        assert found["cells"] == expected["cells"]


def test_the_held_out_part_is_read_where_no_text_is_named(model):
    (found,) = records("inspect", "find", model, "--track", "word", *QUICK, "--no-probe")
    assert found["characters"] == 2000


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--track", "quoets"], 1, "did you mean 'quotes'"),
        (["--track", "url"], 1, "nowhere or everywhere in this text"),
        (["--track", "word", "--where", "x"], 2, "exclude each other"),
        (["--track", "word", "--surprise"], 2, "No such option"),
        (["--where", ""], 1, "nowhere or everywhere in this text"),
        (["--track", ""], 1, "there is no hypothesis ''"),
        (["--where", "("], 1, "not a regular expression"),
        (["--mask", "no-such-file"], 1, "cannot be read"),
        (["--track", "word", "--permutations", "3"], 2, "19"),
    ],
)
def test_wrong_usage(model, text, arguments, status, message):
    result = invoke("inspect", "find", model, text, *arguments)
    assert result.exit_code == status
    assert message in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_the_help_names_every_hypothesis():
    from charrnn.commands.inspect import hypothesis

    assert tuple(hypothesis.NAMES.split(", ")) == NAMES
    assert tuple(hypothesis.PATTERNS.split(", ")) == head_patterns.NAMES


def test_the_table_fits_a_narrow_terminal():
    cell = {"layer": 10, "unit": 1023, "score": 0.05, "p": 0.005, "p_of_all": 0.005}
    record = {
        "hypothesis": "word-position",
        "summary": "characters of the word that have been read",
        "score": "auc",
        "characters": 846_883_000,
        "base": 0.00072,
        "cells_tried": 512,
        "permutations": 199,
        "block": 14_394,
        "probe": {"score": 0.5, "cell": 0.05, "places": 9},
        "cells": [cell],
    }
    weak = record | {"cells": [cell | {"p_of_all": 0.995}]}
    for width in (80, 100):
        lines = all_lines([record, weak], width)
        assert max(len(line.plain) for line in lines) <= width
        assert "for all cells and hypotheses" in " ".join(line.plain for line in lines)


@pytest.mark.parametrize(("p", "says", "is_dim"), [(0.05, "0.050 ", False), (0.055, "0.055 n.s.", True)])
def test_what_is_not_significant_is_grey_and_says_so(p, says, is_dim):
    cell = {"layer": 1, "unit": 2, "score": 0.9, "p": p, "p_of_all": p}
    record = {"hypothesis": "digit", "summary": "a digit", "score": "auc", "characters": 9, "cells_tried": 4}
    record |= {"permutations": 19, "block": 3, "effective": 5, "why_no_p": None, "base": 0.5, "probe": None}
    record |= {"cells": [cell]}
    label, look = np.zeros(3), Look(100, Depth.NONE)
    for lines, row in (
        (all_lines([record], 100), "digit "),
        (finding_lines(record, 0, "abc", label, {"1:2": label}, look), "    1:2 "),
    ):
        (line,) = (line for line in lines if line.plain.startswith(row))
        assert says in line.plain
        assert any("dim" in str(span.style) for span in line.spans) == is_dim
        whole = " ".join(line.plain for line in lines)
        assert ("n.s.: not significant, p is above 0.05." in whole) == is_dim
        assert "AUC, 0.5 (chance) to 1: " in whole and "rank correlation" not in whole


def test_json_says_what_is_significant(model, text):
    found = records("inspect", "find", model, text, *QUICK, "--no-probe")
    cells = [cell for each in found for cell in each["cells"]]
    assert [cell["significant"] for cell in cells] == [cell["p_of_all"] <= 0.05 for cell in cells]
    assert {cell["significant"] for cell in cells} == {True, False}


@pytest.mark.parametrize(
    ("score", "of_cell", "of_probe", "p", "words"),
    [
        ("auc", 0.05, 0.96, 0.005, "nearly all"),
        ("spearman", -0.5, 0.7, 0.005, "most of it"),
        ("auc", 0.6, 0.95, 0.005, "spread over many cells"),
        ("auc", 0.6, 0.95, 0.3, "No cell is sure"),
    ],
)
def test_the_verdict(score, of_cell, of_probe, p, words):
    cell = {"layer": 1, "unit": 2, "score": of_cell, "p": p}
    probe = {"score": of_probe, "cell": of_cell, "places": 9}
    assert words in " ".join(verdict({"score": score, "block": 500, "cells": [cell], "probe": probe}))


def test_a_label_that_hardly_changes_is_said_to_have_no_p(tmp_path, model, text):
    """In the table, the JSON and on a page."""
    text = Path(text)
    characters = len(text.read_text("utf-8"))
    mask = tmp_path / "mask.npy"
    np.save(mask, np.arange(characters) > characters / 2)
    wish = (model, text, "--mask", mask)
    record = json.loads(succeed("inspect", "find", *wish, "--json").stdout)
    assert record["block"] is None
    assert [record["cells"][0][name] for name in ("p", "p_of_all", "significant")] == [None] * 3
    assert "changes so slowly" in record["why_no_p"]
    shown = " ".join(succeed("inspect", "find", *wish).stdout.split())
    assert "no p: the label, or how often it holds, changes so slowly that the text is worth about" in shown
    assert "So nobody can tell whether a cell tracks this" in shown
    succeed("inspect", "page", *wish, "--cells", 1, "-o", tmp_path / "page.html")
    assert ", no p" in (tmp_path / "page.html").read_text()


def test_a_table_of_all_says_for_which_there_is_no_p():
    cell = {"layer": 1, "unit": 2, "score": 0.9, "p_of_all": float("nan")}
    record = {"hypothesis": "digit", "summary": "a digit", "score": "auc", "characters": 9, "cells_tried": 4}
    record |= {"permutations": 19, "block": None, "why_no_p": "it is so", "base": 0.5, "probe": None, "cells": [cell]}
    lines = [line.plain for line in all_lines([record], 80)]
    assert "No p for digit: it is so." in lines


@POSIX
def test_commands_for_a_closer_look_can_be_run(model, text):
    asked = ("inspect", "find", model, text, *QUICK, "--no-probe", "--unknown", "skip")
    *_, show, ablate = succeed(*asked, "--track", "word").stdout.splitlines()
    for line, option in ((show, " --cell "), (ablate, " --track word")):
        assert option in line
        command = shlex.split(line)
        assert command[0] == "charrnn" and str(model) in command and "--unknown" in command
        succeed(*command[1:], *(["--others", 0, "--samples", 0] if "ablate" in command else []))
    *_, find = succeed(*asked).stdout.splitlines()
    assert succeed(*shlex.split(find)[1:], *QUICK).stdout.startswith(shlex.split(find)[-1])


@POSIX
def test_commands_name_the_model_as_the_user_did(model, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("my run", "find"):
        shutil.copytree(model, tmp_path / "checkpoints" / name)
    shown = succeed("inspect", "my run", "--text", "the fox", "--signal", "i").stdout
    assert "\n  charrnn inspect 'my run' --signal i --text 'the fox' --cell " in shown
    assert "  charrnn inspect show find " in succeed("inspect", "show", "find", "--text", "the fox").stdout
