"""Tests that no pipe, device or disk is read because a checkpoint names it as its text."""

import os
import shutil

import pytest
from command_line import SMALL, invoke, succeed
from forgeries import changed, rewritten, without
from texts import write

from charrnn.text import provenance
from charrnn.text.sources import Listing

COMMANDS = [["evaluate"], ["novelty"], ["train", "--resume"]]


def forge(model, tmp_path, *changes):
    """A copy of a run in which ``changes`` are made to every checkpoint."""
    folder = shutil.copytree(model, tmp_path / "run")
    for file in folder.glob("*.safetensors"):
        for change in changes:
            file.write_bytes(rewritten(file.read_bytes(), change))
    return folder


def arguments_for(command, folder):
    """The arguments of a command that reads the run in ``folder``."""
    train = ["--out", folder.parent, "--name", folder.name, "--steps", 200]
    return [*command, *(train if command[0] == "train" else [folder])]


def naming(*places):
    """Changes after which a checkpoint names these paths as its text."""
    return [changed(f"corpus.{name}", [str(path) for path in places]) for name in ("sources", "paths")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("command", COMMANDS)
def test_no_pipe_is_opened(tmp_path, model, command):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # opening it would wait for ever
    result = invoke(*arguments_for(command, forge(model, tmp_path, *naming(pipe))))
    assert result.exit_code == 1
    assert "pipe" in result.stderr and ("cannot be what" if command[0] == "train" else "not there any") in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", ["many files", "many bytes", "a long file", "made up", "other bytes"])
def test_no_disk_is_read(tmp_path, model, monkeypatch, command, what):
    path = tmp_path / "home"
    for number in range(4):
        write(path / f"{number}.txt", "x" * {"many bytes": 200_000, "made up": 0}.get(what, 5000))
    if what == "many files":
        monkeypatch.setattr(provenance, "MOST_FILES", 3)
    if what == "a long file":
        path = write(path / "0.txt", "x" * 400_000)
    folder = forge(model, tmp_path, *naming(path), changed("corpus.bytes", 20_001 if what == "other bytes" else 20_000))
    monkeypatch.setattr("charrnn.text.corpus.open_corpus", lambda *a, **b: pytest.fail("it was opened"))
    result = invoke(*arguments_for(command, folder))
    assert result.exit_code == 1
    assert str(path) in result.stderr and "name it as TEXT" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("how", ["folder", "file", "folder of an older checkpoint"])
def test_no_file_is_opened_for_any_number_of_characters(tmp_path, model, monkeypatch, command, how):
    path = tmp_path / "home"
    for number in range(4):
        write(path / f"{number}.txt", "x" * 5000)
    changes = [changed("corpus.characters", 10**15), changed("corpus.bytes", 10**15)]
    if how == "folder of an older checkpoint":
        changes = [changed("corpus.characters", 20_000), without("corpus.bytes")]
    folder = forge(model, tmp_path, *naming(path / "0.txt" if how == "file" else path), *changes)
    monkeypatch.setattr(Listing, "is_text", lambda *a: pytest.fail("a file was opened"))
    monkeypatch.setattr("charrnn.text.corpus.open_corpus", lambda *a, **b: pytest.fail("it was opened"))
    result = invoke(*arguments_for(command, folder))
    assert result.exit_code == 1
    assert "name it as TEXT" in result.stderr


def test_in_a_folder_no_more_files_are_opened_than_the_checkpoint_has_bytes(tmp_path, monkeypatch):
    for number in range(9):
        write(tmp_path / f"{number}.txt", "x" * 1000)
    opened = []
    monkeypatch.setattr(Listing, "is_text", lambda listing, path, wide: opened.append(path.name) or True)
    corpus = {"characters": 2500, "bytes": 2500, "as_bytes": False, "encoding": "utf-8"}
    assert not provenance.may_match([str(tmp_path)], corpus)
    assert opened == ["0.txt", "1.txt", "2.txt"]
    assert provenance.may_match([str(tmp_path)], corpus | {"bytes": 9000})


def test_a_run_with_an_empty_file_finds_its_text_again_without_opening_it(tmp_path, text):
    empty = write(tmp_path / "empty.txt", b"")
    options = ["--out", tmp_path, "--name", "r"]
    result = succeed("train", text, empty, *options, *SMALL, "--steps", 3)
    assert f"{empty} is empty and left out" in result.stderr
    succeed("train", "--resume", *options, "--steps", 4)
    succeed("evaluate", tmp_path / "r")
    assert "there is no text in them" in invoke("train", empty, empty, *options, "--force").stderr


@pytest.mark.parametrize("corpus", [{"bytes": 0}, {}])
def test_a_file_of_no_bytes_never_matches(tmp_path, corpus):
    empty = write(tmp_path / "made up", b"")
    assert not provenance.may_match([str(empty)], {"characters": 1, "as_bytes": False, "encoding": "utf-8"} | corpus)


def test_a_file_with_many_skipped_characters_matches_by_its_bytes(tmp_path):
    file = write(tmp_path / "a.txt", "x" * 3000)
    corpus = {"characters": 100, "as_bytes": False, "encoding": "utf-8"}
    assert provenance.may_match([str(file)], corpus | {"bytes": 3000})
    assert not provenance.may_match([str(file)], corpus | {"bytes": 3001})
    assert not provenance.may_match([str(file)], corpus)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_run_of_files_and_folders_finds_its_text_again(tmp_path, text, encoding):
    content = text.read_text()
    write(tmp_path / "texts" / "a.txt", content[:6000].encode(encoding))
    write(tmp_path / "texts" / "b" / "b.txt", content[6000:9000].encode(encoding))
    write(tmp_path / "texts" / "empty.txt", b"")
    if encoding == "utf-8":
        write(tmp_path / "texts" / "c.png", b"\x89PNG\0\0")
    alone = write(tmp_path / "alone.txt", content[9000:12000].encode(encoding))
    options = ["--out", tmp_path, "--name", "r", "-q"]
    sources = [tmp_path / "texts", alone]
    succeed("train", *sources, *options, *SMALL, "--encoding", encoding, "--steps", 3)
    succeed("train", "--resume", *options, "--steps", 4)
    succeed("evaluate", tmp_path / "r")
    write(tmp_path / "texts" / "d.txt", "more".encode(encoding))
    result = invoke("train", "--resume", *options, "--steps", 5)
    assert result.exit_code == 1
    assert f"the run's text {tmp_path / 'texts'} and 1 more cannot be what is there now, by the size" in result.stderr
    result = invoke("train", "--resume", *options, "--steps", 5, *sources)
    assert "the text: 12,00" in result.stderr
