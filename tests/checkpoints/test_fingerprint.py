"""A resume notices every edit of the program that can change a bit of the run, and no other."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import FABLES, ROOT, SMALL

from charrnn.checkpoints.fingerprint import fingerprint, hash_arithmetic
from charrnn.version import hash_sources

# The kernels; the order of sums; the masks; the layers; the optimisers; the windows; the schedule.
MATTERS = (
    "kernels/matmul.py",
    "network/workspace.py",
    "network/regularisation.py",
    "network/lstm.py",
    "training/optimizer.py",
    "text/windows.py",
    "training/schedule.py",
)
DOES_NOT = ("display/terminal/tables.py", "commands/sample.py", "inspection/reading.py")


@pytest.fixture
def package(tmp_path):
    """A copy of the package."""
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(ROOT / "charrnn", tmp_path / "copy" / "charrnn", ignore=ignored))


def edit(path):
    path.write_text(path.read_text() + "\n# edited\n")


def test_it_is_the_same_for_the_same_sources(package):
    assert hash_arithmetic(package) == fingerprint()["sources"]


@pytest.mark.parametrize("name", MATTERS)
def test_an_edit_that_matters_changes_it(package, name):
    before = hash_arithmetic(package)
    edit(package / name)
    assert hash_arithmetic(package) != before


def test_a_new_file_in_a_new_folder_changes_it(package):
    before = hash_arithmetic(package)
    (package / "network" / "attention").mkdir()
    (package / "network" / "attention" / "layer.py").write_text("")
    assert hash_arithmetic(package) != before


def test_names_count_as_much_as_contents(tmp_path):
    for name, content in (("a.py", "x"), ("b.py", "y")):
        (tmp_path / name).write_text(content)
    before = hash_sources(tmp_path)
    (tmp_path / "a.py").write_text("y")
    (tmp_path / "b.py").write_text("x")
    assert hash_sources(tmp_path) != before


@pytest.mark.parametrize("name", DOES_NOT)
def test_other_edits_do_not_change_it(package, name):
    before = hash_arithmetic(package)
    edit(package / name)
    assert hash_arithmetic(package) == before


def train(package, out, *options):
    command = [sys.executable, "-m", "charrnn", "train", "--out", out, "--name", "r", "-q", *options]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=package.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["training/schedule.py", "text/windows.py", "network/regularisation.py"])
def test_a_resume_after_such_an_edit_is_refused_in_a_line(package, tmp_path, name):
    begun = train(package, tmp_path / "runs", FABLES, *SMALL, "--steps", 20, "--sample-every", 0)
    assert begun.returncode == 0, begun.stderr
    edit(package / "display" / "terminal" / "tables.py")
    assert train(package, tmp_path / "runs", "--resume", "--steps", 25).returncode == 0
    edit(package / name)
    refused = train(package, tmp_path / "runs", "--resume", "--steps", 30)
    assert refused.returncode == 1
    assert "sources: " in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert train(package, tmp_path / "runs", "--resume", "--steps", 30, "--allow-different").returncode == 0
