"""A text of the catalog on this machine: fetched, continued where it broke off, and verified by its SHA-256.

Bytes from a server: over https and no other way, from where a broken transfer ended, without waiting for ever.
"""

import hashlib
import http.client
import os
import re
import ssl
import stat
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from charrnn.errors import CorpusError
from charrnn.system.files import flush_folder, lock_file
from charrnn.text.catalog import CatalogEntry

Report = Callable[[int, int], None]


def download(
    entry: CatalogEntry, folder: Path | None = None, progress: Report | None = None, *, loopback_http: bool = False
) -> Path:
    """Fetch a text and return its path, ``NAME.txt`` in the folder; a good one that is there already is kept.

    What has arrived is kept in ``NAME.txt.part`` until it is whole, so that a broken download is continued; what the
    server knows it by is kept beside it, so that a text that has changed meanwhile comes from its start at once.  When
    the whole that was continued is not the text of the catalog all the same, it is fetched once from the start.

    Args:
        entry: which text; not a built-in one.
        folder: where to, by default the user's corpora folder; it is made if need be.
        progress: called with the bytes that are there and the bytes to be had.
        loopback_http: allow plain http to this very machine, for tests.

    Raises:
        CorpusError: the address is not https, the network or the disk fails, another process is at it, or what came has
            another size or SHA-256 than the catalog says (then it is deleted).
    """
    if entry.kind != "download":
        raise CorpusError(f"{entry.name} is not a download: it is built on this machine")
    path = entry.path(folder)
    part = path.with_name(path.name + ".part")
    report = progress or (lambda done, total: None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and _is_the_text(entry, path):
            return path
        for place in (path, part, _validator_of(part)):
            _require_plain(place)
        with _locked(part) as file:
            _complete(entry, file, part, report, loopback_http)
        _validator_of(part).unlink(missing_ok=True)
        part.replace(path)
        flush_folder(path.parent)
    except _NotTheTextError as error:
        for place in (part, _validator_of(part)):
            place.unlink(missing_ok=True)
        raise CorpusError(str(error)) from None
    except OSError as error:  # of the disk: those of the network are CorpusErrors already
        raise CorpusError(f"{error.filename or part}: {error.strerror or error}") from None
    return path


class _NotTheTextError(Exception):
    """What arrived can never become the text."""


def _validator_of(part: Path) -> Path:
    """The file with what the server knows a part by."""
    return part.with_name(part.name + ".validator")


def _complete(entry: CatalogEntry, file: BinaryIO, part: Path, report: Report, loopback_http: bool) -> None:
    """Add what is missing to the part file, or begin anew; it is the text when this returns."""
    done = file.seek(0, os.SEEK_END)
    if done > entry.bytes:
        done = file.truncate(0)
    if done < entry.bytes:
        _fetch(entry, file, part, done, report, loopback_http)
    if done and file.seek(0, os.SEEK_END) >= entry.bytes and _digest(file) != entry.sha256:
        _fetch(entry, file, part, 0, report, loopback_http)
    size = file.seek(0, os.SEEK_END)
    if size < entry.bytes:
        raise CorpusError(
            f"{entry.name}: the download ended after {size:,} of {entry.bytes:,} bytes; try again to continue"
        )
    if size > entry.bytes:
        raise _NotTheTextError(f"{entry.name}: the server sent more than the {entry.bytes:,} bytes of the catalog")
    digest = _digest(file)
    if digest != entry.sha256:
        raise _NotTheTextError(
            f"{entry.name}: the SHA-256 of what arrived begins with {digest[:12]}, that of the catalog with "
            f"{entry.sha256[:12]}; it was deleted, try again"
        )


def _fetch(entry: CatalogEntry, file: BinaryIO, part: Path, done: int, report: Report, loopback_http: bool) -> None:
    """Append the text from the byte ``done`` on; from the start, if the server cannot continue."""
    place = _validator_of(part)
    known = place.read_bytes()[:1000].decode("ascii", "replace") if place.exists() else ""
    with Transfer(entry.name, entry.address, done, entry.bytes, known, loopback_http) as transfer:
        done = file.truncate(transfer.start)
        place.write_text(transfer.validator, encoding="ascii")
        report(done, entry.bytes)
        for data in transfer:
            file.write(data)
            done += len(data)
            report(min(done, entry.bytes), entry.bytes)
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """The part file, open to be read and appended to, while no other process has it."""
    with part.open("a+b") as file:
        try:
            file.seek(0)
            lock_file(file)
            # Whoever had it may just have finished: then it has got another name.
            mine = os.path.samestat(os.fstat(file.fileno()), part.stat())
        except OSError:
            mine = False
        if not mine:
            raise CorpusError(f"{part}: another process is writing it: wait until it is done")
        yield file


def _require_plain(path: Path) -> None:
    """Refuse a link, which may lead elsewhere, a pipe, which may never end, and a folder in a file's place."""
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise CorpusError(f"{path}: not a plain file: remove it or move it away")


def _is_the_text(entry: CatalogEntry, path: Path) -> bool:
    with path.open("rb") as file:
        return _digest(file) == entry.sha256


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


TIMEOUT = 30.0  # seconds without a byte
SPAN, LEAST = 60.0, 20_000  # in so many seconds at least so many bytes: a server that drips is one that stalls

_BLOCK = 1 << 16
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_AGAIN = "try again to continue"
_VALIDATOR = re.compile(r'"[!#-~]{0,200}"|[A-Za-z]{3}, [A-Za-z0-9: ]{1,40}')  # a strong ETag, or a date


class Transfer:
    """A text of a known size on its way, from an offset on; a context manager that is iterated over its blocks.

    ``start`` is where the bytes that come begin: at the offset asked for, or at 0 if the server cannot continue, or has
    another text there now.  No more than one byte beyond the announced size is read.  ``validator`` is what the server
    knows this state of the text by, its ETag or else the time of its last change, "" if it says neither.

    Args:
        name: what messages call it.
        address: https, or with ``loopback_http`` plain http to this very machine (for tests).
        offset: bytes that are there already.
        total: its size in bytes.
        validator: that of the bytes that are there already, "" if it is not known.

    Raises:
        CorpusError: the address or one that it leads to is not https, the certificate is not trusted, the server
            refuses, stalls, drips, or offers a text of another size.
    """

    def __init__(
        self, name: str, address: str, offset: int, total: int, validator: str = "", loopback_http: bool = False
    ):
        self._name, self._total = name, total
        try:
            _check_address(name, address, loopback_http)
            opener = urllib.request.build_opener(_SafeRedirects(name, loopback_http))
            try:
                self._response = _ask(opener, address, offset, validator)
            except urllib.error.HTTPError as error:
                error.close()
                if not offset or error.code != 416:
                    raise
                # It has nothing to add, so what is there is not its text.
                offset = 0
                self._response = _ask(opener, address)
        except urllib.error.HTTPError as error:
            error.close()
            raise self._failed(f"the server answers {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failed(getattr(error, "reason", error)) from None
        try:
            self.start = self._begin(offset)
        except CorpusError:
            self._response.close()
            raise
        headers = self._response.headers
        said = (headers.get("ETag", ""), headers.get("Last-Modified", ""))
        self.validator = next(filter(_VALIDATOR.fullmatch, said), "")

    def __enter__(self) -> "Transfer":
        return self

    def __exit__(self, *exception: object) -> None:
        self._response.close()

    def __iter__(self) -> Iterator[bytes]:
        done, begun, before = self.start, time.monotonic(), self.start
        while done <= self._total:
            try:
                # One byte more than announced is enough to know that it is too much.
                data = self._response.read1(min(_BLOCK, self._total + 1 - done))
            except (OSError, http.client.HTTPException) as error:
                raise self._failed(error) from None
            if not data:
                return
            done += len(data)
            yield data
            now = time.monotonic()
            if now - begun > SPAN:
                if done - before < LEAST and done < self._total:
                    raise self._failed(f"only {done - before:,} bytes came in {now - begun:.0f} seconds")
                begun, before = now, done

    def _begin(self, offset: int) -> int:
        """Where the answer's bytes begin, if it is one of the text."""
        status, headers = self._response.status, self._response.headers
        coding = headers.get("Content-Encoding", "identity")
        if status not in (200, 206) or coding != "identity":
            raise self._failed(f"the server answers {status} with content encoded as {coding}", "")
        size = headers.get("Content-Length")
        if status == 206:
            match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
            if not offset or not match or int(match[1]) != offset:
                raise self._failed("the server sent another part than was asked for")
            start, size = offset, match[2]
        else:
            start = 0  # it sends the whole text instead of the rest
        if size is not None and size.isdecimal() and int(size) != self._total:
            raise self._failed(f"the server has {int(size):,} bytes there, the catalog says {self._total:,}", "")
        return start

    def _failed(self, reason: object, advice: str = _AGAIN) -> CorpusError:
        if isinstance(reason, ssl.SSLCertVerificationError):
            reason = f"the server's certificate is not trusted ({reason.verify_message})"
            advice = "check this machine's clock and network"
        words = " ".join(str(reason).split()) or type(reason).__name__
        return CorpusError(f"{self._name}: cannot download: {words}" + (f"; {advice}" if advice else ""))


def _ask(
    opener: urllib.request.OpenerDirector, address: str, offset: int = 0, validator: str = ""
) -> http.client.HTTPResponse:
    request = urllib.request.Request(address, headers={"User-Agent": "charrnn", "Accept-Encoding": "identity"})
    if offset:
        request.add_header("Range", f"bytes={offset}-")
        if _VALIDATOR.fullmatch(validator):
            request.add_header("If-Range", validator)
    return opener.open(request, timeout=TIMEOUT)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https only: urllib's own would go to http and ftp as well."""

    def __init__(self, name: str, loopback_http: bool):
        self._name, self._loopback_http = name, loopback_http

    def http_error_302(self, request: Any, file: Any, code: int, message: str, headers: Any) -> Any:
        try:
            return super().http_error_302(request, file, code, message, headers)
        except (CorpusError, ValueError):  # not https, or no address at all: urllib leaves the answer open then
            file.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, request: Any, file: Any, code: int, message: str, headers: Any, address: str) -> Any:
        _check_address(self._name, address, self._loopback_http)
        return super().redirect_request(request, file, code, message, headers, address)


def _check_address(name: str, address: str, loopback_http: bool) -> None:
    parts = urllib.parse.urlsplit(address)
    if parts.scheme == "https" or (loopback_http and parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    raise CorpusError(f"{name}: texts are fetched over https only, not from {address!r}")
