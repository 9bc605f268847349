"""Encodes texts in memory or into files of ids, and finds these files again at the next start.

The files are in ``corpora`` in the user's cache folder, which may be deleted at any time.  An id file has ids
alone.  Beside it a JSON file records which text files it was made from, so that the next start need not read them.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from charrnn.errors import CheckpointError
from charrnn.system.files import keep_newest, lock_file, read_regular, write_durably
from charrnn.system.folders import cache_folder
from charrnn.text.decoding import Pass
from charrnn.text.id_file import IdFile, checksum
from charrnn.text.sources import Source
from charrnn.text.vocabulary import Vocabulary

_FORMAT = 2  # of id files and JSON files; raise it when the meaning of either changes
_LONGEST = 2**26  # bytes of a JSON file
MOST_BYTES = 16 << 30  # of all id files together
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID_FILE = re.compile(r"[0-9a-f]{64}\.ids")


@dataclass(frozen=True, eq=False)
class Corpus:
    """An encoded text; its ``len`` is its length in symbols.

    Attributes:
        ids: (length,) of ``vocabulary.dtype``, read-only: an array, or an ``IdFile`` if the text is large.
        vocabulary: what the ids mean.
        sha256: hash in hex of the raw bytes of all sources in order.
        notes: sentences for the user about what was found or done: a byte-order mark dropped, CRLF kept, …
        sources: the sources as the user named them.
        size: bytes of all sources.
    """

    ids: np.ndarray | IdFile
    vocabulary: Vocabulary
    sha256: str
    notes: Sequence[str] = ()
    sources: tuple[str, ...] = ()
    size: int = 0

    def __len__(self) -> int:
        return len(self.ids)


def folder() -> Path:
    """The folder of the cache."""
    return cache_folder() / "corpora"


def in_memory(write_ids: Callable[[BinaryIO], Pass], vocabulary: Vocabulary) -> Corpus:
    """Encode a text into memory. ``write_ids`` reads the text and writes its ids into a file object."""
    buffer = io.BytesIO()
    done = write_ids(buffer)
    ids = np.frombuffer(buffer.getbuffer().toreadonly(), vocabulary.dtype)
    return Corpus(ids, vocabulary, done.sha256.hexdigest(), done.notes)


def on_disk(write_ids: Callable[[BinaryIO], Pass], vocabulary: Vocabulary, options: list[Any]) -> Corpus:
    """Encode a text into an id file, whole or not at all.

    Args:
        write_ids: reads the text and writes its ids into a file object.
        vocabulary: what the ids mean.
        options: JSON values of everything else that the ids depend on, except the bytes of the text.

    Raises:
        OSError: the folder cannot be written.
    """
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    _remove_stale(place)
    descriptor, name = tempfile.mkstemp(suffix=".part", dir=place)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            lock_file(file)  # while this process lives, the others do not remove the file
            done = write_ids(file)
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
        sha256 = done.sha256.hexdigest()
        path = place / f"{_digest(sha256, vocabulary.to_list(), options)}.ids"
        try:
            temporary.replace(path)
        except PermissionError:
            # Windows does not replace a file that another process has open. That file has the same ids then.
            if not path.is_file() or path.stat().st_size != size:
                raise
    finally:
        temporary.unlink(missing_ok=True)
    keep_newest((each for each in place.glob("*.ids") if each != path), MOST_BYTES, lambda status: status.st_size)
    return Corpus(IdFile(path, vocabulary.dtype), vocabulary, sha256, done.notes)


def _remove_stale(place: Path) -> None:
    """Remove files that killed processes left half written."""
    for path in place.glob("*.part"):
        with contextlib.suppress(OSError):  # a living process has locked it, or it is gone
            with path.open("r+b") as file:
                lock_file(file)
            path.unlink()


class Entry:
    """The JSON file that records which id file was made from some text files.

    Its name is a hash of the text files' paths and the options; their sizes and times are inside.

    Args:
        sources: the text files.
        options: JSON values of everything else that the ids depend on.
    """

    def __init__(self, sources: Sequence[Source], options: list[Any]):
        self._path = folder() / f"{_digest([[source.name, str(source.path)] for source in sources], *options)}.json"
        self._stamps = [[source.size, *source.times_ns] for source in sources]

    def load(self) -> Corpus | None:
        """The encoded text, or None if none was saved, the text files have changed, or the cache is damaged.

        The id file is read once, to compare its checksum.  Encoding would take ten times as long.
        """
        content = self._content()
        path, sha256, notes = self._ids_path(content), content.get("sha256"), content.get("notes")
        if path is None or content.get("files") != self._stamps:
            return None
        if not (isinstance(sha256, str) and _SHA256.fullmatch(sha256) and isinstance(notes, list)):
            return None
        try:
            vocabulary = Vocabulary.from_list(content.get("vocabulary"))
            encoded = Corpus(IdFile(path, vocabulary.dtype), vocabulary, sha256, notes)
            sound = len(encoded) and all(isinstance(note, str) for note in notes) and self._record(encoded) == content
        except (OSError, CheckpointError):
            return None  # missing or damaged; the caller encodes the text again
        if not sound:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # it was used now
        return encoded

    def save(self, encoded: Corpus) -> None:
        """Record the result of ``on_disk``, and delete the id file of an earlier state of the same text files.

        Raises:
            OSError: the folder cannot be written.
        """
        old = self._ids_path(self._content())
        write_durably(self._path, json.dumps(self._record(encoded)).encode())
        if old is not None and old.name != encoded.ids.path.name:
            with contextlib.suppress(PermissionError):  # on Windows, if another process has it open
                old.unlink(missing_ok=True)

    def _record(self, encoded: Corpus) -> dict[str, Any]:
        """What the JSON file says of an encoded text."""
        path = encoded.ids.path
        return {
            "files": self._stamps,
            "ids": path.name,
            "bytes": path.stat().st_size,
            "crc32": checksum(path),
            "dtype": encoded.ids.dtype.str,
            "sha256": encoded.sha256,
            "vocabulary": encoded.vocabulary.to_list(),
            "notes": encoded.notes,
        }

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(read_regular(self._path, _LONGEST))
        except (OSError, ValueError, RecursionError):
            return {}  # missing or damaged
        return content if isinstance(content, dict) else {}

    def _ids_path(self, content: dict[str, Any]) -> Path | None:
        name = content.get("ids")
        # Accept only names of id files: ``save`` deletes this file later.
        return self._path.with_name(name) if isinstance(name, str) and _ID_FILE.fullmatch(name) else None


def _digest(*values: Any) -> str:
    """SHA-256, in hex, of JSON values."""
    return hashlib.sha256(json.dumps([_FORMAT, *values]).encode()).hexdigest()
