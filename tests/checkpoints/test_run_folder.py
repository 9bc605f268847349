"""Tests of a run's folder: what it keeps, what it removes, and which checkpoint replaces a damaged one."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from forgeries import COUNTERS

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import BEST, LAST, PREVIOUS, RunFolder, open_checkpoint
from charrnn.checkpoints.seals import digest_of
from charrnn.config import ModelConfig
from charrnn.errors import CheckpointError
from charrnn.network.cells import parameter_shapes
from charrnn.records import Step
from charrnn.system import files
from charrnn.system.files import remove_temporaries, write_durably
from charrnn.text.vocabulary import Vocabulary


def make(step, best_step=1):
    model = ModelConfig(3, 4, 1)
    parameters = {name: np.full(shape, step, np.float32) for name, shape in parameter_shapes(model).items()}
    counters = COUNTERS | {"step": step, "best_step": best_step}
    return Checkpoint(model, Vocabulary("abc"), parameters=parameters, counters=counters)


def step(path):
    return Checkpoint.load(path).counters["step"]


def damage(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that has saved at steps 0, 5 and 9, with a best checkpoint of step 5."""
    made = RunFolder(tmp_path / "run")
    made.begin(make(0, None))
    made.save_last(make(5))
    made.save_best(make(5))
    made.save_last(make(9))
    return made


def refused(message):
    raise AssertionError(f"warned: {message}")


def test_the_previous_checkpoint_is_kept(folder):
    assert (step(folder.last), step(folder.previous), step(folder.best)) == (9, 5, 5)
    path, checkpoint = folder.load_last(refused)
    assert (path, checkpoint.counters["step"]) == (folder.last, 9)


def test_without_hard_links_the_previous_one_is_a_copy(folder, monkeypatch):
    def none(*arguments, **options):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    folder.save_last(make(12))
    assert (step(folder.last), step(folder.previous)) == (12, 9)


@pytest.mark.parametrize("how", [damage, os.unlink, lambda path: os.truncate(path, 100)])
def test_a_resume_takes_the_previous_one_if_the_last_is_damaged(folder, how):
    how(folder.last)
    said = []
    again = RunFolder(folder.path)
    path, checkpoint = again.load_last(said.append)
    assert (path, checkpoint.counters["step"]) == (folder.previous, 5)
    assert len(said) == 1
    assert said[0].startswith(f"{folder.last}: ")
    assert said[0].endswith("; previous.safetensors, of step 5, is taken instead")
    again.save_last(make(7))  # the damaged one does not become the previous one
    assert (step(folder.last), step(folder.previous)) == (7, 5)
    again.save_last(make(8))
    assert (step(folder.last), step(folder.previous)) == (8, 7)


def test_without_a_whole_checkpoint_there_is_no_resume(folder, tmp_path):
    damage(folder.last)
    damage(folder.previous)
    with pytest.raises(CheckpointError, match=r"last.safetensors: damaged"):
        folder.load_last(refused)
    folder.last.unlink()
    folder.previous.unlink()
    with pytest.raises(CheckpointError, match="weights only: start a run of another --name"):
        folder.load_last(refused)
    with pytest.raises(CheckpointError, match="nothing to resume; to start a run, name a text and leave --resume out"):
        RunFolder(tmp_path / "new").load_last(refused)


@pytest.mark.parametrize(
    ("prefer", "damaged", "taken"),
    [
        (BEST, [], BEST),
        (BEST, [BEST], LAST),
        (BEST, [BEST, LAST], PREVIOUS),
        (LAST, [LAST], PREVIOUS),
        (LAST, [LAST, PREVIOUS], BEST),
    ],
)
def test_a_damaged_checkpoint_is_replaced_by_another_of_the_run(folder, prefer, damaged, taken):
    for name in damaged:
        damage(folder.path / name)
    said = []
    path, _ = open_checkpoint(folder.path, prefer, said.append)
    assert path.name == taken
    assert len(said) == bool(damaged)
    if damaged:
        assert said[0].startswith(str(folder.path / prefer)) and taken in said[0]
        damage(path)
        with pytest.raises(CheckpointError, match=f"{path}: damaged"):
            open_checkpoint(path)  # a file that was named is not replaced


def test_all_damaged_is_an_error(folder):
    for name in (BEST, LAST, PREVIOUS):
        damage(folder.path / name)
    with pytest.raises(CheckpointError, match=r"best.safetensors: damaged"):
        open_checkpoint(folder.path, warn=refused)


def test_a_library_user_is_warned(folder):
    damage(folder.best)
    with pytest.warns(UserWarning, match=r"last.safetensors, of step 9, is taken instead"):
        open_checkpoint(folder.path)


def test_temporary_files_of_killed_runs_are_removed_under_the_lock(folder):
    stale = [folder.path / ".last.safetensors.4711-0a1b2c3d.tmp", folder.path / ".metrics.jsonl.1-ffffffff.tmp"]
    own = [folder.path / ".notes.tmp", folder.path / "thesis.tmp"]
    for path in stale + own:
        path.write_bytes(b"x")
    with folder.locked():
        assert not any(path.exists() for path in stale)
        assert all(path.exists() for path in own)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_run_that_does_not_begin_leaves_what_was_there(tmp_path, is_there):
    path = tmp_path / "mine"
    if is_there:
        path.mkdir()
    with pytest.raises(CheckpointError), RunFolder(path).locked():
        RunFolder(path).load_last(refused)
    assert path.exists() == is_there
    assert not is_there or list(path.iterdir()) == []


def test_every_temporary_file_is_recognised_by_its_name(tmp_path, monkeypatch):
    def killed(path, data):
        raise SystemExit

    monkeypatch.setattr(files, "_verify", killed)
    monkeypatch.setattr(files.Path, "unlink", lambda path, missing_ok=False: None)
    for name in (LAST, "metrics.jsonl"):
        with pytest.raises(SystemExit):
            write_durably(tmp_path / name, b"x")
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) == 2
    remove_temporaries(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 10, files.CHUNK - 1, files.CHUNK, files.CHUNK + 1, 3 * files.CHUNK])
def test_what_reads_back_differently_does_not_replace_the_old_file(tmp_path, monkeypatch, size):
    path, data = tmp_path / "a", bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    write_durably(path, data)
    assert path.read_bytes() == data

    def broken(change, handle):
        written = next(tmp_path.glob(".*"))
        content = bytearray(written.read_bytes())
        content = content + b"!" if change == "longer" else content[:-1] + bytes([content[-1] ^ 1])
        written.write_bytes(content[:-1] if change == "shorter" else content)

    for change in ("longer", "shorter", "flipped")[: 3 if size else 1]:
        monkeypatch.setattr(os, "fsync", partial(broken, change))
        with pytest.raises(OSError, match="does not read back"):
            write_durably(path, data)
        monkeypatch.undo()
        assert path.read_bytes() == data
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_the_log_is_on_the_disk_before_the_checkpoint(folder, monkeypatch):
    order = []
    flush, replace = os.fsync, files.Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda handle: order.append(str(Path(f"/proc/self/fd/{handle}").readlink())) or flush(handle)
    )
    monkeypatch.setattr(files.Path, "replace", lambda path, to: order.append(to.name) or replace(path, to))
    folder.log.write_bytes(b"{}\n")
    folder.save_last(make(20))
    assert order[0].endswith("metrics.jsonl")
    assert order[-2:] == [LAST, str(folder.path)]


def test_rewinding_removes_later_records_and_a_later_best(folder):
    lines = [b'{"event": "step", "step": %d}' % number for number in range(1, 10)]
    after = [b'{"event": "step", "step": 6}', b'{"event": "finished", "step": 4}', b'{"event": "st', b"\xff\xfe"]
    folder.log.write_bytes(b"\n".join(lines + after))
    folder.rewind(make(5))
    assert folder.log.read_bytes() == b"".join(line + b"\n" for line in lines[:5])
    assert folder.best.exists()
    folder.rewind(make(5, best_step=None))
    assert not folder.best.exists()


def test_a_resume_does_not_vouch_for_a_best_checkpoint_that_is_another_file(folder):
    folder.record(Step(9, *[0.0] * 10))
    damage(folder.best)
    resumed = RunFolder(folder.path)  # another process
    resumed.rewind(make(9))
    resumed.record(Step(10, *[0.0] * 10))
    seals = [json.loads(line) for line in folder.log.read_bytes().splitlines() if b"sealed" in line]
    assert digest_of(folder.best) not in [seal["files"].get(BEST) for seal in seals]
    assert BEST in seals[0]["files"]
