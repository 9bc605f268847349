"""A run that all tests of verification share, and a copy of it to edit."""

import shutil

import pytest
from command_line import FABLES, succeed
from forging import SHORT

from charrnn.system import files


@pytest.fixture(autouse=True)
def without_waiting_for_disks(monkeypatch):
    monkeypatch.setattr(files.os, "fsync", lambda handle: None)


@pytest.fixture(scope="session")
def short_text(tmp_path_factory):
    path = tmp_path_factory.mktemp("short") / "short.txt"
    path.write_text(FABLES.read_text()[:3000])
    return path


@pytest.fixture(scope="session")
def verified_run(tmp_path_factory, short_text):
    """An LSTM with dropout, averaged weights, soft targets, samples and n-grams."""
    out = tmp_path_factory.mktemp("verified")
    succeed("train", short_text, "--out", out, "--name", "run", *SHORT, "--dropout", 0.2, "--ema", 0.8)
    return out / "run"


@pytest.fixture
def copied(verified_run, tmp_path):
    return shutil.copytree(verified_run, tmp_path / "run")
