"""Checks cheaply whether files can still be the text that a checkpoint was trained on.

The check looks at sizes and reads almost nothing, because the checkpoint that names the files may come from a stranger.
A pipe or a device may never end, nor may a file that the system generates while it is read (/proc: files of 0 bytes); a
folder may be a whole disk; and a checkpoint may claim any number of characters.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn.errors import CorpusError
from charrnn.text.binary import is_wide
from charrnn.text.catalog import exists, load_catalog
from charrnn.text.decoding import check_encoding
from charrnn.text.sources import files_below

MOST_FILES = 20_000  # below the folders that a checkpoint names
MOST_BYTES = 16  # a character: no encoding takes more; the rest allows for characters that were skipped


def may_match(sources: Sequence[str], corpus: Mapping[str, Any]) -> bool:
    """Whether files and folders together can be the text of a checkpoint, by their sizes.

    They can if they have exactly the bytes that the checkpoint recorded.  Files without a folder among them also can if
    they have one to ``MOST_BYTES`` bytes for each recorded character, because a file may have been edited since.  In
    folders the first 8 KB of each file are read, to leave out binary files, until more bytes than recorded are found.

    Args:
        sources: paths and names of the catalog.
        corpus: what the checkpoint says of its text: ``characters``, ``as_bytes``, ``encoding`` and perhaps ``bytes``.
    """
    try:
        return _may_match([_path(source) for source in sources], corpus)
    except (OSError, CorpusError):
        return False


def is_text(source: str, corpus: Mapping[str, Any]) -> bool:
    """Whether a file is the text of a checkpoint, all of it; it is read only if it can be, by its size."""
    path = Path(source)
    try:
        if not (path.is_file() and may_match([source], corpus)):
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == corpus.get("sha256")
    except (OSError, ValueError):
        return False


def _may_match(paths: list[Path], corpus: Mapping[str, Any]) -> bool:
    sizes = [path.stat().st_size for path in paths if path.is_file()]
    listings = [files_below(path, MOST_FILES) for path in paths if path.is_dir()]
    if len(sizes) + len(listings) < len(paths):
        return False
    below = [(listing, path, size) for listing in listings for path, size in listing.files]
    size = sum(sizes)
    # Joining adds at most one newline a file, which is a character without a byte in any file.
    least, most = corpus["characters"] - len(sizes), MOST_BYTES * corpus["characters"]
    if listings or size == corpus.get("bytes"):
        least = most = corpus.get("bytes", -1)
    if len(below) > MOST_FILES or size + sum(each for *_, each in below) < least:
        return False
    wide = not corpus["as_bytes"] and is_wide(check_encoding(corpus["encoding"]))
    for listing, path, size_below in below:
        if size > most:
            return False
        size += size_below if listing.is_text(path, wide) else 0
    return size > 0 and least <= size <= most


def _path(source: str) -> Path:
    """The path of a source: itself if it exists, or else the file of this name in the catalog."""
    entry = None if exists(Path(source)) else load_catalog().get(source)
    return Path(source) if entry is None else entry.path()
