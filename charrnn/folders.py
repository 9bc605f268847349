"""Where things that belong to the user, not to a project, are kept."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Compiled kernels and encoded corpora: may be deleted at any time. ``CHARRNN_CACHE`` overrides it."""
    override = os.environ.get("CHARRNN_CACHE")
    return Path(override) if override else Path(platformdirs.user_cache_dir("charrnn", appauthor=False))


def corpora_folder() -> Path:
    """Downloaded texts. ``CHARRNN_CORPORA`` overrides it."""
    override = os.environ.get("CHARRNN_CORPORA")
    return Path(override) if override else Path(platformdirs.user_data_dir("charrnn", appauthor=False)) / "corpora"
