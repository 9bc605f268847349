"""The file of a text: read strictly, saved as it came, and never over what another program has saved."""

import os
import stat
import sys

import pytest

from charrnn.errors import CorpusError
from charrnn.writing import manuscript as manuscripts
from charrnn.writing.manuscript import ChangedError, Manuscript, Recovery

posix = pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "story.txt"
    path.write_bytes("the fox\n漢".encode())
    return path


def test_a_file_is_read_and_saved(file):
    manuscript = Manuscript(file)
    assert (manuscript.text, manuscript.exists) == ("the fox\n漢", True)
    manuscript.save("the hen")
    assert file.read_bytes() == b"the hen"
    assert manuscript.text == "the hen"


def test_a_new_file_is_made_by_the_first_save(tmp_path):
    manuscript = Manuscript(tmp_path / "new.txt")
    assert (manuscript.text, manuscript.exists) == ("", False)
    assert not manuscript.path.exists()
    manuscript.save("a")
    assert (manuscript.path.read_bytes(), manuscript.exists) == (b"a", True)


@pytest.mark.parametrize(
    ("data", "text", "changed"),
    [
        (b"a\r\nb\r\n", "a\nb\n", b"a\r\nb\r\nc\r\n"),
        (b"a\r\nb\n", "a\r\nb\n", b"a\r\nb\nc\n"),
        (b"a\r\nb\r", "a\r\nb\r", b"a\r\nb\rc\n"),
        (b"\xef\xbb\xbfa\n", "a\n", b"\xef\xbb\xbfa\nc\n"),
        (b"\xef\xbb\xbfa\r\n", "a\n", b"\xef\xbb\xbfa\r\nc\r\n"),
        (b"\0\x1b", "\0\x1b", b"\0\x1bc\n"),
    ],
)
def test_line_ends_and_a_mark_come_back(tmp_path, data, text, changed):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    manuscript = Manuscript(path)
    assert manuscript.text == text
    manuscript.save(text + "c\n")
    assert path.read_bytes() == changed
    manuscript.save(text)
    assert path.read_bytes() == data


def test_what_is_not_utf_8_is_refused_in_one_line(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes(b"one\ncaf\xe9\n")
    with pytest.raises(CorpusError, match=r"byte 0xE9 at offset 7 \(line 2\) is not UTF-8; convert it first$"):
        Manuscript(path)


def test_another_programs_changes_are_not_overwritten_unless_asked(file):
    manuscript = Manuscript(file)
    file.write_bytes(b"theirs")
    with pytest.raises(ChangedError, match="another program has changed it"):
        manuscript.save("mine")
    assert file.read_bytes() == b"theirs"
    beside = manuscript.save_beside("mine")
    assert (beside.name, beside.read_bytes()) == ("story.txt.mine-1", b"mine")
    assert manuscript.save_beside("more").name == "story.txt.mine-2"
    manuscript.save("mine", over=True)
    assert file.read_bytes() == b"mine"
    manuscript.save("again")
    assert file.read_bytes() == b"again"


def test_a_file_that_appeared_meanwhile_is_another_programs(tmp_path):
    manuscript = Manuscript(tmp_path / "new.txt")
    manuscript.path.write_bytes(b"theirs")
    with pytest.raises(ChangedError):
        manuscript.save("mine")


def test_a_file_that_is_gone_is_made_again(file):
    manuscript = Manuscript(file)
    file.unlink()
    manuscript.save("mine")
    assert file.read_bytes() == b"mine"


def test_the_same_content_saved_by_another_program_is_no_change(file):
    manuscript = Manuscript(file)
    file.write_bytes(file.read_bytes())
    manuscript.save("mine")
    assert file.read_bytes() == b"mine"


@posix
def test_permissions_stay(file):
    file.chmod(0o640)
    Manuscript(file).save("x")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@posix
def test_a_link_stays_a_link(file, tmp_path):
    link = tmp_path / "link.txt"
    link.symlink_to(file)
    Manuscript(link).save("x")
    assert link.is_symlink()
    assert file.read_bytes() == b"x"


@pytest.mark.skipif(sys.platform != "linux", reason="pipes and devices")
def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "missing" / "a.txt"):
        with pytest.raises(CorpusError, match="cannot be"):
            Manuscript(path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_cannot_be_written_is_refused(file):
    file.chmod(0o400)
    with pytest.raises(CorpusError, match="it is read-only; give another name"):
        Manuscript(file)


def test_a_file_that_cannot_be_written_is_refused_whoever_asks(file, monkeypatch):
    monkeypatch.setattr(manuscripts.os, "access", lambda path, mode: not str(path).endswith("story.txt"))
    with pytest.raises(CorpusError, match="it is read-only; give another name"):
        Manuscript(file)


def test_a_file_that_is_too_long_is_refused(file, monkeypatch):
    monkeypatch.setattr(manuscripts, "LARGEST", 5)
    with pytest.raises(CorpusError, match="more than 5 bytes"):
        Manuscript(file)


def test_a_text_without_a_file_is_kept_until_it_is_discarded(tmp_path):
    recovery = Recovery(tmp_path / "drafts")
    assert recovery.leftovers() == []
    recovery.save("the fox")
    assert recovery.path.read_text() == "the fox"
    assert recovery.leftovers() == []
    recovery.discard()
    recovery.discard()
    assert list((tmp_path / "drafts").iterdir()) == []


@posix
def test_texts_of_processes_that_ended_are_found(tmp_path):
    process = os.fork()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    (tmp_path / f"{process}-aa.txt").write_text("left")
    (tmp_path / f"{os.getpid()}-aa.txt").write_text("mine")
    (tmp_path / "other.txt").write_text("other")
    assert Recovery(tmp_path).leftovers() == [tmp_path / f"{process}-aa.txt"]


@posix
def test_the_folder_of_kept_texts_is_the_users_alone(tmp_path):
    recovery = Recovery(tmp_path / "drafts")
    recovery.save("x")
    assert stat.S_IMODE((tmp_path / "drafts").stat().st_mode) == 0o700
    blocked = Recovery(tmp_path / "drafts" / recovery.path.name)
    with pytest.raises(CorpusError, match="cannot be kept there"):
        blocked.save("x")
