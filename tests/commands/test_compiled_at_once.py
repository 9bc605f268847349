"""All kernels that a command needs are compiled together, before its work begins."""

import pytest
from command_line import SMALL, succeed

from charrnn.kernels import compiler

COMMANDS = [
    "sample MODEL -n 20",
    "sample MODEL -n 20 --ngrams on",
    "evaluate MODEL",
    "evaluate MODEL --online",
    "score MODEL TEXT --learn --above 30",
    "score MODEL TEXT --ngrams on --top 1",
    "score MODEL TEXT --guesses --samples 20 --top 1",
    "baselines MODEL",
    "novelty MODEL --length 500",
    "compare MODEL fables --length 20",
    "inspect MODEL",
    "inspect MODEL --surprise --ngrams on",
    "inspect find MODEL --track quotes",
    "inspect find MODEL --track column",
    "inspect ablate MODEL --cell 1:3 --track quotes --samples 1",
    "inspect similar MODEL --span said --threshold 0.05",
    "inspect follow MODEL --cell 1:3 --length 20 --pace 1000",
    "inspect saturation MODEL",
    "inspect errors MODEL",
    "inspect distance MODEL",
    "inspect page MODEL -o PAGE",
    "bench --seconds 0.01 --hidden 8 --vocabulary 9",
    "train TEXT --out RUNS --steps 2 --ema 0.9",
]


@pytest.fixture
def batches(monkeypatch):
    """The kernels of each call of ``prepare``."""
    prepare, found = compiler.prepare, []

    def noted(*kernels):
        found.append({getattr(kernel, "__func__", kernel) for kernel in kernels})
        prepare(*kernels)

    monkeypatch.setattr(compiler, "prepare", noted)
    return found


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_compiles_once(line, batches, model, text, tmp_path):
    places = {"MODEL": model, "TEXT": text, "RUNS": tmp_path, "PAGE": tmp_path / "page.html"}
    small = SMALL if line.startswith("train") else []
    succeed(*(places.get(word, word) for word in line.split()), *small)
    first, *others = batches
    for batch in others:
        assert batch <= first
