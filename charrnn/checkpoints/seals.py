"""The digests in the log of a run, which bind its files and its lines to each other.

A line with the event ``sealed`` stands in ``metrics.jsonl`` behind every line before which a file was written:

    {"event": "sealed", "step": 400, "log": "<SHA-256>", "files": {"kept/00000400.safetensors": "<SHA-256>"}}

``log`` is the SHA-256 of all bytes of the log before this line, earlier digests included; ``files`` has the SHA-256 of
each file that was written since the line before.  A resume that takes the n-grams out of the best checkpoint writes
such a line first, and then the file.  So the SHA-256 of the whole log, which ``sha256sum`` computes, stands
for the whole run.  Anybody who edits something can compute all digests anew.  They show an edit to a person who knows
the SHA-256 of the log from before it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charrnn.checkpoints.run_log import Position, positions
from charrnn.errors import CheckpointError, brief, os_errors_as
from charrnn.system.files import CHUNK, open_regular

SEALED = "sealed"

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"(teacher-\d{1,6}/)?(kept/)?[a-z0-9]{1,20}\.safetensors")


class Sealing:
    """Makes the lines with digests while a log is written."""

    def __init__(self) -> None:
        self._log: Any = None  # a SHA-256 of all that is in the log
        self._files: dict[str, str] = {}

    @property
    def has_begun(self) -> bool:
        """Whether :meth:`begin` was called."""
        return self._log is not None

    def begin(self, data: bytes) -> None:
        """Take ``data`` for all that is in the log."""
        self._log = hashlib.sha256(data)

    def add(self, name: str, digest: str) -> None:
        """Have the next line name the digest of a file, which is called ``name`` in the folder of the run."""
        self._files[name] = digest

    def sealed(self, line: bytes, step: object) -> bytes:
        """The ``line`` of a record at ``step``, or nothing, and behind it a line with digests if files were added."""
        self._log.update(line)
        if not self._files:
            return line
        record = {"event": SEALED, "step": step, "log": self._log.hexdigest(), "files": self._files}
        self._files = {}
        seal = json.dumps(record).encode() + b"\n"
        self._log.update(seal)
        return line + seal


@dataclass(frozen=True)
class Seal:
    """A line with digests: its place in the log, what it says, and the SHA-256 of the log before it as it is now."""

    at: Position
    log: str
    files: dict[str, str]
    found: str

    @property
    def is_true(self) -> bool:
        """Whether the log before the line is what it was when the line was written."""
        return self.log == self.found


@dataclass
class SealedLog:
    """All lines of a log by their places, and its digests.

    Attributes:
        path: the log.
        positions: of the complete lines, in order.
        seals: the lines with digests.
        digest: SHA-256 of all complete lines: the digest of the run.
        has_prefix: see :meth:`read`.
    """

    path: Path
    positions: list[Position] = field(default_factory=list)
    seals: list[Seal] = field(default_factory=list)
    digest: str = ""
    has_prefix: bool = False

    @classmethod
    def read(cls, path: Path, prefix: str | None = None) -> "SealedLog":
        """Read a log. ``has_prefix`` tells whether ``prefix`` is the SHA-256 of it up to the end of one of its lines.

        Raises:
            CheckpointError: there is none, or a line is damaged; the last one may be, which a crash has cut short.
        """
        found, digest = cls(path), hashlib.sha256()
        for at, line, record in positions(path):
            if at.event == SEALED:
                found.seals.append(_seal(path, at, record, digest.hexdigest()))
            digest.update(line)
            found.positions.append(at)
            if prefix is not None and not found.has_prefix:
                found.has_prefix = digest.copy().hexdigest() == prefix
        found.digest = digest.hexdigest()
        return found

    def digests(self) -> dict[str, list[tuple[int, str]]]:
        """By the name of a file the steps and digests that the log has of it, in order."""
        found: dict[str, list[tuple[int, str]]] = {}
        for seal in self.seals:
            for name, digest in seal.files.items():
                found.setdefault(name, []).append((seal.at.step, digest))
        return found


class _Malformed(CheckpointError):
    """A line with digests that no run writes."""


def _seal(path: Path, at: Position, record: dict[str, Any], found: str) -> Seal:
    log, files = record.get("log"), record.get("files")
    fits = isinstance(log, str) and _DIGEST.fullmatch(log) and isinstance(files, dict)
    if not fits or not all(
        isinstance(digest, str) and _DIGEST.fullmatch(digest) and _NAME.fullmatch(name)
        for name, digest in files.items()
    ):
        raise _Malformed(f"{path}: line {at.number:,} has digests that no run writes ({brief(record)})")
    return Seal(at, log, files, found)


def is_seal(line: bytes) -> bool:
    """Whether a line of a log has digests."""
    return line.startswith(b'{"event": "sealed"')


def names_in(lines: Iterator[bytes]) -> dict[str, str]:
    """The latest digest of each file in the lines of a log; what is no line with digests says nothing."""
    found: dict[str, str] = {}
    for line in lines:
        if not is_seal(line):
            continue
        try:
            files = json.loads(line)["files"]
            found |= {str(name): str(digest) for name, digest in files.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return found


def digest_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal.

    Raises:
        CheckpointError: it cannot be read.
    """
    digest = hashlib.sha256()
    with os_errors_as(CheckpointError, f"{path}: cannot be read"), open_regular(path) as file:
        while data := file.read(CHUNK):
            digest.update(data)
    return digest.hexdigest()
