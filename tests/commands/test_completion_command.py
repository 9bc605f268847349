"""``charrnn completion``: what shells are told."""

import os
import shutil
import subprocess
import sys

import pytest
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
    assert {"plain,my run", "plain,other"} <= set(names)
    assert "plain,--temperature" in answer(here, "bash", COMP_WORDS="charrnn sample other --temp", COMP_CWORD="3")


def test_powershell(here):
    assert any(
        line.startswith("sample\t") for line in answer(here, "powershell", COMP_LINE="charrnn sa", COMP_WORD="sa")
    )
    assert answer(here, "powershell", COMP_LINE="charrnn sample", COMP_WORD="") == ["fables\t", "my run\t", "other\t"]
    assert answer(here, "powershell", COMP_LINE="charrnn sample o", COMP_WORD="o") == ["other\t"]


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_the_script_runs_in_bash(here, tmp_path):
    program = tmp_path / "charrnn"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m charrnn "$@"\n')
    program.chmod(0o755)
    script = """
eval "$(charrnn completion bash)"
COMP_WORDS=(charrnn sample ot) COMP_CWORD=2
_charrnn_completion charrnn
echo "${COMPREPLY[@]}"
"""
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-c", script], env=os.environ | {"PATH": path}, cwd=here, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["other"]
