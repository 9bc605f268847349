"""The documentation is true: commands, files, links, examples."""

import doctest
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from charrnn.version import __version__

ROOT = Path(__file__).parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("docs/course/*.md"),
    ROOT / "corpora" / "README.md",
    ROOT / "checkpoints" / "README.md",
]


def maker(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(text):
    return re.sub(r"\s+", " ", text)


def test_the_command_reference_is_what_help_says():
    made = maker("make_docs")
    assert words(made.PAGE.read_text("utf-8")) == words(made.page()), "run: python docs/make_docs.py"


def test_the_man_pages_are_what_help_says():
    made = maker("make_man")
    written = {path.name: path.read_text("ascii") for path in made.FOLDER.iterdir()}
    assert written == made.pages(), "run: python docs/make_docs.py"


def test_a_man_page_has_every_option_and_no_sign_is_a_request():
    import click

    from charrnn.commands import charrnn

    made, command = maker("make_man"), charrnn
    page = made.pages()["charrnn-train.1"]
    options = [
        param for param in command.get_command(click.Context(command), "train").params if param.opts[0][0] == "-"
    ]
    assert len(options) > 50
    for option in options:
        assert made.bold(option.opts[-1]) in page, option.opts
    for title in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "SEE ALSO"):
        assert f".SH {title}\n" in page
    for title in ("EXIT STATUS", "ENVIRONMENT", "FILES"):
        assert f".SH {title}\n" in made.pages()["charrnn.1"]
    assert made.escaped(".x\n'y' \\n a-b ~^` …") == r"\&.x" "\n" r"\(aqy\(aq \en a\-b \(ti\(ha\(ga \[u2026]"
    assert made.prose("see `a-b`, --json and x-y") == r"see \fBa\-b\fR, \fB\-\-json\fR and x\-y"
    assert not any(line.startswith((".", "'")) for line in made.prose("word .ext " * 50).splitlines())


@pytest.mark.parametrize(
    "checker", [["groff", "-ww", "-b", "-man", "-Tutf8", "-z"], ["mandoc", "-Tlint"]], ids=" ".join
)
def test_programs_that_show_man_pages_find_nothing_wrong(checker):
    if shutil.which(checker[0]) is None:
        pytest.skip(f"needs {checker[0]}")
    pages = sorted(maker("make_man").FOLDER.iterdir())
    done = subprocess.run([*checker, *pages], capture_output=True, text=True, check=False)
    # A version that is not released has no date.
    assert [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line] == []


def test_the_map_is_what_the_rooms_say():
    made = maker("make_docs")
    written = made.CONTRIBUTING.read_text("utf-8")
    assert written == made.with_house(written), "run: python docs/make_docs.py"


def test_the_tour_is_made_of_what_its_commands_write(monkeypatch):
    made, asked = maker("make_tour"), []

    def output(command):
        asked.append(command)
        return [f"{number} of {command} " for number in range(1, 200)]

    monkeypatch.setattr(made, "output", output)
    page = "".join(path.read_text("utf-8") for path in made.PAGES)
    remade = made.remade(page)
    assert len(asked) == len(re.findall(r"^<!-- lines ", page, re.MULTILINE)) >= 12
    assert len(set(asked)) >= 8
    assert re.sub(made.BLOCK, "", page) == re.sub(made.BLOCK, "", remade)
    for command in asked:
        assert re.search(rf"^    (\$ )?charrnn {re.escape(command)}$", page, re.MULTILINE)
        assert f" of {command}\n```\n" in remade
    similar = next(command for command in asked if "similar" in command)
    assert f"```text\n1 of {similar}\n2 of {similar}\n3 of {similar}\n7 of {similar}\n" in remade
    assert made.remade(page, "no such word") == page


def test_every_command_and_option_has_help():
    import click

    from charrnn.commands import charrnn

    def walk(command, name):
        assert command.help, name
        context = click.Context(command)
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.help, f"{name} {option.opts}"
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                walk(command.get_command(context, child), f"{name} {child}")

    walk(charrnn, "charrnn")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)", path.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_that_are_shown_exist(path):
    from charrnn.commands import COMMANDS, inspect, old_spellings

    for line in re.findall(r"^\s*(?:\$ )?charrnn ([a-z]+.*)", path.read_text("utf-8"), re.MULTILINE):
        command, *words = line.split()
        assert command in COMMANDS, line
        if command != "inspect" or words[0] not in inspect.COMMANDS:
            shown = "show" if command == "inspect" else command
            assert old_spellings.answer(shown, words) is None, line


def test_the_interface_s_examples_run(tmp_path):
    """The docstrings of the Python interface and docs/PYTHON.md, on a small model trained here."""
    from click.testing import CliRunner

    import charrnn.model.identifier
    import charrnn.model.model
    from charrnn.commands import charrnn as command

    fables = ROOT / "corpora" / "fables.txt"
    options = ["--out", str(tmp_path), "--hidden", "24", "--steps", "80", "-q"]
    assert CliRunner().invoke(command, ["train", str(fables), *options]).exit_code == 0
    names = {"checkpoint": str(tmp_path / "fables"), "fables": str(fables)}
    result = doctest.testmod(charrnn.model.model, extraglobs=names)
    assert result.attempted > 4
    assert result.failed == 0
    result = doctest.testmod(charrnn.model.identifier, extraglobs=names)
    assert result.attempted > 4
    assert result.failed == 0
    page = doctest.testfile(str(ROOT / "docs" / "PYTHON.md"), module_relative=False, globs=names, encoding="utf-8")
    assert page.attempted > 10
    assert page.failed == 0


def test_the_citation_has_the_version_of_the_program_and_the_date_of_its_release():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"version: {__version__}\n" in citation
    assert re.findall(r"^date-released: (.*)$", citation, re.MULTILINE) == [
        *filter(None, [maker("make_man").released()])
    ]


def test_the_date_of_a_release_comes_from_the_changelog(tmp_path, monkeypatch):
    made = maker("make_man")
    monkeypatch.setattr(made, "ROOT", tmp_path)
    for heading, date in ((f"## {__version__}, 2027-01-31", "2027-01-31"), (f"## {__version__}, unreleased", "")):
        (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n## 0.0.9, 2025-01-01\n", "utf-8")
        assert made.released() == date
