"""Encoded texts, in memory or on disk.

Those on disk are files of ids in the user's cache folder (``corpora`` there, which may be deleted at any time).  A
side file remembers what was made of which files, so that the next start reads nothing.
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
from charrnn.system.files import lock_file, write_durably
from charrnn.system.folders import cache_folder
from charrnn.text.decoding import Pass
from charrnn.text.id_file import IdFile, checksum
from charrnn.text.sources import Source
from charrnn.text.vocabulary import Vocabulary

_FORMAT = 2  # of the id and side files; raise it when the meaning of either changes
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID_FILE = re.compile(r"[0-9a-f]{64}\.ids")


@dataclass(frozen=True, eq=False)
class Encoded:
    """The ids of a text, read-only, with their vocabulary, the text's SHA-256, and notes for the user."""

    ids: np.ndarray | IdFile
    vocabulary: Vocabulary
    sha256: str
    notes: list[str]


def folder() -> Path:
    """Where the files are."""
    return cache_folder() / "corpora"


def in_memory(write_ids: Callable[[BinaryIO], Pass], vocabulary: Vocabulary) -> Encoded:
    """Encode a text into memory. ``write_ids`` reads the text and writes its ids into a file."""
    buffer = io.BytesIO()
    reading = write_ids(buffer)
    ids = np.frombuffer(buffer.getbuffer().toreadonly(), vocabulary.dtype)
    return Encoded(ids, vocabulary, reading.sha256.hexdigest(), reading.notes)


def on_disk(write_ids: Callable[[BinaryIO], Pass], vocabulary: Vocabulary, options: list[Any]) -> Encoded:
    """Encode a text into an id file, whole or not at all.

    Args:
        write_ids: reads the text and writes its ids into a file.
        vocabulary: what the ids mean.
        options: JSON values: whatever else the ids depend on, the bytes of the text apart.

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
            lock_file(file)  # as long as this process lives, others leave it alone
            reading = write_ids(file)
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
        sha256 = reading.sha256.hexdigest()
        path = place / f"{_digest(sha256, vocabulary.to_list(), options)}.ids"
        try:
            temporary.replace(path)
        except PermissionError:
            # Windows does not replace a file that another process has open; then it is the one we want.
            if not path.is_file() or path.stat().st_size != size:
                raise
    finally:
        temporary.unlink(missing_ok=True)
    return Encoded(IdFile(path, vocabulary.dtype), vocabulary, sha256, reading.notes)


def _remove_stale(place: Path) -> None:
    """Remove what killed processes left half written."""
    for path in place.glob("*.part"):
        with contextlib.suppress(OSError):  # a living one has it, or it is gone
            with path.open("r+b") as file:
                lock_file(file)
            path.unlink()


class SideFile:
    """What is known about the id file that was made of some files, so that a later start need not read them.

    Its name stands for the files and the options; the files' sizes and times are inside.

    Args:
        sources: the files.
        options: JSON values: whatever else the outcome depends on.
    """

    def __init__(self, sources: Sequence[Source], options: list[Any]):
        self._path = folder() / f"{_digest([[source.name, str(source.path)] for source in sources], *options)}.json"
        self._stamps = [[source.size, *source.times_ns] for source in sources]

    def load(self) -> Encoded | None:
        """What was saved, or None if there is nothing, the files have changed, or it is damaged.

        The ids are read once, to be sure of them: ten times as fast as making them.
        """
        content = self._content()
        try:
            vocabulary = Vocabulary.from_list(content.get("vocabulary"))
            path = self._ids_path(content)
            size = path.stat().st_size if path else 0
            is_current = content.get("files") == self._stamps
            is_intact = is_current and path is not None and content.get("crc32") == checksum(path)
            ids = IdFile(path, vocabulary.dtype) if is_intact else None
        except (OSError, CheckpointError):
            return None  # missing or damaged: it is made anew
        sha256, notes = content.get("sha256"), content.get("notes")
        sound = (
            is_intact
            and content.get("dtype") == vocabulary.dtype.str
            and 0 < size == content.get("bytes")
            and size % vocabulary.dtype.itemsize == 0
            and isinstance(sha256, str)
            and _SHA256.fullmatch(sha256)
            and isinstance(notes, list)
            and all(isinstance(note, str) for note in notes)
        )
        return Encoded(ids, vocabulary, sha256, notes) if sound else None

    def save(self, encoded: Encoded) -> None:
        """Record what ``on_disk`` made, and delete the id file of an earlier state of the same files.

        Raises:
            OSError: the folder cannot be written.
        """
        new, old = encoded.ids.path, self._ids_path(self._content())
        content = {
            "files": self._stamps,
            "ids": new.name,
            "bytes": encoded.ids.nbytes,
            "crc32": checksum(new),
            "dtype": encoded.ids.dtype.str,
            "sha256": encoded.sha256,
            "vocabulary": encoded.vocabulary.to_list(),
            "notes": encoded.notes,
        }
        write_durably(self._path, json.dumps(content).encode())
        if old is not None and old.name != new.name:
            with contextlib.suppress(PermissionError):  # on Windows, if another process has it open
                old.unlink(missing_ok=True)

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}  # missing or damaged: as if nothing were known
        return content if isinstance(content, dict) else {}

    def _ids_path(self, content: dict[str, Any]) -> Path | None:
        name = content.get("ids")
        # Only a name of our own making: whatever it points to may be deleted later.
        return self._path.with_name(name) if isinstance(name, str) and _ID_FILE.fullmatch(name) else None


def _digest(*what: Any) -> str:
    """SHA-256, in hex, that tells apart whatever differs in these JSON values."""
    return hashlib.sha256(json.dumps([_FORMAT, *what]).encode()).hexdigest()
