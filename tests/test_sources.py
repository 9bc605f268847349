"""Where texts come from: files, folders, pipes, names of the catalog."""

import io
import os
import sys

import pytest
from texts import failure, read_back, write

from charrnn.text.corpus import open_corpus


@pytest.fixture(autouse=True)
def corpora(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CORPORA", str(tmp_path / "corpora"))


def test_folders(tmp_path):
    folder = tmp_path / "texts"
    write(folder / "b.txt", "b")
    write(folder / "a" / "z.txt", "az")
    write(folder / "a.txt", "a")
    write(folder / ".hidden", "hidden")
    write(folder / ".git" / "config", "hidden")
    write(folder / "image.png", b"\x89PNG\0\0")
    corpus = open_corpus([folder])
    assert read_back(corpus) == "az\na\nb"
    assert corpus.notes == (f"1 binary file skipped in {folder}",)
    assert corpus.sources == (str(folder),)


def test_folders_in_wide_encodings_are_not_binary(tmp_path):
    write(tmp_path / "texts" / "a.txt", "ab".encode("utf-16"))
    assert read_back(open_corpus([tmp_path / "texts"], encoding="utf-16")) == "ab"


def test_folders_without_text(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "binary" / "a", b"\0")
    assert "no text files" in failure([tmp_path / "empty"])
    assert "no text files" in failure([tmp_path / "binary"])


def test_standard_input(tmp_path, monkeypatch):
    path = write(tmp_path / "a.txt", "file")
    corpus = open_corpus(["-", path], stdin=io.BytesIO(b"piped"))
    assert read_back(corpus) == "piped\nfile"
    assert corpus.sources == ("-", str(path))
    assert "standard input: byte 0xFF at offset 3 (line 2)" in failure(["-"], stdin=io.BytesIO(b"ab\n\xff"))
    assert "only once" in failure(["-", "-"], stdin=io.BytesIO(b"piped"))
    monkeypatch.setattr(sys, "stdin", None)
    assert "closed" in failure(["-"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_read_once():
    reader, writer = os.pipe()
    os.write(writer, b"hello")
    os.close(writer)
    try:
        assert read_back(open_corpus([f"/dev/fd/{reader}"])) == "hello"
    finally:
        os.close(reader)


def test_missing_files_get_a_guess(tmp_path):
    write(tmp_path / "letters.txt", "a")
    assert failure([tmp_path / "leters.txt"]).endswith(f"did you mean {tmp_path / 'letters.txt'}?")
    assert failure(["tinyshakespear"]).endswith("did you mean tinyshakespeare?")
    assert "charrnn corpus list" in failure(["zzzzzzzzzzzz"])
    assert "charrnn corpus get tinyshakespeare" in failure(["tinyshakespeare"])
    for impossible in ("a\0b", "x" * 5000, str(tmp_path / "letters.txt" / "below")):
        assert "no such file" in failure([impossible])
    assert "empty name" in failure([""])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable_files(tmp_path):
    path = write(tmp_path / "texts" / "a.txt", "a")
    path.chmod(0)
    assert "cannot read" in failure([path])
    assert "cannot read" in failure([path.parent])


def test_catalog_names(tmp_path, monkeypatch):
    write(tmp_path / "corpora" / "names.txt", "emma\nolivia")
    corpus = open_corpus(["names"])
    assert read_back(corpus) == "emma\nolivia"
    assert corpus.sources == ("names",)
    write(tmp_path / "here" / "names", "a file of that name")
    monkeypatch.chdir(tmp_path / "here")
    assert read_back(open_corpus(["names"])) == "a file of that name"


def test_python_is_built_on_demand(tmp_path, monkeypatch):
    library = tmp_path / "lib"
    write(library / "abc.py", "import os\n")
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(library)})
    assert read_back(open_corpus(["python"])) == "import os\n"
    assert (tmp_path / "corpora" / "python.txt").read_bytes() == b"import os\n"
