"""Every report in a few columns, or a wrong number: lines may be too long for the terminal, and no command fails."""

import os

import pytest
from command_line import SMALL, run_cli, succeed

COMMANDS = [
    *("info MODEL", "evaluate MODEL TEXT", "baselines MODEL TEXT", "novelty MODEL --length 200"),
    *("bench MODEL --seconds 0.01", "bench --hidden 8 --sweep --seconds 0.01 --threads 1"),
    *("corpus list", "corpus stats TEXT", "--help", "train --help-all", "inspect --help-all"),
    *("sample MODEL --compare 0.5,1,2 --length 50", "sample MODEL --count 3 --length 50"),
    *("inspect MODEL TEXT --length 200", "inspect MODEL TEXT --length 200 --cell 0:1,1:2"),
    *("inspect MODEL TEXT --length 200 --predictions", "inspect MODEL TEXT --length 200 --surprise"),
    *("inspect find MODEL TEXT --permutations 19", "inspect find MODEL TEXT --track line --permutations 19"),
    *("inspect ablate MODEL TEXT --cell 0:1 --samples 2 --others 2 --track line", "inspect history MODEL TEXT"),
    *("inspect similar MODEL TEXT --span the|fox --threshold 0.001", "inspect follow MODEL --length 50 --pace 0"),
    *("inspect saturation MODEL TEXT", "inspect errors MODEL TEXT", "inspect distance MODEL TEXT"),
]


@pytest.mark.parametrize("columns", [1, 9, 20])
@pytest.mark.parametrize("line", COMMANDS)
def test_a_report(model, tmp_path, text, line, columns):
    (tmp_path / "short.txt").write_text(text.read_text()[:3000])
    places = {"MODEL": model, "TEXT": tmp_path / "short.txt"}
    arguments = [places.get(word, word) for word in line.split()]
    assert succeed(*arguments, env={"COLUMNS": str(columns)}).stdout


@pytest.mark.parametrize("columns", [1, 9, 20])
def test_a_run(tmp_path, text, columns):
    options = ["--out", tmp_path, *SMALL, "--steps", 4, "--diagnose", "--sample-every", 2]
    succeed("train", text, *options, env={"COLUMNS": str(columns)})


@pytest.mark.parametrize("size", ["0", "²", "-1", "x", "", "9" * 5000, "9" * 12])
def test_sizes_that_are_none(model, size):
    environment = {**os.environ, "COLUMNS": size, "LINES": size}
    assert b"LSTM, 2 x 20" in run_cli("info", model, env=environment).stdout
    refused = run_cli("info", "nowhere", env=environment)
    assert refused.stderr.startswith(b"Error: nowhere: no such checkpoint")
    assert len(refused.stderr) < 200
