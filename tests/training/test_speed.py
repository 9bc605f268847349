"""``charrnn bench``: figures that hang together."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import invoke, succeed
from teams import every_thread_works

from charrnn.config import ModelConfig
from charrnn.errors import ContradictionError
from charrnn.kernels import fma_peak
from charrnn.network.cells import cell_of
from charrnn.network.packed_weights import padded, panels
from charrnn.network.parameters import Parameters
from charrnn.network.workspace import Workspace
from charrnn.system import stopwatch
from charrnn.system.threads import Team
from charrnn.training import mpi, speed
from charrnn.training.ranks import Ranks
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
    fixed = vocabulary * 4 * h + space.scratch[0].size + 2 * (vocabulary + 1)  # the last are the int64 of ``starts``
    assert space.nbytes == 4 * (floats + fixed)


def test_training_by_ranks_is_that_of_one_rank_where_there_is_one():
    config = ModelConfig(20, 20, 2)
    (timing,) = speed.measure_together(config, 8, 4, 1, Ranks(), 4, seconds=0.01)
    assert (timing.rank, timing.threads, timing.rows, timing.waits) == (0, 1, 8, 0.0)
    assert timing.training > 0
    assert timing.host


def test_a_rank_measures_its_rows_and_all_end_by_the_first_clock(monkeypatch):
    class Second(Ranks):
        size, number = 2, 1

        def __init__(self):
            super().__init__()
            self.clock = 0.0

        def add_up(self, arrays, loss, readings):
            self.clock += 1.0
            self.waited_s += 1e-6
            return loss, readings._replace(elapsed_s=self.clock)

        def gathered(self, array, rows):
            assert rows == 2
            return np.concatenate([array, array], axis=1)

    ranks = Second()
    timings = speed.measure_together(ModelConfig(20, 20, 2), 8, 4, 1, ranks, 4, seconds=9.5)
    assert ranks.clock == 11  # a step before the measurement, and as many as the first rank's clock needs
    assert [(each.rank, each.rows) for each in timings] == [(0, 4), (1, 4)]
    assert all(0 < each.waits < 1 for each in timings)


def test_groups_give_the_same_gradient_up_to_rounding():
    alone, grouped = (speed.Training(ModelConfig(20, 20, 2), 8, 4, 1, groups) for groups in (1, 4))
    for training in (alone, grouped):
        training.step(0)
    assert grouped.network.sum_groups == 4
    np.testing.assert_allclose(alone.network.gradient.flat, grouped.network.gradient.flat, atol=1e-6)
    with pytest.raises(ContradictionError, match="3 groups do not divide"):
        speed.Training(ModelConfig(20, 20, 2), 8, 4, 1, 3)


def test_distributed_without_a_launcher_says_how_to_start(monkeypatch):
    for name in mpi._SIZES:
        monkeypatch.delenv(name, raising=False)
    done = invoke("bench", "--distributed")
    assert done.exit_code == 2
    assert "mpirun -n 4 charrnn bench --distributed" in done.stderr
    monkeypatch.setenv("PMI_SIZE", "2")
    done = invoke("bench", "--distributed", "--sweep")
    assert done.exit_code == 2
    assert "--sweep measures one process" in done.stderr


MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun")


@pytest.mark.skipif(MPIRUN is None, reason="needs mpirun")
def test_ranks_measured_together():
    pytest.importorskip("mpi4py")
    root = Path(__file__).parents[2]
    command = [MPIRUN, "-n", "2", sys.executable, "-m", "charrnn", "bench", "--distributed", *map(str, TINY)]

    def start(*more):
        environment = os.environ | {"PYTHONPATH": str(root)}
        return subprocess.run([*command, *more], env=environment, capture_output=True, timeout=120, text=True)

    done = start("--groups", "4", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)  # one object: the other rank is silent
    assert [(each["rank"], each["rows"], each["threads"]) for each in record["ranks"]] == [(0, 2, 1), (1, 2, 1)]
    assert record["training_chars_per_s"] == pytest.approx(
        sum(each["training_chars_per_s"] for each in record["ranks"])
    )
    assert record["waiting_share"] == pytest.approx(sum(each["waiting_share"] for each in record["ranks"]) / 2)
    assert record["gradient_bytes"] == Parameters(ModelConfig(65, 20, 2)).flat.nbytes
    lines = start("--groups", "2").stdout
    assert "all ranks together" in lines
    assert lines.count("LSTM, 2 x 20") == 1
    done = start("--groups", "1")
    assert done.returncode == 2
    assert "2 ranks cannot share 1 group of 4 batch rows" in done.stderr
