"""Tests of snapshots: which steps are kept, and that they have the weights of the run."""

import dataclasses
import shutil

import numpy as np
import pytest
from training_runs import CONFIG, contents, outcome, resume, run, trainer

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.checkpoints.snapshots import Snapshots, most_snapshots
from charrnn.errors import CheckpointError, ConfigError

KEEPING = dataclasses.replace(CONFIG, snapshots=True, sample_every=2, steps=40, sample_length=5)
KEPT = [2, 4, 6, 8, 12, 16, 24, 32]  # of 2, 4, 6, …: the first at or after 2, 2√2, 4, 4√2, 8, …


def files(path):
    """The snapshots of a run by step."""
    snapshots = Snapshots(path)
    return {step: contents(snapshots.path(step)) for step in snapshots.steps()}


def test_two_are_kept_for_each_doubling(tmp_path):
    run(trainer(tmp_path, KEEPING))
    assert Snapshots(tmp_path).steps() == KEPT
    assert len(KEPT) <= most_snapshots(2, 40) == 9
    assert [most_snapshots(1, last) for last in (0, 1, 2, 4, 1000)] == [0, 1, 3, 5, 20]


def test_a_snapshot_has_the_weights_of_its_step_and_no_more(tmp_path):
    run(trainer(tmp_path / "all", KEEPING))
    run(trainer(tmp_path / "part", dataclasses.replace(KEEPING, snapshots=False)), stop_after=12)
    then = Checkpoint.load(tmp_path / "part" / "last.safetensors")
    found = Snapshots(tmp_path / "all").load(12)
    assert found.counters["step"] == 12
    for name, value in then.parameters.items():
        np.testing.assert_array_equal(found.parameters[name], value)
    assert not found.optimizer
    assert found.state is None
    assert not (tmp_path / "part" / "steps").exists()


def test_snapshots_do_not_change_the_run(tmp_path):
    run(trainer(tmp_path / "with", KEEPING))
    run(trainer(tmp_path / "without", dataclasses.replace(KEEPING, snapshots=False)))
    kept, plain = (contents(tmp_path / name / "last.safetensors") for name in ("with", "without"))
    assert kept[3] == plain[3]


@pytest.mark.parametrize("stop", [1, 7, 8, 9, 31])
def test_a_resumed_run_has_the_same_snapshots(tmp_path, stop):
    run(trainer(tmp_path / "whole", KEEPING))
    path = tmp_path / "parts"
    run(trainer(path, KEEPING), stop_after=stop)
    early = shutil.copytree(path, tmp_path / "early")
    run(resume(path, KEEPING))
    # A run that is killed at its end has written snapshots and records from after its last checkpoint.
    shutil.copy(early / "last.safetensors", path)
    (path / "previous.safetensors").unlink()
    run(resume(path, KEEPING))
    assert files(path) == files(tmp_path / "whole")
    assert outcome(path) == outcome(tmp_path / "whole")


def test_a_new_run_removes_the_snapshots_of_the_old_one(tmp_path):
    run(trainer(tmp_path, KEEPING))
    (tmp_path / "steps" / "notes.txt").write_text("mine")
    run(trainer(tmp_path, dataclasses.replace(KEEPING, steps=5)))
    assert Snapshots(tmp_path).steps() == [2, 4]
    assert (tmp_path / "steps" / "notes.txt").exists()
    (tmp_path / "steps" / ".00000002.safetensors.1-0123abcd.tmp").write_text("half")
    with RunFolder(tmp_path).locked():
        assert not list((tmp_path / "steps").glob("*.tmp"))


def test_the_run_tells_their_size(tmp_path):
    made = trainer(tmp_path, KEEPING)
    size = 4 * made.network.parameters.size / 1e6
    assert f"keeps up to 9 snapshots of {size:.1f} MB, {9 * size:.0f} MB in all" in made.notes
    timed = trainer(tmp_path, dataclasses.replace(KEEPING, steps=None, time_budget=3.0))
    assert f"keeps up to 2 snapshots for each doubling of the steps, of {size:.1f} MB each" in timed.notes


def test_errors_of_files_are_checkpoint_errors(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        Snapshots(tmp_path).load(3)
    (tmp_path / "steps").write_text("a file")
    assert Snapshots(tmp_path).steps() == []
    with pytest.raises(CheckpointError, match="cannot be made"):
        Snapshots(tmp_path).save(3, None)
    with pytest.raises(ConfigError, match="sample_every"):
        dataclasses.replace(KEEPING, sample_every=0)
