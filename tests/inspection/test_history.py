"""``charrnn inspect history``: losses, samples and cells over a run's steps."""

import json
import shutil

import numpy as np
import pytest
from command_line import SMALL, invoke, succeed

from charrnn import load
from charrnn.errors import CheckpointError
from charrnn.inspection.history import cells_at_snapshots, logged_samples, losses
from charrnn.inspection.reading import read


@pytest.fixture(scope="module")
def run(tmp_path_factory, text):
    """A run that kept snapshots."""
    out = tmp_path_factory.mktemp("kept")
    made = succeed(
        *("train", text, "--out", out, *SMALL, "--steps", 60, "--sample-every", 10, "--eval-every", 25, "--snapshots")
    )
    assert "snapshots" in made.stderr
    return out / "fables"


def test_moments_are_those_of_the_log(run):
    found = logged_samples(run)
    log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    samples = {record["step"]: record["text"] for record in log if record["event"] == "sampled"}
    assert {moment.step: moment.sample for moment in found} == samples
    assert list(samples) == [10, 20, 30, 40, 50, 60]
    validation = {record["step"]: record["val_loss"] for record in log if record["event"] == "evaluated"}
    expected = [None, None, validation[25], validation[25], validation[50], validation[60]]
    assert [moment.val_loss for moment in found] == expected
    training, scored = losses(run)
    assert training.shape == (60, 2)
    assert scored[:, 0].tolist() == [25, 50, 60]
    assert found[0].loss > found[-1].loss > training[:, 1].min()


def test_growth_is_what_each_snapshot_s_model_does(run):
    ids = load(run).encode("the fox said to the heron that he was not amused")
    reading, found = cells_at_snapshots(run, ids, [(1, 3), (0, 7)])
    assert [each.step for each in found] == [10, 20, 30, 40, 50]  # 60 is of the doubling that 50 is of
    for each in found:
        alone = read(load(run / "steps" / f"{each.step:08}.safetensors"), ids)
        np.testing.assert_array_equal(each.values, [alone.cell(1, 3), alone.cell(0, 7)])
        assert each.scores.shape == (2,)
    np.testing.assert_array_equal(reading.values, alone.values)
    assert cells_at_snapshots(run, ids, count=2)[1][0].cells == cells_at_snapshots(run, ids, count=5)[1][-1].cells[:2]


def test_it_is_shown(run, text):
    shown = succeed("inspect", "history", run, text, "--cell", "1:3", "--length", 500).stdout
    assert shown.count("\nstep ") == 6
    assert "\ncell 1:3" in shown
    assert "losses in nats per character over 60 steps" in shown
    rows = shown[shown.index("cell 1:3") :].splitlines()
    assert [line.split()[0] for line in rows[3:8]] == ["10", "20", "30", "40", "50"]
    assert rows[9].startswith("score, 0 to 1: ")
    gates = succeed("inspect", "history", run, "--signal", "f", "--cells", 2, "--length", 300).stdout
    assert "forget gate" in gates
    assert gates.count("\ncell ") == 2


def test_a_validation_loss_from_before_the_sample_says_so(run):
    shown = succeed("inspect", "history", run).stdout.splitlines()
    rows = {line.split()[1]: line for line in shown if line.startswith("step ") and "training" in line}
    marks = {step: line.partition("(")[2] for step, line in rows.items()}
    assert marks == {"10": "", "20": "", "30": "of step 25)", "40": "of step 25)", "50": "", "60": ""}


def test_json(run):
    lines = succeed("inspect", "history", run, "--text", "the fox and", "--cell", "0:1", "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    assert [each["event"] for each in found] == ["moment"] * 6 + ["snapshot"] * 5
    assert set(found[0]) == {"event", "step", "epoch", "loss", "val_loss", "temperature", "sample"}
    (cell,) = found[-1]["cells"]
    assert (found[-1]["text"], cell["layer"], cell["unit"], len(cell["values"])) == ("the fox and", 0, 1, 11)


def test_the_cells_that_a_hypothesis_is_tracked_by(run):
    wish = (run, "--track", "word", "--json")
    best = json.loads(succeed("inspect", "find", *wish, "--permutations", 19, "--no-probe", "--cells", 2).stdout)[
        "cells"
    ]
    shown = [json.loads(line) for line in succeed("inspect", "history", *wish, "--cells", 2).stdout.splitlines()]
    for snapshot in (each for each in shown if each["event"] == "snapshot"):
        assert [(cell["layer"], cell["unit"]) for cell in snapshot["cells"]] == [
            (cell["layer"], cell["unit"]) for cell in best
        ]
    assert shown[-1]["event"] == "snapshot"


def test_without_snapshots_samples_and_losses_are_left(model):
    result = succeed("inspect", "history", model)
    assert "losses in nats" in result.stdout
    assert "--snapshots" in result.stderr
    assert "cell" not in result.stdout


def test_what_cannot_be_shown_is_said(run, model, tmp_path):
    def refusal(*arguments, status=1):
        result = invoke("inspect", "history", *arguments)
        assert result.exit_code == status
        return result.stderr

    assert "give the name or the folder of a run" in refusal(run / "best.safetensors")
    assert "no cell 5:0" in refusal(run, "--cell", "5:0")
    assert "No such option" in refusal(run, "--surprise", status=2)
    bare = shutil.copytree(model, tmp_path / "bare")
    (bare / "metrics.jsonl").write_text("")
    assert "wrote no sample" in refusal(bare)
    (bare / "metrics.jsonl").unlink()
    assert "no log of a run" in refusal(bare)
    (bare / "metrics.jsonl").write_text('{"event": "step", "step": "1"}\n{}\n')
    assert "line 1 is no record" in refusal(bare)
    with pytest.raises(CheckpointError, match="line 1"):
        losses(bare)


def test_losses_too_large_to_draw_are_refused_and_others_drawn(model, tmp_path):
    folder = shutil.copytree(model, tmp_path / "run")
    for size, message in ((1e308, "line 1 is no record"), (1e38, None)):
        records = [{"event": "step", "step": n, "epoch": 1, "loss": loss} for n, loss in ((1, size), (2, -size))]
        records += [{"event": "evaluated", "step": n, "val_loss": loss} for n, loss in ((1, size), (2, -size))]
        records += [{"event": "sampled", "step": 2, "temperature": 1.0, "text": "fox"}]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        result = invoke("inspect", "history", folder, "--no-pager")
        assert result.exit_code == (1 if message else 0), result.exception
        assert message is None or message in result.stderr


def test_snapshots_go_with_samples(text, tmp_path):
    result = invoke("train", text, "--out", tmp_path, "--snapshots", "--sample-every", 0)
    assert result.exit_code == 2
    assert "--sample-every" in result.stderr


def test_hostile_samples_stay_text(model, tmp_path):
    bare = shutil.copytree(model, tmp_path / "hostile")
    record = {"event": "sampled", "step": 3, "temperature": 0.8, "text": "\x1b]52;c;eA==\x07 [red]x[/red] \u202e abc"}
    (bare / "metrics.jsonl").write_text(json.dumps(record) + "\n")
    shown = succeed("inspect", "history", bare).stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[red]x[/red]" in shown
    assert json.loads(succeed("inspect", "history", bare, "--json").stdout)["sample"] == record["text"]
