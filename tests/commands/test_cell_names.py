"""Cells named by what they track: on every screen, computed once, kept beside the model."""

import json
import re
import shutil

import pytest
from command_line import FABLES, SMALL, invoke, succeed

from charrnn.inspection import naming
from charrnn.inspection.hypotheses import NAMES
from charrnn.inspection.naming_cache import FILE

LETTER = "Dear fox,\n\nthe heron was not amused.\n\n"
NAME = re.compile(rf"\d+:\d+ \(?({'|'.join(NAMES)}), (ρ [+-]0\.\d\d|AUC (on|off) 0\.\d\d)")
NOTE = "Cells are named by what they track in the run's own text."


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a text of its own, which tests may copy."""
    folder = tmp_path_factory.mktemp("named")
    (folder / "own.txt").write_text(FABLES.read_text()[:20_000])
    succeed("train", folder / "own.txt", "--out", folder, *SMALL, "--steps", 150, "--lr", 0.004, "-q")
    return folder


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A copy of the run. The names of checkpoint files are kept in a folder of this test alone."""
    monkeypatch.setattr("charrnn.inspection.naming_cache.cache_folder", lambda: tmp_path / "cache")
    return shutil.copytree(trained / "own", tmp_path / "own")


@pytest.fixture
def counted(monkeypatch):
    """How often names were computed, as the length of a list."""
    calls, compute = [], naming.name_cells

    def name_cells(*arguments, **options):
        calls.append(arguments)
        return compute(*arguments, **options)

    monkeypatch.setattr(naming, "name_cells", name_cells)
    return calls


def objects(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def named_cell(run):
    """A cell that has a name, and its name as --json has it."""
    return next(
        (f"{each['layer']}:{each['unit']}", each["tracks"])
        for each in objects(succeed("inspect", run, "--cells", 40, "--json"))
        if each["tracks"] is not None
    )


def test_the_gallery_names_its_cells_and_explains(run):
    result = succeed("inspect", run)
    assert re.search(r"^ +cell +score +tracks +from character", result.stdout, re.MULTILINE)
    assert re.search(r"^ +\d+:\d+ 0\.\d{3}  [a-z-]+, (ρ|AUC)", result.stdout, re.MULTILINE)
    explained = " ".join(result.stdout.split())
    for sentence in (
        "score, 0 to 1: ",
        "tracks: what the cell keeps track of in the run's own text",
        "AUC, 0.5 (chance)",
    ):
        assert sentence in explained
    assert NOTE not in result.stderr  # this is the text that is read
    narrow = succeed("inspect", run, env={"COLUMNS": "80"}).stdout
    table = narrow[narrow.index(" cell ") : narrow.index("\n\nscore")].splitlines()
    assert max(map(len, table)) <= 80
    assert not re.search("ρ|AUC", table[2])  # the hypothesis alone, so that the text has room


def test_every_screen_that_names_a_cell_says_what_it_tracks(run, tmp_path):
    (tmp_path / "letter.txt").write_text(LETTER * 20)
    cell, _ = named_cell(run)
    text = (run, tmp_path / "letter.txt")
    screens = {
        "show": succeed("inspect", *text, "--cell", cell).stdout,
        "several": succeed("inspect", *text, "--cell", f"{cell},0:0").stdout,
        "ablate": succeed("inspect", "ablate", *text, "--cell", cell, "--samples", 0, "--others", 0).stdout,
        "follow": succeed("inspect", "follow", run, "--cell", cell, "--length", 9).stderr,
    }
    for name, shown in screens.items():
        found = NAME.search(shown)
        assert found and found[0].startswith(cell), name
    similar = succeed("inspect", "similar", *text, "--span", "heron", "--threshold", 0.1)
    assert NAME.search(similar.stdout)
    assert "like it, 0 to 1: " in similar.stdout
    succeed("inspect", "draw", *text, "--cell", cell, "-o", tmp_path / "a.svg")
    title = re.search('<title>(.*?)</title>|aria-label="(.*?)"', (tmp_path / "a.svg").read_text())[0]
    assert NAME.search(title.replace("&#961;", "ρ"))
    succeed("inspect", "page", *text, "--cell", cell, "-o", tmp_path / "a.html")
    about = json.loads(re.search(r'id="data-about">(.*?)</script>', (tmp_path / "a.html").read_text("ascii"))[1])
    assert NAME.match(f"{cell} {about['cells'][0]['tracks']}")
    assert "score, 0 to 1: " in (tmp_path / "a.html").read_text("ascii")


def test_json_has_what_a_cell_tracks(run, tmp_path):
    (tmp_path / "letter.txt").write_text(LETTER * 20)
    cell, tracks = named_cell(run)
    assert tracks.keys() == {"hypothesis", "measure", "value"}
    assert (tracks["hypothesis"] in NAMES, tracks["measure"] in ("auc", "spearman")) == (True, True)
    (shown,) = objects(succeed("inspect", run, tmp_path / "letter.txt", "--cell", cell, "--json"))
    assert shown["tracks"] == tracks
    found = objects(succeed("inspect", "ablate", run, "--cell", cell, "--samples", 0, "--others", 0, "--json"))[0]
    assert found["tracks"] == {cell: tracks}
    selection = objects(
        succeed("inspect", "similar", run, tmp_path / "letter.txt", "--span", "heron", "--threshold", 0.1, "--json")
    )[0]
    assert list(selection["tracks"]) == selection["cells"]


def test_names_are_computed_once_and_stay_when_the_text_is_gone(run, trained, tmp_path, counted):
    (tmp_path / "letter.txt").write_text(LETTER)
    first = succeed("inspect", run, tmp_path / "letter.txt")
    assert NOTE in first.stderr
    assert len(counted) == 1
    assert (run / FILE).is_file()
    text = (trained / "own.txt").read_bytes()
    (trained / "own.txt").unlink()
    try:
        second = succeed("inspect", run, tmp_path / "letter.txt")
    finally:
        (trained / "own.txt").write_bytes(text)
    assert (second.stdout, second.stderr, len(counted)) == (first.stdout, first.stderr, 1)
    assert NOTE not in succeed("inspect", run, tmp_path / "letter.txt", "-q").stderr


def test_a_model_that_has_learnt_more_is_named_anew(run, counted):
    succeed("inspect", run)
    succeed("train", "--resume", "--name", run.name, "--out", run.parent, "--steps", 200, "-q")
    succeed("inspect", run)
    succeed("inspect", run)
    assert len(counted) == 2


def test_without_its_text_a_model_s_cells_have_no_names(run, trained, tmp_path, counted):
    (tmp_path / "letter.txt").write_text(LETTER)
    expected = succeed("inspect", run, tmp_path / "letter.txt", "--no-names")
    (trained / "own.txt").rename(trained / "away.txt")
    try:
        result = succeed("inspect", run, tmp_path / "letter.txt")
    finally:
        (trained / "away.txt").rename(trained / "own.txt")
    assert (result.stdout, result.stderr) == (expected.stdout, expected.stderr)
    assert not NAME.search(result.stdout)
    assert not counted
    assert not (run / FILE).exists()


def test_a_checkpoint_file_is_named_too_and_its_folder_left_alone(run, tmp_path, counted):
    file = shutil.copy(run / "best.safetensors", tmp_path / "alone.safetensors")
    before = sorted(path.name for path in tmp_path.iterdir())
    first = succeed("inspect", file).stdout
    assert "tracks" in first
    assert succeed("inspect", file).stdout == first
    assert len(counted) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "cache"])


def test_a_file_of_names_from_a_stranger_is_ignored_in_one_line(run, counted):
    succeed("inspect", run)
    content = json.loads((run / FILE).read_text())
    content["cells"][0]["hypothesis"] = "\x1b]0;owned\x07"
    (run / FILE).write_text(json.dumps(content))
    result = succeed("inspect", run)
    assert len(counted) == 2
    assert result.stderr.count(f"{FILE}: ignored (there is no hypothesis ") == 1
    assert "\x1b" not in result.stderr + result.stdout
    assert json.loads((run / FILE).read_text()) != content  # written anew


def test_a_folder_that_cannot_be_written_is_no_mistake(run, tmp_path, counted):
    (run / FILE).mkdir()  # a file cannot be written there, even by root
    for _ in range(2):
        assert "tracks" in succeed("inspect", run).stdout
    assert len(counted) == 1
    assert len(list((tmp_path / "cache" / "cells").iterdir())) == 1


def test_surprise_names_no_cells(run, counted):
    succeed("inspect", run, "--surprise", "--length", 100)
    assert not counted
    assert invoke("inspect", run, "--cell", "9:9").exit_code == 1
    assert not counted
