"""The soak: it kills where it aims, and it fails if it shows nothing or if a run breaks a rule."""

import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mpi_runs import needs_mpi

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def make(tmp_path):
    """A function that makes a soak of the package in the checkout, with the kernels of the other tests."""
    import soak

    from charrnn.system.folders import cache_folder

    def make(kills, *phases):
        options = SimpleNamespace(kills=kills, seed=1, phases=phases, steps=100, longest=0.1, budget=5)
        return soak.Soak(tmp_path, ROOT, options, cache_folder())

    return make


def test_six_kills(make, capsys, monkeypatch):
    """Which phase a kill hits depends on the machine; that it hits one is what the soak itself requires."""
    monkeypatch.setattr("soak.TRIES", 50)  # until one hits
    made = make(6)
    made.shuffled_deck = lambda: [
        ("steps", "training", number) for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
    ]
    made.run()
    assert made.kills >= 6
    assert {number for _, number in made.hits} <= {"SIGKILL", "SIGTERM", "SIGINT"}
    output = capsys.readouterr().out
    assert "nothing lost" in output
    assert f"{made.kills} kills in" in output


def test_a_soak_in_which_no_kill_hits_fails(make, monkeypatch):
    made = make(6, "training")
    monkeypatch.setattr(made, "prepare", lambda: None)
    monkeypatch.setattr("soak.Run.live", lambda run, phase=None, number=None: None)
    with pytest.raises(SystemExit, match=r"never hit: training by SIG.*0 kills happened, 6 were asked"):
        made.run()
    assert made.lives >= 18, "it has tried"


def test_a_planned_pair_that_was_not_hit_fails(make):
    made = make(2, "training", "saving")
    made.planned.update([("training", "SIGKILL"), ("saving", "SIGTERM")])
    made.hits.update([("training", "SIGKILL"), ("training", "SIGTERM")])
    with pytest.raises(SystemExit, match=r"^the soak shows nothing: never hit: saving by SIGTERM$"):
        made.require_hits()
    made.hits["saving", "SIGTERM"] += 1
    made.require_hits()


def life(records=b'{"event":"step","step":1}\n', said="", phase="training"):
    finished = b"finished" in records
    return SimpleNamespace(said=lambda: said, finished=lambda: finished, phase=lambda: phase)


@pytest.mark.parametrize(
    ("sent", "status", "said", "hit"),
    [
        ([(signal.SIGKILL, "training")], -9, "", (signal.SIGKILL, "training")),
        ([(signal.SIGTERM, "saving")], 143, "", (signal.SIGTERM, "saving")),
        ([(signal.SIGTERM, "starting")], -15, "", (signal.SIGTERM, "starting")),
        ([(signal.SIGINT, "starting")], 1, "Traceback\nKeyboardInterrupt", (signal.SIGINT, "starting")),
        ([(signal.SIGTERM, "training"), (signal.SIGINT, "stopping")], 130, "", (signal.SIGINT, "stopping")),
        ([(signal.SIGTERM, "training"), (signal.SIGTERM, "stopping")], 143, "", (signal.SIGTERM, "stopping")),
        ([], 0, "", None),
    ],
)
def test_what_ended_a_life(make, sent, status, said, hit):
    from soak_runs import Run, Sent

    run = Run(make(1, "training"), "steps", "run", None)
    sent = [Sent(number, phase, phase, False) for number, phase in sent]
    assert run.judge_signals(life(said=said), sent, status) == hit


@pytest.mark.parametrize(
    ("sent", "status", "said", "why"),
    [
        ([(signal.SIGTERM, "training")], 0, "", "it ignored"),
        ([(signal.SIGTERM, "training")], -15, "", "exit status -15"),
        ([(signal.SIGTERM, "training")], 1, "Error: no", "exit status 1"),
        ([(signal.SIGINT, "training")], 130, "Traceback\nKeyboardInterrupt", "a traceback"),
        ([(signal.SIGKILL, "training")], 143, "", "exit status 143"),
        ([(signal.SIGTERM, "training"), (signal.SIGKILL, "stopping")], -11, "", "exit status -11"),
    ],
)
def test_a_life_that_ended_wrongly(make, sent, status, said, why):
    from soak_runs import Run, Sent

    run = Run(make(1, "training"), "steps", "run", None)
    with pytest.raises(SystemExit, match=why):
        run.judge_signals(life(said=said), [Sent(number, phase, phase, False) for number, phase in sent], status)


def test_lost_steps_and_damaged_checkpoints_are_found(make, tmp_path, model):
    from soak_runs import Run

    run = Run(make(1, "training"), "steps", "run", None)
    shutil.copytree(model, run.path)
    log, last = run.path / "metrics.jsonl", run.path / "last.safetensors"
    whole = log.read_bytes()
    quiet = SimpleNamespace(temporaries=set, told=list, records=lambda: True, said=str)
    run.judge_files(quiet, [], None)
    log.write_bytes(b"".join(line for line in whole.splitlines(keepends=True) if b'"step": 7,' not in line))
    with pytest.raises(SystemExit, match="every step to 150"):
        run.judge_files(quiet, [], None)
    log.write_bytes(whole)
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(SystemExit, match="damaged checkpoint"):
        run.judge_files(quiet, [], None)


# ---- a run on several ranks


@pytest.fixture
def make_of_ranks(tmp_path):
    """A function that makes a soak of runs on ranks, of the package in the checkout."""
    from soak_ranks import RanksSoak

    from charrnn.system.folders import cache_folder

    def make(kills, *ranks):
        options = SimpleNamespace(kills=kills, seed=1, ranks=list(ranks), steps=60, longest=0.1)
        return RanksSoak(tmp_path, ROOT, options, cache_folder())

    return make


@needs_mpi
@pytest.mark.xdist_group("mpi")
def test_kills_of_runs_on_ranks(make_of_ranks, capsys):
    made = make_of_ranks(4, 2, 1)
    made.run()
    assert made.hits.total() >= 4
    assert made.ends >= 1
    output = capsys.readouterr().out
    assert "nothing lost" in output
    assert f"{made.hits.total()} kills while training, in" in output


def test_a_soak_of_ranks_in_which_no_kill_hits_fails(make_of_ranks):
    made = make_of_ranks(2, 1, 2)
    with pytest.raises(SystemExit, match=r"never killed: 1 ranks; never killed: 2 ranks; 0 kills happened, 2 were"):
        made.require_hits()
    made.hits.update([(1, "rank", "SIGKILL"), (2, "mpirun", "SIGTERM")])
    made.require_hits()


@pytest.mark.parametrize(
    ("number", "status", "said", "why"),
    [
        (None, 1, "", "exit status 1 without a signal"),
        (signal.SIGKILL, 0, "", "a rank was killed, and the exit status is 0"),
        (signal.SIGTERM, 1, "", "exit status 1 after SIGTERM"),
        (signal.SIGTERM, 143, "Traceback (most", "a traceback"),
        (signal.SIGTERM, 143, "", None),
        (signal.SIGKILL, 9, "", None),
    ],
)
def test_a_life_on_ranks_that_ended_wrongly(make_of_ranks, model, number, status, said, why):
    import soak_ranks

    life = object.__new__(soak_ranks.RanksLife)
    life.soak, life.ranks, life.path, life.before = make_of_ranks(1, 2), 2, model, 0
    life.said, life.told = lambda: said, lambda: [{"event": "step", "step": 150}]
    if why is None:
        assert life.judge(number, status) is False
    else:
        with pytest.raises(SystemExit, match=why):
            life.judge(number, status)


def test_lost_steps_on_ranks_are_found(make_of_ranks, model, tmp_path):
    import soak_ranks

    life = object.__new__(soak_ranks.RanksLife)
    life.soak, life.ranks, life.path, life.before = make_of_ranks(1, 2), 2, tmp_path / "run", 0
    shutil.copytree(model, life.path)
    life.said, life.told = str, lambda: [{"event": "saved", "step": 151, "reason": "periodic"}]
    with pytest.raises(SystemExit, match=r"step 150 is saved, \[151\] was"):
        life.judge(signal.SIGKILL, 9)
    life.told = lambda: [{"event": "started", "step": 7}]
    with pytest.raises(SystemExit, match="went on from step 7, and 0 was saved"):
        life.judge(signal.SIGKILL, 9)
    life.told = list
    log = life.path / "metrics.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"event": "step", "step": 151}\n')
    with pytest.raises(SystemExit, match="step 150 is saved, 151 is the last in the log"):
        life.judge(signal.SIGTERM, 143)
    log.write_bytes(b"".join(line for line in whole.splitlines(keepends=True) if b'"step": 7,' not in line))
    with pytest.raises(SystemExit, match="every step to 150"):
        life.judge(signal.SIGKILL, 9)
