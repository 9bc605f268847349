"""``charrnn demo``: it trains, writes and looks inside; a second time it only writes and looks inside."""

import shutil

import pytest
from command_line import invoke, succeed

from charrnn.commands.demo import _training
from charrnn.commands.work import Work


def test_a_tour(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = succeed("demo", "--time-budget", "1s")
    shown = [line for line in first.stderr.splitlines() if line.startswith("$ charrnn ")]
    assert [line.split()[2] for line in shown] == ["train", "sample", "sample", "inspect"]
    assert "charrnn train YOUR.txt" in first.stderr
    for line in shown:  # they are commands that can be given again
        assert "Usage" not in invoke(*line.split()[2:4], "--help").stderr

    run = tmp_path / "checkpoints" / "demo"
    before = (run / "last.safetensors").read_bytes()
    second = succeed("demo")
    assert "$ charrnn train" not in second.stderr
    assert (run / "last.safetensors").read_bytes() == before
    assert second.stdout == first.stdout

    assert "--time-budget 1s" in succeed("demo", "--force", "--time-budget", "1s").stderr


def test_an_interrupted_tour_goes_on(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, tmp_path / "checkpoints" / "demo")
    log = tmp_path / "checkpoints" / "demo" / "metrics.jsonl"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if "finished" not in line))
    options = {"quiet": True, "force": False, "time_budget": 60.0}
    assert _training(Work(options)) == [["train", "--resume", "--name", "demo", "--quiet"]]
    options["force"] = True
    assert _training(Work(options)) == [
        ["train", "fables", "--name", "demo", "--time-budget", "60s", "--quiet", "--force"]
    ]


@pytest.mark.parametrize(("budget", "written"), [(1234567.0, "1234567s"), (0.4, "0.4s"), (100.0, "100s")])
def test_a_budget_is_handed_on(budget, written):
    assert written in _training(Work({"quiet": True, "force": True, "time_budget": budget}))[0]
