"""Durable files and folders: what they are written over, and that none appears half."""

import os
import stat
import sys
from pathlib import Path

import pytest

from charrnn.system.files import keep_newest, remove_temporaries, write_durably, write_folder_durably

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and symbolic links of POSIX")


@posix
def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        write_durably(tmp_path / "pipe", b"text")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@posix
def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"before")
    (tmp_path / "link").symlink_to("folder/file")
    write_durably(tmp_path / "link", b"after", previous=tmp_path / "previous")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"after"
    assert (tmp_path / "previous").read_bytes() == b"before"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_folder_appears_with_all_files(tmp_path):
    files = {"a": b"1", "below/b": b"2"}
    write_folder_durably(tmp_path / "new", files)
    assert contents(tmp_path / "new") == files
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_in_a_folder_that_is_there_other_files_stay(tmp_path):
    (tmp_path / "a").write_bytes(b"before")
    (tmp_path / "mine").write_bytes(b"mine")
    write_folder_durably(tmp_path, {"a": b"after", "below/b": b"2"})
    assert contents(tmp_path) == {"a": b"after", "mine": b"mine", "below/b": b"2"}


def test_a_folder_that_cannot_be_completed_does_not_appear(tmp_path):
    with pytest.raises(OSError):
        write_folder_durably(tmp_path / "new", {"a": b"1", "a/b": b"2"})  # a is a file
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_folder_of_a_killed_process_is_no_temporary_file_of_a_run(tmp_path, monkeypatch):
    """A run removes temporary files from its folder, and could not remove a folder."""
    monkeypatch.setattr("charrnn.system.files.shutil.rmtree", lambda *arguments, **options: None)
    with pytest.raises(OSError):
        write_folder_durably(tmp_path / "new", {"a": b"1", "a/b": b"2"})
    (left,) = tmp_path.iterdir()
    remove_temporaries(tmp_path)
    assert left.is_dir()


def test_the_newest_files_are_kept(tmp_path, monkeypatch):
    """A file that cannot be removed, as one that is open on Windows, does not keep the others."""
    paths = [tmp_path / name for name in "abcde"]
    for age, path in enumerate(paths):
        path.write_bytes(b"1234")
        os.utime(path, (1000 - age, 1000 - age))
    unlink = Path.unlink

    def stubborn(path, **how):
        if path.name == "d":
            raise PermissionError
        unlink(path, **how)

    monkeypatch.setattr(Path, "unlink", stubborn)
    keep_newest([*paths, tmp_path / "gone"], 8, lambda status: status.st_size)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "d"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_permissions_are_kept_if_asked_for(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"before")
    path.chmod(0o600)
    write_durably(path, b"after", keep_mode=True)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"after", 0o600)
    write_durably(tmp_path / "new", b"a", keep_mode=True)
    assert (tmp_path / "new").read_bytes() == b"a"
