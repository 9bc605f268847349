"""Which program wrote a checkpoint: what the bits of a run depend on beside its settings and its text."""

import functools
import importlib.metadata
from pathlib import Path

from charrnn.version import __version__, hash_sources

ARITHMETIC = (
    *("kernels", "network", "training", "config.py"),
    *("text/windows.py", "text/corpus.py", "system/exact.py"),
    *("inference/loss.py", "inference/ensemble.py", "inference/ngrams.py"),
)
"""Rooms and files of the package that can change a bit of a run: the kernels, the order of sums, the masks, the
optimisers and schedules, powers and cosines, the default settings, the windows, the split of the text, the losses by
which a plateau is judged, and what teachers expect, networks and n-grams."""


def hash_arithmetic(package: Path) -> str:
    """A hash of the sources in the folder ``package`` that can change a bit of a run."""
    return hash_sources(*(package / place for place in ARITHMETIC))


@functools.cache
def fingerprint() -> dict[str, str]:
    """The versions of charrnn, NumPy and Numba, and the hash of the sources that can change a bit of a run."""
    libraries = {name: importlib.metadata.version(name) for name in ("numpy", "numba")}
    return {"charrnn": __version__, "sources": hash_arithmetic(Path(__file__).parent.parent), **libraries}
