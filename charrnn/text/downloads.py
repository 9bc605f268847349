"""Fetching a text of the catalog: over https only, no more than announced, resumed, verified by SHA-256."""

import hashlib
import http.client
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from charrnn.errors import CorpusError
from charrnn.text.catalog import CatalogEntry

TIMEOUT = 30.0  # seconds without an answer

_BLOCK = 1 << 16
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def download(
    entry: CatalogEntry,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    loopback_http: bool = False,
) -> Path:
    """Fetch a text and return its path, ``NAME.txt`` in the folder; a good one that is there already is kept.

    What has arrived is kept in ``NAME.txt.part`` until it is whole: a broken download is continued.

    Args:
        entry: which text; not a built-in one.
        folder: where to, by default the user's corpora folder; it is made if need be.
        progress: called with the bytes that are there and the bytes to be had.
        loopback_http: allow plain http to this very machine, for tests.

    Raises:
        CorpusError: the address is not https, the network or the disk fails, or what came has another size or
            SHA-256 than the catalog says (then it is deleted).
    """
    if entry.kind != "download":
        raise CorpusError(f"{entry.name} is not a download: it is built on this machine")
    path = entry.path(folder)
    part = path.with_name(path.name + ".part")
    report = progress or (lambda done, total: None)
    try:
        if path.exists() and _sha256(path) == entry.sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        if not part.exists() or part.stat().st_size < entry.bytes:
            _fetch(entry, part, report, loopback_http)
        _verify(entry, part)
        part.replace(path)
    except OSError as error:  # of the disk: those of the network are CorpusErrors already
        raise CorpusError(f"{error.filename or part}: {error.strerror or error}") from None
    return path


def _fetch(entry: CatalogEntry, part: Path, report: Callable[[int, int], None], loopback_http: bool) -> None:
    """Add to the part file what is missing, or start it anew if the server cannot continue."""
    opener = urllib.request.build_opener(_SafeRedirects(loopback_http))
    _check_address(entry.address, loopback_http)
    done = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(entry.address, headers={"User-Agent": "charrnn"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        response = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if not done or error.code != 416:
            raise _failed(entry, f"the server answers {error.code} {error.reason}") from None
        # The server has nothing to add, so what we hold is not its text.
        part.unlink()
        _fetch(entry, part, report, loopback_http)
        return
    except (OSError, http.client.HTTPException) as error:
        raise _failed(entry, getattr(error, "reason", error)) from None
    with response:
        if done and response.status != 206:
            done = 0  # it sends the whole text instead of the rest
        elif done and not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            raise _failed(entry, "the server sent another part than was asked for")
        with part.open("ab" if done else "wb") as file:
            report(done, entry.bytes)
            # One byte more than announced is enough to know that it is too much.
            while done <= entry.bytes and (data := _read(entry, response, entry.bytes + 1 - done)):
                file.write(data)
                done += len(data)
                report(min(done, entry.bytes), entry.bytes)
            file.flush()
            os.fsync(file.fileno())


def _read(entry: CatalogEntry, response: http.client.HTTPResponse, most: int) -> bytes:
    try:
        return response.read(min(_BLOCK, most))
    except (OSError, http.client.HTTPException) as error:
        raise _failed(entry, error) from None


def _failed(entry: CatalogEntry, reason: object) -> CorpusError:
    words = " ".join(str(reason).split()) or type(reason).__name__
    return CorpusError(f"{entry.name}: cannot download: {words}; try again to continue")


def _verify(entry: CatalogEntry, part: Path) -> None:
    """Raise CorpusError unless the part file is the whole text; delete it if it can never be."""
    size = part.stat().st_size
    if size < entry.bytes:
        raise CorpusError(
            f"{entry.name}: the download ended after {size:,} of {entry.bytes:,} bytes; try again to continue"
        )
    if size > entry.bytes:
        part.unlink()
        raise CorpusError(f"{entry.name}: the server sent more than the {entry.bytes:,} bytes of the catalog")
    digest = _sha256(part)
    if digest != entry.sha256:
        part.unlink()
        raise CorpusError(
            f"{entry.name}: the SHA-256 of what arrived begins with {digest[:12]}, that of the catalog with "
            f"{entry.sha256[:12]}; it was deleted, try again"
        )


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https only: urllib's own would go to http and ftp as well."""

    def __init__(self, loopback_http: bool):
        self.loopback_http = loopback_http

    def redirect_request(self, request: Any, file: Any, code: int, message: str, headers: Any, address: str) -> Any:
        try:
            _check_address(address, self.loopback_http)
        except CorpusError:
            file.close()
            raise
        return super().redirect_request(request, file, code, message, headers, address)


def _check_address(address: str, loopback_http: bool) -> None:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "https" or (loopback_http and parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise CorpusError(f"texts are fetched over https only, not from {address!r}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
