"""Tests of finding and reading sources: files, folders, pipes, names of the catalog."""

import io
import os
import sys
from pathlib import Path

import pytest
from texts import failure, read_back, write

from charrnn.text.corpus import open_corpus
from charrnn.text.sources import files_below


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


def test_the_error_about_a_missing_file_has_the_nearest_name(tmp_path):
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
    assert "cannot be read" in failure([path])
    assert "1 unreadable file or folder (" in failure([path.parent])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_devices_and_dead_links_in_a_folder_are_left_out_with_a_note(tmp_path):
    folder = tmp_path / "texts"
    write(folder / "a.txt", "a")
    write(folder / "b.txt", b"")
    os.mkfifo(folder / "c.txt")  # opening it would wait for ever
    (folder / "d.txt").symlink_to("nowhere")
    (folder / "e.txt").symlink_to("/dev/zero")
    corpus = open_corpus([folder])
    assert read_back(corpus) == "a"
    assert corpus.notes == (f"3 pipes, devices or dead links skipped in {folder}",)
    (folder / "a.txt").unlink()
    assert failure([folder]) == f"{folder}: there are no text files in this folder; 3 pipes, devices or dead links"


def test_unreadable_files_in_a_folder_are_left_out_with_a_note(tmp_path, monkeypatch):
    folder = tmp_path / "texts"
    for name in ("a.txt", "b.txt", "c/d.txt", "e.bin"):
        write(folder / name, b"\0" if name == "e.bin" else name.encode())
    opening, listing = Path.open, os.scandir

    def open_(path, *arguments, **options):
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return opening(path, *arguments, **options)

    def scandir(path):
        if Path(path).name == "c":
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(Path, "open", open_)
    monkeypatch.setattr(os, "scandir", scandir)
    corpus = open_corpus([folder])
    assert read_back(corpus) == "a.txt"
    assert corpus.notes == (
        f"1 binary file skipped in {folder}",
        f"2 unreadable files or folders ({folder / 'c'}: Permission denied) skipped in {folder}",
    )
    found = files_below(folder)
    assert [path.name for path, _ in found.files if found.is_text(path, wide=True)] == ["a.txt", "e.bin"]
    assert len(found.unreadable) == 2
    assert failure([folder / "b.txt"]).endswith("b.txt: cannot be read (Permission denied)")
    assert failure([folder / "c"]).endswith("c: cannot be read (Permission denied)")


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
