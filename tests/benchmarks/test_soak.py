"""The soak: it kills where it aims, and it fails if it shows nothing or if a run breaks a rule."""

import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

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
