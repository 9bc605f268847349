"""Where things that belong to the user, not to a project, are kept."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Compiled kernels and encoded corpora: may be deleted at any time. ``CHARRNN_CACHE`` overrides it."""
    return _folder("CHARRNN_CACHE", platformdirs.user_cache_dir)


def corpora_folder() -> Path:
    """Downloaded texts. ``CHARRNN_CORPORA`` overrides it."""
    return _folder("CHARRNN_CORPORA", platformdirs.user_data_dir, "corpora")


def _folder(variable: str, usual: Callable[..., str], below: str = "") -> Path:
    """The folder that the environment names, or the usual one; for a user without a home one that cannot be made."""
    override = os.environ.get(variable)
    if override:
        return Path(override)
    # Nothing may say what ~ is. One among temporary files would be no way out: code that is read from here is trusted.
    with contextlib.suppress(RuntimeError):
        folder = Path(usual("charrnn", appauthor=False), below)
        if folder.is_absolute():
            return folder
    return Path(os.devnull) / "no-home"
