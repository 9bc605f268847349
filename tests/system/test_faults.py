"""Tests with disks that are full, fail or refuse at every single call, and with files that change during a command."""

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

KINDS = [(errno.ENOSPC, True), (errno.EIO, False), (errno.EACCES, True)]  # and whether it lasts
ERRORS = pytest.mark.parametrize(("error", "lasting"), KINDS, ids=["disk full", "I/O error", "permission denied"])
SMALL = ["--hidden", 4, "--layers", 1, "--seq-len", 8, "--batch-size", 2, "--threads", 1, "--warmup", 0]
STARTED = [*SMALL, "--steps", 4, "--eval-every", 3, "--save-every", 2, "--sample-every", 0, "-q"]


@pytest.fixture(autouse=True)
def without_waiting_for_disks(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def id_cache(tmp_path, monkeypatch):
    """Send every text, even a small one, through an id cache in the test's folder. The cache of kernels stays."""
    monkeypatch.setattr(corpus_module, "STREAM_FROM", 0)
    monkeypatch.setattr("charrnn.text.id_cache.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache" / "corpora"


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the fox error_line to the heron, and the heron listened\n" * 12)
    return path


def train(out, text, *more):
    return invoke("train", text, "--out", out, "--name", "run", *more)


def finish(out, text):
    """Start the run or resume it, until its end."""
    if (out / "run" / "last.safetensors").exists():
        trained = Checkpoint.load(out / "run" / "last.safetensors").counters["step"] == 4
        if not trained or Checkpoint.load(out / "run" / "best.safetensors").ngrams is None:
            assert train(out, text, "--resume", "-q").exit_code == 0
    else:
        assert train(out, text, *STARTED).exit_code == 0


def load_all(folder):
    """Load every file that has the name of a checkpoint; this fails if one is damaged."""
    return [Checkpoint.load(path) for path in folder.rglob("*.safetensors")]


def error_line(result):
    """The error message of a command that failed; it must be one line."""
    assert result.exit_code == 1, (result.exit_code, result.stderr, result.exception)
    assert isinstance(result.exception, SystemExit), "".join(traceback.format_exception(result.exception))
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


def interrupted(out, text, monkeypatch):
    """Start the run, and interrupt it in its fourth step."""
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


def after_failures(tmp_path, text, id_cache, monkeypatch, kinds, start, command):
    """For every k, let the k-th call fail; check that the files are whole and that the run can be finished as usual.

    The calls take turns with the ``kinds`` of errors.

    Returns:
        The number of calls, and the number of calls whose failure ended the command.
    """
    assert train(tmp_path / "usual", text, *STARTED).exit_code == 0
    expected, needed = outcome(tmp_path / "usual" / "run"), 0
    for k in itertools.count(1):
        out = tmp_path / f"out{k}"
        start(out)
        for path in id_cache.iterdir():
            path.unlink()
        error, lasting = kinds[k % len(kinds)]
        with Faults(tmp_path, k, error, lasting).injected(monkeypatch) as faults:
            result = train(out, text, *command)
        if not faults.happened():
            return k - 1, needed
        if result.exit_code:
            needed += 1
            assert os.strerror(error) in error_line(result), faults.calls[k - 1]
        load_all(tmp_path)
        finish(out, text)
        assert outcome(out / "run") == expected, faults.calls[k - 1]
        assert not [path.name for path in (out / "run").iterdir() if path.name.endswith(".tmp")]
        shutil.rmtree(out)


def test_a_run_survives_a_failure_of_any_write(tmp_path, small, id_cache, monkeypatch):
    calls, needed = after_failures(tmp_path, small, id_cache, monkeypatch, KINDS, lambda out: None, STARTED)
    assert calls >= needed > 40


def test_a_resumed_run_survives_a_failure_of_any_write(tmp_path, small, id_cache, monkeypatch):
    def start(out):
        interrupted(out, small, monkeypatch)

    kinds = [(errno.EIO, False)]
    calls, needed = after_failures(tmp_path, small, id_cache, monkeypatch, kinds, start, ["--resume", "-q"])
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
            result = invoke("inspect", "page", model, small, "-o", path, "--cell", "0:1", "-q")
        if not faults.happened():
            break
        if result.exit_code:
            assert os.strerror(error) in error_line(result)
        assert not path.exists() or path.read_text().rstrip().endswith("</html>")
    assert k >= 6


@pytest.fixture
def at_step(monkeypatch):
    """A function that makes ``happen`` be called in the second step of the next run."""

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
def test_a_run_does_not_notice_changes_of_its_text(tmp_path, small, request, at_step, streamed, harm):
    if streamed:
        request.getfixturevalue("id_cache")
    assert train(tmp_path / "usual", small, *STARTED).exit_code == 0
    at_step(lambda: harm(small))
    assert train(tmp_path / "harmed", small, *STARTED).exit_code == 0
    assert outcome(tmp_path / "harmed" / "run") == outcome(tmp_path / "usual" / "run")
    result = train(tmp_path / "harmed", small, "--resume", "--steps", 6, "-q")
    assert "short" not in error_line(result)  # the error tells that the text changed, and quotes none of it
    load_all(tmp_path)


def test_a_run_keeps_ids_that_are_removed_meanwhile(tmp_path, small, id_cache, at_step):
    assert train(tmp_path / "usual", small, *STARTED).exit_code == 0
    at_step(lambda: [path.unlink() for path in id_cache.iterdir()])
    assert train(tmp_path / "harmed", small, *STARTED).exit_code == 0
    assert outcome(tmp_path / "harmed" / "run") == outcome(tmp_path / "usual" / "run")


def test_ids_that_are_cut_short_end_the_run_with_one_line(tmp_path, small, id_cache, at_step):
    """With a memory-mapped file, SIGBUS would kill the process here."""
    assert train(tmp_path / "usual", small, *STARTED).exit_code == 0

    def cut():
        for path in id_cache.glob("*.ids"):
            os.truncate(path, 0)

    at_step(cut)
    assert "was cut short" in error_line(train(tmp_path / "harmed", small, *STARTED))
    load_all(tmp_path)
    finish(tmp_path / "harmed", small)
    assert outcome(tmp_path / "harmed" / "run") == outcome(tmp_path / "usual" / "run")


@pytest.mark.parametrize("place", ["/dev/null/out", "/proc/out", "/dev/full"])
def test_unwritable_places_are_one_line(model, small, place):
    for arguments in (
        ["train", small, "--out", place, *STARTED],
        ["corpus", "python", "--output", f"{place}/python.txt"],
        ["inspect", "page", model, small, "-o", f"{place}/page.html", "-q"],
        ["inspect", "draw", model, small, "-o", f"{place}/page.svg", "-q"],
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
            assert "cannot be" in error_line(train(tmp_path, small, *more))
        assert invoke("sample", run, "--length", 10).exit_code == 0
    finally:
        run.chmod(0o700)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
