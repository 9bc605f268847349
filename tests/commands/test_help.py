"""``--help`` fits a screen, and ``--help-all`` has everything."""

import click
import pytest
from command_line import invoke, succeed

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
    assert "Commands:" in invoke("inspect").output
