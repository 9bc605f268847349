"""``charrnn corpus``: what goes to stdout, what to stderr, and what is refused."""

import json
import subprocess
import sys

import pytest
from command_line import invoke, succeed

from charrnn.text.catalog import CatalogEntry, load_catalog


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


def run(*arguments, **options):
    return succeed("corpus", *arguments, **options)


def failure(*arguments):
    result = invoke("corpus", *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.rstrip("\n")


def facts_of(result):
    """The names and values at the head of what `stats` shows."""
    lines = result.stdout.split("\n\n")[0].splitlines()
    return {name: value.strip() for name, value in (line.split("  ", 1) for line in lines)}


@pytest.mark.parametrize("arguments", [[], ["list"], ["get"], ["stats"], ["python"]])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(arguments, option):
    assert f"Usage: charrnn {' '.join(['corpus', *arguments])} " in run(*arguments, option).stdout


def test_help_imports_nothing_heavy():
    heavy = {"numpy", "numba", "rich", "charrnn.text"}
    code = f"import sys, charrnn.commands.corpus; print(*{heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_list(corpora):
    corpora.mkdir()
    (corpora / "names.txt").write_bytes(b"emma")
    result = run("list", env={"COLUMNS": "80"})
    assert result.stderr == ""
    table, _, advice = result.stdout.partition("\n\n")
    head, rule, *lines = table.splitlines()
    assert head.split() == ["name", "to", "download", "size", "text"]
    assert all(len(line) <= 80 for line in (rule, *lines, *advice.splitlines()))
    needed = {line.split()[0]: line.split()[1] for line in lines if line[0] != " "}
    without = ("fables", "python", "names")
    assert needed == {name: "no" if name in without else "yes" for name in load_catalog()}
    assert "tinyshakespeare       yes          1.1 MB  40,000 lines of Shakespeare" in lines
    assert any(line.startswith("fables                no           0.1 MB  ") for line in lines)
    assert "charrnn corpus get NAME" in advice


def test_list_as_json(corpora):
    corpora.mkdir()
    (corpora / "names.txt").write_bytes(b"emma")
    records = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    assert [record["name"] for record in records] == list(load_catalog())
    paths = {record["name"]: record["path"] for record in records}
    assert paths["names"] == str(corpora / "names.txt")
    assert paths["tinyshakespeare"] is None
    assert {record["name"]: record["licence"] for record in records}["names"] == "MIT"
    assert all(record["note"] for record in records)
    assert {record["name"]: record["bytes"] for record in records}["names"] == 228145


def test_get(corpora, monkeypatch):
    asked = []

    def download(entry, folder=None, progress=None):
        asked.append(entry.name)
        progress(1, 2)
        return entry.path(folder)

    monkeypatch.setattr("charrnn.text.download.download", download)
    result = run("get", "names")
    assert asked == ["names"]
    assert result.stdout == ""
    assert result.stderr == f"names is in {corpora / 'names.txt'}; train with: charrnn train names\n"
    assert run("get", "names", "-q").output == ""


def test_get_shows_its_progress(monkeypatch):
    def download(entry, progress):
        for done in range(0, 1001, 100):
            progress(done, 1000)
        return entry.path()

    monkeypatch.setattr("charrnn.text.download.download", download)
    monkeypatch.setattr("charrnn.display.terminal.progress_bar._BETWEEN_LINES", -1)
    lines = run("get", "names").stderr.splitlines()
    said = [line.split(",")[0] for line in lines[:-1]]
    assert said == [f"Fetching names: {percent} %" for percent in range(0, 101, 10)]
    assert lines[5].endswith(" left")

    monkeypatch.setattr("charrnn.display.terminal.progress_bar._PATIENCE", -1)
    monkeypatch.setattr("charrnn.display.terminal.console.Terminal.is_live", True)
    result = run("get", "names", env={"FORCE_COLOR": "1", "TERM": "xterm"})
    assert result.stdout == ""
    assert "Fetching names" in result.stderr
    assert "100%" in result.stderr
    assert run("get", "names", "-q").output == ""


@pytest.mark.usefixtures("library")
def test_get_python(corpora):
    run("get", "python")
    assert (corpora / "python.txt").read_bytes() == b"import os\n"
    (corpora / "python.txt").write_bytes(b"kept")
    assert "python is in" in run("get", "python").stderr
    assert (corpora / "python.txt").read_bytes() == b"kept"


def test_get_an_unknown_name():
    assert "did you mean names?" in failure("get", "name")
    # The nearest of a short list, however far.
    assert "did you mean tinyshakespeare?" in failure("get", "tinyshakspeare")
    assert "did you mean" not in failure("get", "zzzzzz")
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
    assert invoke("corpus", "python", "--limit", "0").exit_code == 2


def test_one_character_is_singular(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn.text.python_source.write_python_sources", lambda path, limit: 1)
    assert run("python", "-o", str(tmp_path / "out.txt")).stderr.startswith("1 character written to ")
    assert facts_of(run("stats", "-", input="a"))["longest line"] == "1 character, line 1"
    assert facts_of(run("stats", "-", input="ab"))["longest line"] == "2 characters, line 1"


ODD = "\ufeffab\r\n\x1b[31m[red]\u202eé\n".encode()


def test_stats(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(ODD + b"\xff")
    result = run("stats", str(path))
    assert result.stderr == ""
    facts = facts_of(result)
    assert facts["bytes"] == str(len(ODD) + 1)
    assert facts["lines"] == "3"
    assert facts["CRLF line ends"] == "1"
    assert facts["byte-order mark"] == "yes"
    assert facts["control characters"] == r"U+001B '\x1b': 1, U+202E '\u202e': 1"
    assert facts["bad bytes"] == f"1: byte 0xFF at offset {len(ODD)}, line 3; try another --encoding"
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "U+00E9" in result.stdout
    path.write_bytes(b"a\xff\xff")
    assert facts_of(run("stats", str(path)))["bad bytes"].startswith("2: the first is byte 0xFF at offset 1, line 1;")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_stats_recognises_a_wide_file_by_its_mark(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("hello\n".encode(encoding))
    mark = f"Warning: {path}: begins with the byte-order mark of {encoding.upper()}; pass --encoding {encoding}\n"
    result = run("stats", path)
    assert result.stderr == mark
    assert facts_of(result)["byte-order mark"] == encoding.upper()
    assert f"try --encoding {encoding}" in " ".join(result.stdout.split())
    result = run("stats", path, "--json")
    assert result.stderr == mark
    assert json.loads(result.stdout)["problem"]["offset"] == 0
    result = run("stats", path, "--encoding", encoding)
    assert result.stderr == ""
    assert facts_of(result)["characters"] == "6"


def test_stats_as_a_table():
    lines = run("stats", "-", input="aab\n" * 250).stdout.split("\n\n")[1].splitlines()
    assert lines[0].split() == ["character", "count", "share"]
    assert lines[2:] == [
        "U+0061 'a'     500  50.00 %",
        "U+000A '\\n'    250  25.00 %",
        "U+0062 'b'     250  25.00 %",
    ]


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
    assert json.loads(run("stats", "-", "--json", input="olivia\n").stdout)["characters"] == 7
    assert "characters" in run("stats", "-", input="").stdout


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
    assert "a\N{REPLACEMENT CHARACTER}b.txt" in run("stats", str(path)).stdout


def test_entries_know_their_place(corpora, tmp_path):
    entry = CatalogEntry(name="a", kind="built-in", title="", licence="", note="")
    assert entry.path() == corpora / "a.txt"
    assert entry.path(tmp_path) == tmp_path / "a.txt"


def test_the_text_python_that_is_there_is_enough(corpora):
    """Another command may have built it."""
    corpora.mkdir()
    (corpora / "python.txt").write_bytes(b"import this\n")
    done = run("python")
    assert done.exit_code == 0
    assert "charrnn train python" in done.stderr
    assert (corpora / "python.txt").read_bytes() == b"import this\n"
    assert "--force" in failure("python", "--limit", "5000")
