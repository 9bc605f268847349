"""The catalog, downloads against a server of our own, and the sources of Python as a text."""

import hashlib
import http.server
import json
import threading
from dataclasses import replace

import pytest

from charrnn.errors import CorpusError
from charrnn.text import downloads
from charrnn.text.catalog import CatalogEntry, find_text, load_catalog
from charrnn.text.downloads import download
from charrnn.text.python_source import python_sources, write_python_sources

TEXT = b"".join(b"line %d of a text\n" % number for number in range(5000))


@pytest.fixture(autouse=True)
def corpora(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CORPORA", str(tmp_path / "corpora"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "corpora"


# The catalog


def test_the_catalog_is_sound():
    catalog = load_catalog()
    assert {"tinyshakespeare", "names", "python"} <= catalog.keys()
    assert catalog["python"].kind == "built-in"
    assert catalog["python"].address is None
    shakespeare = catalog["tinyshakespeare"]
    assert shakespeare.kind == "download"
    assert shakespeare.bytes == 1_115_394
    assert len({entry.sha256 for entry in catalog.values() if entry.sha256}) == len(catalog) - 1


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
        with pytest.raises(CorpusError, match="cannot read the catalog"):
            load_catalog(path)
    (tmp_path / "c.toml").write_text("a = 1", encoding="utf-8")
    with pytest.raises(CorpusError, match="must be a table"):
        load_catalog(tmp_path / "c.toml")


def test_names_are_found_once_they_are_there(corpora):
    with pytest.raises(CorpusError, match="charrnn corpus get names"):
        find_text("names")
    corpora.mkdir()
    (corpora / "names.txt").write_bytes(b"emma")
    assert find_text("names") == corpora / "names.txt"


# Downloads


class Server(http.server.ThreadingHTTPServer):
    """Serves ``content`` at /a.txt, remembers the Range headers, and misbehaves as its attributes say."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = TEXT
        self.ranges = True
        self.cut = None
        self.wrong_range = False
        self.redirect = None
        self.asked = []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/a.txt"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server, content, start = self.server, self.server.content, 0
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if self.path == "/moved.txt":
            self.send_response(302)
            self.send_header("Location", server.redirect)
            self.end_headers()
            return
        if self.path != "/a.txt":
            self.send_error(404)
            return
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            shown = start + 1 if server.wrong_range else start
            self.send_header("Content-Range", f"bytes {shown}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : server.cut])


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def entry(server):
    return CatalogEntry(
        name="a-text",
        kind="download",
        title="A text",
        licence="MIT",
        note="",
        address=server.address,
        bytes=len(TEXT),
        sha256=hashlib.sha256(TEXT).hexdigest(),
    )


def fetch(entry, folder, progress=None):
    return download(entry, folder, progress, loopback_http=True)


def failure(entry, folder):
    with pytest.raises(CorpusError) as caught:
        fetch(entry, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert not (folder / "a-text.txt").exists()
    return message


def test_a_download(entry, server, tmp_path):
    calls = []
    path = fetch(entry, tmp_path / "new" / "folder", lambda *call: calls.append(call))
    assert path == tmp_path / "new" / "folder" / "a-text.txt"
    assert path.read_bytes() == TEXT
    assert list(path.parent.iterdir()) == [path]
    assert calls[0] == (0, len(TEXT))
    assert calls[-1] == (len(TEXT), len(TEXT))
    assert calls == sorted(calls)
    assert server.asked == [None]


def test_what_is_there_is_kept_or_replaced(entry, server, tmp_path):
    path = fetch(entry, tmp_path)
    fetch(entry, tmp_path)
    assert len(server.asked) == 1
    path.write_bytes(b"damaged")
    assert fetch(entry, tmp_path).read_bytes() == TEXT


def test_the_user_s_folder_is_the_default(entry, corpora):
    assert download(entry, loopback_http=True) == corpora / "a-text.txt"


@pytest.mark.parametrize("have", [1, 1000, len(TEXT) - 1])
def test_a_download_is_resumed(entry, server, tmp_path, have):
    (tmp_path / "a-text.txt.part").write_bytes(TEXT[:have])
    calls = []
    assert fetch(entry, tmp_path, lambda *call: calls.append(call)).read_bytes() == TEXT
    assert server.asked == [f"bytes={have}-"]
    assert calls[0] == (have, len(TEXT))


def test_a_whole_part_needs_no_server(entry, server, tmp_path):
    (tmp_path / "a-text.txt.part").write_bytes(TEXT)
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == []


def test_a_server_that_cannot_continue(entry, server, tmp_path):
    server.ranges = False
    (tmp_path / "a-text.txt.part").write_bytes(b"something else")
    assert fetch(entry, tmp_path).read_bytes() == TEXT


def test_a_server_that_has_nothing_to_add(entry, server, tmp_path):
    server.content = TEXT[:100]
    (tmp_path / "a-text.txt.part").write_bytes(TEXT[:100])
    assert f"ended after 100 of {len(TEXT):,}" in failure(entry, tmp_path)
    assert server.asked == ["bytes=100-", None]


def test_a_server_that_continues_elsewhere(entry, server, tmp_path):
    server.wrong_range = True
    (tmp_path / "a-text.txt.part").write_bytes(TEXT[:100])
    assert "another part" in failure(entry, tmp_path)


def test_a_download_that_breaks_off_can_be_continued(entry, server, tmp_path):
    server.cut = 2000
    assert f"ended after 2,000 of {len(TEXT):,} bytes; try again to continue" in failure(entry, tmp_path)
    assert (tmp_path / "a-text.txt.part").read_bytes() == TEXT[:2000]
    server.cut = None
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == [None, "bytes=2000-"]


def test_a_wrong_text_is_deleted(entry, server, tmp_path):
    server.content = b"X" + TEXT[1:]
    assert "SHA-256" in failure(entry, tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.content = TEXT
    (tmp_path / "a-text.txt.part").write_bytes(b"wrong")
    assert "SHA-256" in failure(entry, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_more_is_read_than_announced(entry, server, tmp_path, monkeypatch):
    server.content = TEXT + b"x" * 1_000_000
    sizes = []
    verify = downloads._verify

    def note_size(entry, part):
        sizes.append(part.stat().st_size)
        verify(entry, part)

    monkeypatch.setattr(downloads, "_verify", note_size)
    assert "more than" in failure(entry, tmp_path)
    assert sizes == [len(TEXT) + 1]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_page(entry, tmp_path):
    gone = replace(entry, address=entry.address.replace("a.txt", "b.txt"))
    assert "the server answers 404" in failure(gone, tmp_path)


def test_a_missing_server_keeps_the_part(entry, server, tmp_path):
    (tmp_path / "a-text.txt.part").write_bytes(TEXT[:100])
    server.server_close()
    assert "cannot download" in failure(entry, tmp_path)
    assert (tmp_path / "a-text.txt.part").read_bytes() == TEXT[:100]


def test_only_https(entry, server, tmp_path):
    with pytest.raises(CorpusError, match="https only"):
        download(entry, tmp_path)
    for address in ("http://example.org/a.txt", "ftp://127.0.0.1/a.txt", "file:///etc/passwd"):
        assert "https only" in failure(replace(entry, address=address), tmp_path)
    assert server.asked == []


def test_redirects(entry, server, tmp_path):
    moved = replace(entry, address=entry.address.replace("a.txt", "moved.txt"))
    for address in ("http://example.org/a.txt", "ftp://127.0.0.1/a.txt"):
        server.redirect = address
        assert "https only" in failure(moved, tmp_path)
    server.redirect = "file:///etc/passwd"
    failure(moved, tmp_path)
    server.redirect = server.address
    (tmp_path / "a-text.txt.part").write_bytes(TEXT[:100])
    assert fetch(moved, tmp_path).read_bytes() == TEXT


def test_what_is_built_in_is_not_downloaded(tmp_path):
    with pytest.raises(CorpusError, match="not a download"):
        download(load_catalog()["python"], tmp_path)


def test_a_folder_that_cannot_be_made(entry, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CorpusError, match="file"):
        fetch(entry, tmp_path / "file" / "folder")


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


def test_files_that_are_not_taken(library):
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
    with pytest.raises(CorpusError, match="cannot write"):
        write_python_sources(path / "below.txt")
    with pytest.raises(CorpusError, match="cannot write"):
        write_python_sources(tmp_path)
    assert not list(tmp_path.glob("*.part"))
