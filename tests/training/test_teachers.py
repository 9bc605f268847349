"""Runs with teachers: they end with the same bits wherever they were stopped, and use no other run's teachers."""

import json
import shutil
from unittest import mock

import pytest
from command_line import SMALL, invoke, succeed
from training_runs import CONFIG, outcome, resume, run, trainer

from charrnn.config import TrainConfig
from charrnn.errors import ConfigError
from charrnn.records import no_progress
from charrnn.training.plan import LESS_DROPOUT
from charrnn.training.stages import Stages
from charrnn.training.teachers import Teachers

TAUGHT = TrainConfig(**{**CONFIG.to_dict(), "teachers": 2, "dropout": 0.1})


def train(made, stop=None):
    """Train the teachers, then the run; ``stop`` is the number of a stage and the step after which it stops."""
    teachers = Teachers(made.subject, made.folder, print)
    for number, teacher in teachers.trainers():
        stopped = stop is not None and stop[0] == number
        run(teacher, stop[1] if stopped else None)
        if stopped:
            return
    teachers.teach(no_progress)
    run(made, stop[1] if stop is not None else None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    train(trainer(path, TAUGHT))
    return path


def test_a_run_learns_from_its_teachers(whole, tmp_path):
    assert len(list(whole.glob("teacher-*/best.safetensors"))) == 2
    run(trainer(tmp_path / "alone", CONFIG))
    assert outcome(whole)[0][-1] != outcome(tmp_path / "alone")[0][-1]
    first, second = (outcome(whole / f"teacher-{number}")[0] for number in (1, 2))
    assert first[-1] != second[-1]  # they have other seeds


@pytest.mark.parametrize("stop", [(1, 20), (2, 41), (3, 30)], ids=str)
def test_a_run_that_was_stopped_ends_with_the_same_bits(whole, tmp_path, stop):
    path = tmp_path / "run"
    train(trainer(path, TAUGHT), stop)
    train(resume(path, TAUGHT))
    assert outcome(path) == outcome(whole)


def test_a_new_run_does_not_use_the_teachers_of_the_run_that_it_replaces(whole, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(whole, path)
    other = TrainConfig(**{**TAUGHT.to_dict(), "seed": 9})
    train(trainer(path, other), (1, 20))
    assert not (path / "teacher-2" / "last.safetensors").exists()
    train(resume(path, other))
    train(trainer(tmp_path / "fresh", other))
    assert outcome(path) == outcome(tmp_path / "fresh")


def test_the_network_has_less_dropout_than_its_teachers(tmp_path):
    made = trainer(tmp_path / "run", TrainConfig(**{**TAUGHT.to_dict(), "dropout": None}))
    alone = trainer(tmp_path / "alone", TrainConfig(**{**CONFIG.to_dict(), "dropout": None}))
    assert made.subject.config.dropout == pytest.approx(max(0, alone.subject.config.dropout - LESS_DROPOUT))
    _, teacher = next(Teachers(made.subject, made.folder, print).trainers())
    assert teacher.subject.config.dropout == alone.subject.config.dropout > 0


def test_a_stop_between_two_teachers_begins_no_other(tmp_path):
    made = trainer(tmp_path / "run", TAUGHT)
    stages, trained = Stages(made, print), []
    next_teacher = Teachers._trainer

    def stopped_meanwhile(self, number, folder):
        if number == 2:
            stages.stop()
        return next_teacher(self, number, folder)

    with mock.patch.object(Teachers, "_trainer", stopped_meanwhile):
        for number, teacher in stages.to_train():
            trained.append(number)
            run(teacher)
        stages.teach()
    assert trained == [1]
    assert made.subject.soft_targets is None
    assert run(made)[-1].reason == "interrupted"
    train(resume(tmp_path / "run", TAUGHT))
    assert (tmp_path / "run" / "teacher-2" / "best.safetensors").exists()


def test_teachers_and_a_time_budget_exclude_each_other():
    with pytest.raises(ConfigError, match="leave time_budget out"):
        TrainConfig(teachers=1, time_budget=60.0)


def test_the_command(text, tmp_path):
    arguments = ("train", text, "--out", tmp_path, *SMALL, "--steps", 20, "--teachers", 2, "--name", "run")
    shown = succeed(*arguments)
    for line in ("Teacher 1 of 2", "Teacher 2 of 2: validation", "run: "):
        assert line in shown.stderr
    assert shown.stderr.count("next: charrnn sample") == 1
    assert "2, 50% of the target" in succeed("info", tmp_path / "run").stdout
    records = [json.loads(line) for line in succeed(*arguments, "--force", "--json", "-q").stdout.splitlines()]
    assert [each["event"] for each in records].count("started") == 1
    assert {each["path"] for each in records if each["event"] == "started"} == {str(tmp_path / "run")}
    complete = invoke(*arguments, "--resume")
    assert "the run is complete" in complete.stderr
    shutil.rmtree(tmp_path / "run" / "teacher-1")
    missing = invoke("train", text, "--out", tmp_path, "--name", "run", "--resume", "--steps", 30)
    assert missing.exit_code == 1
    assert "teacher-1: the run's teacher is not there any more" in missing.stderr
    refused = invoke("train", text, "--teachers", 1, "--time-budget", "10s")
    assert refused.exit_code == 2
    assert "--teachers" in refused.stderr
