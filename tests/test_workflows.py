"""The workflows of a public forge do what `make test` does, for each Python of the package, and keep no secret."""

import configparser
import re

import pytest
from command_line import ROOT

TESTS, PUBLISH = ((ROOT / ".github" / "workflows" / name).read_text("utf-8") for name in ("tests.yml", "publish.yml"))


@pytest.mark.parametrize("text", [TESTS, PUBLISH], ids=["tests", "publish"])
def test_a_job_may_do_little_and_ends(text):
    assert "\npermissions: {}\n" in text
    assert text.count("runs-on: ") == text.count("timeout-minutes: ") > 0
    assert text.count("persist-credentials: false") == text.count("actions/checkout@")


def test_the_pythons_are_those_that_the_package_names():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", "utf-8")
    named = re.findall(r"Python :: (\d\.\d+)$", settings["metadata"]["classifiers"], re.MULTILINE)
    tested = re.findall(r'"(\d\.\d+)"', re.search(r"python: \[(.*)\]", TESTS)[1])
    assert tested == named
    assert settings["options"]["python_requires"] == f">={named[0]}"


def test_the_systems():
    assert re.search(r"system: \[(.*)\]", TESTS)[1] == "ubuntu-latest, macos-latest, windows-latest"


def test_the_commands_are_those_of_make_test():
    made = (ROOT / "Makefile").read_text("utf-8").replace("$(BIN)/python -m ", "").replace("$(BIN)/", "")
    commands = re.findall(r"- run: python -m (.*)$", TESTS, re.MULTILINE)
    assert len(commands) == 4
    for command in commands[1:]:
        assert f"\t{command}\n" in made, command
    assert commands[0] == 'pip install --editable ".[test,browser]"'  # Ubuntu's machines come with Chrome
    assert "--editable '.[test]'" in made


@pytest.mark.parametrize("text", [TESTS, PUBLISH], ids=["tests", "publish"])
def test_actions_are_pinned_to_a_commit_with_its_version(text):
    used = [line for line in re.findall(r"uses: (.*)$", text, re.MULTILINE) if not line.startswith("./")]
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_publishing_needs_the_tests_and_no_password():
    assert "uses: ./.github/workflows/tests.yml" in PUBLISH
    assert re.findall(r"needs: (.*)$", PUBLISH, re.MULTILINE) == ["tests", "build"]
    assert "secrets" not in PUBLISH
    assert PUBLISH.count("id-token: write") == 1
    assert PUBLISH.index("environment: release") < PUBLISH.index("id-token: write")
    assert "uv publish --trusted-publishing always" in PUBLISH
