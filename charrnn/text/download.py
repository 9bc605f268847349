"""Downloads a text of the catalog: over https only, resumed where it broke off, verified by its SHA-256.

``download`` looks after the files on the disk; ``_Download`` completes one of them from the server.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from charrnn.errors import CorpusError
from charrnn.records import ProgressCallback, no_progress
from charrnn.system.files import flush_folder, lock_file
from charrnn.text.catalog import CatalogEntry

TIMEOUT = 30.0  # seconds without a byte
STALL_SECONDS, STALL_BYTES = 60.0, 20_000  # a transfer fails if fewer bytes come in so many seconds

_BLOCK = 1 << 16
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_VALIDATOR = re.compile(r'"[!#-~]{0,200}"|[A-Za-z]{3}, [A-Za-z0-9: ]{1,40}')  # a strong ETag, or a date


def download(
    entry: CatalogEntry,
    folder: Path | None = None,
    progress: ProgressCallback = no_progress,
    *,
    loopback_http: bool = False,
) -> Path:
    """Fetch a text and return its path, ``NAME.txt`` in the folder. A file that already is this text is kept.

    Until the text is complete, its bytes are in ``NAME.txt.part``, so that a broken download can be resumed.  Beside it
    ``NAME.txt.part.validator`` has the validator of the server (ETag or date), so that the server sends the text from
    its start if it has changed since.  If a resumed download nevertheless has the wrong SHA-256, it is fetched once
    more from the start.

    Args:
        entry: which text; not a built-in one.
        folder: the folder for the file, by default the user's corpora folder; it is made if it is missing.
        progress: called with the bytes that have arrived and the bytes of the text.
        loopback_http: allow plain http to this machine itself, for tests.

    Raises:
        CorpusError: the address is not https, the network or the disk fails, another process downloads the same text,
            or the bytes have another size or SHA-256 than the catalog says (then they are deleted).
    """
    if entry.kind != "download":
        raise CorpusError(f"{entry.name} is not a download: it is built on this machine")
    path = entry.path(folder)
    part, validator = (path.with_name(path.name + end) for end in (".part", ".part.validator"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            with path.open("rb") as file:
                if _digest(file) == entry.sha256:
                    return path
        for place in (path, part, validator):
            _require_plain(place)
        with _locked(part) as file:
            _Download(entry, file, validator, progress, loopback_http).complete()
        validator.unlink(missing_ok=True)
        part.replace(path)
        flush_folder(path.parent)
    except _WrongTextError as error:
        for place in (part, validator):
            place.unlink(missing_ok=True)
        raise CorpusError(str(error)) from None
    except OSError as error:  # an error of the disk; errors of the network are CorpusErrors
        raise CorpusError(f"{error.filename or part}: {error.strerror or error}") from None
    return path


class _WrongTextError(Exception):
    """The bytes that arrived cannot become the text, whatever is appended."""


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """The part file, open for reading and appending, and locked against other processes."""
    with part.open("a+b") as file:
        try:
            file.seek(0)
            lock_file(file)
            # The process that had the lock may just have finished the download and renamed the file.
            mine = os.path.samestat(os.fstat(file.fileno()), part.stat())
        except OSError:
            mine = False
        if not mine:
            raise CorpusError(f"{part}: another process is writing it: wait until it is done")
        try:
            yield file
        finally:
            if not file.seek(0, os.SEEK_END):  # nothing has arrived that could be continued
                with suppress(OSError):  # Windows keeps a file that is open
                    part.unlink()


def _require_plain(path: Path) -> None:
    """Refuse a link, which may lead elsewhere, a pipe, which may never end, and a folder."""
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise CorpusError(f"{path}: not a plain file: remove it or move it away")


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


class _Download:
    """The download of a text of known size into its part file, which is open and locked; beside it is ``validator``.

    Raises:
        CorpusError: the address or a redirection is not https, the certificate is not trusted, the server refuses,
            stalls, sends too slowly, or offers a text of another size.
    """

    def __init__(
        self, entry: CatalogEntry, file: BinaryIO, validator: Path, progress: ProgressCallback, loopback_http: bool
    ):
        self._entry, self._file, self._validator = entry, file, validator
        self._progress, self._loopback_http = progress, loopback_http

    def complete(self) -> None:
        """Append the missing bytes to the part file, or fetch it anew; it is the verified text when this returns."""
        entry, file = self._entry, self._file
        done = file.seek(0, os.SEEK_END)
        if done > entry.bytes:
            done = file.truncate(0)
        if done < entry.bytes:
            self._fetch(done)
        if done and file.seek(0, os.SEEK_END) >= entry.bytes and _digest(file) != entry.sha256:
            self._fetch(0)
        size = file.seek(0, os.SEEK_END)
        if size < entry.bytes:
            raise CorpusError(
                f"{entry.name}: the download ended after {size:,} of {entry.bytes:,} bytes; try again to continue"
            )
        if size > entry.bytes:
            raise _WrongTextError(f"{entry.name}: the server sent more than the {entry.bytes:,} bytes of the catalog")
        digest = _digest(file)
        if digest != entry.sha256:
            raise _WrongTextError(
                f"{entry.name}: the download has the SHA-256 {digest[:12]}…, but the catalog says "
                f"{entry.sha256[:12]}…; it was deleted, try again"
            )

    def _fetch(self, offset: int) -> None:
        """Append the text from byte ``offset`` on to the part file; write it anew if the server cannot resume."""
        place, total = self._validator, self._entry.bytes
        known = place.read_bytes()[:1000].decode("ascii", "replace") if place.exists() else ""
        response, offset = self._ask(offset, known)
        with response:
            done = self._file.truncate(self._start(response, offset))
            said = (response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
            place.write_text(next(filter(_VALIDATOR.fullmatch, said), ""), encoding="ascii")
            self._progress(done, total)
            for data in self._blocks(response, done):
                self._file.write(data)
                done += len(data)
                self._progress(min(done, total), total)
        self._file.flush()
        os.fsync(self._file.fileno())

    def _ask(self, offset: int, validator: str) -> tuple[http.client.HTTPResponse, int]:
        """The server's answer, and the offset that it is about: 0 if the server has no bytes after ``offset``.

        ``validator`` is the validator of the bytes on the disk, "" if it is not known.
        """
        name, address = self._entry.name, self._entry.address
        headers = {"User-Agent": "charrnn", "Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if _VALIDATOR.fullmatch(validator):
                headers["If-Range"] = validator
        try:
            _check_address(name, address, self._loopback_http)
            opener = urllib.request.build_opener(_SafeRedirects(name, self._loopback_http))
            return opener.open(urllib.request.Request(address, headers=headers), timeout=TIMEOUT), offset
        except urllib.error.HTTPError as error:
            error.close()
            if offset and error.code == 416:  # so the bytes on the disk are not its text
                return self._ask(0, "")
            raise self._failed(f"the server answers {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._failed(getattr(error, "reason", error)) from None

    def _start(self, response: http.client.HTTPResponse, offset: int) -> int:
        """The position in the text of the answer's first byte, after checks of the answer's headers.

        It is ``offset``, or 0 if the server cannot resume or has another text now.
        """
        status, headers = response.status, response.headers
        coding = headers.get("Content-Encoding", "identity")
        if status not in (200, 206) or coding != "identity":
            raise self._failed(f"the server answers {status} with content encoded as {coding}", "")
        start, size = 0, headers.get("Content-Length")
        if status == 206:
            match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
            if not offset or not match or int(match[1]) != offset:
                raise self._failed("the server sent another part than was asked for")
            start, size = offset, match[2]
        if size is not None and size.isdecimal() and int(size) != self._entry.bytes:
            raise self._failed(f"the server has {int(size):,} bytes there, the catalog says {self._entry.bytes:,}", "")
        return start

    def _blocks(self, response: http.client.HTTPResponse, done: int) -> Iterator[bytes]:
        """The bytes of the text from position ``done`` on, and at most one byte more than the text has."""
        total, begun, before = self._entry.bytes, time.monotonic(), done
        while done <= total:
            try:
                # One byte more than announced is enough to detect a text that is too long.
                data = response.read1(min(_BLOCK, total + 1 - done))
            except (OSError, http.client.HTTPException) as error:
                raise self._failed(error) from None
            if not data:
                return
            done += len(data)
            yield data
            now = time.monotonic()
            if now - begun > STALL_SECONDS:
                if done - before < STALL_BYTES and done < total:
                    raise self._failed(f"only {done - before:,} bytes came in {now - begun:.0f} seconds")
                begun, before = now, done

    def _failed(self, reason: object, advice: str = "try again to continue") -> CorpusError:
        if isinstance(reason, ssl.SSLCertVerificationError):
            reason = f"the server's certificate is not trusted ({reason.verify_message})"
            advice = "check this machine's clock and network"
        words = " ".join(str(reason).split()) or type(reason).__name__
        return CorpusError(f"{self._entry.name}: cannot download: {words}" + (f"; {advice}" if advice else ""))


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https only. The handler of urllib would also follow them to http and ftp."""

    def __init__(self, name: str, loopback_http: bool):
        self._name, self._loopback_http = name, loopback_http

    def http_error_302(self, request: Any, file: Any, code: int, message: str, headers: Any) -> Any:
        try:
            return super().http_error_302(request, file, code, message, headers)
        except (CorpusError, ValueError):  # not https, or not an address; urllib leaves the answer open then
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
