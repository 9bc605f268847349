"""``charrnn inspect ablate``: what is lost and written while cells are held."""

import json
import re

import numpy as np
import pytest
from command_line import invoke, succeed

from charrnn import load
from charrnn.inference.loss import evaluate
from charrnn.inspection.clamping import clamp


def records(*arguments):
    return [json.loads(line) for line in succeed(*arguments, "--json").stdout.splitlines()]


def test_an_ablation_inside_and_outside_of_a_hypothesis(model, text):
    options = ("inspect", "ablate", model, text, "--track", "quotes", "--cell", "1:7", "--others", 3, "--samples", 4)
    first, *samples = records(*options)
    found = load(model)
    ids = found.encode(text.read_text())
    change = evaluate(clamp(found.network, {(1, 7): 0.0}), ids).loss - evaluate(found.network, ids).loss
    assert first["change"]["overall"]["value"] == pytest.approx(change, abs=1e-6)
    assert first["loss"] == pytest.approx(evaluate(found.network, ids).loss, rel=1e-6)
    inside, outside = first["change"]["inside"]["value"], first["change"]["outside"]["value"]
    share = first["share_inside"]
    assert share * inside + (1 - share) * outside == pytest.approx(change, abs=1e-6)
    assert first["change"]["contrast"]["low"] <= inside - outside <= first["change"]["contrast"]["high"]
    assert len(first["others"]) == 3
    assert 1 <= first["rank"] <= 4
    costs = [each["count"] * (each["after"] - each["before"]) for each in first["symbols"]]
    assert costs == sorted(costs, reverse=True)

    assert [sample["cells"] for sample in samples] == ["free", "off", "on"]
    assert samples[1]["held"] == first["mean_outside"]
    assert samples[2]["held"] == first["mean_inside"]
    assert all(sample["characters"] == 2000 and 0 <= sample["share_inside"] <= 1 for sample in samples)
    assert samples[0]["text"] == found.sample("", 500, seed=0)
    assert records(*options) == [first, *samples]

    shown = succeed(*options).stdout
    assert "inside - outside" in shown
    assert "3 random others of the layer" in shown
    one = " ".join(succeed("inspect", "ablate", model, "--cell", "0:1", "--others", 1, "--samples", 0).stdout.split())
    assert re.search(r"1 random other of the layer, overall: [+-]0\.\d{4}; this cell ranks", one)
    assert re.search(r"this cell,? .*\branks [1-4](st|nd|rd|th) of 4", " ".join(shown.split()))
    assert "free" in shown and "off (c = " in shown and "on (c = " in shown


def test_an_ablation_without_a_mask(model, text):
    first, *samples = records("inspect", "ablate", model, text, "--cell", "1:7,0:2", "--at", "mean", "--samples", 2)
    cells = load(model).activations(text.read_text())["c"].mean(axis=0)
    assert first["held"]["1:7"] == pytest.approx(cells[1, 7], abs=2e-3)
    assert first["held"]["0:2"] == pytest.approx(cells[0, 2], abs=2e-3)
    assert first["inside"] is None
    assert first["change"]["contrast"]["value"] is None
    assert [sample["cells"] for sample in samples] == ["free", "held"]
    shown = succeed("inspect", "ablate", model, text, "--cell", "1:7", "--at", 2, "--samples", 0).stdout
    assert "1:7 at c = 2" in shown
    assert "inside" not in shown


def test_lines_fit(model, text, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    options = ("--track", "quotes", "--cell", "1:7", "--others", 3, "--samples", 2)
    assert max(map(len, succeed("inspect", "ablate", model, text, *options).stdout.splitlines())) <= 80


def test_masks_of_other_kinds(model, text, tmp_path):
    mask = np.arange(20_000) % 100 < 30
    np.save(tmp_path / "mask.npy", mask)
    few = ("--others", 0, "--samples", 2)
    first, free, *_ = records("inspect", "ablate", model, text, "--cell", "0:1", "--mask", tmp_path / "mask.npy", *few)
    assert first["share_inside"] == pytest.approx(0.3, abs=1e-3)
    assert free["share_inside"] is None
    first, *_ = records("inspect", "ablate", model, text, "--cell", "0:1", "--where", "[A-Z]\\w+", *few)
    assert 0 < first["share_inside"] < 0.5
    result = succeed("inspect", "ablate", model, text, "--cell", "0:1", "--track", "column", *few)
    assert "above its median" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--cell", "1:20"], 1, "there is no cell 1:20"),
        (["--cell", "1-2"], 2, "LAYER:UNIT"),
        (["--cell", "0:1", "--at", "nan"], 2, "finite number"),
        (["--cell", "0:1", "--track", "all"], 2, "one hypothesis"),
        (["--cell", "0:1", "--track", "quote"], 1, "did you mean 'quotes'"),
        (["--cell", "0:1", "--track", "word", "--where", "fox"], 2, "--track and --where exclude each other"),
        (["--track", "word"], 2, "Give either --cell"),
        (["--cell", "0:1", "--head", "0:1"], 2, "Give either --cell"),
        (["--head", "0:1", "--at", "2"], 2, "--at is for cells"),
        (["--head", "0:1"], 1, "the LSTM has no attention"),
        (["--cell", "0:1", "--track", "induction"], 1, "the LSTM has no attention"),
        (["--cell", "0:1", "--track", "heads"], 2, "one hypothesis"),
        (["--cell", "0:1", "--surprise"], 2, "No such option"),
    ],
)
def test_wrong_usage(model, text, arguments, status, message):
    result = invoke("inspect", "ablate", model, text, *arguments)
    assert result.exit_code == status
    assert message in result.stderr
