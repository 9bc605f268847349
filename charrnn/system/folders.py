"""The user's folders: for data that belongs to a user and not to a project."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder of compiled kernels and encoded corpora, which may be deleted. ``CHARRNN_CACHE`` overrides it."""
    return _folder("CHARRNN_CACHE", platformdirs.user_cache_dir)


def corpora_folder() -> Path:
    """The folder of downloaded texts. ``CHARRNN_CORPORA`` overrides it."""
    return _folder("CHARRNN_CORPORA", platformdirs.user_data_dir, "corpora")


def _folder(variable: str, usual: Callable[..., str], below: str = "") -> Path:
    """The folder that the environment variable names, or the usual one.

    For a user without a home folder it is a path that cannot be created.  A folder for temporary files would be unsafe:
    others can write there, and code that is read from the cache is trusted.
    """
    override = os.environ.get(variable)
    if override:
        return Path(override)
    with contextlib.suppress(RuntimeError):  # there is no home folder
        folder = Path(usual("charrnn", appauthor=False), below)
        if folder.is_absolute():
            return folder
    return Path(os.devnull) / "no-home"
