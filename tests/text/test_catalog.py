"""Tests of the catalog, and of the text made from the sources of Python."""

import json

import pytest
from command_line import FABLES

from charrnn.errors import CorpusError
from charrnn.text.catalog import CatalogEntry, find_text, load_catalog
from charrnn.text.python_source import python_sources, write_python_sources


@pytest.fixture(autouse=True)
def corpora(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CORPORA", str(tmp_path / "corpora"))
    return tmp_path / "corpora"


# The catalog


def test_the_catalog_is_sound():
    catalog = load_catalog()
    assert {"tinyshakespeare", "names", "python"} <= catalog.keys()
    assert catalog["python"].kind == "built-in"
    assert catalog["fables"].kind == "bundled"
    assert find_text("fables") == FABLES
    assert catalog["python"].address is None
    shakespeare = catalog["tinyshakespeare"]
    assert shakespeare.kind == "download"
    assert shakespeare.bytes == 1_115_394
    assert len({entry.sha256 for entry in catalog.values() if entry.sha256}) == len(catalog) - 2


GOOD = {
    "title": "A text",
    "licence": "MIT",
    "note": "a note",
    "address": "https://example.org/a.txt",
    "bytes": 5,
    "sha256": "0" * 64,
}


def write_catalog(path, name, table):
    # JSON's strings and numbers are TOML's too.
    lines = [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_catalog_is_read(tmp_path):
    path = write_catalog(tmp_path / "c.toml", "a-text", GOOD)
    assert load_catalog(path) == {"a-text": CatalogEntry(name="a-text", kind="download", **GOOD)}


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("Upper", {}, "name"),
        ("'../up'", {}, "name"),
        ("a", {"kind": "magic"}, "kind"),
        ("a", {"kind": "built-in"}, "nothing else"),
        ("a", {"extra": 1}, "nothing else"),
        ("a", {"title": 5}, "title"),
        ("a", {"note": "a\nb"}, "note"),
        ("a", {"address": "http://example.org/a.txt"}, "https"),
        ("a", {"bytes": 0}, "bytes"),
        ("a", {"bytes": "5"}, "bytes"),
        ("a", {"sha256": "A" * 64}, "sha256"),
        ("a", {"sha256": "0" * 63}, "sha256"),
    ],
)
def test_a_malformed_catalog_is_refused(tmp_path, name, changes, message):
    path = write_catalog(tmp_path / "c.toml", name, {**GOOD, **changes})
    with pytest.raises(CorpusError, match=message):
        load_catalog(path)


def test_an_unreadable_catalog_is_refused(tmp_path):
    (tmp_path / "c.toml").write_text("[a", encoding="utf-8")
    for path in (tmp_path / "c.toml", tmp_path / "missing.toml"):
        with pytest.raises(CorpusError, match=r"the catalog .* cannot be read"):
            load_catalog(path)
    (tmp_path / "c.toml").write_text("a = 1", encoding="utf-8")
    with pytest.raises(CorpusError, match="must be a table"):
        load_catalog(tmp_path / "c.toml")


def test_names_are_found_after_the_download(corpora):
    with pytest.raises(CorpusError, match="charrnn corpus get names"):
        find_text("names")
    corpora.mkdir()
    (corpora / "names.txt").write_bytes(b"emma")
    assert find_text("names") == corpora / "names.txt"


# The sources of Python


@pytest.fixture
def library(tmp_path, monkeypatch):
    folder = tmp_path / "lib"
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(folder)})

    def add(name, content):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return add


def test_the_real_library():
    text = python_sources(300_000)
    assert 200_000 < len(text) <= 300_000
    assert text == python_sources(300_000)
    assert set(text) <= {"\n", "\t", *map(chr, range(32, 127))}
    assert text.count("\ndef ") > 50
    assert text.endswith("\n")


def test_unsuitable_files_are_left_out(library):
    library("good.py", b"import a\r\n\n\n")
    library("package/also.py", b"\tpass")
    for name in (
        "test/x.py",
        "a/tests/x.py",
        "site-packages/x.py",
        "__pycache__/x.py",
        "encodings/x.py",
        "x.txt",
    ):
        library(name, b"import bad\n")
    library("_sysconfigdata_linux.py", b"import bad\n")
    library("accents.py", "é".encode())
    library("binary.py", b"\xff\0")
    library("feed.py", b"a\x0cb")
    library("empty.py", b"\n\n")
    assert sorted(part.strip("\n") for part in python_sources().split("\n\n")) == ["\tpass", "import a"]


def test_whole_files_up_to_the_limit(library):
    for name in "abcdefgh":
        library(f"{name}.py", name.encode() * 9)
    text = python_sources(35)
    assert len(text) == 32
    assert [part[0] for part in text.split("\n\n")] != ["a", "b", "c"]
    assert all(len(part.strip()) == 9 for part in text.split("\n\n"))
    assert sorted(part[0] for part in python_sources(10**6).split("\n\n")) == list("abcdefgh")
    with pytest.raises(CorpusError, match="--limit"):
        python_sources(5)


def test_a_library_without_sources(library):
    library("code.pyc", b"")
    with pytest.raises(CorpusError, match="no library sources"):
        python_sources()


def test_the_sources_are_written_whole(library, tmp_path):
    library("a.py", b"import os\n")
    path = tmp_path / "new" / "python.txt"
    assert write_python_sources(path) == 10
    assert path.read_bytes() == b"import os\n"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(CorpusError, match="cannot be written"):
        write_python_sources(path / "below.txt")
    with pytest.raises(CorpusError, match="cannot be written"):
        write_python_sources(tmp_path)
    assert not list(tmp_path.glob("*.part"))
