"""Every report in a few columns: at 60 and at 40 every line fits and nothing is left out; in fewer no command fails."""

import os
import re
import subprocess
import sys
import time

import pytest
from command_line import SMALL, run_cli, succeed

from charrnn.display.terminal.text_width import text_width

# The same words stand in these reports at every width.
TABLES = [
    *("info MODEL", "evaluate MODEL TEXT", "evaluate MODEL TEXT --online", "baselines MODEL TEXT", "runs OUT"),
    *("novelty MODEL --length 200", "corpus list", "corpus stats TEXT", "inspect find MODEL TEXT --permutations 19"),
    "inspect ablate MODEL TEXT --cell 0:1 --samples 0 --others 2 --track line",
    *("inspect saturation MODEL TEXT", "inspect errors MODEL TEXT", "inspect distance MODEL TEXT"),
]
# The output of these commands depends on the width or on the time, so words are not compared.
SCREENS = [
    *("bench MODEL --seconds 0.01", "bench --hidden 8 --sweep --seconds 0.01 --threads 1"),
    *("sample MODEL --compare 0.5,1,2 --length 50", "inspect MODEL TEXT --length 200"),
    *("inspect MODEL TEXT --length 200 --cell 0:1", "inspect MODEL TEXT --length 200 --cell 0:1,1:2 --signal c,i,f,o"),
    *("inspect MODEL TEXT --length 200 --predictions", "inspect MODEL TEXT --length 200 --surprise"),
    *("inspect find MODEL TEXT --track line --permutations 19", "inspect history MODEL TEXT"),
    "inspect ablate MODEL TEXT --cell 0:1,0:2,0:3,0:4,0:5,0:6,0:7,0:8 --samples 2 --others 2 --track line",
    *("inspect similar MODEL TEXT --span the|fox --threshold 0.001", "compare MODEL MODEL fables --length 50"),
]
# What a model writes has the width that it has.
WRITTEN = ["sample MODEL --count 3 --length 50", "inspect follow MODEL --length 50 --pace 0"]
HELPS = [
    "",
    "train",
    "sample",
    "write",
    "score",
    "inspect",
    "inspect find",
    "inspect page",
    "corpus",
    "completion",
    "runs",
    "compare",
]

_INFO = 17  # columns of the names in `info`
COMMAND = re.compile(r" *(charrnn |eval |_CHARRNN|--[a-z-]+ \[)")  # to copy, and choices: they are not broken


@pytest.fixture(scope="module")
def places(tmp_path_factory, runs, text):
    """What the words in capitals stand for."""
    short = tmp_path_factory.mktemp("short") / "short.txt"
    short.write_text(text.read_text()[:3000])
    return {"MODEL": runs / "fables", "TEXT": short, "OUT": runs}


def shown(line, places, columns):
    arguments = [places.get(word, word) for word in line.split()]
    return succeed(*arguments, env={"COLUMNS": str(columns)}).stdout


def words(report):
    """What a reader can read of a report: not its rules, its plots and its legends of symbols."""
    return {
        word for word in report.split() if re.search("[A-Za-z0-9]", word) and not re.search("[\u2500-\u28ff]", word)
    }


def too_long(report, columns):
    return [line for line in report.splitlines() if text_width(line) > columns and not COMMAND.match(line)]


@pytest.mark.parametrize("line", TABLES)
def test_nothing_of_a_table_is_left_out(places, monkeypatch, line):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # the list of runs says how old they are
    wide = words(shown(line, places, 160))
    for columns in (60, 40):
        narrow = shown(line, places, columns)
        wider = too_long(narrow, columns)
        if line.startswith("info"):  # off a terminal its paths and checksums stay whole, each in a line of its own
            wider = [each for each in wider if len(each[_INFO:].split()) > 1]
        assert not wider
        missing = wide - words(narrow)
        assert not {word for word in missing if len(word) < columns // 2}


@pytest.mark.parametrize("columns", [60, 40])
@pytest.mark.parametrize("line", SCREENS)
def test_every_line_fits(places, line, columns):
    assert not too_long(shown(line, places, columns), columns)


@pytest.mark.parametrize("columns", [1, 9, 20])
@pytest.mark.parametrize("line", [*TABLES, *SCREENS, *WRITTEN])
def test_a_report(places, line, columns):
    assert shown(line, places, columns)


@pytest.mark.parametrize("columns", [60, 40])
@pytest.mark.parametrize("which", ["--help", "--help-all"])
def test_helps_fit(columns, which):
    """In a process of its own: click's test runner has 80 columns."""
    script = (
        "import sys, click; from charrnn.commands import charrnn\n"
        "for path in sys.argv[2:]:\n"
        "    try: charrnn.main([*path.split(), sys.argv[1]], prog_name='charrnn')\n"
        "    except SystemExit as error: assert error.code == 0\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, which, *HELPS],
        env={**os.environ, "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout.count("Usage: charrnn") == len(HELPS)
    assert not too_long(ran.stdout, columns)
    assert not re.search(r"[a-z]\.\.\.", ran.stdout)  # how click marks what it leaves out


@pytest.mark.parametrize("columns", [60, 40])
def test_the_greeting_fits(places, tmp_path, monkeypatch, columns):
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, places["OUT"].parent):
        monkeypatch.chdir(folder)
        assert not too_long(shown("", places, columns), columns)


@pytest.mark.parametrize("columns", [1, 9, 20, 40, 60])
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
