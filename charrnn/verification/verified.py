"""Keeps which segments were found to be true, in the user's cache folder, so that the next check goes on with others.

The record is not kept in the folder of the run: whoever gives a run away would give it along, and could forge it.  It
is a convenience for one person, and proves nothing to another.  A segment counts by a hash of everything that was
compared in it (:meth:`charrnn.verification.history.History.identities`), so an edit makes it unverified again.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from charrnn.system import strict_json
from charrnn.system.files import keep_newest, read_regular, write_durably
from charrnn.system.folders import cache_folder

MOST_FILES = 1000  # in the folder
_MOST = 2**20  # bytes of a file: some 15,000 segments
_FORMAT = 1


class VerifiedSegments:
    """The verified segments of a run, by the digest ``run`` of something that all its lives have."""

    def __init__(self, run: str):
        self.path: Path = cache_folder() / "verified" / f"{hashlib.sha256(run.encode()).hexdigest()[:32]}.json"

    def load(self, warn: Callable[[str], None]) -> set[str]:
        """The identities of segments; ``warn`` is called with a line about a damaged file."""
        try:
            content = strict_json.parse(read_regular(self.path, _MOST))
            found = content["verified"] if content["format"] == _FORMAT else []
            if not all(isinstance(each, str) and re.fullmatch(r"[0-9a-f]{64}", each) for each in found):
                raise ValueError("it has something else than hashes")
            return set(found)
        except FileNotFoundError:
            return set()
        except (OSError, ValueError, KeyError, TypeError) as error:
            warn(f"{self.path}: ignored ({getattr(error, 'strerror', None) or error})")
            return set()

    def save(self, identities: Iterable[str], warn: Callable[[str], None]) -> None:
        """Write the identities; ``warn`` is called with a line if that is not possible."""
        data = json.dumps({"format": _FORMAT, "verified": sorted(identities)}).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self.path, data)
            keep_newest(self.path.parent.glob("*.json"), MOST_FILES, lambda status: 1)
        except OSError as error:
            warn(f"{self.path}: what was verified is not remembered ({error.strerror or error})")
