"""``charrnn bench``: figures that hang together."""

import json

import numpy as np
import pytest
from command_line import succeed
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.kernels import fma_peak
from charrnn.network.cells import cell_of
from charrnn.network.packed_weights import padded, panels
from charrnn.network.workspace import Workspace
from charrnn.system import stopwatch
from charrnn.system.threads import Team
from charrnn.training import speed
from charrnn.training.speed import training_flops

TINY = ["--hidden", 20, "--batch-size", 4, "--seq-len", 8, "--seconds", 0.01, "--threads", 1]


def test_a_model_of_given_sizes():
    result = json.loads(succeed("bench", *TINY, "--json").stdout)
    assert result["config"] == {"vocabulary": 65, "hidden": 20, "layers": 2, "embedding": None}
    assert result["threads"] == 1
    assert sum(result["parts"].values()) == pytest.approx(1)
    assert set(result["parts"]) == {"data", "packing", "forward", "output", "backward", "gradients", "update"}
    expected = result["training_chars_per_s"] * training_flops(ModelConfig(65, 20, 2)) / 1e9
    assert result["gflops"] == pytest.approx(expected)
    assert result["share_of_peak"] == pytest.approx(result["gflops"] / result["peak_gflops"])
    assert min(result[name] for name in ("evaluation_chars_per_s", "sampling_chars_per_s", "memory_bytes")) > 0


def test_a_checkpoint_and_the_table(model):
    assert "LSTM, 2 x 20" in succeed("bench", model, *TINY[2:]).stdout
    rows = succeed("bench", "--sweep", *TINY).stdout.splitlines()
    assert sum(row.strip().startswith(("8 ", "16 ", "32 ", "64 ", "128 ")) for row in rows) == 5


def test_operations_are_what_the_mathematics_needs():
    # 2 x 128: three products of 128 x 512 and one of 128 x 65, forward and twice backward, two operations each.
    assert training_flops(ModelConfig(65, 128, 2)) == 2 * 3 * (3 * 128 * 512 + 128 * 65)


def test_time_between_a_lap_and_a_restart_is_not_counted(monkeypatch):
    clock = iter([0, 1, 5, 7])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(clock))
    watch = stopwatch.Stopwatch()
    watch.lap("a")
    watch.restart()
    watch.lap("a")
    assert watch.seconds == {"a": 3}


def test_the_peak_counts_what_the_registers_did(monkeypatch):
    team = Team(2)
    clock = iter([0.0, 0.5])
    with monkeypatch.context() as patch:
        patch.setattr(speed, "PEAK_ROUNDS", 1000)
        patch.setattr(speed.time, "perf_counter", lambda: next(clock))
        with every_thread_works():
            rate = speed.fma_peak(team)
        assert rate == 2 * 1000 * fma_peak.FLOPS / 0.5
    team.close()
    result = np.zeros(1, np.float32)
    for rounds in (1, 3, 10):
        fma_peak.peak(rounds, 0.5, 0.5, result)  # every sum goes from 0.5 to 1, halving the distance
        assert result[0] == fma_peak.CHAINS * (1 - 0.5 ** (rounds + 1))


@pytest.mark.parametrize("dropout", [False, True])
def test_the_workspace_is_as_large_as_the_documentation_says(dropout):
    steps, batch, layers, hidden, vocabulary = 50, 16, 3, 100, 65
    config = ModelConfig(vocabulary, hidden, layers)
    space = Workspace(config, [cell_of(config).layer(config, k) for k in range(layers)], steps, batch, threads=1)
    space.prepare(training=True, dropout=dropout)
    h, wide, v = padded(hidden), 64 * panels(hidden), 64 * panels(vocabulary)
    rows = (steps + 1) * batch
    floats = layers * rows * (5 * h + wide + dropout * wide) + rows * (wide + v)
    floats += 2 * steps * batch + batch * h  # losses, ids and dc
    fixed = vocabulary * 4 * h + space.scratch[0].size
    assert space.nbytes == 4 * (floats + fixed)
