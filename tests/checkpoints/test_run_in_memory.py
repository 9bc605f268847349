"""A run in memory: it has what training asks of a place, and says that it cannot be resumed."""

from dataclasses import replace

import pytest
from training_runs import CONFIG, run, trainer

from charrnn.checkpoints.run_folder import RunFolder
from charrnn.checkpoints.run_in_memory import RunInMemory
from charrnn.checkpoints.run_store import RunStore
from charrnn.errors import CheckpointError
from charrnn.training.teachers import Teachers
from charrnn.training.trainer import Trainer

SHORT = replace(CONFIG, steps=3)


def in_memory(tmp_path, config, resume=None):
    return Trainer(trainer(tmp_path / "unused", config, resume).subject, RunInMemory())


def test_a_folder_keeps_everything_that_training_asks_for(tmp_path):
    """A method that RunFolder does not define would be that of RunStore, which keeps nothing and says nothing."""
    own = vars(RunFolder(tmp_path)).keys() | vars(RunFolder).keys()
    wanted = {name for name in vars(RunStore) if not name.startswith("_")}
    assert len(wanted) > 10
    assert wanted - own == set()


def test_its_records_have_no_paths_and_nothing_is_written(tmp_path):
    made = in_memory(tmp_path, SHORT)
    records = run(made)
    assert {record.path for record in records if hasattr(record, "path")} == {""}
    assert (made.folder.path, made.folder.last, made.folder.best, made.folder.snapshots) == (None,) * 4
    assert not list(tmp_path.iterdir())
    assert made.folder.exists()


def test_it_cannot_be_resumed(tmp_path):
    run(trainer(tmp_path / "run", SHORT))
    checkpoint = RunFolder(tmp_path / "run").to_resume(print)
    made = in_memory(tmp_path, replace(SHORT, steps=6), checkpoint)
    with pytest.raises(CheckpointError, match="a run in memory cannot be resumed: keep it in a folder"):
        run(made)
    assert made.folder.to_resume(print) is None
    assert RunFolder(tmp_path / "nowhere").to_resume(print) is None


def test_a_teacher_begins_anew_where_one_was_trained(tmp_path):
    made = in_memory(tmp_path, replace(SHORT, teachers=1, dropout=0.1))
    _, teacher = next(Teachers(made.subject, made.folder, print).trainers())
    run(teacher)
    assert made.folder.teacher(1).exists()
    assert Teachers(made.subject, made.folder, print)._trainer(1, made.folder.teacher(1)).counters.step == 0
