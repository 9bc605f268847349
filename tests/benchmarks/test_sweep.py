"""Searching settings with several workers: values, files for --config, workers at once, workers that are stopped."""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
import tomllib

import pytest
import sweep
from command_line import FABLES, ROOT

SCRIPT = ROOT / "benchmarks" / "sweep.py"
TRAIN = ["--train", "epochs=2", "ngrams=off", "hidden=16", "layers=1", "batch-size=8"]


@pytest.fixture
def optuna():
    return pytest.importorskip("optuna", reason="Optuna is not installed")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(FABLES.read_text("utf-8")[:6000], "utf-8")
    return path


def start(folder, text, *options):
    command = [sys.executable, SCRIPT, folder, text, *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.Popen(
        [str(each) for each in command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def records(folder, run):
    path = folder / "runs" / run / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def trials(folder):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import load_study

    journal = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
    return load_study(study_name="charrnn", storage=journal).get_trials()


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ("1e-3:0.1:log", sweep.Range(1e-3, 0.1, log=True)),
        ("64:256:64", sweep.Range(64, 256, step=64)),
        ("1:3", sweep.Range(1, 3)),
        ("0:0.5:0.1", sweep.Range(0, 0.5, step=0.1)),
        ("lstm,gru", sweep.Choice(("lstm", "gru"))),
        ("16,32", sweep.Choice((16, 32))),
        ("true,false", sweep.Choice((True, False))),
        (["1m", 2], sweep.Choice(("1m", 2))),
    ],
)
def test_values_are_ranges_or_choices(given, values):
    assert sweep.values_of(given) == values


@pytest.mark.parametrize(
    "given",
    ["1", "a:b", "2:1", "0:1:log", "1:2:0", "1:2:3:4", "1:inf", "1:2:lin", ":", ["lstm"], 3, [[1], [2]], ["a", {}]],
)
def test_other_values_are_refused(given):
    with pytest.raises(ValueError, match=r"give|range|step"):
        sweep.values_of(given)


def test_settings_are_read_back_as_they_were():
    settings = {"lr": 1e-05, "x": 0.1 + 0.2, "hidden": 64, "carry": True, "time-budget": "3m", "name": 'a"\\\n\t é'}
    assert tomllib.loads(sweep.toml(settings)) == settings


def test_the_command_line_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep.importlib.util, "find_spec", lambda name: name)
    file = tmp_path / "search.toml"
    file.write_text('[train]\nepochs = 4\nbatch_size = 8\n[space]\nlr = "0.1:0.2"\ncell = ["lstm", "gru"]\n')
    given = ["folder", "text", "--config", str(file), "--train", "epochs=0.5", "--space", "lr=1:2"]
    options = sweep.read_options(given)
    assert options.train == {"epochs": 0.5, "batch-size": 8}
    assert options.space == {"lr": sweep.Range(1, 2), "cell": sweep.Choice(("lstm", "gru"))}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "nothing to search"),
        (["--space", "lr"], "'lr': give NAME=VALUE"),
        (["--space", "lr=3"], "'3': give a range"),
        (["--space", "lr=1:2", "--train", "lr=1"], "lr is in --space and in --train"),
        (["--config", "no-such.toml"], "no-such.toml"),
        (["--space", "lr=1:2"], "pip install optuna"),
    ],
)
def test_a_mistake_is_told_in_a_line(given, said, monkeypatch, capsys):
    monkeypatch.setattr(sweep.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit) as ended:
        sweep.read_options(["folder", "text", *given])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_two_workers_share_the_trials_and_the_best_settings_train_again(optuna, tmp_path, text):
    folder = tmp_path / "sweep"
    options = [*TRAIN, "--space", "lr=0.003:0.1:log", "cell=lstm,gru", "--trials", "4"]
    workers = [start(folder, text, *options) for _ in range(2)]
    said = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    found = trials(folder)
    assert len(found) in (4, 5)  # two workers may begin the last trial at the same moment
    assert {each.state.name for each in found} == {"COMPLETE"}
    assert len({each.user_attrs["run"] for each in found}) == len(found)
    assert all("trial-" in err for _, err in said)  # each had one at least
    best = min(found, key=lambda each: each.value)
    assert not list(folder.glob("runs/*/*.safetensors"))

    command = [sys.executable, "-m", "charrnn", "train", text, "--config", folder / "best.toml", "--json", "-q"]
    done = subprocess.run([*command, "--out", tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["best_val_loss"] == best.value

    more = start(folder, text, *options[:-1], str(len(found) + 1))
    more.communicate(timeout=300)
    assert more.returncode == 0 and len(trials(folder)) == len(found) + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_the_run_of_a_worker_that_ends_is_resumed(number, optuna, tmp_path, text):
    folder = tmp_path / "sweep"
    options = ["--train", "steps=1500", "save-every=50", "eval-every=500", "ngrams=off", "hidden=16", "layers=1"]
    options += ["--space", "lr=0.01:0.02", "--trials", "1", "--stale", "2", "--keep"]
    first = start(folder, text, *options)
    wait_for(lambda: any(each["event"] == "saved" for each in records(folder, "trial-00000")))
    first.send_signal(number)
    _, said = first.communicate(timeout=60)
    assert first.returncode == (143 if number == signal.SIGTERM else -number), said
    if number == signal.SIGKILL:  # its file must be silent for so long
        time.sleep(2.5)
        assert [each.state.name for each in trials(folder)] == ["RUNNING"]

    second = start(folder, text, *options)
    out, said = second.communicate(timeout=300)
    assert second.returncode == 0, said
    found = trials(folder)
    assert [each.state.name for each in found] == ["FAIL", "COMPLETE"]
    assert found[0].params == found[1].params and found[1].user_attrs["run"] == "trial-00000"
    assert "complete: 1, pruned: 0, fail: 0" in said
    begun = [each for each in records(folder, "trial-00000") if each["event"] == "started"]
    assert begun[-1]["resumed"] and 0 < begun[-1]["step"] < 1500
    assert f"| trial-00000 | {found[1].value:.4f} |" in out


def test_the_last_record_of_a_run_says_whether_it_has_ended(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert sweep.loss_of(sweep.last_record(path)) is None
    ended = {"event": "finished", "reason": "completed", "best_val_loss": 1.5}
    for records, loss in (
        ([], None),
        ([ended], 1.5),
        ([ended | {"best_val_loss": None}], math.inf),
        ([ended | {"reason": "interrupted"}], None),
        ([ended, {"event": "step"}], None),
    ):
        path.write_text("".join(f"{json.dumps(each)}\n" for each in records))
        assert sweep.loss_of(sweep.last_record(path)) == loss
    path.write_text(json.dumps(ended)[:-3])
    assert sweep.last_record(path) == {}


def test_a_trial_is_pruned(optuna, tmp_path, text):
    given = [str(tmp_path / "sweep"), str(text), *TRAIN, "--space", "lr=0.01:0.02", "--prune", "median"]
    options = sweep.read_options(given)
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=0.1))
    sweep.Worker(study, text, options).one(study.ask())
    (trial,) = study.trials
    assert trial.state.name == "PRUNED"
    assert list(trial.intermediate_values) == [1]
    assert not any(each["event"] == "finished" for each in records(options.folder, "trial-00000"))


def test_a_run_that_diverges_is_a_bad_trial_and_no_failure(optuna, tmp_path, text):
    given = [str(tmp_path / "sweep"), str(text), *TRAIN, "--train", "warmup=0", "--space", "lr=900.0:1000.0"]
    worker = sweep.Worker(optuna.create_study(), text, sweep.read_options(given))
    worker.one(worker.study.ask())
    assert [each.state.name for each in worker.study.trials] == ["PRUNED"]
    assert worker.failures == 0
    rollbacks = [each for each in records(tmp_path / "sweep", "trial-00000") if each["event"] == "rolled_back"]
    assert len(rollbacks) == 2  # the third one ends the run


def test_a_run_that_had_ended_is_not_made_again(optuna, tmp_path, text):
    given = [str(tmp_path / "sweep"), str(text), *TRAIN, "--space", "lr=0.01:0.02", "--keep"]
    worker = sweep.Worker(optuna.create_study(), text, sweep.read_options(given))
    worker.one(worker.study.ask())
    worker.study.enqueue_trial(worker.study.trials[0].params, user_attrs={"run": "trial-00000"})
    worker.one(worker.study.ask())
    first, again = worker.study.trials
    assert first.value == again.value
    assert sum(each["event"] == "started" for each in records(tmp_path / "sweep", "trial-00000")) == 1


def test_settings_that_train_refuses_end_the_worker(optuna, tmp_path, text):
    worker = start(tmp_path / "sweep", text, *TRAIN, "--space", "lrr=1:2")
    _, said = worker.communicate(timeout=120)
    assert worker.returncode == 1
    assert said.count("unknown setting 'lrr': did you mean 'lr'?") == 3
    assert said.splitlines()[-1] == "3 trials in succession failed: see above"
    assert {each.state.name for each in trials(tmp_path / "sweep")} == {"FAIL"}


def test_a_trial_that_is_not_told_yet_is_not_stale(optuna, tmp_path, text):
    options = argparse.Namespace(folder=tmp_path, stale=3600)
    study = optuna.create_study()
    study.ask()
    worker = sweep.Worker(study, text, options)
    worker.hand_back_stale()
    assert [each.state.name for each in study.trials] == ["RUNNING"]
    options.stale = -1
    worker.hand_back_stale()
    assert [each.state.name for each in study.trials] == ["FAIL", "WAITING"]
    worker.hand_back(0)  # as another worker does that saw the same
    assert [each.state.name for each in study.trials] == ["FAIL", "WAITING"]
