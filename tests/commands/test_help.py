"""``--help`` fits a screen, and ``--help-all`` has everything."""

import os
import re

import click
import pytest
from command_line import invoke, run_cli, succeed

from charrnn.commands import charrnn as command

WIDTH, LINES = 98, 40  # on a terminal of 100 columns, of which click leaves two


def walk(group, path=()):
    """(words, command) of all commands, groups among them."""
    yield path, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            yield from walk(group.get_command(context, name), (*path, name))


EVERY = list(walk(command))


def help_of(path, which):
    """The lines of a help on a wide terminal."""
    return succeed(*path, which, terminal_width=WIDTH).stdout.splitlines()


@pytest.mark.parametrize(("path", "each"), EVERY, ids=lambda value: " ".join(value) if type(value) is tuple else "")
def test_help_fits_a_screen_and_help_all_has_every_option(path, each):
    short, whole = help_of(path, "--help"), help_of(path, "--help-all")
    assert len(short) <= LINES
    assert max(map(len, short + whole)) <= WIDTH
    assert short == help_of(path, "-h")
    listed = {word.strip(",") for line in whole for word in line.split()}
    options = [param for param in each.params if isinstance(param, click.Option)]
    for option in options:
        assert set(option.opts) <= listed, option.opts
    rare = [option for option in options if getattr(option, "rare", False)]
    briefly = {word.strip(",") for line in short for word in line.split()}
    assert not any(option.opts[-1] in briefly for option in rare)
    assert {"--help-all", "--help"} <= briefly


@pytest.mark.parametrize(("path", "each"), EVERY, ids=lambda value: " ".join(value) if type(value) is tuple else "")
def test_every_command_has_an_example(path, each):
    if path and path[0] != "corpus":
        # `inspect show` is best written without its name.
        spelled = " ".join(path).replace("inspect show", "inspect")
        assert any(line.startswith(f"  charrnn {spelled}") for line in help_of(path, "--help"))


def test_sections_stand_in_the_whole_help_only():
    assert "How long:" in help_of(["train"], "--help-all")
    assert "How long:" not in help_of(["train"], "--help")
    short, whole = "\n".join(help_of(["train"], "--help")), "\n".join(help_of(["train"], "--help-all"))
    assert "--json writes" in whole and "--json writes" not in short


def test_help_all_of_a_command_leaves_the_next_help_short():
    assert len(help_of(["train"], "--help-all")) > LINES
    assert len(help_of(["train"], "--help")) <= LINES


def test_help_of_inspect_tells_of_both():
    lines = help_of(["inspect"], "--help")
    assert any(line.split()[:1] == ["find"] for line in lines)
    assert any(line.split()[:1] == ["--predictions"] for line in lines)
    assert "./find" in "\n".join(help_of(["inspect"], "--help-all"))


def test_a_group_without_arguments_shows_its_help():
    result = invoke("inspect")
    assert result.exit_code == 2
    assert result.stderr == succeed("inspect", "--help").stdout


def test_help_of_train_begins_with_the_options_that_people_use():
    lines = help_of(["train"], "--help")
    listed = [line.split()[0] for line in lines[lines.index("Options:") :] if line.startswith("  --")]
    assert listed[:11] == [
        *("--time-budget", "--name", "--resume", "--force", "--preset"),
        *("--cell", "--hidden", "--layers", "--dropout", "--epochs", "--seed"),
    ]


def shown(*arguments, color=True, **environment):
    """What a command writes; ``color`` says whether to a terminal."""
    usual = {"NO_COLOR": None, "FORCE_COLOR": None, "TERM": "xterm-256color", "COLUMNS": "100"}
    return succeed(*arguments, color=color, env=usual | environment).stdout


# Examples, and options with all their values, are not broken.
UNBROKEN = re.compile(r"  (charrnn .*|--\w+ \[\S*\])$")


@pytest.mark.parametrize("which", ["--help", "--help-all"])
@pytest.mark.parametrize(("path", "each"), EVERY, ids=lambda value: " ".join(value) if type(value) is tuple else "")
def test_help_is_as_wide_as_the_terminal(path, each, which):
    sizes = (60, 80, 100, 140)
    lines = {columns: shown(*path, which, color=False, COLUMNS=str(columns)).splitlines() for columns in sizes}
    for columns in sizes:
        assert all(len(line) < columns or UNBROKEN.match(line) for line in lines[columns])
    counts = [len(lines[columns]) for columns in sizes]
    assert counts == sorted(counts, reverse=True)
    prose = lines[140][: lines[140].index(next(line for line in lines[140] if re.match(r"\w.*:$", line)))]
    assert max(map(len, prose)) <= 100


def test_a_wide_terminal_is_used():
    assert 120 < max(map(len, help_of_columns(140))) < 140
    assert len(help_of_columns(140)) < len(help_of_columns(60)) / 1.5


def help_of_columns(columns):
    return shown("train", "--help-all", color=False, COLUMNS=str(columns)).splitlines()


def test_colours_on_a_terminal():
    help_text = shown("train", "--help")
    for seen in ("\x1b[1mUsage:\x1b[0m charrnn train", "\x1b[1mOptions:\x1b[0m", "  \x1b[36m--hidden\x1b[0m N  "):
        assert seen in help_text
    assert "\x1b[36m-q\x1b[0m, \x1b[36m--quiet\x1b[0m" in help_text
    assert "  \x1b[36mtrain\x1b[0m  " in shown("--help")
    # The codes take no place.
    assert click.unstyle(help_text) == shown("train", "--help", color=False)


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_no_colours_where_they_are_not_wanted(environment):
    assert "\x1b" not in shown("train", "--help", **environment)
    assert "\x1b" not in shown("train", "--help-all", **environment)


def test_no_colours_in_a_pipe_unless_forced():
    assert "\x1b" not in shown("train", "--help", color=False)
    assert "\x1b[36m" in shown("train", "--help", color=False, FORCE_COLOR="1")


def test_errors_show_no_codes_of_colours():
    error = run_cli("inspect", "find", env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"}).stderr.decode()
    assert error.startswith("Usage: charrnn inspect find [OPTIONS]")
    assert "␛" not in error
    whole = run_cli("inspect", env={**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"}).stderr.decode()
    assert whole.startswith("\x1b[1mUsage:")
    assert "left out" not in whole
