"""charrnn is built and installed as users do it: the wheel and the sdist, and the command in another folder."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from importlib.util import find_spec
from pathlib import Path

import pytest
from command_line import FABLES, ROOT

from charrnn.version import __version__

# The build backend, without a tool around it and without a network.
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, 'build_' + sys.argv[1])(sys.argv[2]))"
DEPENDENCIES = ("click", "numba", "numpy", "platformdirs", "rich", "safetensors")
# Of these folders, to which users add their own files, the files that belong to charrnn.
BUNDLED = {
    "checkpoints": {"README.md", "fables.safetensors", "python.safetensors"},
    "corpora": {"README.md", "fables.txt"},
}
# Where the wheel has files that are not in the package.
SHARED = {
    "share/charrnn/checkpoints": ["checkpoints/fables.safetensors"],
    "share/charrnn/corpora": ["corpora/fables.txt"],
    "share/man/man1": [f"docs/man/{path.name}" for path in (ROOT / "docs" / "man").iterdir()],
}

pytestmark = pytest.mark.xdist_group("install")


def build(kind, folder, out):
    """The wheel or the sdist of the sources in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, out], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


def litter(folder, names):
    """What a clone may have beside its own files."""
    if Path(folder).parent == ROOT and Path(folder).name in BUNDLED:
        return set(names) - BUNDLED[Path(folder).name]
    made = (".git", ".venv", ".demo", "build", "dist", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis")
    return shutil.ignore_patterns(*made)(folder, names)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the sources, with a run and a text of a user."""
    folder = tmp_path_factory.mktemp("clone") / "charrnn"
    shutil.copytree(ROOT, folder, ignore=litter)
    (folder / "checkpoints" / "mine").mkdir()
    (folder / "checkpoints" / "mine" / "last.safetensors").write_bytes(b"mine")
    (folder / "corpora" / "mine.txt").write_text("mine")
    return folder


@pytest.fixture(scope="module")
def sdist(clone, tmp_path_factory):
    return build("sdist", clone, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(clone, tmp_path_factory):
    return build("wheel", clone, tmp_path_factory.mktemp("wheel"))


def files(folder):
    """All files below a folder of the sources."""
    found = {path for path in (ROOT / folder).rglob("*") if path.is_file() and path.parent.name != "__pycache__"}
    return {path.relative_to(ROOT).as_posix() for path in found}


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"charrnn-{__version__}.dist-info/METADATA"))


def test_the_wheel_has_the_package_with_its_data_what_is_shared_and_nothing_else(wheel):
    assert wheel.name == f"charrnn-{__version__}-py3-none-any.whl"
    about = {name for name in names(wheel) if name.startswith(f"charrnn-{__version__}.dist-info/")}
    shared = {
        f"charrnn-{__version__}.data/data/{folder}/{Path(name).name}": name
        for folder, here in SHARED.items()
        for name in here
    }
    assert names(wheel) - about == files("charrnn") | shared.keys()
    assert f"charrnn-{__version__}.dist-info/licenses/LICENSE" in about
    assert {"charrnn/text/catalog.toml", "charrnn/display/page/page.html"} <= names(wheel)
    with zipfile.ZipFile(wheel) as archive:
        for name, source in shared.items():
            assert archive.read(name) == (ROOT / source).read_bytes(), source


def test_the_metadata_say_what_it_is_and_whose(wheel):
    about = metadata(wheel)
    assert about["Author"] == "The charrnn authors"
    assert about["License-Expression"] == "MIT"
    links = dict(link.split(", ") for link in about.get_all("Project-URL"))
    assert links.keys() == {"Homepage", "Documentation", "Changelog", "Source", "Issues"}
    assert about.get_payload().startswith("# charrnn\n")


def test_every_place_names_the_same_repository(wheel):
    links = dict(link.split(", ") for link in metadata(wheel).get_all("Project-URL"))
    assert all(link.startswith(links["Homepage"]) for link in links.values())
    for name in ("CITATION.cff", "SECURITY.md", "docs/INSTALL.md", "docs/RELEASING.md"):
        found = re.findall(r"https://github\.com/[\w-]+/charrnn", (ROOT / name).read_text("utf-8"))
        assert set(found) == {links["Homepage"]}, name


def test_the_sdist_has_what_building_and_testing_need_and_nothing_of_the_user(sdist):
    top = f"charrnn-{__version__}"
    with tarfile.open(sdist) as archive:
        packed = {each.name.removeprefix(f"{top}/") for each in archive if each.isfile()}
    wanted = files("charrnn") | files("tests") | files("docs") | files(".github")
    wanted |= {f"benchmarks/{path.name}" for path in (ROOT / "benchmarks").glob("*.py")}
    wanted |= {f"{folder}/{name}" for folder, bundled in BUNDLED.items() for name in bundled}
    wanted |= {path.name for path in ROOT.glob("*.md")}
    wanted |= {"CITATION.cff", "LICENSE", "MANIFEST.in", "Makefile", "cli.py", "pyproject.toml", "setup.cfg"}
    assert {name for name in packed if "egg-info" not in name} - {"PKG-INFO"} == wanted


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_clone(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    out = tmp_path / "out"
    out.mkdir()
    other = build("wheel", tmp_path / f"charrnn-{__version__}", out)
    assert other.name == wheel.name
    with zipfile.ZipFile(other) as theirs, zipfile.ZipFile(wheel) as ours:
        assert sorted(theirs.namelist()) == sorted(ours.namelist())
        assert all(theirs.read(name) == ours.read(name) for name in ours.namelist())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment with the wheel, and the dependencies of the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=True)
    scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    quietly = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([python, "-I", "-m", "pip", "install", *quietly, wheel], check=True)
    site = subprocess.run(
        [python, "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    # Python reads no .pth files in a folder that a .pth file names, so an editable install there has no effect.
    libraries = {str(Path(find_spec(name).origin).parents[1]) for name in DEPENDENCIES}
    (Path(site) / "dependencies.pth").write_text("\n".join(sorted(libraries)))
    return scripts


@pytest.fixture
def run(installed, tmp_path):
    """``run(*arguments)``: what the installed command writes in another folder, for a user with an empty home."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    own = {"HOME": str(home), "USERPROFILE": str(home), "PATH": str(installed) + os.pathsep + os.environ["PATH"]}
    gone = ("PYTHONPATH", "XDG_CACHE_HOME", "XDG_DATA_HOME", "CHARRNN_CORPORA")
    environment = {name: value for name, value in os.environ.items() if name not in gone} | own

    def start(*arguments, program="charrnn"):
        command = [str(installed / program), *map(str, arguments)]
        done = subprocess.run(command, cwd=here, env=environment, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout.decode("utf-8")

    start.home, start.here = home, here
    return start


def test_the_installed_command_says_what_it_is(run):
    assert run("--version").strip() == f"charrnn {__version__}"
    assert "Train a model on a text." in run("--help")
    assert run("-m", "charrnn", "--version", program="python").strip() == f"charrnn {__version__}"
    assert list(run.home.iterdir()) == []


def test_the_installed_package_is_used(run, installed):
    place = run("-c", "import charrnn; print(charrnn.__file__)", program="python")
    assert Path(place.strip()).is_relative_to(installed.parent)


def test_the_installed_command_trains_writes_and_inspects_in_another_folder(run):
    shutil.copy(FABLES, run.here / "tales.txt")
    run("train", "tales.txt", "--hidden", 16, "--steps", 4, "--threads", 1, "-q")
    assert len(run("sample", "tales", "--length", 50, "--seed", 1)) == 50
    run("inspect", "page", "tales", "tales.txt", "--length", 300, "-o", "cells.html")
    assert "<html" in (run.here / "cells.html").read_text("utf-8")
    assert "tinyshakespeare" in run("corpus", "list")
    assert sorted(path.name for path in run.here.iterdir()) == ["cells.html", "checkpoints", "tales.txt"]


def test_the_text_and_the_model_that_come_along_are_found(run):
    assert len(run("sample", "fables", "--length", 50, "--seed", 1)) == 50
    assert "LSTM" in run("info", "fables")
    run("train", "fables", "--hidden", 16, "--steps", 2, "--threads", 1, "-q")
    assert [path.name for path in run.here.iterdir()] == ["checkpoints"]


def test_man_pages_and_completion_are_there(run, installed):
    assert (installed.parent / "share" / "man" / "man1" / "charrnn-train.1").is_file()
    assert "_CHARRNN_COMPLETE" in run("completion", "bash")
