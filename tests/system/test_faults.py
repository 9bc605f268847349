"""Disks that are full, fail or refuse, at every call; files that change behind a command's back."""

import errno
import hashlib
import itertools
import os
import shutil
import sys
import traceback

import pytest
from command_line import invoke
from faults import Faults
from loopback import TEXT, serving
from training_runs import outcome

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.errors import CharRNNError
from charrnn.text import corpus as corpus_module
from charrnn.text import python_source
from charrnn.text.catalog import CatalogEntry
from charrnn.text.download import download
from charrnn.training.optimizer import Optimizer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the injector asks /proc which file is open")

ERRORS = pytest.mark.parametrize(
    ("error", "lasting"),
    [(errno.ENOSPC, True), (errno.EIO, False), (errno.EACCES, True)],
    ids=["disk full", "I/O error", "permission denied"],
)
SMALL = ["--hidden", 4, "--layers", 1, "--seq-len", 8, "--batch-size", 2, "--threads", 1, "--warmup", 0]
STARTED = [*SMALL, "--steps", 4, "--eval-every", 3, "--save-every", 2, "--sample-every", 0, "-q"]


@pytest.fixture(autouse=True)
def without_waiting_for_disks(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def id_cache(tmp_path, monkeypatch):
    """Every text, however small, goes through files of ids in a cache of the test's own; the kernels' stays."""
    monkeypatch.setattr(corpus_module, "STREAM_FROM", 0)
    monkeypatch.setattr("charrnn.text.id_cache.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "corpora"


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the fox said to the heron, and the heron listened\n" * 12)
    return path


def train(out, text, *more):
    return invoke("train", text, "--out", out, "--name", "run", *more)


def go_on(out, text):
    """To the end of the run, from wherever it is."""
    if (out / "run" / "last.safetensors").exists():
        done = Checkpoint.load(out / "run" / "last.safetensors").counters["step"] == 4
        if not done:
            assert train(out, text, "--resume", "-q").exit_code == 0
    else:
        assert train(out, text, *STARTED).exit_code == 0


def whole(folder):
    """That whatever has the name of a checkpoint is one."""
    return [Checkpoint.load(path) for path in folder.rglob("*.safetensors")]


def said(result):
    """The one line of a failure."""
    assert result.exit_code == 1, (result.exit_code, result.stderr, result.exception)
    assert isinstance(result.exception, SystemExit), "".join(traceback.format_exception(result.exception))
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


def broken_off(out, text, monkeypatch):
    """Start the run, and end it in its fourth step."""
    updates = itertools.count(1)

    def update(self, *arguments):
        if next(updates) == 4:
            raise KeyboardInterrupt
        return usual(self, *arguments)

    with monkeypatch.context() as patch:
        usual = Optimizer.update
        patch.setattr(Optimizer, "update", update)
        assert train(out, text, *STARTED).exit_code == 1
    assert Checkpoint.load(out / "run" / "last.safetensors").counters["step"] == 2


def after_failures(tmp_path, text, id_cache, monkeypatch, error, lasting, start, command):
    """For every k: the k-th call fails, what is there is whole, and the run is gone on with to the same end.

    How many calls there were, and how many of them the command could not do without.
    """
    assert train(tmp_path / "usual", text, *STARTED).exit_code == 0
    expected, needed = outcome(tmp_path / "usual" / "run"), 0
    for k in itertools.count(1):
        out = tmp_path / f"out{k}"
        start(out)
        for path in id_cache.iterdir():
            path.unlink()
        with Faults(tmp_path, k, error, lasting).injected(monkeypatch) as faults:
            result = train(out, text, *command)
        if not faults.happened():
            return k - 1, needed
        if result.exit_code:
            needed += 1
            assert os.strerror(error) in said(result), faults.calls[k - 1]
        whole(tmp_path)
        go_on(out, text)
        assert outcome(out / "run") == expected, faults.calls[k - 1]
        assert not [path.name for path in (out / "run").iterdir() if path.name.endswith(".tmp")]
        shutil.rmtree(out)


@ERRORS
def test_a_run_survives_a_failure_of_any_write(tmp_path, small, id_cache, monkeypatch, error, lasting):
    arguments = tmp_path, small, id_cache, monkeypatch, error, lasting
    calls, needed = after_failures(*arguments, lambda out: None, STARTED)
    assert calls >= needed > 40


def test_a_resumed_run_survives_a_failure_of_any_write(tmp_path, small, id_cache, monkeypatch):
    def start(out):
        broken_off(out, small, monkeypatch)

    arguments = tmp_path, small, id_cache, monkeypatch, errno.EIO, False
    calls, needed = after_failures(*arguments, start, ["--resume", "-q"])
    assert calls >= needed > 20


@ERRORS
def test_a_built_corpus_is_whole_or_not_there(tmp_path, monkeypatch, error, lasting):
    monkeypatch.setattr(python_source, "python_sources", lambda limit: "import this\n" * 500)
    for k in itertools.count(1):
        path = tmp_path / str(k) / "python.txt"
        with Faults(tmp_path, k, error, lasting).injected(monkeypatch) as faults:
            try:
                python_source.write_python_sources(path)
            except CharRNNError as caught:
                assert os.strerror(error) in str(caught), faults.calls[k - 1]
            else:
                assert not faults.happened() or path.exists()
        if not faults.happened():
            break
        assert not path.exists() or len(path.read_bytes()) == 6000
    assert k >= 6


@ERRORS
def test_a_download_is_whole_or_not_there(tmp_path, monkeypatch, error, lasting):
    monkeypatch.setenv("no_proxy", "*")
    digest = hashlib.sha256(TEXT).hexdigest()
    with serving() as server:
        entry = CatalogEntry("a-text", "download", "A text", "MIT", "", server.address, len(TEXT), digest)
        for k in itertools.count(1):
            folder = tmp_path / str(k)
            with Faults(tmp_path, k, error, lasting).injected(monkeypatch) as faults:
                try:
                    download(entry, folder, loopback_http=True)
                except CharRNNError as caught:
                    assert os.strerror(error) in str(caught), faults.calls[k - 1]
            if not faults.happened():
                break
            path = folder / "a-text.txt"
            assert not path.exists() or path.read_bytes() == TEXT
            assert download(entry, folder, loopback_http=True).read_bytes() == TEXT
            assert [path.name for path in folder.iterdir()] == ["a-text.txt"]
    assert k >= 6


@ERRORS
def test_a_page_is_whole_or_not_there(tmp_path, model, small, monkeypatch, error, lasting):
    for k in itertools.count(1):
        path = tmp_path / str(k) / "page.html"
        path.parent.mkdir()
        with Faults(tmp_path, k, error, lasting).injected(monkeypatch) as faults:
            result = invoke("inspect", model, small, "--html", path, "--cell", "0:1", "-q")
        if not faults.happened():
            break
        if result.exit_code:
            assert os.strerror(error) in said(result)
        assert not path.exists() or path.read_text().rstrip().endswith("</html>")
    assert k >= 6


@pytest.fixture
def at_step(monkeypatch):
    """Have something happen in the second step of the next run."""

    def arrange(happen):
        updates, usual = itertools.count(1), Optimizer.update

        def update(self, *arguments):
            if next(updates) == 2:
                happen()
            return usual(self, *arguments)

        monkeypatch.setattr(Optimizer, "update", update)

    return arrange


@pytest.mark.parametrize("streamed", [False, True], ids=["in memory", "in a file"])
@pytest.mark.parametrize(
    "harm",
    [lambda path: path.unlink(), lambda path: path.write_text("short"), lambda path: path.write_text("b" * 600)],
    ids=["removed", "shortened", "replaced"],
)
def test_a_run_does_not_notice_what_becomes_of_its_text(tmp_path, small, request, at_step, streamed, harm):
    if streamed:
        request.getfixturevalue("id_cache")
    assert train(tmp_path / "usual", small, *STARTED).exit_code == 0
    at_step(lambda: harm(small))
    assert train(tmp_path / "harmed", small, *STARTED).exit_code == 0
    assert outcome(tmp_path / "harmed" / "run") == outcome(tmp_path / "usual" / "run")
    result = train(tmp_path / "harmed", small, "--resume", "--steps", 6, "-q")
    assert "short" not in said(result)  # but who resumes is told, and not in the words of the text
    whole(tmp_path)


def test_ids_that_are_removed_while_a_run_trains_are_there_to_its_end(tmp_path, small, id_cache, at_step):
    assert train(tmp_path / "usual", small, *STARTED).exit_code == 0
    at_step(lambda: [path.unlink() for path in id_cache.iterdir()])
    assert train(tmp_path / "harmed", small, *STARTED).exit_code == 0
    assert outcome(tmp_path / "harmed" / "run") == outcome(tmp_path / "usual" / "run")


def test_ids_that_are_cut_short_while_a_run_trains_end_it_in_one_line(tmp_path, small, id_cache, at_step):
    """With a memory-mapped file this would be the end of the process."""
    assert train(tmp_path / "usual", small, *STARTED).exit_code == 0

    def cut():
        for path in id_cache.glob("*.ids"):
            os.truncate(path, 0)

    at_step(cut)
    assert "was cut short" in said(train(tmp_path / "harmed", small, *STARTED))
    whole(tmp_path)
    go_on(tmp_path / "harmed", small)
    assert outcome(tmp_path / "harmed" / "run") == outcome(tmp_path / "usual" / "run")


@pytest.mark.parametrize("place", ["/dev/null/out", "/proc/out", "/dev/full"])
def test_places_where_nothing_can_be_written(model, small, place):
    for arguments in (
        ["train", small, "--out", place, *STARTED],
        ["corpus", "python", "--output", f"{place}/python.txt"],
        ["inspect", model, small, "--html", f"{place}/page.html", "-q"],
        ["inspect", model, small, "--svg", f"{place}/page.svg", "-q"],
    ):
        result = invoke(*arguments)
        assert result.exit_code in (1, 2), arguments
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert place in result.stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind the administrator")
def test_a_read_only_folder(tmp_path, small, monkeypatch):
    assert train(tmp_path, small, *STARTED[:-1], "-q").exit_code == 0
    run = tmp_path / "run"
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    run.chmod(0o500)
    try:
        for more in (["--resume", "--steps", 6], [*STARTED, "--force"]):
            assert "cannot be" in said(train(tmp_path, small, *more))
        assert invoke("sample", run, "--length", 10).exit_code == 0
    finally:
        run.chmod(0o700)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
