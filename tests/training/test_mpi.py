"""Training under a real MPI: the bytes of one process, signals, lost ranks, refusals."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from command_line import ROOT, succeed
from mpi_runs import MPIRUN, OPEN_MPI, SOON, Launched, needs_mpi, needs_open_mpi
from mpi_training import RUNS, train
from training_runs import outcome

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.training.ranks import Ranks

# In one group, so that they do not run beside each other.
pytestmark = [needs_mpi, pytest.mark.xdist_group("mpi")]

SUPPORT = ROOT / "tests" / "support"
OPTIONS = (
    *("--hidden", 20, "--layers", 2, "--seq-len", 16, "--batch-size", 8, "--groups", 4, "--threads", 1),
    *("--dropout", 0.2, "--ema", 0.9, "--eval-every", 15, "--save-every", 7, "--sample-every", 20, "--steps", 40),
)


def launched(ranks, *arguments, sabotage=None, **options):
    """A command of charrnn; ``sabotage`` is what happens to a rank: its number, a step, and what."""
    program = ("-m", "charrnn") if sabotage is None else (SUPPORT / "mpi_sabotage.py", *sabotage)
    return Launched(ranks, *program, *arguments, **options)


def run_all(ranks, *arguments, **options):
    """The exit status of a command, and what it wrote to stderr."""
    with launched(ranks, *arguments, **options) as command:
        status = command.end()
        assert "Traceback" not in command.said()
        return status, command.said()


def saves(folder):
    """The steps and the reasons of the saves of the last checkpoint, from a run's log."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if record["event"] == "saved"]
    return [(record["step"], record["reason"]) for record in records if record["reason"] != "best"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, text):
    """The run of OPTIONS in one process."""
    out = tmp_path_factory.mktemp("alone")
    succeed("train", text, "--out", out, *OPTIONS, "-q")
    return out / "fables"


@pytest.fixture(scope="module")
def runs_alone(tmp_path_factory):
    """The RUNS in one process."""
    folder = tmp_path_factory.mktemp("runs_alone")
    for name in RUNS:
        train(folder, name, Ranks())
    return folder


@pytest.mark.parametrize("size", [2, 4])
def test_runs_have_the_bytes_of_one_process(tmp_path, runs_alone, size):
    path = f"{ROOT}{os.pathsep}{SUPPORT}"
    with Launched(size, SUPPORT / "mpi_training.py", tmp_path / "shared", PYTHONPATH=path) as it:
        assert it.end() == 0, it.said()
        assert it.written() == f"{size} ranks, _SharedMemory 3 _Messages 3\n"
    for name in RUNS:
        assert outcome(tmp_path / "shared" / name) == outcome(runs_alone / name), name


def test_the_command_has_the_bytes_of_one_process(tmp_path, text, alone):
    status, said = run_all(2, "train", text, "--out", tmp_path, *OPTIONS)
    assert status == 0, said
    assert "2 ranks on 1 host, each with 1 thread" in said
    assert outcome(tmp_path / "fables") == outcome(alone)


def test_a_run_is_stopped_in_every_way_and_ends_with_the_bytes_of_an_undisturbed_one(tmp_path, text, alone):
    """Each life has another number of ranks."""
    folder, new = tmp_path / "fables", ("train", text, "--out", tmp_path, *OPTIONS)
    resumed = ("train", "--resume", "--name", "fables", "--out", tmp_path)
    ways = [  # ranks, the rank that something happens to, its step, what, a signal to mpirun
        (2, 1, 3, "SIGTERM", None),
        (4, 3, 3, "wait", signal.SIGTERM),
        (1, 0, 2, "SIGUSR1", None),
        (2, 1, 5, "wait", signal.SIGINT),
        (2, 0, 4, "wait", signal.SIGUSR1),
    ]
    step = 0
    for number, (ranks, rank, call, what, to_launcher) in enumerate(ways):
        with launched(ranks, *(resumed if number else new), sabotage=(rank, call, what)) as command:
            if to_launcher is not None:
                command.wait_for("now\n")
                command.process.send_signal(to_launcher)
            status, said = command.end(), command.said()
        step += call
        assert status == 128 + (to_launcher or getattr(signal, what)), said
        assert "Traceback" not in said
        assert said.count("--resume") == 1, said
        assert saves(folder)[-1] == (step, "interrupted")
        assert [each for each in saves(folder) if each[1] == "interrupted"].count((step, "interrupted")) == 1
        assert Checkpoint.load(folder / "last.safetensors").counters["step"] == step
    status, said = run_all(2, *resumed)
    assert status == 0, said
    assert outcome(folder) == outcome(alone)


def test_an_error_of_one_rank_ends_all_with_one_line(tmp_path, text):
    sabotage = (0, 4, "CheckpointError")
    status, said = run_all(2, "train", text, "--out", tmp_path, *OPTIONS, "-q", sabotage=sabotage)
    assert status == 1
    assert [line for line in said.splitlines() if "error" in line.lower()] == ["Error: rank 0 has a fault"]


def test_a_fault_of_the_program_on_one_rank_ends_all(tmp_path, text):
    with launched(2, "train", text, "--out", tmp_path, *OPTIONS, "-q", sabotage=(1, 4, "RuntimeError")) as command:
        assert command.end() == 1
        assert command.said().count("RuntimeError: rank 1 has a fault") == 1


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_all_and_the_last_checkpoint_is_whole(tmp_path, text, alone, rank):
    folder = tmp_path / "fables"
    sabotage = (rank, 16, "SIGKILL")  # the second save was after step 14
    status, _ = run_all(2, "train", text, "--out", tmp_path, *OPTIONS, sabotage=sabotage)
    assert status != 0
    assert Checkpoint.load(folder / "last.safetensors").counters["step"] == 14
    if rank == 0:
        succeed("train", "--resume", "--name", "fables", "--out", tmp_path, "-q")
        assert outcome(folder) == outcome(alone)


LOST_AT_THE_END = """
import os, signal
from mpi4py import MPI
from charrnn.training import mpi
mpi.LEAVE_S = 0.5
ranks = mpi.MPIRanks(MPI.COMM_WORLD)
ranks.finish()
if ranks.number == 1:
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_rank_that_is_lost_when_all_are_done_does_not_hold_the_others():
    with Launched(2, "-c", LOST_AT_THE_END) as it:
        assert it.process.wait(SOON) != 0


def errors(said):
    return [line for line in said.splitlines() if line.lower().startswith("error")]


def test_ranks_that_cannot_share_the_groups_are_refused_once(tmp_path, text):
    status, said = run_all(3, "train", text, "--out", tmp_path, *OPTIONS, "--groups", 8)
    assert status == 2
    assert len(errors(said)) == 1, said
    assert "3 ranks cannot share 8 groups of 8 batch rows: start 1, 2, 4 or 8 ranks" in said
    assert "--groups" in said
    assert not list(tmp_path.glob("*/*.safetensors"))


def test_standard_input_is_refused_once(tmp_path):
    status, said = run_all(2, "train", "-", "--out", tmp_path, *OPTIONS)
    assert status == 2
    assert len(errors(said)) == 1, said
    assert "cannot share standard input" in said


def test_a_text_that_is_not_there_is_said_once(tmp_path):
    status, said = run_all(2, "train", tmp_path / "none.txt", "--out", tmp_path, *OPTIONS)
    assert status == 1
    assert len(errors(said)) == 1, said


def test_a_run_that_is_there_is_refused_once_and_replaced_with_force_by_one_of_bytes(tmp_path, text, alone):
    shutil.copytree(alone, tmp_path / "fables")
    status, said = run_all(2, "train", text, "--out", tmp_path, *OPTIONS)
    assert status == 1
    assert len(errors(said)) == 1, said
    of_bytes = (text, "--out", tmp_path, *OPTIONS, "--bytes", "--steps", 12, "-q")
    succeed("train", *of_bytes, "--name", "one")
    assert run_all(2, "train", *of_bytes, "--force") == (0, "")
    assert outcome(tmp_path / "fables") == outcome(tmp_path / "one")


def test_distributed_off_trains_apart(tmp_path, text, alone):
    """The launcher's variables give each of the two a name."""
    command = f'exec {sys.executable} -m charrnn train "$@" --distributed off --name rank$PMI_RANK'
    python = ("-c", "import os, sys; os.execv('/bin/sh', ['sh', *sys.argv[1:]])", "-c", command, "sh")
    with Launched(2, *python, text, "--out", tmp_path, *OPTIONS, "-q") as it:
        assert it.end() == 0, it.said()
    for number in (0, 1):
        assert outcome(tmp_path / f"rank{number}") == outcome(alone)


def test_distributed_on_of_one_rank_can_be_stopped(tmp_path, text):
    command = ("train", text, "--out", tmp_path, *OPTIONS, "--distributed", "on", "-q")
    status, said = run_all(1, *command, sabotage=(0, 3, "SIGTERM"))
    assert status == 143, said
    assert saves(tmp_path / "fables") == [(3, "interrupted")]


# ---- Open MPI


@pytest.fixture
def open_mpi():
    """Open MPI's mpirun with options, and variables with which mpi4py takes its library."""
    mpirun = Path(OPEN_MPI)
    options = ("--oversubscribe", *(["--allow-run-as-root"] if os.geteuid() == 0 else []))
    return (mpirun, *options), {"MPI4PY_LIBMPI": str(mpirun.parent.parent / "lib" / "libmpi.so.40")}


@needs_open_mpi
def test_open_mpi_gives_the_same_bytes_and_stops_by_sigusr1(tmp_path, text, alone, open_mpi):
    launcher, variables = open_mpi
    command = ("train", text, "--out", tmp_path, *OPTIONS, "-q")
    with launched(2, *command, sabotage=(0, 3, "wait"), launcher=launcher, **variables) as it:
        it.wait_for("now")
        it.process.send_signal(signal.SIGUSR1)
        assert it.end() == 128 + signal.SIGUSR1, it.said()
    assert saves(tmp_path / "fables")[-1] == (3, "interrupted")
    status, said = run_all(
        4, "train", "--resume", "--name", "fables", "--out", tmp_path, "-q", launcher=launcher, **variables
    )
    assert (status, errors(said)) == (0, [])
    assert outcome(tmp_path / "fables") == outcome(alone)


@needs_open_mpi
def test_two_mpis_are_refused_once(tmp_path, text, open_mpi):
    """mpirun is Open MPI's, and the library beside this Python is MPICH's, which would end the process."""
    launcher, variables = open_mpi
    status, said = run_all(2, "train", text, "--out", tmp_path, *OPTIONS, launcher=launcher)
    assert status == 1
    assert len(errors(said)) == 1, said
    assert "two MPIs are mixed" in said
    assert str(MPIRUN) in said
    # The other way round: mpirun is MPICH's.
    status, said = run_all(2, "train", text, "--out", tmp_path, *OPTIONS, **variables)
    assert status == 1
    assert len(errors(said)) == 1, said
    assert "has started 2 ranks, but the MPI library of mpi4py (Open MPI" in said
