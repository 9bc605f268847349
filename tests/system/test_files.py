"""Durable files: what they are written over."""

import os
import stat
import sys

import pytest

from charrnn.system.files import write_durably

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
