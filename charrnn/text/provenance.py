"""What a checkpoint says of its text, held against what is there before any of it is read.

The checkpoint may be anybody's.  A pipe or a device may never end, nor may what the system makes up as it is read
(/proc: files of 0 bytes); a folder may be the whole disk; and any number of characters is soon written down.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charrnn.errors import CorpusError
from charrnn.text.binary import is_wide
from charrnn.text.catalog import exists, load_catalog
from charrnn.text.decoding import check_encoding
from charrnn.text.sources import files_below

MOST_FILES = 20_000  # below the folders that a checkpoint names
MOST_BYTES = 16  # for a character: more than any encoding takes, and none takes less than one; some may be skipped


def can_be(sources: Sequence[str], facts: Mapping[str, Any]) -> bool:
    """Whether these files and folders together can be the text of which a checkpoint says ``facts``.

    Their sizes decide: exactly the bytes that the checkpoint says, or, if there is no folder among them, one to
    MOST_BYTES bytes for a character, since a file may have been edited.  Of a folder the beginnings of files are read,
    to know the binary ones, until there are more bytes than that.
    """
    try:
        return _can_be([_place(source) for source in sources], facts)
    except (OSError, CorpusError):
        return False


def _can_be(places: list[Path], facts: Mapping[str, Any]) -> bool:
    named = [(place, place.stat().st_size) for place in places if place.is_file()]
    listings = [files_below(place, MOST_FILES) for place in places if place.is_dir()]
    if len(named) + len(listings) < len(places):
        return False
    files = [(listing, *file) for listing in listings for file in listing.files]
    # Where files are joined, there may be a newline that none of them has.
    least, most = facts["characters"] - len(named), MOST_BYTES * facts["characters"]
    size = sum(size for _, size in named)
    if listings or size == facts.get("bytes"):
        least = most = facts.get("bytes", -1)
    if len(files) > MOST_FILES or size + sum(size for *_, size in files) < least:
        return False
    wide = not facts["as_bytes"] and is_wide(check_encoding(facts["encoding"]))
    for listing, path, bytes_of_it in files:
        if size > most:
            return False
        size += bytes_of_it if listing.is_text(path, wide) else 0
    return size > 0 and least <= size <= most


def _place(source: str) -> Path:
    """Where a source is: itself, or the file of a name in the catalog."""
    entry = None if exists(Path(source)) else load_catalog().get(source)
    return Path(source) if entry is None else entry.path()
