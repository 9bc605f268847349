"""Untrusted text on its way to a terminal: the bytes that arrive there, from every command that shows such text."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import ROOT, SMALL, run_cli, succeed
from forgeries import changed, rewritten
from harmless import harmless, read_all

from charrnn import commands
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.sanitise import visible

if not hasattr(os, "openpty"):
    pytest.skip("needs a pseudo-terminal", allow_module_level=True)

ATTACKS = (
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x1bP+q544e\x1b\\",
    "\x1b_apc\x1b\\\x1b^pm\x1b\\",
    "\x1b[2J\x1b[6n\x1bc",
    "\x9b2J\x9d0;c1\x9c\x90q\x9c\x85",
    "\u202egpj.exe\u2066\u2069\u200f",
    "\r\b\x7f\x01\x0b\x0c",
    "[red]markup[/] [/nothing] [link=http://evil]x[/link] :skull:",
)
HOSTILE = "".join(ATTACKS)
# In a file's name, which may have no zero byte and no slash, but bytes that are no UTF-8.
NAME = "evil\x1b]0;t\x07\x1b[31m\u202e\x9b2J[red]" + "\udcff"


@pytest.fixture
def terminal(monkeypatch):
    """``terminal(*arguments)``: what reaches a terminal of 100 columns that is both streams of a command."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "PAGER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "100", "LINES": "30"}.items():
        monkeypatch.setenv(name, value)

    def run(*arguments, status=0):
        master, slave = os.openpty()
        chunks = []
        reader = threading.Thread(target=read_all, args=(master, chunks), daemon=True)
        reader.start()
        with (
            os.fdopen(slave, "w", encoding="utf-8", errors="backslashreplace") as stream,
            monkeypatch.context() as patch,
        ):
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            patch.setattr(sys, "argv", ["charrnn", *map(str, arguments)])
            found = commands._run()
        reader.join(10)
        os.close(master)
        sent = b"".join(chunks)
        assert found == status, sent
        return sent

    return run


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """A text full of attacks, under a name that is one, and a run that has learnt it nearly by heart."""
    folder = tmp_path_factory.mktemp("untrusted")
    text = folder / f"{NAME}.txt"
    lines = [attack + "\n" for attack in ATTACKS] * 30
    try:
        text.write_text("".join(np.random.default_rng(3).permutation(lines)), encoding="utf-8")
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    succeed("train", text, "--out", folder, "--name", "run", *SMALL, "--steps", 60, "--lr", "0.02", "-q")
    return text, folder / "run"


def test_a_sample_is_harmless_on_a_terminal_and_exact_in_a_pipe(evil, terminal):
    _, model = evil
    prime = HOSTILE
    exact = run_cli("sample", model, "--length", 600, "--seed", 3, "--prime", prime)
    assert exact.returncode == 0, exact.stderr
    raw = exact.stdout.decode()
    assert len(raw) == 600 and raw != visible(raw)
    sent = terminal("sample", model, "--length", 600, "--seed", 3, "--prime", prime)
    # The terminal itself puts a return before every line feed.
    assert harmless(sent).replace("\r", "") == visible(prime) + visible(raw) + "\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--compare", "0.5,1", "--length", "200"],
        ["--count", "3", "--length", "200"],
        ["--json", "--length", "200"],
        ["--stop", "\x1b]0;title\x07", "--length", "200"],
    ],
)
def test_other_ways_to_sample_are_harmless(evil, terminal, arguments):
    harmless(terminal("sample", evil[1], "--seed", 3, "--prime", HOSTILE, *arguments))


def test_training_is_harmless(evil, terminal, tmp_path):
    options = ["--name", "run", *SMALL, "--steps", 40, "--eval-every", 20, "--sample-every", 20, "--diagnose"]
    shown = harmless(terminal("train", evil[0], "--out", tmp_path / NAME, *options))
    assert "sample at step 20" in shown
    assert "evil␛]0;t␇␛[31m" in shown
    assert "[red]" in shown


def test_training_with_json_and_from_plain_terminals_is_harmless(evil, terminal, tmp_path, monkeypatch):
    text, _ = evil
    options = ["--out", tmp_path / NAME, "--name", "run", *SMALL, "--steps", 10, "--sample-every", 5, "--force"]
    lines = harmless(terminal("train", text, *options, "--json")).splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert events[0]["path"] == str(tmp_path / NAME / "run")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in harmless(terminal("train", text, *options))


@pytest.mark.parametrize(
    "view", [[], ["--cell", "0:3"], ["--predictions"], ["--surprise"], ["--predictions", "--surprise"], ["--json"]]
)
def test_views_of_inspect_are_harmless(evil, terminal, view):
    text, model = evil
    harmless(terminal("inspect", model, text, "--length", 300, "--no-pager", *view))
    harmless(terminal("inspect", model, "--text", HOSTILE, "--unknown", "replace", "--no-pager", *view))


@pytest.mark.parametrize(
    "view",
    [
        ["find", "--track", "line", "--permutations", "19"],
        ["find", "--where", "\x1b.*?\x07", "--permutations", "19", "--no-probe"],
        ["show", "--cell", "0:1,1:2", "--no-pager"],
        ["similar", "--span", "\u202e.*", "--threshold", "0.001"],
        ["ablate", "--cell", "0:1", "--samples", "2", "--others", "1"],
        ["follow", "--cell", "0:3", "--seed", "1", "--length", "200", "--pace", "0", "--prime", HOSTILE],
    ],
)
def test_explanations_of_cells_are_harmless(evil, terminal, view):
    command, *options = view
    text = [] if command == "follow" else [evil[0]]
    shown = harmless(terminal("inspect", command, evil[1], *text, *options))
    assert visible("\x1b") in shown or command == "ablate" or "--track" in view


@pytest.mark.parametrize("view", ["find", "history", "draw", "page"])
def test_masks_and_pictures_of_hostile_text_are_harmless(evil, terminal, tmp_path, view):
    text, model = evil
    place = tmp_path / NAME
    place.mkdir()
    mask, out = place / "mask [red]\x1b[2J.txt", place / f"{NAME}.{'svg' if view == 'draw' else 'html'}"
    mask.write_text("".join("01"[sign == "\x1b"] for sign in text.read_text(encoding="utf-8")))
    extra = {"find": ["--permutations", "19"], "history": ["--no-pager"]}.get(view, ["-o", out])
    shown = harmless(terminal("inspect", view, model, text, *extra, "--mask", mask))
    mask.write_text("\x1b]0;t\x07")
    if view != "history":  # which has no snapshots, and so reads no mask
        assert visible(NAME[:5]) in harmless(terminal("inspect", view, model, text, *extra, "--mask", mask, status=1))
    if view in ("find", "draw", "page"):
        assert "evil" in shown or view == "find"
    if view in ("draw", "page"):
        content = out.read_bytes().decode("utf-8")  # no lone half of a character, no byte that is no UTF-8
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", content)
        assert "[red]" in content or "red" in content
    if view == "draw":
        ElementTree.fromstring(content)


def test_a_hostile_log_is_shown_harmlessly(evil, terminal, tmp_path):
    run = shutil.copytree(evil[1], tmp_path / NAME)
    log = run / "metrics.jsonl"
    sampled = json.dumps({"event": "sampled", "step": 1, "temperature": 0.8, "text": HOSTILE + "\ud800"})
    log.write_text(sampled + "\n")
    for extra in ([], ["--json"]):
        harmless(terminal("inspect", "history", run, evil[0], "--no-pager", *extra))
    log.write_text(json.dumps({"event": "\x1b]0;t\x07" * 99, "step": HOSTILE}) + "\n" + sampled[:-9] + "\n" + sampled)
    harmless(terminal("inspect", "history", run, evil[0], "--no-pager", status=1))


@pytest.mark.parametrize("what", ["saturation", "errors", "distance"])
def test_analyses_are_harmless(evil, terminal, what):
    harmless(terminal("inspect", what, evil[1], evil[0]))


def test_a_pager_gets_harmless_text(evil, terminal, tmp_path, monkeypatch):
    caught = tmp_path / "caught"
    monkeypatch.setenv("PAGER", f"tee {caught}")
    sent = terminal("inspect", evil[1], evil[0], "--length", 3000, "--predictions")
    assert len(caught.read_bytes()) > 3000
    harmless(caught.read_bytes())
    assert b"\x1b]" not in sent


@pytest.mark.parametrize(
    "command", [["evaluate"], ["evaluate", "--json"], ["novelty", "--length", "300"], ["baselines"]]
)
def test_evaluations_are_harmless(evil, terminal, command):
    name, *options = command
    harmless(terminal(name, evil[1], evil[0], *options))


def test_texts_are_described_harmlessly(evil, terminal):
    shown = harmless(terminal("corpus", "stats", evil[0]))
    assert "evil␛]0;t␇" in shown
    assert "U+001B" in shown
    harmless(terminal("corpus", "stats", evil[0], "--json"))
    harmless(terminal("corpus", "list"))


@pytest.fixture(scope="module")
def forgery(tmp_path_factory, evil):
    """A checkpoint that says hostile things of itself."""
    path = tmp_path_factory.mktemp("forgery") / f"{NAME}.safetensors"
    data = (evil[1] / "last.safetensors").read_bytes()
    surrogates = HOSTILE + "\0\ud800"
    for place in ("corpus.sources", "corpus.paths"):
        data = rewritten(data, changed(place, [surrogates, HOSTILE]))
    for place in ("corpus.sha256", "corpus.init_from", "version"):
        data = rewritten(data, changed(place, surrogates))
    path.write_bytes(data)
    Checkpoint.load(path)
    return path


def test_a_comparison_is_harmless(evil, forgery, terminal, tmp_path):
    shown = harmless(terminal("compare", forgery, evil[1], "--prime", HOSTILE, "--length", 200))
    assert "evil␛]0;t␇␛[31m" in shown and "[red]" in shown and "[/nothing]" in shown and ":skull:" in shown
    harmless(terminal("compare", forgery, evil[1], "--length", 50, "--json"))
    picture = tmp_path / f"{NAME}.svg"
    harmless(terminal("compare", forgery, evil[1], "--length", 0, "-o", picture))
    assert "evil␛]0;t␇" in "".join(ElementTree.fromstring(picture.read_bytes()).itertext())


def test_info_is_harmless(forgery, terminal):
    shown = harmless(terminal("info", forgery))
    assert "␛]52;c;cm0gLXJm␇" in shown and "[/nothing]" in shown and ":skull:" in shown
    harmless(terminal("info", forgery, "--json"))


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["evaluate", "FORGERY"], 1),  # its text is not there
        (["evaluate", "FORGERY", "--part", "test"], 1),
        (["info", f"no{NAME}"], 1),
        (["sample", f"no{NAME}"], 1),
        (["sample", "FORGERY", "--with", f"no{NAME}"], 1),
        (["sample", "FORGERY", "--prime", "漢\x1b]0;x\x07"], 1),
        (["inspect", "FORGERY", "--text", "漢\u202e\x9b"], 1),
        (["inspect", "FORGERY", f"no{NAME}"], 1),
        (["compare", "FORGERY", f"no{NAME}"], 1),
        (["compare", "FORGERY", "--prime", "漢\x1b]0;x\x07"], 1),
        (["train", f"no{NAME}"], 2),  # its name would be the run's
        (["train", f"no{NAME}", "--name", "run"], 1),
        (["train", "TEXT", "--name", f"x{NAME}"], 2),
        (["train", "TEXT", "--name", "run", "--encoding", NAME], 1),
        (["train", "TEXT", "--split", HOSTILE], 2),
        (["train", "TEXT", "--hidden", HOSTILE], 2),
        (["train", "TEXT", "--optimizer", HOSTILE], 2),
        (["train", "TEXT", "--time-budget", HOSTILE], 2),
        (["train", "TEXT", "--lr", "\x1b[31m1"], 2),
        (["train", "TEXT", f"--{NAME}"], 2),
        (["train", "TEXT", f"-{NAME}"], 2),
        (["train", "TEXT", f"--name={NAME}", f"--hiden={HOSTILE}"], 2),
        (["train", "TEXT", "--config", f"no{NAME}"], 1),
        (["train", "TEXT", "--config", "CONFIG"], 1),
        (["sample", "FORGERY", HOSTILE, NAME], 2),
        (["sample", "FORGERY", "--compare", HOSTILE], 2),
        (["sample", "FORGERY", "--prime-file", f"no{NAME}"], 2),
        (["inspect", "FORGERY", "--text", "x", "--cell", HOSTILE], 2),
        (["evaluate", "FORGERY", "--part", HOSTILE], 2),
        (["corpus", "get", HOSTILE], 1),
        (["corpus", HOSTILE], 2),
        (["corpus", "stats", f"no{NAME}"], 1),
        (["corpus", "python", "--output", f"{NAME}/x"], 1),
        ([HOSTILE], 2),
        ([f"--{HOSTILE}"], 2),
        (["info", "FOREIGN"], 1),
    ],
)
def test_errors_are_harmless(evil, forgery, terminal, tmp_path, monkeypatch, arguments, status):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").write_text('"evil\\u001b]0;x\\u0007\\u202e[red]" = 3\n')
    foreign = tmp_path / NAME
    foreign.write_bytes((20).to_bytes(8, "little") + b'{"\x1b]0;x\x07\xc2\x9b": 1, 2}')
    places = {"TEXT": evil[0], "FORGERY": forgery, "CONFIG": tmp_path / "config", "FOREIGN": foreign}
    shown = harmless(terminal(*(places.get(each, each) for each in arguments), status=status))
    assert "rror: " in shown
    if status == 1:
        assert len([line for line in shown.splitlines() if "Error: " in line]) == 1


def test_a_whole_process_on_a_terminal(forgery):
    """Once as users do it: a process, its own terminal, and nothing patched."""
    script = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    process = subprocess.run(
        [sys.executable, "-c", script, sys.executable, "-m", "charrnn", "info", str(forgery)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color"},
        check=False,
    )
    assert process.returncode == 0
    assert "␛]52;c;cm0gLXJm␇" in harmless(process.stdout)


def test_piped_output_is_exact(forgery, evil):
    found = json.loads(run_cli("info", forgery, "--json").stdout)
    assert found["corpus"]["sources"][1] == HOSTILE
    assert found["corpus"]["init_from"] == HOSTILE + "\0\ud800"
    assert "\x1b" in found["path"]
    counts = json.loads(run_cli("corpus", "stats", evil[0], "--json").stdout)["counts"]
    assert counts["\x1b"] == evil[0].read_text(encoding="utf-8").count("\x1b")
