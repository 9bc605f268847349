"""Random command lines as processes; benchmarks/commandline_fuzz.py runs thousands. And: its checks find faults."""

import sys
from collections import defaultdict

import pytest
from commandline_fuzz import World, faults, fuzz
from drawn_lines import EVIL, Line, commands, draw

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pseudo-terminals, devices and limits of Linux")
CHUNK = 10


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world")).build()


@pytest.mark.parametrize("first", range(0, 100, CHUNK))
def test_random_command_lines_end_as_they_should(world, first):
    assert fuzz(world, range(first, first + CHUNK), seed=7, most=CHUNK) == []


def test_the_same_seed_draws_the_same_lines():
    assert [draw(3, number) for number in range(50)] == [draw(3, number) for number in range(50)]
    assert draw(3, 1) != draw(4, 1)


def test_every_option_of_every_command_is_drawn():
    every = list(commands())
    drawn = defaultdict(set)
    for line in (draw(1, number, every) for number in range(3000)):
        drawn[line.command].update(word.partition("=")[0] for word in line.words)
    for names, command in every:
        for param in command.params:
            if param.param_type_name == "option":
                assert drawn[" ".join(names)].intersection(param.opts), (names, param.opts)


# The checks


def line(words=("info", "x"), writes=False, wants_json=False, stdout="file", settings=b""):
    return Line("info", list(words), settings, writes, wants_json, "good.txt", stdout, {})


@pytest.fixture
def ended(tmp_path):
    """``ended(code, ...)``: the faults of a process that runs this code in place of charrnn."""
    (tmp_path / "model" / "here").mkdir(parents=True)
    for name in ("home", "tmp", "corpora", "here/runs"):
        (tmp_path / "model" / name).mkdir()
    (tmp_path / "model" / "here" / "good.txt").write_text("the fox")

    def run(code, timeout=20, memory=2048, **attributes):
        drawn = line(**attributes)
        outcome, _ = World(tmp_path, (sys.executable, "-c", code)).run(drawn, timeout)
        return "; ".join(faults(drawn, outcome, memory))

    return run


ERROR = "import sys; print('Error: x', file=sys.stderr); "


@pytest.mark.parametrize(
    ("code", "attributes"),
    [
        ("print('the fox')", {}),
        (ERROR + "sys.exit(1)", {}),
        (ERROR + "sys.exit(2)", {}),
        ("""print('{"a": null}')""", {"wants_json": True}),
        ("print('\\x1b[1mbold\\x1b[0m')", {"stdout": "terminal"}),
        ("open('new.txt', 'w')", {"writes": True, "words": ["export", "new.txt"]}),
        ("open('new.txt', 'w')", {"writes": True, "words": ["export", "--output=./new.txt"]}),
        ("import time; print(1, flush=True); time.sleep(60)", {"timeout": 1}),
    ],
)
def test_a_process_without_a_fault(ended, code, attributes):
    if "sleep" in code:
        code = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143)); " + code
    assert ended(code, **attributes) == ""


@pytest.mark.parametrize(
    ("code", "attributes", "fault"),
    [
        ("1 / 0", {}, "a traceback"),
        ("1 / 0", {"stdout": "terminal"}, "without one line"),
        ("import sys; sys.exit(3)", {}, "exit status 3"),
        ("import os; os.abort()", {}, "exit status -6"),
        ("import sys; sys.exit(1)", {}, "without one line"),
        (ERROR + "print('more', file=sys.stderr); sys.exit(1)", {}, "without one line"),
        (ERROR + "print('Error: y', file=sys.stderr); sys.exit(1)", {}, "without one line"),
        (ERROR + "sys.exit(0)", {}, "an error, and exit status 0"),
        ("import sys; sys.exit(2)", {}, "exit status 2 without an error"),
        ("import sys; sys.exit('Error: ' + 'x' * 3000)", {}, "a line of 3,007 characters"),
        ("import sys; sys.stderr.write('\\x1b[31mred')", {}, "control characters"),
        ("import sys; sys.stderr.write('\\u202e')", {}, "control characters"),
        ("import sys; sys.stderr.buffer.write(b'\\xff')", {}, "no UTF-8"),
        ("print('\\x1b]0;title\\x07')", {"stdout": "terminal"}, "acts on the terminal"),
        ("print('\\x1b[0m')", {}, "styles"),
        ("""print('{"a": NaN}')""", {"wants_json": True}, "not JSON: NaN"),
        ("""print('{"a": -Infinity}')""", {"wants_json": True}, "not JSON: -Infinity"),
        ("print('[]')", {"wants_json": True}, "no object"),
        ("print('the fox')", {"wants_json": True}, "not JSON"),
        ("""print('{"a": "\\x9b"}')""", {"wants_json": True}, "control characters"),
        ("open('.new.7-00000000.tmp', 'w')", {"writes": True, "words": ["export", "."]}, "left behind"),
        ("open('new', 'w')", {}, "changed: 'here/new'"),
        ("open('new', 'w')", {"writes": True}, "changed: 'here/new'"),
        ("open('good.txt', 'a').write('x')", {"writes": True}, "changed: 'here/good.txt'"),
        ("import os; os.remove('good.txt')", {}, "changed: 'here/good.txt'"),
        ("open('../home/x', 'w')", {"writes": True}, "changed: 'home/x'"),
        (
            ERROR + "open('new', 'w'); sys.exit(1)",
            {"writes": True, "words": ["export", "new"]},
            "changed by a command that failed: 'here/new'",
        ),
        ("x = b'x' * 200_000_000", {"memory": 100}, " MB"),
        ("import time; time.sleep(60)", {"timeout": 1}, "silent to its time limit"),
        ("import time; time.sleep(60)", {"timeout": 1}, "exit status -15"),
    ],
)
def test_a_planted_fault_is_found(ended, code, attributes, fault):
    assert fault in ended(code, **attributes)


def test_a_fault_is_kept_and_ends_the_run(ended, tmp_path, capsys):
    world = World(tmp_path, (sys.executable, "-c", "1 / 0"))
    for name in ("empty.txt", "hostile.txt", "binary"):
        (tmp_path / "model" / "here" / name).touch()
    found = fuzz(world, range(50), most=3, kept=tmp_path / "kept")
    assert len(found) == 3
    assert "a traceback" in capsys.readouterr().out
    assert (tmp_path / "kept" / "0" / "command").read_text(errors="surrogateescape").startswith("charrnn ")
    assert (tmp_path / "kept" / "0" / "files" / "good.txt").read_text() == "the fox"


def test_names_that_are_no_utf_8_are_passed_on(ended):
    assert ended("import sys; open(sys.argv[2], 'w')", words=["info", EVIL]) == f"changed: {f'here/{EVIL}'!r}"
