"""Bytes from a server: over https and no other way, from where a broken transfer ended, without waiting for ever."""

import http.client
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from charrnn.errors import CorpusError

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
