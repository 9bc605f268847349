"""``charrnn write``: the screen, driven through a pseudo-terminal, and --serve."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from command_line import FABLES, ROOT, invoke, run_cli

import charrnn
from charrnn.writing.session import Session

pytest.importorskip("prompt_toolkit")
if os.name != "nt":
    from terminal_screen import Program

on_terminal = pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals")
UP, DOWN, RIGHT, LEFT, SHIFT_RIGHT, CTRL_LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[1;2C", "\x1b[1;5D"
CTRL_HOME, CTRL_END, PAGE_UP, PAGE_DOWN, F1, F2 = "\x1b[1;5H", "\x1b[1;5F", "\x1b[5~", "\x1b[6~", "\x1bOP", "\x1bOQ"
TAB, ENTER, BACKSPACE, ESCAPE = "\t", "\r", "\x7f", "\x1b"
TEXT = 'The fox met the heron.\n\n"Good'
PLAIN_STYLES = {"", "0", "0;1", "0;7", "1", "7", "39", "49"}


def ctrl(letter):
    return chr(ord(letter) - 64)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "story.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def start(model, file):
    """``start(...)``: the program with the text open, when its first continuation is shown."""
    programs = []

    def run(*arguments, named=True, ready="word", **how):
        if not programs:
            how.setdefault("columns", 60)
        program = Program("write", model, *([file] if named else []), *arguments, **how)
        programs.append(program)
        program.wait(ready)
        program.settle()
        return program

    yield run
    for program in programs:
        program.__exit__()


@pytest.fixture(scope="module")
def model():
    """The model that comes with charrnn: what it writes is worth a look."""
    return ROOT / "checkpoints" / "fables.safetensors"


@pytest.fixture(scope="module")
def loaded(model):
    return charrnn.load(model)


def said(loaded, text, **how):
    return Session(loaded, text, **how)


def quit_with(program, key="Q"):
    program.type(ctrl(key))
    return program.end()


@on_terminal
@pytest.mark.parametrize("columns", [60, 100])
def test_the_continuation_is_grey_and_tab_and_right_take_it(start, file, loaded, columns):
    program = start(columns=columns)
    session = said(loaded, TEXT)
    ghost = session.continuation().partition("\n")[0]
    assert program.screen.lines[0] == "The fox met the heron."
    assert program.screen.lines[2].startswith('"Good' + ghost[:20])
    assert set(program.screen.style_of(ghost[:10])) != {""}
    assert (program.screen.row, program.screen.column) == (2, 5)
    assert program.screen.lines[-2].startswith("story.txt saved · most probable · temperature 0.8")
    assert "Tab word" in program.screen.lines[-1] and "F1 keys" in program.screen.lines[-1]
    for guess in session.guesses():
        name = {" ": "␣", "\n": "↵"}.get(guess.character, guess.character)
        percent = f"{100 * guess.probability:.0f}%" if guess.probability >= 0.005 else "<1%"
        assert name in program.screen.lines[-3] and percent in program.screen.lines[-3]
    word = session.take_word()
    program.type(TAB)
    program.wait("changed")
    character = session.take_character()
    program.type(RIGHT)
    program.settle()
    assert quit_with(program)[0] == 0
    assert file.read_text() == TEXT + word + character
    assert not program.screen.alternate and program.screen.shows_cursor
    assert program.screen.unknown == []


@on_terminal
def test_typing_moving_undo_and_redo(start, file):
    program = start()
    program.type(" morning")
    program.type(CTRL_LEFT + BACKSPACE + "-")
    program.type(CTRL_HOME + "A" + ENTER)
    program.wait("A")
    program.type(ctrl("Z") + ctrl("_") + ctrl("Y"))
    program.wait(lambda screen: screen.lines[0] == "The fox met the heron.")
    assert quit_with(program) == (0, "")
    assert file.read_text() == 'The fox met the heron.\n\n"Good-morning'


@on_terminal
def test_other_continuations_seeds_and_temperatures(start, loaded):
    program = start(columns=100)

    def shown(number, **how):
        ghost = said(loaded, TEXT, choice=charrnn.inference.sampler.Choice(how.pop("temperature", 0.8)), **how)
        return ghost.continuation(number).partition("\n")[0][:30].rstrip()

    program.type(DOWN)
    program.wait("drawn 1")
    program.wait('"Good' + shown(1))
    program.type(DOWN)
    program.wait('"Good' + shown(2))
    program.type(ctrl("R"))
    program.wait("seed 1")
    program.wait('"Good' + shown(2, seed=1))
    program.type(ctrl("T"))
    program.wait("Temperature")
    program.type(UP + UP)
    program.wait("1")
    program.type(ENTER)
    program.wait("temperature 1 ")
    program.wait('"Good' + shown(2, seed=1, temperature=1.0))
    program.type(ctrl("T") + ctrl("U") + "hot" + ENTER)
    program.wait("the temperature is a number from 0 to 100, not 'hot'")
    program.type(UP + UP)
    program.wait("most probable")
    program.type(UP)
    program.wait("this is the most probable continuation")
    program.type(F2)
    program.wait("continuations off: Up, Down")
    assert not any(shown(0)[:8] in line for line in program.screen.lines[2:3])
    program.type(UP + "X")
    program.wait(lambda screen: screen.lines[1] == "X")


@on_terminal
def test_a_cell_colours_the_text_with_a_legend(start):
    program = start("--cell", "1:3", environment={"COLORTERM": "truecolor"})
    program.wait("cell 1:3 c, here")
    styles = program.screen.style_of("The fox")
    assert all("48;2" in style for style in styles)
    assert len(set(styles)) > 2
    program.type(ctrl("L") + ctrl("U") + "0:5 f" + ENTER)
    program.wait("cell 0:5 f, here")
    program.wait("0 ")
    program.type(ctrl("L") + ctrl("U") + "0:999" + ENTER)
    program.wait("there is no cell 0:999: layers are 0 to 1, units 0 to 159")
    program.type(ctrl("L") + ctrl("U") + ENTER)
    program.wait(lambda screen: not any("cell 0:5" in line for line in screen.lines))
    program.settle()
    assert set(program.screen.style_of("The fox")) <= {"", "39;49", "39", "49"}


@on_terminal
@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("columns", [60, 100])
def test_without_colours_the_screen_says_the_same_in_characters(start, loaded, environment, columns):
    program = start("--cell", "1:3", columns=columns, environment=environment)
    program.wait("cell 1:3 c, here")
    ghost = said(loaded, TEXT).continuation().partition("\n")[0]
    lines = program.settle()
    assert lines[0] == "The fox met the heron."
    assert set(lines[1]) <= set("=-:. '\"+#")
    assert lines[1].strip()
    assert f'"Good‹{ghost}'[:30] in lines[4]
    assert "=-:. '\"+# +1" in lines[-3]
    assert program.screen.styles_seen <= PLAIN_STYLES
    if environment.get("TERM") == "dumb":
        assert not program.screen.styles_seen & {"0;1", "0;7"}
    program.type(TAB)
    program.wait("changed")


@on_terminal
def test_the_page_of_keys(start):
    program = start(rows=12)
    program.type(F1)
    program.wait("take a word of the continuation")
    program.type(DOWN + DOWN + DOWN)
    program.wait("Ctrl-C          save and end, with exit status 130")
    program.type("x")
    lines = program.wait("F1 keys")
    assert lines[0] == "The fox met the heron."
    assert "saved" in lines[-2]


@on_terminal
def test_keys_without_a_meaning_do_nothing(start, file):
    program = start()
    program.type("\x1b[15~\x1b[2~\x00\x1b[1;3P\x1b[57;9u\x1bOz\x1b\r\x1bq")
    program.settle()
    assert program.screen.lines[-2].startswith("story.txt saved")
    program.type(ctrl("L") + "\x1b[15~" + "\x1b[C" + ENTER + ESCAPE)
    program.settle()
    assert program.screen.lines[0] == "The fox met the heron."
    assert quit_with(program)[0] == 0
    assert file.read_text() == TEXT


@on_terminal
def test_saving_now(start, file):
    program = start()
    program.type("!" + ctrl("S"))
    program.wait(f"saved, {len(TEXT) + 1} characters")
    assert file.read_text() == TEXT + "!"
    program.type("?")
    program.wait("story.txt changed")
    assert quit_with(program, "X") == (0, "")
    assert file.read_text() == TEXT + "!?"


@on_terminal
@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda program: program.type(ctrl("C")), 130),
        (lambda program: program.process.send_signal(signal.SIGINT), 130),
        (lambda program: program.process.send_signal(signal.SIGTERM), 143),
        (lambda program: program.process.send_signal(signal.SIGHUP), 129),
    ],
)
def test_whatever_ends_it_the_text_is_saved(start, file, end, status):
    program = start()
    program.type(" day")
    program.wait("changed")
    end(program)
    found, errors = program.end()
    assert found == status
    assert errors == f"{file}: saved, {len(TEXT) + 4} characters\n"
    assert file.read_text() == TEXT + " day"
    assert not program.screen.alternate and program.screen.shows_cursor


@on_terminal
def test_a_terminal_that_goes_away_loses_nothing(start, file):
    program = start()
    program.type(" day")
    program.wait("changed")
    program.hang_up()
    program.process.wait(20)
    assert program.process.returncode in (129, -signal.SIGHUP), program.process.stderr.read()
    assert file.read_text() == TEXT + " day"


@on_terminal
def test_a_terminal_that_takes_nothing_any_more_loses_nothing(start, file):
    program = start()
    program.type("x" * 3000)
    time.sleep(1)  # nobody reads
    program.type(PAGE_UP + PAGE_DOWN * 200)
    time.sleep(1)
    program.process.send_signal(signal.SIGTERM)
    program.process.wait(20)
    assert "x" * 1000 in file.read_text()


@on_terminal
def test_a_killed_process_loses_only_what_came_after_the_last_autosave(start, file, tmp_path, monkeypatch):
    soon = "import charrnn.display.writing.screen as screen; screen.AUTOSAVE = 0.2"
    program = start(before=soon)
    program.type(" day")
    program.wait(lambda screen: file.read_text() == TEXT + " day")
    program.process.kill()
    program.process.wait()
    assert file.read_text() == TEXT + " day"


@on_terminal
def test_without_a_file_the_text_goes_to_standard_output(start):
    program = start(named=False)
    program.type("A fox" + ENTER + "and")
    program.wait("no file")
    program.type(ctrl("S"))
    program.wait("no file: the text goes to standard output at the end")
    assert quit_with(program) == (0, "")
    assert program.screen.lines[:2] == ["A fox", "and"]


@on_terminal
def test_without_a_file_a_killed_process_leaves_its_text(start, tmp_path):
    cache = {"CHARRNN_CACHE": os.environ["CHARRNN_CACHE"]}
    soon = f"""
import charrnn.display.writing.screen as screen, charrnn.system.folders as folders, pathlib
screen.AUTOSAVE = 0.2
kept = folders.cache_folder
import charrnn.writing.manuscript as manuscript
before = manuscript.Recovery.__init__
manuscript.Recovery.__init__ = lambda self, folder: before(self, pathlib.Path({str(tmp_path)!r}) / "drafts")
"""
    program = start(named=False, before=soon, environment=cache)
    program.type("A fox")
    end = time.monotonic() + 60
    while not list(tmp_path.glob("drafts/*.txt")):
        assert time.monotonic() < end
        program.read(0.05)
    program.process.kill()
    program.process.wait()
    (left,) = tmp_path.glob("drafts/*.txt")
    assert left.read_text() == "A fox"
    again = start(named=False, before=soon, environment=cache)
    _, errors = quit_with(again)
    assert errors == f"An earlier session was killed; its text is in {left}.\n"
    assert left.exists()


@on_terminal
def test_another_programs_changes_are_said_and_not_overwritten(start, file):
    program = start()
    file.write_text("theirs")
    program.type("!" + ctrl("S"))
    program.wait("changed by another program: ^S overwrites, ^Q keeps both")
    assert file.read_text() == "theirs"
    program.type("?")
    program.settle()
    program.type(ctrl("S"))
    program.wait("changed by another program: ^S overwrites, ^Q keeps both")
    assert file.read_text() == "theirs"
    program.type(ctrl("S"))
    program.wait("saved,")
    assert file.read_text() == TEXT + "!?"
    file.write_text("theirs again")
    program.type("x" + ctrl("Q"))
    program.wait("changed by another program: ^S overwrites, ^Q keeps both")
    status, errors = quit_with(program)
    beside = file.with_name("story.txt.mine-1")
    assert (status, errors) == (0, f"Warning: {file}: another program has changed it; this text is in {beside}\n")
    assert (file.read_text(), beside.read_text()) == ("theirs again", TEXT + "!?x")


@on_terminal
def test_another_programs_changes_are_said_before_anything_is_written(start, file):
    program = start(before="import charrnn.display.writing.screen as screen; screen.AUTOSAVE = 0.2", columns=100)
    file.write_text("theirs")
    program.wait("another program has changed the file")
    program.type("!")
    program.wait("changed by another program: ^S overwrites, ^Q keeps both")
    assert quit_with(program)[0] == 0
    assert file.read_text() == "theirs"
    assert file.with_name("story.txt.mine-1").read_text() == TEXT + "!"


@on_terminal
def test_a_large_paste_comes_whole(start, file):
    program = start()
    pasted = FABLES.read_text()[:60_000].replace("\n", "\r\n")
    for first in range(0, len(pasted), 1000):
        part = pasted[first : first + 1000]
        begin, end = "\x1b[200~" if first == 0 else "", "\x1b[201~" if first + 1000 >= len(pasted) else ""
        program.type(begin + part + end)
        program.read()
    program.wait("changed")
    program.settle(1)
    program.type(ctrl("Z"))
    program.wait("saved")
    program.type(ctrl("Y"))
    program.wait("changed")
    assert quit_with(program)[0] == 0
    assert file.read_text() == TEXT + pasted.replace("\r\n", "\n")


@on_terminal
def test_another_size_of_the_terminal(start):
    program = start(columns=100, rows=30)
    for columns, rows in ((60, 12), (20, 6), (120, 40), (60, 3), (8, 2), (1, 1), (60, 20)):
        program.resize(columns, rows)
        program.wait(lambda screen: any(screen.lines), 10)
        program.settle()
    lines = program.screen.lines
    assert lines[0] == "The fox met the heron."
    assert lines[-2].startswith("story.txt saved")


@on_terminal
def test_wide_combining_and_hostile_characters(start, file):
    hostile = "漢字\x1b]0;title\x07\x1b[2J\u202egpj e\u0301 🦊\n"
    file.write_text(hostile, newline="")
    program = start()
    assert program.screen.lines[0] == "漢字␛]0;title␇␛[2J\ufffdgpj e\u0301 🦊"
    assert program.screen.unknown == []
    program.type("漢é" + BACKSPACE + CTRL_HOME + RIGHT)
    program.wait(lambda screen: (screen.row, screen.column) == (0, 2))
    assert quit_with(program)[0] == 0
    assert file.read_text() == hostile + "漢"


@on_terminal
def test_bytes_that_are_not_utf_8_are_refused(model, tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xe9")
    with Program("write", model, path) as program:
        assert program.end() == (
            1,
            f"Error: {path}: byte 0xE9 at offset 3 (line 1) is not UTF-8; convert it first\n",
        )


@on_terminal
def test_a_megabyte_opens_quickly_and_the_end_is_shown(start, file):
    text = (FABLES.read_text() * 10)[:1_000_000]
    file.write_text(text)
    begun = time.monotonic()
    program = start(ready="the model reads 1,000 to 3,000 characters before the cursor")
    assert time.monotonic() - begun < 60  # most of it is the start of Python
    program.type("!")
    program.wait("changed")
    assert quit_with(program)[0] == 0
    assert file.read_text() == text + "!"


@on_terminal
def test_unknown_characters_are_said(start, file):
    file.write_text("ßß")
    program = start(columns=100)
    program.wait("2 unknown characters")


@on_terminal
def test_without_prompt_toolkit_it_says_what_to_install(model):
    hidden = "import sys; sys.modules['prompt_toolkit'] = None"
    with Program("write", model, before=hidden) as program:
        status, errors = program.end()
    assert status == 1
    assert errors == (
        "Error: the screen needs prompt_toolkit: pip install prompt_toolkit, where charrnn is installed; "
        "--serve works without it\n"
    )


def test_without_a_terminal_it_names_serve(model):
    result = run_cli("write", model)
    assert result.returncode == 2
    assert b"must be a terminal; --serve answers requests without one" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--serve", "story.txt"], "--serve and FILE exclude each other"),
        (["--serve", "--signal", "f"], "name a cell, too"),
        (["--serve", "--cell", "0:1,0:2"], "one cell colours the text"),
        (["--serve", "--cell", "x"], "is not LAYER:UNIT"),
        (["--serve", "--length", "0"], "must be at least 1"),
        (["--serve", "--unknown", "error"], "is not one of"),
    ],
)
def test_wrong_usage(model, arguments, message):
    result = invoke("write", model, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_cell_that_is_not_there(model):
    result = invoke("write", model, "--serve", "--cell", "7:0")
    assert result.exit_code == 1
    assert "there is no cell 7:0" in result.stderr


# ---- --serve


def test_serve_answers_line_by_line_and_ends_with_the_input(model, loaded):
    environment = os.environ | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    with subprocess.Popen(
        [sys.executable, "-m", "charrnn", "write", str(model), "--serve", "--seed", "3", "-n", "15"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    ) as process:  # fmt: skip

        def ask(line):
            process.stdin.write(line + b"\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        assert ask(b'{"id":1,"op":"text","text":"The fox"}') == {"id": 1, "length": 7, "cursor": 7}
        found = ask(b'{"id":2,"op":"continue","count":2}')
        session = Session(loaded, "The fox", seed=3, length=15, choice=charrnn.inference.sampler.Choice(0.8))
        assert [each["text"] for each in found["candidates"]] == [session.continuation(0), session.continuation(1)]
        assert "error" in ask(b"nonsense \xff")
        assert "error" in ask(b"[" * 5000)
        assert ask(b'{"id":"x","op":"info"}')["settings"]["seed"] == 3
        process.stdin.close()
        assert process.wait(20) == 0
        assert process.stderr.read() == b""


def test_serve_needs_no_prompt_toolkit_and_skips_empty_lines(model):
    code = "import sys; sys.modules['prompt_toolkit'] = None; from charrnn.__main__ import main; main()"
    lines = b'\n\n{"op":"info"}\n  \n{"op":"edit","insert":"a"}'
    found = subprocess.run(
        [sys.executable, "-c", code, "write", str(model), "--serve"], input=lines, capture_output=True, timeout=60
    )
    answers = found.stdout.splitlines()
    assert (found.returncode, len(answers)) == (0, 2)
    assert json.loads(answers[1]) == {"id": None, "length": 1, "cursor": 1}


def test_serve_ends_quietly_when_nobody_reads(model):
    process = subprocess.Popen(
        [sys.executable, "-m", "charrnn", "write", str(model), "--serve"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        process.stdout.close()
        process.stdin.write(b'{"op":"info"}\n' * 3)
        process.stdin.close()
        assert process.wait(20) == 141
        assert process.stderr.read() == b""


def test_a_line_that_is_too_long_is_answered_and_the_next_one_is_read(model, monkeypatch):
    from charrnn.writing import answers

    monkeypatch.setattr(answers, "LONGEST_LINE", 100)
    lines = b'{"op":"text","text":"' + b"x" * 200_000 + b'"}\n{"op":"text"}\n'
    found = [json.loads(line) for line in invoke("write", model, "--serve", input=lines).stdout.splitlines()]
    assert "at most 100 bytes" in found[0]["error"]
    assert found[1:] == [{"id": None, "length": 0, "cursor": 0}]


def test_no_other_command_imports_prompt_toolkit(model):
    code = (
        "import sys; from charrnn.commands import charrnn\n"
        "try: charrnn.main(sys.argv[1:], standalone_mode=False)\n"
        "finally: print(); print([name for name in sys.modules if name.startswith('prompt_toolkit')])"
    )
    for arguments in (["write", "--help"], ["sample", str(model), "-n", "5"], ["write", str(model), "--serve"]):
        found = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, input=""
        )
        assert found.stdout.splitlines()[-1] == "[]", arguments
