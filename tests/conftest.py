"""Fixtures that many tests share."""

import os
import signal

import hypothesis
import numpy as np
import platformdirs
import pytest
from command_line import FABLES, SMALL, succeed

# Under nohup or a shell's & this process was started to ignore signals. Commands that a test starts would inherit that,
# and go on when the test sends a signal. So put the handlers back.
for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
    if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_IGN:
        signal.signal(getattr(signal, name), handler)

# One compilation of the kernels for all the workers of a test run, and none of the user's own folders.
os.environ.setdefault("CHARRNN_CACHE", platformdirs.user_cache_dir("charrnn-tests", appauthor=False))
os.environ.pop("PYTHONUNBUFFERED", None)  # most users have buffers, which are flushed once more at exit
os.environ["COLUMNS"] = "160"  # tests look for words, wherever the tests run
os.environ["CHARRNN_CORPORA"] = os.environ["CHARRNN_CACHE"] + "/corpora"

hypothesis.settings.register_profile("charrnn", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("charrnn")


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    """A small text: the beginning of the fables."""
    path = tmp_path_factory.mktemp("texts") / "fables.txt"
    path.write_text(FABLES.read_text()[:20_000])
    return path


@pytest.fixture(scope="session")
def runs(tmp_path_factory, text):
    """A folder with a trained run ``fables``."""
    out = tmp_path_factory.mktemp("runs")
    # The tests of inspect know which cells a model has that was trained with this rate and without n-grams.
    succeed("train", text, "--out", out, *SMALL, "--steps", 150, "--lr", 0.004, "--ngram-targets", 0, "-q")
    return out


@pytest.fixture(scope="session")
def model(runs):
    """The trained run itself."""
    return runs / "fables"


@pytest.fixture(scope="session")
def healthy(tmp_path_factory):
    """The bytes of a small checkpoint."""
    from forgeries import make  # of the package nothing is imported before its cache folder is settled

    path = tmp_path_factory.mktemp("healthy") / "a.safetensors"
    make().save(path)
    return path.read_bytes()


def relative(found, expected):
    """The norm of the difference over the norm of what was expected."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-30)
