"""``charrnn corpus``: what goes to stdout, what to stderr, and what is refused."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from charrnn.commands.corpus import corpus
from charrnn.errors import CharRNNError
from charrnn.text import CatalogEntry, load_catalog


@pytest.fixture(autouse=True)
def corpora(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CORPORA", str(tmp_path / "corpora"))
    return tmp_path / "corpora"


@pytest.fixture
def library(tmp_path, monkeypatch):
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "a.py").write_bytes(b"import os\n")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(folder)})


def run(*arguments, data=None):
    result = CliRunner().invoke(corpus, list(arguments), input=data)
    assert result.exit_code == 0, result.output
    return result


def failure(*arguments):
    result = CliRunner().invoke(corpus, list(arguments))
    assert result.exit_code == 1
    assert isinstance(result.exception, CharRNNError)
    assert result.stdout == ""
    message = str(result.exception)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("arguments", [[], ["list"], ["get"], ["stats"], ["python"]])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(arguments, option):
    assert "Usage:" in run(*arguments, option).stdout


def test_help_imports_nothing_heavy():
    heavy = {"numpy", "numba", "rich", "charrnn.text"}
    code = f"import sys, charrnn.commands.corpus; print(*{heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_list(corpora):
    corpora.mkdir()
    (corpora / "names.txt").write_bytes(b"emma")
    lines = run("list").stdout.splitlines()
    assert lines[0].split() == ["name", "here", "bytes", "licence", "text", "note"]
    here = {line.split()[0]: line.split()[1] for line in lines[1:]}
    assert here == {name: "yes" if name == "names" else "no" for name in load_catalog()}
    assert all(line[lines[0].index("text") - 1] == " " for line in lines)


def test_list_as_json(corpora):
    corpora.mkdir()
    (corpora / "names.txt").write_bytes(b"emma")
    records = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [record["name"] for record in records] == list(load_catalog())
    paths = {record["name"]: record["path"] for record in records}
    assert paths["names"] == str(corpora / "names.txt")
    assert paths["tinyshakespeare"] is None


def test_get(corpora, monkeypatch):
    asked = []

    def download(entry, folder=None, progress=None):
        asked.append(entry.name)
        progress(1, 2)
        return entry.path(folder)

    monkeypatch.setattr("charrnn.text.download", download)
    result = run("get", "names")
    assert asked == ["names"]
    assert result.stdout == ""
    assert result.stderr == f"names is in {corpora / 'names.txt'}; train with: charrnn train names\n"
    assert run("get", "names", "-q").output == ""


def test_progress_on_a_terminal(monkeypatch, capsys):
    from charrnn.commands.corpus import _Progress

    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with _Progress("names", quiet=False) as progress:
        for done in range(0, 1001, 2):
            progress(done, 1000)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\r") == 101
    assert captured.err.endswith("\rnames  100 %  1,000 of 1,000 bytes\n")
    with _Progress("names", quiet=True) as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("library")
def test_get_python(corpora):
    run("get", "python")
    assert (corpora / "python.txt").read_bytes() == b"import os\n"
    (corpora / "python.txt").write_bytes(b"kept")
    assert "python is in" in run("get", "python").stderr
    assert (corpora / "python.txt").read_bytes() == b"kept"


def test_get_an_unknown_name():
    assert failure("get", "name").endswith("did you mean names?")
    assert "charrnn corpus list" in failure("get", "zzzzzz")
    assert "\x1b" not in failure("get", "\x1b[31m")


@pytest.mark.usefixtures("library")
def test_python(tmp_path, corpora):
    result = run("python")
    assert result.stdout == ""
    assert result.stderr == f"10 characters written to {corpora / 'python.txt'}\n"
    assert (corpora / "python.txt").read_bytes() == b"import os\n"

    output = tmp_path / "new" / "out.txt"
    assert run("python", "--output", str(output), "-q").output == ""
    output.write_bytes(b"mine")
    assert "--force" in failure("python", "--output", str(output))
    assert output.read_bytes() == b"mine"
    run("python", "--output", str(output), "--force")
    assert output.read_bytes() == b"import os\n"


@pytest.mark.usefixtures("library")
def test_python_to_standard_output():
    result = run("python", "--output", "-", "--limit", "50")
    assert result.stdout_bytes == b"import os\n"
    assert result.stderr == "10 characters written to standard output\n"
    assert "--limit" in failure("python", "--output", "-", "--limit", "3")
    assert CliRunner().invoke(corpus, ["python", "--limit", "0"]).exit_code == 2


ODD = "\ufeffab\r\n\x1b[31m[red]\u202eé\n".encode()


def test_stats(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(ODD + b"\xff")
    result = run("stats", str(path))
    assert result.stderr == ""
    facts = dict(line.split("  ", 1) for line in result.stdout.split("\n\n")[0].splitlines())
    facts = {key: value.strip() for key, value in facts.items()}
    assert facts["bytes"] == str(len(ODD) + 1)
    assert facts["lines"] == "3"
    assert facts["CRLF line ends"] == "1"
    assert facts["byte-order mark"] == "yes"
    assert facts["control characters"] == r"U+001B '\x1b': 1, U+202E '\u202e': 1"
    assert facts["bad bytes"].startswith(f"1; the first is byte 0xFF at offset {len(ODD)}, line 3")
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "U+00E9" in result.stdout


def test_stats_as_json(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(ODD)
    record = json.loads(run("stats", str(path), "--json").stdout)
    assert record["file"] == str(path)
    assert record["characters"] == len(ODD.decode()) - 1
    assert record["counts"]["\x1b"] == 1
    assert record["problem"] is None
    assert record["longest_line"] == {"length": 12, "line": 2}
    path.write_bytes(b"a\xe9")
    assert json.loads(run("stats", str(path), "--json").stdout)["problem"] == {
        "offset": 1,
        "line": 1,
        "byte": 0xE9,
        "bad_bytes": 1,
    }
    assert json.loads(run("stats", str(path), "--json", "--encoding", "latin-1").stdout)["counts"]["é"] == 1


def test_stats_of_other_sources(corpora):
    corpora.mkdir()
    (corpora / "names.txt").write_bytes(b"emma\nolivia")
    assert "emma" not in run("stats", "names").stdout
    assert json.loads(run("stats", "-", "--json", data="olivia\n").stdout)["characters"] == 7
    assert "characters" in run("stats", "-", data="").stdout


def test_stats_of_what_cannot_be_read(tmp_path):
    assert "folder" in failure("stats", str(tmp_path))
    assert "no such file" in failure("stats", str(tmp_path / "missing"))
    path = tmp_path / "a.txt"
    path.write_bytes(b"a")
    assert "unknown encoding" in failure("stats", str(path), "--encoding", "utf-88")


def test_many_characters_are_summed_up(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("".join(map(chr, range(0x4E00, 0x4E00 + 30))), encoding="utf-8")
    assert "and 10 more: --json lists them all" in run("stats", str(path)).stdout


def test_file_names_are_shown_not_sent(tmp_path):
    path = tmp_path / "a\u202eb.txt"
    path.write_bytes(b"a")
    assert "a\\u202eb.txt" in run("stats", str(path)).stdout


def test_entries_know_their_place(corpora, tmp_path):
    entry = CatalogEntry(name="a", kind="built-in", title="", licence="", note="")
    assert entry.path() == corpora / "a.txt"
    assert entry.path(tmp_path) == tmp_path / "a.txt"
