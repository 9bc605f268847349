"""benchmarks/ranks.py and ranks_model.py: what they measure on a small case, and what the model says."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import ranks as bench
import ranks_model

from charrnn.config import ModelConfig

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "benchmarks" / "ranks.json"
MPIRUN = shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun")


@pytest.fixture
def model():
    return ranks_model.Model(json.loads(MEASURED.read_text("utf-8")), nap=2e-4)


def test_the_terms_of_a_reduction(model, monkeypatch):
    monkeypatch.setattr(ranks_model, "NETWORKS", {"net": (1e-3, 8e6)})  # a millisecond, and a megabyte a second
    own = model.start + model.per_byte * model.bytes
    seconds = 2 * (1e-3 + 1e-4) + model.bytes / 1e6 + own  # two messages in a row; two halves of the bytes
    assert model.reduction(2, "net") == pytest.approx(seconds)
    assert model.reduction(2, "net", halving=True) == pytest.approx(seconds)
    assert model.reduction(2, "net", bits=16) == pytest.approx(seconds - model.bytes / 2e6)
    saved = model.reduction(64, "net") - model.reduction(64, "net", halving=True)
    assert saved == pytest.approx((2 * 63 - 2 * 6) * 1.1e-3)


def test_efficiency_falls_with_ranks_and_rises_with_what_helps(model):
    for network in ranks_model.NETWORKS:
        found = [model.efficiency(ranks, network) for ranks in ranks_model.RANKS]
        assert found == sorted(found, reverse=True)
        assert 0 < found[-1] < found[0] < 1
        for change in list(ranks_model.CHANGES.values())[1:]:
            assert model.efficiency(1024, network, **change) > found[-1], change
        of_two, of_eight = (ranks_model.speed_up(model, hosts, network) for hosts in (2, 8))
        assert 1 < of_two < of_eight < 8
    assert model.step(16, parts=8) < 8 * model.step(16)  # packing and the update happen once


def test_the_figure_in_the_documentation_is_what_the_model_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ranks_model.py", str(MEASURED), str(tmp_path / "ranks.svg")])
    ranks_model.main()
    assert (tmp_path / "ranks.svg").read_bytes() == (ROOT / "docs" / "ranks.svg").read_bytes()
    page = (ROOT / "docs" / "CLUSTER.md").read_text("utf-8")
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == (1 + len(ranks_model.RANKS)) * len(ranks_model.NETWORKS) + 7
    assert all(row in page for row in rows)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(bench, "MODELS", {"lstm 2x16": ModelConfig(20, 16, 2)})
    monkeypatch.setattr(bench, "GROUPED", (("lstm 2x16", 8, 4),))
    monkeypatch.setattr(bench, "ROWS", (1, 4))


def test_groups_and_results_beside_earlier_ones(tiny, tmp_path, monkeypatch, capsys):
    results = tmp_path / "ranks.json"
    results.write_text('{"rows": [{"rows": 1}]}')
    options = ["--seconds", "0.01", "--rounds", "1", "--mpirun", "unused", "--results", str(results)]
    monkeypatch.setattr(sys, "argv", ["ranks.py", "groups", *options])
    bench.main()
    found = json.loads(results.read_text())
    assert found["rows"] == [{"rows": 1}]
    assert found["nap_s"] >= bench.NAP
    (case,) = found["groups of 1 threads"]
    assert set(case["costs"]) == {"2", "4", "8"}
    assert all(math.isfinite(cost) for cost in case["costs"].values())
    assert "| lstm 2x16, 8x4 |" in capsys.readouterr().out


@pytest.mark.skipif(MPIRUN is None, reason="needs mpirun")
@pytest.mark.parametrize("kind", ["shared", "messages"])
def test_ranks_add_up_exactly(kind, tmp_path):
    pytest.importorskip("mpi4py")
    results = tmp_path / "times.json"
    command = [MPIRUN, "-n", "2", sys.executable, bench.__file__, "reducer", "--kind", kind, "--seconds", "0"]
    environment = os.environ | {"REDUCED": str(results), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "--rounds", "2", "--elements", "1", "1001"], env=environment, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert {size: len(times) for size, times in json.loads(results.read_text()).items()} == {"1": 2, "1001": 2}
