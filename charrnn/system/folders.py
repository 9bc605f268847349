"""The user's folders, for data that belongs to a user and not to a project; and the files that come with charrnn."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder of kernels, encoded corpora and names of cells; it may be deleted. ``CHARRNN_CACHE`` overrides it."""
    return _folder("CHARRNN_CACHE", platformdirs.user_cache_dir)


def corpora_folder() -> Path:
    """The folder of downloaded texts. ``CHARRNN_CORPORA`` overrides it."""
    return _folder("CHARRNN_CORPORA", platformdirs.user_data_dir, "corpora")


def bundled_file(name: str) -> Path:
    """A file that comes with charrnn, such as ``corpora/fables.txt``; a distributor's package may lack it.

    In a clone it is beside the package.  An installation has it in ``share/charrnn``, which setup.cfg says.
    """
    beside = Path(__file__).parents[2] / name
    if beside.is_file():
        return beside
    from importlib import metadata  # slow, and rarely needed

    installed = f"share/charrnn/{name}"
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files("charrnn") or ():
            if file.as_posix().endswith(installed):
                return Path(os.path.normpath(file.locate()))
    return Path(sys.prefix, installed)


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
