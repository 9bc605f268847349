"""The search for the rate of each batch size, and what its report makes of losses that are known."""

import json
import math
import re

import large_batches
import pytest
from command_line import FABLES

from charrnn.config import TrainConfig


@pytest.mark.parametrize("lowest", [-8, -2, 0, 2, 6])
def test_the_best_place_is_found_from_any_start(lowest):
    tried = []

    def loss(place):
        tried.append(place)
        return (place - lowest) ** 2

    found = large_batches.climb(loss, 0)
    assert min(found, key=found.get) == lowest
    assert {lowest - 2, lowest + 2} <= set(found)
    assert len(tried) == len(set(tried))


def test_rates_that_diverge_are_left_behind():
    found = large_batches.climb(lambda place: math.inf if place > -3 else (place + 4) ** 2, 0)
    assert min(found, key=found.get) == -4
    assert large_batches.vertex(found) == -4


def test_the_vertex_is_that_of_the_parabola():
    assert large_batches.vertex({k: 0.01 * (k - 3.3) ** 2 + 1 for k in (-1, 1, 3, 5, 7)}) == pytest.approx(3.3)
    assert large_batches.vertex({k: 2 * (k - 2.6) ** 2 for k in (1, 3, 5)} | {-1: 1e9, 7: 1e9}) == pytest.approx(2.6)
    assert large_batches.vertex({1: 1.1, 3: 1.0, 5: 1.1}) == pytest.approx(3)


@pytest.mark.parametrize("power", [0, 0.5, 1])
def test_the_exponent_is_that_of_the_rule(power):
    places = {batch: 2 * power * math.log2(batch) - 3 for batch in large_batches.BATCHES}
    assert large_batches.exponent(places) == pytest.approx(power)


def test_averages_of_adam_are_as_long_in_characters():
    text = large_batches.Text("fables", FABLES, 2.0, 90_000)

    def option(arm, batch, name):
        given = large_batches.settings(text, batch, 0, 1, arm)
        return float(given[given.index(f"--{name}") + 1])

    assert {name: getattr(TrainConfig(), name) for name in large_batches.BETAS} == large_batches.BETAS
    assert option("betas", 32, "beta1") == 0.9 and option("betas", 32, "beta2") == 0.99
    assert option("betas", 128, "beta1") == 0.6 and option("betas", 128, "beta2") == 0.96
    assert option("betas", 512, "beta1") == 0.0 and option("betas", 512, "beta2") == 0.84
    assert text.updates(16) == 2 * 88
    assert option("", 16, "warmup") == 9 and option("warm-up", 16, "warmup") == 35
    assert "--beta1" not in large_batches.settings(text, 128, 0, 1)


def test_a_part_of_a_text_is_named_by_its_length(tmp_path):
    text = large_batches.open_text(f"{FABLES}:2:5000", tmp_path)
    assert (text.name, text.epochs, text.training) == ("fables-5000", 2.0, 4500)
    assert text.path.read_text("utf-8") == FABLES.read_text("utf-8")[:5000]


def test_the_report_finds_the_rule_of_the_losses_and_trains_nothing_twice(tmp_path, monkeypatch, capsys):
    """Losses whose best rate grows with the square root of the batch; seeds differ by a constant."""
    trained = []

    def train(path, given, folder):
        option = {name.removeprefix("--"): value for name, value in zip(given[::2], given[1::2], strict=True)}
        trained.append(given)
        batch = int(option["batch-size"])
        away = math.log2(float(option["lr"]) / (0.024 * 2**0.5)) - 0.5 * math.log2(batch / 16)
        gain = 0.1 if "beta1" in option else 0
        return 1 + 0.001 * batch + away**2 + 0.01 * int(option["seed"]) - gain, 0

    monkeypatch.setattr(large_batches, "train", train)
    path = tmp_path / "results.json"
    for _ in range(2):
        study = large_batches.Study(large_batches.Text("t", FABLES, 1.0, 90_000), large_batches.Results(path))
        curves = large_batches.report(study, [16, 32, 128, 512], [1, 2], ["betas"])
    said = capsys.readouterr().out
    assert re.findall(r"p = (\S+)", said) == ["0.50"] * 6
    assert "| 32 | 44 | 0.048 (0.048) | 1.0470 | +0.0000 | +0.0000 | +0.0000 |" in said
    found, again = re.findall(
        r"^\| 512 \| 3 \| 0.192 \(0.192\) \| (.*) \| (.*) \| (.*) \| (.*) \|$", said, re.MULTILINE
    )
    assert found == again
    assert [float(each) for each in found] == pytest.approx([1.527, 4, 0, 4], abs=1e-3)  # rates have four digits
    assert "| 128 | 0.096 | 1.0430 | -0.1000 |" in said
    assert dict(curves["loss"]["t"]) == pytest.approx(dict(curves["loss"]["t*"]))
    assert dict(curves["rate"]["t"]) == pytest.approx(dict(curves["rate"]["t*"]), rel=1e-3)
    assert len(trained) == len({tuple(each) for each in trained}) == len(json.loads(path.read_text()))
