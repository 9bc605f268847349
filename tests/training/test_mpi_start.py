"""How several ranks are found, and what is refused before MPI is loaded.  No MPI is needed."""

import builtins
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from charrnn.errors import ConfigError
from charrnn.network.sum_tree import tree_sum
from charrnn.training import mpi
from charrnn.training.mpi import _add, _choose_library, launched, start
from charrnn.training.ranks import Ranks

VARIABLES = (
    *("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK", "PMIX_RANK", "HYDI_CONTROL_FD"),
    *("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "MPI4PY_LIBMPI", "OMPI_MCA_osc"),
)
MPICH = {"PMI_SIZE": "4", "PMI_RANK": "0", "HYDI_CONTROL_FD": "7"}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0", "PMIX_RANK": "0"}


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """A function that sets the variables of a launcher, with libraries of MPI beside Python."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is restored, whatever the program writes
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (tmp_path / "lib").mkdir()

    def change(variables, *libraries):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        for name in libraries:
            (tmp_path / "lib" / name).touch()
        return tmp_path / "lib"

    return change


@pytest.fixture
def library(monkeypatch):
    """A function that has mpi4py import a module MPI that sees so many ranks, or raise an error."""

    def change(found):
        imported = builtins.__import__

        def give(name, *arguments):
            if name != "mpi4py":
                return imported(name, *arguments)
            if isinstance(found, Exception):
                raise found
            world = types.SimpleNamespace(Get_size=lambda: found)
            version = "MPICH Version:      5.0.2\nMPICH Release date: today"
            return types.SimpleNamespace(
                MPI=types.SimpleNamespace(COMM_WORLD=world, Get_library_version=lambda: version)
            )

        monkeypatch.setattr(builtins, "__import__", give)

    return change


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({}, 1),
        (MPICH, 4),
        (OPEN_MPI, 4),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "3"}, 8),
        ({"PMI_SIZE": "many"}, 1),
        ({"PMI_SIZE": ""}, 1),
    ],
)
def test_the_number_of_ranks_is_the_launchers(environment, variables, count):
    environment(variables)
    assert launched() == count


@pytest.mark.parametrize(
    ("wanted", "variables"), [("auto", {}), ("auto", MPICH | {"PMI_SIZE": "1"}), ("off", {}), ("off", MPICH)]
)
def test_one_process_does_not_load_mpi(environment, library, wanted, variables):
    environment(variables)
    library(pytest.fail.Exception("MPI was loaded"))
    ranks = start(wanted)
    assert type(ranks) is Ranks
    assert (ranks.size, ranks.is_first, ranks.threads(), ranks.note(2)) == (1, True, None, None)


def test_mpi_of_one_rank_is_an_ordinary_process(environment, library):
    """Nobody would tell it to stop with the sums of a step."""
    environment({})
    library(1)
    ranks = start("on")
    assert type(ranks) is Ranks
    ranks.stop()
    assert ranks.stops


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (ImportError("No module named 'mpi4py'"), r"^several ranks need mpi4py: pip install mpi4py, where"),
        (RuntimeError("cannot load MPI library\nof six lines"), "^mpi4py finds no MPI library that belongs to this"),
        (1, r"has started 4 ranks, but the MPI library of mpi4py \(MPICH Version:      5.0.2\) sees 1: they belong"),
    ],
)
def test_ranks_without_their_library_are_refused_in_one_line(environment, library, found, message):
    environment({"PMI_SIZE": "4", "PMI_RANK": "0"})
    library(found)
    with pytest.raises(ConfigError, match=message) as refused:
        start("auto")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("number", ["PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"])
def test_only_the_first_rank_says_that_it_was_refused(environment, library, number, capsys):
    environment({"SLURM_STEP_NUM_TASKS": "4", number: "2"})
    library(ImportError())
    with pytest.raises(SystemExit) as ended:
        start("auto")
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("variables", "libraries", "chosen"),
    [
        (MPICH, ("libmpi.so.12",), "libmpi.so.12"),
        (MPICH, ("libmpi.so.40", "libmpi.so.12"), "libmpi.so.12"),
        (OPEN_MPI, ("libmpi.so.40", "libmpi.so.12"), "libmpi.so.40"),
        (OPEN_MPI, ("libmpi.so.40",), "libmpi.so.40"),
        (MPICH, (), None),  # that of the system
        (OPEN_MPI, (), None),
        ({"SLURM_STEP_NUM_TASKS": "4"}, ("libmpi.so.12",), None),
        ({"PMI_SIZE": "4"}, ("libmpi.so.40",), None),  # a launcher of unknown make
    ],
)
def test_the_library_is_the_launchers(environment, variables, libraries, chosen):
    folder = environment(variables, *libraries)
    _choose_library()
    expected = None if chosen is None else str(folder / chosen)
    assert mpi.os.environ.get("MPI4PY_LIBMPI") == expected
    assert mpi.os.environ.get("OMPI_MCA_osc") == ("^ucx" if variables is OPEN_MPI else None)


@pytest.mark.parametrize(
    ("variables", "library", "message"),
    [
        (OPEN_MPI, "libmpi.so.12", "the launcher is that of Open MPI, the library beside Python that of MPICH"),
        (MPICH, "libmpi.so.40", "the launcher is that of MPICH, the library beside Python that of Open MPI"),
    ],
)
def test_two_mpis_are_refused_before_the_library_is_loaded(environment, variables, library, message):
    folder = environment(variables, library)
    with pytest.raises(ConfigError, match=message) as refused:
        start("auto")
    assert str(refused.value).endswith(f"start with {Path(folder.parent, 'bin', 'mpirun')}")
    # What the user has chosen is taken.
    mpi.os.environ["MPI4PY_LIBMPI"] = "/opt/mpi/lib/libmpi.so.40"
    _choose_library()


@pytest.mark.parametrize("size", range(1, 40))
def test_slices_are_added_in_the_order_of_the_tree_with_few_buffers(rng, size):
    parts = [(rng.normal(size=30) * 10.0 ** rng.integers(-5, 5, 30)).astype(np.float32) for _ in range(size)]
    before = [part.tobytes() for part in parts]
    spare = [np.empty(30, np.float32) for _ in range(size.bit_length() + 1)]
    for _ in range(2):
        assert _add(parts, spare).tobytes() == tree_sum(parts, size, np.add).tobytes()
    assert [part.tobytes() for part in parts] == before, "the other ranks still read them"
