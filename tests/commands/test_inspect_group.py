"""``charrnn inspect``: which subcommand the arguments mean; and old spellings, which are answered with the new ones."""

import shutil

import pytest
from command_line import invoke, succeed

SHORT = ("--length", 60, "-q")


@pytest.fixture
def found(model, tmp_path, monkeypatch):
    """A folder to be in, with a model that is called like a subcommand."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, "find")
    return tmp_path


def test_without_a_subcommand_it_shows(model, text):
    expected = succeed("inspect", "show", model, text, "--cell", "0:3", *SHORT).stdout
    assert expected.startswith("cell 0:3 ")
    assert succeed("inspect", model, text, "--cell", "0:3", *SHORT).stdout == expected
    assert succeed("inspect", "--cell", "0:3", *SHORT, model, text).stdout == expected
    assert succeed("inspect", "--cell=0:3", *SHORT, "--", model, text).stdout == expected


def test_options_may_stand_before_a_subcommand(model, text):
    options = ("--track", "word", "--permutations", 19, "--no-probe", "--json")
    expected = succeed("inspect", "find", model, text, *options).stdout
    assert succeed("inspect", "--json", "find", model, text, *options[:-1]).stdout == expected


def test_the_value_of_an_option_is_no_subcommand(model):
    shown = succeed("inspect", "--text", "find", model, "--cell", "0:3", "--unknown", "replace").stdout
    assert "find" in shown
    assert succeed("inspect", model, "--text", "find", "--cell", "0:3", "--unknown", "replace").stdout == shown


@pytest.mark.parametrize("spelling", [["./find"], ["show", "find"], ["--", "find"]])
def test_a_model_that_is_called_like_a_subcommand(found, text, spelling):
    result = succeed("inspect", *SHORT, "--cell", "0:3", *spelling, text)
    assert result.stdout.startswith("cell 0:3 ")


def test_its_bare_name_is_the_subcommand(found, text):
    result = invoke("inspect", "find", "--cell", "0:3", text)
    assert result.exit_code == 2
    assert "Usage: charrnn inspect find" in result.stderr


def test_a_typo_is_a_checkpoint_that_is_not_there(model):
    result = invoke("inspect", "fxyz", model)
    assert result.exit_code == 1
    assert "fxyz: no such checkpoint" in result.stderr
    result = invoke("inspect", "fnid", model)
    assert result.exit_code == 2
    assert "Did you mean the command 'find'?" in result.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("inspect M T --find quotes", "inspect find CHECKPOINT [TEXT] --track NAME"),
        ("inspect M T --find=all --cells 3", "inspect find CHECKPOINT [TEXT] --track NAME"),
        ("inspect M T --where x", "inspect find CHECKPOINT [TEXT] --where REGEX"),
        ("inspect M T --mask x.npy", "inspect find CHECKPOINT [TEXT] --mask FILE"),
        ("inspect M T --ablate 1:3", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT"),
        ("inspect M T --others 3 --find word --ablate 1:3", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT"),
        ("inspect M T --clamp mean", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT --at zero|mean|X"),
        ("inspect M T --moments x", "inspect similar CHECKPOINT [TEXT] --span REGEX|FROM:TO"),
        ("inspect M --pace 3 --follow", "inspect follow CHECKPOINT"),
        ("inspect M --history", "inspect history RUN"),
        ("inspect M T --find word --html x.html", "inspect page CHECKPOINT [TEXT] -o FILE.html"),
        ("inspect M T --svg x.svg", "inspect draw CHECKPOINT [TEXT] -o FILE.svg"),
        ("inspect M T --png x.png --dark", "inspect draw CHECKPOINT [TEXT] -o FILE.png"),
        ("inspect M T --npz x.npz", "inspect arrays CHECKPOINT [TEXT] -o FILE.npz"),
        ("inspect errors M --svg x.svg", "inspect errors CHECKPOINT [TEXT] -o FILE.svg"),
        ("inspect distance M T --png=x.png", "inspect distance CHECKPOINT [TEXT] -o FILE.png"),
        ("inspect find M T --png x.png", "inspect draw CHECKPOINT [TEXT] -o FILE.png"),
        ("inspect page M --html x.html", "inspect page CHECKPOINT [TEXT] -o FILE.html"),
        ("inspect saturation M --npz x.npz", "inspect arrays CHECKPOINT [TEXT] -o FILE.npz"),
        ("analyse saturation M", "inspect saturation CHECKPOINT [TEXT] [-o FILE.svg]"),
        ("analyse errors M --svg x.svg", "inspect errors CHECKPOINT [TEXT] [-o FILE.svg]"),
        ("analyse distance M", "inspect distance CHECKPOINT [TEXT] [-o FILE.svg]"),
        ("analyse", "inspect saturation, inspect errors, inspect distance"),
        ("evaluate M T --baselines --fit x", "baselines CHECKPOINT [TEXT]"),
        ("evaluate M --novelty-length 9 --novelty", "novelty CHECKPOINT"),
    ],
)
def test_old_spellings_are_answered_with_the_new_ones(old, new):
    result = invoke(*old.split())
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: `charrnn ")
    assert line.endswith(f"` is now: charrnn {new}")


def test_the_comparison_with_pytorch_is_a_benchmark():
    result = invoke("bench", "--compare-pytorch")
    assert result.exit_code == 2
    assert result.stderr == ("Error: `charrnn bench --compare-pytorch` is now: python benchmarks/against_pytorch.py\n")


def test_new_spellings_are_known():
    """The commands that old spellings lead to are there."""
    from charrnn.commands import COMMANDS, inspect, old_spellings

    for _, _, new in old_spellings._ROWS:
        command, *words = new.replace(",", "").split()
        assert command in COMMANDS
        assert command != "inspect" or words[0] in inspect.COMMANDS
