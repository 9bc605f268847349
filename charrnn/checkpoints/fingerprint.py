"""Which program this is: what the bits of a run depend on beside its settings and its text."""

import functools
import hashlib
import importlib.metadata
from pathlib import Path

from charrnn.version import __version__


@functools.cache
def identity() -> dict[str, str]:
    """The versions of charrnn, NumPy and Numba, and a hash of the kernels' sources."""
    digest = hashlib.sha256()
    for source in sorted((Path(__file__).parent.parent / "kernels").glob("*.py")):
        digest.update(source.read_bytes())
    libraries = {name: importlib.metadata.version(name) for name in ("numpy", "numba")}
    return {"charrnn": __version__, "kernels": digest.hexdigest()[:16], **libraries}
