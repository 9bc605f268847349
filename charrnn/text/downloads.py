"""A text of the catalog on this machine: fetched, continued where it broke off, and verified by its SHA-256."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from charrnn.errors import CorpusError
from charrnn.files import flush_folder, lock_file
from charrnn.text.catalog import CatalogEntry
from charrnn.text.transfer import Transfer

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
