"""``charrnn compare``: runs side by side."""

import json
import os
import shutil
import xml.etree.ElementTree as ElementTree

import pytest
from command_line import SMALL, invoke, run_cli, succeed
from forgeries import changed, rewritten

from charrnn.checkpoints import comparison
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.commands.compare import _AXES

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def other(tmp_path_factory, text):
    """A run of another cell and size on the same text."""
    out = tmp_path_factory.mktemp("others")
    how = ["--hidden", 12, "--layers", 1, "--seq-len", 16, "--batch-size", 8, "--threads", 1]
    how += ["--cell", "capped-lstm", "--steps", 90, "--eval-every", 30, "--name", "small"]
    succeed("train", text, "--out", out, *how, "-q")
    return out / "small"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """A run on another text, which has other characters."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "names.txt").write_text("Ada\nBea\nCoé\n" * 200)
    succeed("train", folder / "names.txt", "--out", folder, *SMALL, "--steps", 20, "-q")
    return folder / "names"


@pytest.fixture
def begun(model, tmp_path):
    """A run that has not evaluated yet."""
    run = shutil.copytree(model, tmp_path / "begun")
    data = (run / "last.safetensors").read_bytes()
    for place in ("val_loss", "best_val_loss", "best_step"):
        data = rewritten(data, changed(f"progress.{place}", None))
    (run / "last.safetensors").write_bytes(rewritten(data, changed("history", [])))
    (run / "best.safetensors").unlink()
    (run / "metrics.jsonl").unlink()
    return run


def compared(*arguments):
    return [json.loads(line) for line in succeed("compare", *arguments, "--json").stdout.splitlines()]


def test_an_object_for_each_run(model, other):
    first, second = compared(model, other, "-n", 40)
    assert [each["name"] for each in (first, second)] == ["fables", "small"]
    assert [each["mark"] for each in (first, second)] == ["a", "b"]
    assert [each["cell"] for each in (first, second)] == ["LSTM", "capped LSTM"]
    about = json.loads(succeed("info", other, "--json").stdout)
    progress = about["progress"]
    assert second["best_val_loss"] == progress["best_val_loss"]
    assert second["best_bpc"] == pytest.approx(progress["best_val_loss"] / 0.6931471805599453)
    assert second["parameters"] == about["parameters"]
    assert second["characters_read"] == progress["characters"]
    assert second["chars_per_s"] == pytest.approx(progress["characters"] / progress["elapsed_s"])
    listed = {
        each["name"]: each for each in map(json.loads, succeed("runs", other.parent, "--json").stdout.splitlines())
    }
    assert listed["small"].items() <= second.items()
    assert [each["step"] for each in second["history"]] == [30, 60, 90]
    assert [each["val_loss"] for each in second["history"]] == [each["val_loss"] for each in about["history"]]
    assert second["history"][-1]["characters"] == progress["characters"]


def test_the_best_loss_is_marked(model, other):
    records = compared(model, other, "-n", 0)
    losses = [each["best_val_loss"] for each in records]
    assert [each["best"] for each in records] == [loss == min(losses) for loss in losses] != [True, True]
    assert {each["obstacle"] for each in records} == {""}
    shown = succeed("compare", model, other, "-n", 0).stdout
    assert f"★ {min(losses):.4f}" in shown
    assert f"★ {max(losses):.4f}" not in shown
    best, worst = ("a", "b") if losses[0] < losses[1] else ("b", "a")
    lead = f"{best} is the best: {max(losses) - min(losses):.4f} nats per character below {worst}."
    assert lead in shown
    assert "sample" not in records[0] and "what each writes" not in shown


def test_only_settings_that_differ_are_shown(model, other):
    first, second = compared(model, other, "-n", 0)
    assert first["settings"]["steps"] == 150 and second["settings"]["steps"] == 90
    assert first["settings"]["lr"] == 0.004 and second["settings"]["lr"] == 0.024  # its default
    assert not {"hidden", "layers", "cell", "seed", "batch_size", "seq_len", "vocabulary"} & first["settings"].keys()
    shown = succeed("compare", model, other, "-n", 0).stdout
    (line,) = (line for line in shown.splitlines() if line.startswith("lr "))
    assert line.split() == ["lr", "0.004", "0.024"]
    assert "other settings" not in succeed("compare", model, model, "-n", 0).stdout


def test_losses_are_compared_as_far_as_all_runs_have_come(model, other):
    first, second = compared(model, other, "-n", 0, "--against", "steps")
    assert first["shared"]["at"] == second["shared"]["at"] == 90
    within = [each["val_loss"] for each in first["history"] if each["step"] <= 90]
    assert (first["shared"]["val_loss"] if within else first["shared"]) == (min(within) if within else None)
    assert second["shared"]["val_loss"] == second["best_val_loss"]
    shown = succeed("compare", model, other, "-n", 0, "--against", "steps").stdout
    assert "best loss up to 90 steps" in shown
    for against in _AXES:
        assert f"against {against}" in succeed("compare", other, "-n", 0, "--against", against).stdout
    assert tuple(comparison.AXES) == _AXES


def test_each_continues_the_same_prime_as_sample_does(model, other):
    how = ["--prime", "The fox", "-n", 50, "--seed", 7, "-t", 0.6]
    records = compared(model, other, *how)
    assert {(each["prime"], each["seed"], each["temperature"]) for each in records} == {("The fox", 7, 0.6)}
    for run, each in zip((model, other), records, strict=True):
        assert each["sample"] == succeed("sample", run, *how).stdout
    assert compared(model, other, "-n", 20) == compared(model, other, "-n", 20)  # without --seed, too
    shown = succeed("compare", model, other, *how).stdout
    assert "temperature 0.6, seed 7" in shown
    assert shown.count("The fox") == 2


def test_other_texts_are_said_to_be_others(model, foreign):
    records = compared(model, foreign, "-n", 10)
    assert {each["obstacle"] for each in records} == {"texts"}
    assert not any(each["best"] for each in records)
    shown = succeed("compare", model, foreign, "-n", 0).stdout
    assert shown.startswith("These runs learnt different texts: their losses cannot be compared.\n")
    assert "★" not in shown
    assert "best loss up to" not in shown
    assert "fables.txt" in shown and "names.txt" in shown


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [("training.split", "80/10/10", "other parts of the text"), ("vocabulary.0", "漢", "other characters")],
)
def test_other_parts_and_characters_are_not_compared(model, tmp_path, place, value, words):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(rewritten((model / "best.safetensors").read_bytes(), changed(place, value)))
    shown = succeed("compare", model, path, "-n", 0).stdout
    assert words in shown and "★" not in shown


def test_a_prime_that_one_model_does_not_know(model, foreign):
    refused = invoke("compare", foreign, model, "--prime", "é")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert "fables: --prime: the model does not know 'é'" in refused.stderr
    assert compared(foreign, model, "--prime", "é", "--unknown", "skip", "-n", 5)[1]["sample"]


def test_a_run_in_progress_is_shown_with_what_there_is(begun, model):
    first, second = compared(begun, model, "-n", 10)
    assert first["state"] == "unfinished" and first["best_val_loss"] is None and first["history"] == []
    assert first["shared"] is None and second["shared"] is None and not second["best"]
    assert first["obstacle"] == ""
    assert len(first["sample"]) == 10
    shown = succeed("compare", begun, model, "-n", 10).stdout
    assert "unfinished" in shown
    assert "a begun" in shown and "b fables" in shown
    alone = succeed("compare", begun, "-n", 0)
    assert "no evaluations to draw yet" in alone.stdout


def test_one_run_is_a_table_of_one(model):
    shown = succeed("compare", model, "-n", 0).stdout
    assert "a fables" in shown and "★" not in shown and "shortest run" not in shown


def test_runs_of_one_name_are_called_by_their_paths(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "fables")
    assert [each["name"] for each in compared(model, copy, "-n", 0)] == [str(model), str(copy)]


def test_names_files_and_exported_models(model, tmp_path, monkeypatch):
    shutil.copytree(model, tmp_path / "checkpoints" / "mine")
    monkeypatch.chdir(tmp_path)
    succeed("export", "mine", "given.safetensors", "-q")
    succeed("export", "mine", "hub", "-q")
    found = compared("mine", "given.safetensors", "fables", "checkpoints/mine/best.safetensors", "hub", "-n", 9)
    assert [each["name"] for each in found] == ["mine", "given", "fables", "best", "hub"]
    assert len({each["sample"] for each in found}) == 2


@pytest.mark.parametrize("kind", ["missing", "empty folder", "damaged", "a text"])
def test_a_run_that_is_none_is_named(model, text, tmp_path, kind):
    bad = {"missing": tmp_path / "nobody", "a text": text}.get(kind, tmp_path / "bad")
    if kind == "empty folder":
        bad.mkdir()
    elif kind == "damaged":
        shutil.copytree(model, bad)
        (bad / "last.safetensors").write_bytes(b"\xff" * 100)
    refused = invoke("compare", model, bad)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1 and str(bad) in refused.stderr


def test_usage(model):
    assert invoke("compare").exit_code == 2
    many = invoke("compare", *[model] * 27)
    assert many.exit_code == 2 and "at most 26" in many.stderr
    assert invoke("compare", model, "--against", "hours").exit_code == 2
    assert invoke("compare", model, "-o", "curves.gif").exit_code == 2
    assert compared(*[model] * 26, "-n", 0)[-1]["mark"] == "z"


def test_a_picture(model, other, begun, tmp_path):
    picture = tmp_path / "curves.svg"
    done = succeed("compare", model, other, "-n", 0, "-o", picture)
    assert f"wrote {picture}" in done.stderr
    root = ElementTree.fromstring(picture.read_bytes())
    labels = [each.text for each in root.findall(f"{SVG}text")]
    assert "a fables" in labels and "b small" in labels and "minutes" in labels
    refused = invoke("compare", begun, "-n", 0, "-o", tmp_path / "none.svg")
    assert refused.exit_code == 1 and refused.stderr.count("\n") == 1
    assert not (tmp_path / "none.svg").exists()


def test_a_png(model, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    succeed("compare", model, "-n", 0, "-o", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_numbers_that_no_run_has_are_not_drawn(model, tmp_path):
    history = [
        {"step": step, "epoch": epoch, "loss": None, "val_loss": loss, "elapsed_s": seconds}
        for step, epoch, loss, seconds in [
            *[(1, 0.1, 2.0, 1.0), (2, -1e300, 1.5, -1e300), (10**19, 1e308, 1e308, 1e308), (3, 0.2, -5.0, 3.0)],
            *[(4, 0.3, 1.2, 2.0), (0, 0.0, 0.0, 0.0)],
        ]
    ]
    path = tmp_path / "odd.safetensors"
    data = rewritten((model / "best.safetensors").read_bytes(), changed("history", history))
    path.write_bytes(rewritten(data, changed("progress.step", 0)))
    for against in _AXES:
        shown = succeed("compare", path, model, "-n", 0, "--against", against, "-o", tmp_path / "odd.svg").stdout
        assert "a odd" in shown
    ElementTree.fromstring((tmp_path / "odd.svg").read_bytes())


def test_evaluations_have_their_characters_and_curves_are_in_order(model):
    found = Checkpoint.describe(model / "last.safetensors")
    points = comparison.evaluations(found)
    assert [each["characters"] for each in points] == sorted(each["characters"] for each in points)
    assert 0 < points[0]["characters"] <= found.counters["characters"]
    minutes = comparison.curve(points[::-1], "minutes")
    assert minutes[:, 0].tolist() == [each["elapsed_s"] / 60 for each in points]
    assert comparison.best_until(minutes, 0.0) is None
    assert comparison.best_until(minutes, minutes[-1, 0]) == minutes[:, 1].min()
    assert comparison.shared_end([minutes]) is None
    assert comparison.shared_end([minutes, minutes[:0], minutes[:1]]) == minutes[0, 0]


def test_in_a_pipe_and_on_a_dumb_terminal(model, other):
    environment = {**os.environ, "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "60"}
    done = run_cli("compare", model, other, "-n", 30, "--prime", "The", env=environment)
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    assert "\x1b" not in shown and done.stderr == b""
    assert max(map(len, shown.splitlines())) <= 60
