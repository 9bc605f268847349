"""A folder of texts, each of which gets a small model."""

import os
import stat
from pathlib import Path

from charrnn.checkpoints.model_set import MOST_MODELS, require_name
from charrnn.errors import CheckpointError, CorpusError, os_errors_as
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.excerpts import excerpt


def read_folder(
    folder: Path, size: int, progress: ProgressCallback = no_progress
) -> tuple[dict[str, list[bytes]], list[str]]:
    """Read a folder of texts.

    Returns a dictionary from the name of each file, without its ending, to at most ``size`` of its bytes, in stretches
    from all over it; and sentences that count the folders, pipes, devices and empty files, which are left out, as
    hidden files are.  ``progress`` is called with how many files are read, and how many there are.

    Raises:
        CorpusError: the folder or a file cannot be read, two files have the same name, or there is no text.
    """
    with os_errors_as(CorpusError, f"{folder}: cannot be read"):
        if not folder.is_dir():
            raise CorpusError(f"{folder}: not a folder: name one whose files are texts, a model for each")
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    files, notes = _files(found)
    if len(files) > MOST_MODELS:
        raise CorpusError(f"{folder}: {len(files):,} files, and a set has at most {MOST_MODELS:,} models")
    by_name: dict[str, Path] = {}
    for path in files:
        name = path.stem
        try:
            require_name(name)
        except CheckpointError as error:
            raise CorpusError(f"{path}: {error}: give the file another name") from None
        if name in by_name:
            raise CorpusError(f"{by_name[name]} and {path} would be two models of one name: rename or join them")
        by_name[name] = path
    parts = {}
    for name, path in by_name.items():
        stretches = excerpt(path, size)
        if any(stretches):
            parts[name] = stretches
        progress(len(parts), len(by_name))
    if not parts:
        raise CorpusError("; ".join([f"{folder}: there is no text in this folder", *notes]))
    return parts, notes


def _files(found: list[Path]) -> tuple[list[Path], list[str]]:
    """The regular files with content, and sentences about the others."""
    files, folders, empty, others = [], [], [], []
    for path in found:
        try:
            status = path.stat()
        except FileNotFoundError:
            others.append(path)
            continue
        except OSError as error:
            raise CorpusError(f"{path}: cannot be read ({error.strerror or error})") from None
        if stat.S_ISDIR(status.st_mode):
            folders.append(path)
        elif not stat.S_ISREG(status.st_mode):
            others.append(path)
        elif not status.st_size:
            empty.append(path)
        else:
            files.append(path)
    notes = [
        f"{len(paths):,} {one if len(paths) == 1 else many} left out, first {os.fspath(paths[0])}"
        for paths, one, many in (
            (folders, "folder is", "folders are"),
            (empty, "empty file is", "empty files are"),
            (others, "pipe, device or dead link is", "pipes, devices or dead links are"),
        )
        if paths
    ]
    return files, notes
