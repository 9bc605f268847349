"""``charrnn completion``: what shells are told."""

import os
import shutil
import subprocess
import sys

import pytest
import shells
from command_line import invoke, succeed


def answer(tmp_path, shell, **variables):
    """The lines with which the program answers a shell."""
    asked = {"_CHARRNN_COMPLETE": f"{shell}_complete"} | variables
    done = subprocess.run(
        [sys.executable, "-m", "charrnn"],
        env=os.environ | asked,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture
def here(tmp_path, model):
    shutil.copytree(model, tmp_path / "checkpoints" / "my run")
    shutil.copytree(model, tmp_path / "checkpoints" / "other")
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_script_for_each_shell(shell):
    script = succeed("completion", shell).stdout
    assert "_CHARRNN_COMPLETE" in script
    assert f"{shell}_complete" in script


def test_an_unknown_shell():
    assert invoke("completion", "csh").exit_code == 2


def test_bash(here):
    assert "plain,sample" in answer(here, "bash", COMP_WORDS="charrnn sa", COMP_CWORD="1")
    names = answer(here, "bash", COMP_WORDS="charrnn sample ", COMP_CWORD="2")
    assert names == ["plain,fables", "plain,my run", "plain,other", "file,"]
    assert "plain,--temperature" in answer(here, "bash", COMP_WORDS="charrnn sample other --temp", COMP_CWORD="3")


def test_powershell(here):
    sample = answer(here, "powershell", COMP_LINE="charrnn sa", COMP_WORD="sa")
    assert any(line.startswith("plain\tsample\t") for line in sample)
    names = ["plain\tfables\t", "plain\tmy run\t", "plain\tother\t", "file\t\t"]
    assert answer(here, "powershell", COMP_LINE="charrnn sample") == names  # an empty variable is none
    assert answer(here, "powershell", COMP_LINE="charrnn sample 'my", COMP_WORD="'my") == [names[1], "file\tmy\t"]
    assert answer(here, "powershell", COMP_LINE="charrnn train --name=o", COMP_WORD="--name=o") == [
        "plain\t--name=other\t"
    ]


def offered(tmp_path, *words):
    """What bash is offered for the last of the words."""
    asked = {"COMP_WORDS": "\n".join(["charrnn", *words]), "COMP_CWORD": str(len(words))}
    return [line for line in answer(tmp_path, "bash", **asked) if line]


@pytest.mark.parametrize(
    "words", [["train"], ["evaluate", "other"], ["inspect", "other"], ["inspect", "find", "other"], ["corpus", "stats"]]
)
def test_a_text_is_a_file_or_a_name_of_the_catalog(here, words):
    assert offered(here, *words, "f") == ["plain,fables", "file,f"]
    assert offered(here, *words, "tiny") == ["file,tiny"]  # it is not downloaded


def test_runs_downloads_hypotheses_and_signals(here):
    (here / "checkpoints" / "model.safetensors").touch()
    assert offered(here, "train", "--resume", "--name", "") == ["plain,my run", "plain,other"]
    assert offered(here, "train", "--out", ".", "--name", "") == []
    assert offered(here, "compare", "other", "m") == ["plain,model", "plain,my run", "file,m"]
    assert offered(here, "compare", "--against", "m") == ["plain,minutes"]
    assert offered(here, "train", "--name", "=", "o") == ["plain,other"]  # as bash takes --name=o apart
    assert offered(here, "corpus", "get", "tinysh") == ["plain,tinyshakespeare"]
    assert offered(here, "corpus", "get", "fab") == []  # comes with charrnn
    assert offered(here, "inspect", "find", "other", "--track", "q") == ["plain,quotes"]
    assert offered(here, "inspect", "find", "other", "--track", "al") == ["plain,all"]
    assert offered(here, "inspect", "ablate", "other", "--track", "al") == []
    assert offered(here, "inspect", "other", "--signal", "i,f") == ["plain,i,f"]
    assert offered(here, "inspect", "other", "--signal", "i,") == [f"plain,i,{name}" for name in "chifgorzn"]
    assert offered(here, "inspect", "find", "other", "--signal", "i,") == []


def test_help_offers_commands(here):
    assert offered(here, "help", "tr") == ["plain,train"]


def test_inspect_offers_what_show_takes(here):
    assert offered(here, "inspect", "f") == ["plain,find", "plain,follow", "plain,fables", "file,f"]
    assert offered(here, "inspect", "--surp") == ["plain,--surprise"]
    assert offered(here, "inspect", "--help") == ["plain,--help", "plain,--help-all"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_that_would_change_the_answer_are_left_out(here):
    for name in ("a\nplain,b", "a\x1b[31m", os.fsdecode(b"a\xff")):
        (here / "checkpoints" / name).mkdir()
        (here / "checkpoints" / name / "last.safetensors").touch()
    assert offered(here, "sample", "a") == ["file,a"]
    assert offered(here, "sample", os.fsdecode(b"a\xff")) == []


@pytest.mark.parametrize("line", ["charrnn sample ", "charrnn train f", "charrnn inspect find fables --signal "])
def test_the_answer_needs_no_numba(here, line):
    script = "import atexit, sys; atexit.register(lambda: print({'numpy', 'numba', 'rich'} & sys.modules.keys()))"
    asked = {"_CHARRNN_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nfrom charrnn.__main__ import main; main()"],
        env=os.environ | asked,
        cwd=here,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize("words", [["trian"], ["analyse", "other"], ["train", "--config", "none.toml"]])
def test_a_line_with_a_mistake_is_answered_without_a_message(here, words):
    found = offered(here, *words, "fab")
    assert found == (["plain,fables", "file,fab"] if words[0] == "train" else [])


@pytest.fixture(params=shells.STARTS)
def shell(request, here):
    """A shell in a folder with names that have to be quoted."""
    if not shells.is_here(request.param):
        pytest.skip(f"needs {request.param}")
    for name in ("mine.txt", "one text.txt", "c,", "cd", "corpus/it's $5.txt"):
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).touch()
    started = shells.Shell(request.param, here, here / "home")
    yield started
    started.close()


def test_lines_in_a_shell(shell):
    assert shell.type("charrnn train c,\t") == ["train", "c,"]
    assert shell.type("charrnn train on\t") == ["train", "one text.txt"]
    assert shell.type("charrnn train 'one t\t") == ["train", "one text.txt"]
    assert shell.type("charrnn evaluate my\tcorpus/i\t") == ["evaluate", "my run", "corpus/it's $5.txt"]
    assert shell.type("charrnn corp\tget tinysh\t") == ["corpus", "get", "tinyshakespeare"]  # no folder corpus/
    assert shell.type("charrnn train --res\t--name my\\ \t") == ["train", "--resume", "--name", "my run"]
    assert shell.type("charrnn train --resume --name=o\t") == ["train", "--resume", "--name=other"]
    assert shell.type('charrnn train --resume --name "my\t') == ["train", "--resume", "--name", "my run"]
    assert shell.type("charrnn inspect find other mi\t--track q\t")[-3:] == ["mine.txt", "--track", "quotes"]
