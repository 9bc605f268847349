"""Tests of downloads from a server of our own: they are resumed, verified or refused, and stay in their folder."""

import hashlib
import os
import re
import ssl
from dataclasses import replace

import pytest
from command_line import invoke, run_cli
from loopback import CERTIFICATE, TEXT, serving

from charrnn.errors import CorpusError
from charrnn.records import no_progress
from charrnn.system.files import lock_file
from charrnn.text import download as module
from charrnn.text.catalog import CatalogEntry, load_catalog
from charrnn.text.download import download


@pytest.fixture(autouse=True)
def corpora(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CORPORA", str(tmp_path / "corpora"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "corpora"


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def tls_server():
    with serving(tls=True) as server:
        yield server


def entry_at(address):
    size, digest = len(TEXT), hashlib.sha256(TEXT).hexdigest()
    return CatalogEntry("a-text", "download", "A text", "MIT", "", address, size, digest)


@pytest.fixture
def entry(server):
    return entry_at(server.address)


@pytest.fixture
def part(tmp_path):
    return tmp_path / "a-text.txt.part"


def fetch(entry, folder, progress=no_progress):
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


def test_an_existing_file_is_kept_if_it_is_the_text_and_else_replaced(entry, server, tmp_path):
    path = fetch(entry, tmp_path)
    fetch(entry, tmp_path)
    assert len(server.asked) == 1
    path.write_bytes(b"damaged")
    assert fetch(entry, tmp_path).read_bytes() == TEXT


def test_the_user_s_folder_is_the_default(entry, corpora):
    assert download(entry, loopback_http=True) == corpora / "a-text.txt"


def test_a_built_in_text_is_not_downloaded(tmp_path):
    with pytest.raises(CorpusError, match="not a download"):
        download(load_catalog()["python"], tmp_path)


# Continuing


@pytest.mark.parametrize("have", [1, 1000, len(TEXT) - 1])
def test_a_download_is_resumed(entry, server, tmp_path, part, have):
    part.write_bytes(TEXT[:have])
    calls = []
    assert fetch(entry, tmp_path, lambda *call: calls.append(call)).read_bytes() == TEXT
    assert server.asked == [f"bytes={have}-"]
    assert calls[0] == (have, len(TEXT))


def test_a_complete_part_file_needs_no_server(entry, server, tmp_path, part):
    part.write_bytes(TEXT)
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == []


@pytest.mark.parametrize("have", [TEXT[:-1] + b"x", TEXT + b"too much"])
def test_a_wrong_part_file_is_fetched_anew(entry, server, tmp_path, part, have):
    part.write_bytes(have)
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == [None]


def test_a_text_that_changed_since_it_broke_off_is_fetched_anew(entry, server, tmp_path, part):
    part.write_bytes(b"of an older state")
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == ["bytes=17-", None]


def test_a_server_that_cannot_resume_sends_the_whole_text(entry, server, tmp_path, part):
    server.ranges = False
    part.write_bytes(b"something else")
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == ["bytes=14-"]


def test_a_server_whose_text_is_too_short_is_refused(entry, server, tmp_path, part):
    server.content = TEXT[:100]
    part.write_bytes(TEXT[:100])
    assert f"the server has 100 bytes there, the catalog says {len(TEXT):,}" in failure(entry, tmp_path)
    assert server.asked == ["bytes=100-", None]


@pytest.mark.parametrize("shown", ["bytes 101-88889/88890", "bytes */88890", "nonsense"])
def test_a_server_that_resumes_at_another_offset_is_refused(entry, server, tmp_path, part, shown):
    server.content_range = shown
    part.write_bytes(TEXT[:100])
    assert "another part" in failure(entry, tmp_path)
    assert part.read_bytes() == TEXT[:100]


def test_a_server_that_resumes_another_text_is_refused(entry, server, tmp_path, part):
    server.content_range = "bytes 100-200/201"
    part.write_bytes(TEXT[:100])
    assert "the server has 201 bytes there" in failure(entry, tmp_path)


@pytest.mark.parametrize("length", ["right", None])
def test_a_download_that_breaks_off_can_be_continued(entry, server, tmp_path, part, length):
    server.cut, server.length = 2000, length
    assert f"ended after 2,000 of {len(TEXT):,} bytes; try again to continue" in failure(entry, tmp_path)
    assert part.read_bytes() == TEXT[:2000]
    server.cut = None
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == [None, "bytes=2000-"]


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"ETag": '"v1"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}, '"v1"'),
        ({"ETag": 'W/"v1"', "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}, "Sat, 21 Nov 2026 10:00:00 GMT"),
        ({"ETag": 'W/"v1"'}, None),
        ({"ETag": '"' + "x" * 5000 + '"'}, None),
        ({"ETag": '"caf\xe9"', "Last-Modified": "yesterday"}, None),
    ],
)
def test_a_download_is_continued_if_the_text_is_the_same(entry, server, tmp_path, part, headers, condition):
    server.headers, server.cut = headers, 2000
    failure(entry, tmp_path)
    server.cut = None
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == [None, "bytes=2000-"]
    assert server.conditions == [None, condition]
    assert list(tmp_path.iterdir()) == [tmp_path / "a-text.txt"]


def test_a_text_that_changed_is_fetched_anew_at_once(entry, server, tmp_path, part):
    server.headers, server.content, server.cut = {"ETag": '"old"'}, b"X" + TEXT[1:], 2000
    failure(entry, tmp_path)
    server.headers, server.content = {"ETag": '"new"'}, TEXT
    failure(entry, tmp_path)
    assert part.read_bytes() == TEXT[:2000]  # the rest of another version is not appended
    server.cut = None
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.asked == [None, "bytes=2000-", "bytes=2000-"]
    assert server.conditions == [None, '"old"', '"new"']


@pytest.mark.parametrize("known", [b"", b"\xff\xfe", b"a: b\r\nHost: x", b'"old"', b"x" * 100_000])
def test_any_validator_file_is_tolerated(entry, server, tmp_path, part, known):
    part.write_bytes(TEXT[:100])
    part.with_name(part.name + ".validator").write_bytes(known)
    assert fetch(entry, tmp_path).read_bytes() == TEXT
    assert server.conditions == ['"old"' if known == b'"old"' else None]
    assert list(tmp_path.iterdir()) == [tmp_path / "a-text.txt"]


def test_a_download_is_resumed_after_ctrl_c(entry, server, tmp_path, part):
    def interrupt(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entry, tmp_path, interrupt)
    have = part.stat().st_size
    assert have > 0
    assert not (tmp_path / "a-text.txt").exists()
    if have < len(TEXT):
        assert fetch(entry, tmp_path).read_bytes() == TEXT
        assert server.asked == [None, f"bytes={have}-"]


# Wrong texts and wrong servers


def test_a_wrong_text_is_deleted(entry, server, tmp_path, part):
    server.content = b"X" + TEXT[1:]
    assert "SHA-256" in failure(entry, tmp_path)
    assert list(tmp_path.iterdir()) == []
    part.write_bytes(b"wrong")
    assert "SHA-256" in failure(entry, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_more_bytes_are_read_than_announced(entry, server, tmp_path):
    server.content, server.length = TEXT + b"x" * 1_000_000, None
    calls, sizes = [], []

    def note(done, total):
        calls.append(done)
        sizes.append((tmp_path / "a-text.txt.part").stat().st_size)

    with pytest.raises(CorpusError, match="more than"):
        fetch(entry, tmp_path, note)
    assert max(calls) == len(TEXT)
    assert max(sizes) <= len(TEXT) + 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [5, 10**15])
def test_a_wrong_length_is_refused_before_a_byte_is_read(entry, server, tmp_path, part, length):
    server.length = length
    assert f"the server has {length:,} bytes there" in failure(entry, tmp_path)
    assert not part.exists()


def test_a_compressed_answer_is_refused(entry, server, tmp_path):
    server.headers = {"Content-Encoding": "gzip"}
    assert "encoded as gzip" in failure(entry, tmp_path)


def test_answers_without_a_text_are_refused(entry, server, tmp_path):
    gone = replace(entry, address=entry.address.replace("a.txt", "b.txt"))
    assert "the server answers 404" in failure(gone, tmp_path)
    server.status = 203
    assert "the server answers 203" in failure(entry, tmp_path)


def test_a_missing_server_keeps_the_part(entry, server, tmp_path, part):
    part.write_bytes(TEXT[:100])
    server.server_close()
    assert "cannot download" in failure(entry, tmp_path)
    assert part.read_bytes() == TEXT[:100]


@pytest.mark.parametrize("silent_at", [-1, 0, 1000])
def test_a_silent_server_is_a_timeout(entry, server, tmp_path, part, monkeypatch, silent_at):
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    server.silent_at = silent_at
    for _ in range(50):  # on a busy machine the timeout may come before the server has sent its bytes
        assert "timed out; try again to continue" in failure(entry, tmp_path)
        if silent_at <= 0:
            assert not part.exists()  # no bytes, no file
            return
        if part.exists() and part.read_bytes() == TEXT[:silent_at]:
            return
    pytest.fail(f"{part.stat().st_size} bytes came")


def test_a_server_that_is_too_slow_is_given_up(entry, server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STALL_SECONDS", 0.2)
    server.drip = True
    assert re.search(r"only [\d,]+ bytes came in \d+ seconds; try again", failure(entry, tmp_path))


# Only https


def test_other_schemes_than_https_are_refused(entry, server, tmp_path):
    with pytest.raises(CorpusError, match="https only"):
        download(entry, tmp_path)
    for address in ("http://example.org/a.txt", "ftp://127.0.0.1/a.txt", "file:///etc/passwd", "https://[bad"):
        assert "a-text: " in failure(replace(entry, address=address), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize(
    "address",
    ["http://example.org/a.txt", "ftp://127.0.0.1/a.txt", "file:///etc/passwd", "https://[bad"],
)
def test_redirections_to_other_schemes_are_refused(entry, server, tmp_path, address):
    server.redirect = address
    message = failure(replace(entry, address=entry.address.replace("a.txt", "moved.txt")), tmp_path)
    assert message.startswith("a-text: ")
    assert len(server.asked) == 1


def test_redirections_to_https_are_followed(entry, server, tmp_path, part):
    moved = replace(entry, address=entry.address.replace("a.txt", "moved.txt"))
    server.redirect = moved.address
    assert "the server answers 302" in failure(moved, tmp_path)  # in a circle
    server.redirect = server.address
    part.write_bytes(TEXT[:100])
    assert fetch(moved, tmp_path).read_bytes() == TEXT


def test_https_with_a_certificate_that_is_trusted(tls_server, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    entry = entry_at(tls_server.address)
    assert download(entry, tmp_path).read_bytes() == TEXT
    (tmp_path / "a-text.txt").unlink()
    tls_server.redirect = "http://127.0.0.1:1/a.txt"
    with pytest.raises(CorpusError, match="over https only, not from 'http:"):
        download(entry_at(tls_server.address.replace("a.txt", "moved.txt")), tmp_path)


def test_certificates_that_are_not_trusted(tls_server, tmp_path, monkeypatch):
    message = failure(entry_at(tls_server.address), tmp_path)
    assert "certificate is not trusted (self-signed certificate)" in message
    assert message.endswith("check this machine's clock and network")
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    other_name = tls_server.address.replace("127.0.0.1", "localhost")
    assert "certificate is not trusted (Hostname mismatch" in failure(entry_at(other_name), tmp_path)
    assert tls_server.asked == []


# The folder


@pytest.mark.parametrize("name", ["../a", "a/b", "/etc/a", "c:a", "a\\b", "a\0", "", "..", "con", "lpt1", "A", "a\n"])
def test_no_name_leads_out_of_the_folder(name):
    with pytest.raises(CorpusError, match="the name must be"):
        CatalogEntry(name=name, kind="built-in", title="", licence="", note="")


@pytest.mark.parametrize("which", ["a-text.txt", "a-text.txt.part"])
def test_nothing_is_written_through_a_link(entry, tmp_path, which):
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    try:
        (folder / which).symlink_to(outside)
    except OSError:
        pytest.skip("this system has no symbolic links for everybody")
    with pytest.raises(CorpusError, match=rf"{which}: not a plain file"):
        fetch(entry, folder)
    assert outside.read_bytes() == b"mine"


@pytest.mark.parametrize("which", ["a-text.txt", "a-text.txt.part"])
@pytest.mark.parametrize("make", [os.mkdir, getattr(os, "mkfifo", os.mkdir)])
def test_a_folder_or_a_pipe_in_the_way_is_refused(entry, tmp_path, which, make):
    make(tmp_path / which)
    with pytest.raises(CorpusError, match=rf"{which}: not a plain file"):
        fetch(entry, tmp_path)


def test_a_folder_that_cannot_be_made(entry, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CorpusError, match="file"):
        fetch(entry, tmp_path / "file" / "folder")


@pytest.mark.skipif(os.name == "nt", reason="locks of one process do not exclude each other there")
def test_two_downloads_of_one_text_exclude_each_other(entry, tmp_path, part):
    with part.open("ab") as file:
        lock_file(file)
        assert "another process is writing it" in failure(entry, tmp_path)


# At the command line


def test_corpus_get(tls_server, corpora, monkeypatch, tmp_path):
    entry = entry_at(tls_server.address)
    monkeypatch.setattr("charrnn.text.catalog.load_catalog", lambda: {entry.name: entry})
    result = invoke("corpus", "get", "a-text")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: a-text: cannot download: the server's certificate is not trusted")
    assert result.stderr.count("\n") == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    tls_server.cut = 5000
    assert "ended after 5,000 of" in invoke("corpus", "get", "a-text").stderr
    tls_server.cut = None
    assert invoke("corpus", "get", "a-text").exit_code == 0
    assert (corpora / "a-text.txt").read_bytes() == TEXT


def test_without_a_network_corpus_get_is_one_line(corpora):
    environment = {**os.environ, "no_proxy": "", "https_proxy": "http://127.0.0.1:9"}
    process = run_cli("corpus", "get", "names", env=environment)
    assert process.returncode == 1
    assert process.stderr.startswith(b"Error: names: cannot download: ")
    assert process.stderr.count(b"\n") == 1
    assert not (corpora / "names.txt").exists()


def test_the_certificate_outlives_this_project():
    with CERTIFICATE.open() as file:
        assert "PRIVATE KEY" in file.readline()
    assert (
        ssl.create_default_context(cafile=CERTIFICATE).get_ca_certs()[0]["notAfter"].startswith("Jan  1 00:00:00 2120")
    )
