"""The version of charrnn, and a hash of its sources, where every room can import them."""

from pathlib import Path

__version__ = "0.1.0"


def hash_sources(*places: Path) -> str:
    """16 hexadecimal digits that change with any edit of the Python files at ``places``: files, or folders with all
    that is below them."""
    import hashlib  # not at the top: this module is imported at every start

    digest = hashlib.sha256()
    for place in places:
        for source in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(f"{source.name}\n".encode() + source.read_bytes())
    return digest.hexdigest()[:16]
