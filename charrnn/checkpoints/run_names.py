"""Runs and models by their names, and the names of the checkpoint files in the folder of a run."""

import difflib
import itertools
import os
from pathlib import Path

from charrnn.errors import CheckpointError, ConfigError
from charrnn.system.folders import bundled_file

LAST, PREVIOUS, BEST = "last.safetensors", "previous.safetensors", "best.safetensors"
METRICS = "metrics.jsonl"  # the log of a run
SHARED = "model.safetensors"  # in a folder for Hugging Face
RUNS = Path("checkpoints")  # the folder that holds the runs, unless the user names another

SUFFIX = ".safetensors"

BUNDLED = "fables"  # the model that comes with charrnn

_MOST = 8  # runs in a message


def require_run_name(name: str) -> str:
    """``name``, if it can be the name of a run: one plain component of a path.

    Raises:
        ConfigError: it cannot.
    """
    if not name or name in (".", "..") or any(sign in name for sign in '/\\:*?"<>|') or not name.isprintable():
        raise ConfigError(f"{name!r} cannot be a folder's name")
    return name


def name_of_text(text: str | Path) -> str:
    """The name of a run on the text at a path: the file's name without its ending; a symbolic link is followed."""
    return Path(os.path.realpath(text)).stem  # Path.resolve() may raise for a loop of links


def run_names(folder: Path = RUNS) -> list[str]:
    """The names of the runs in a folder, and of the models in files there; none if it cannot be read."""
    return sorted({path.stem if path.is_file() else path.name for path in places(folder)})


def places(folder: Path = RUNS) -> list[Path]:
    """The folders of the runs in a folder, and the models in files there."""
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in found if _is_model(path) or any((path / name).is_file() for name in (LAST, BEST))]


def place_of(name: str) -> Path | None:
    """The folder of the run ``name``, or the file of the model ``name``, in :data:`RUNS`; None if there is none.

    :data:`BUNDLED` is the model that comes with charrnn, unless a run is called so.
    """
    folder, files = RUNS / name, [RUNS / f"{name}{SUFFIX}"]
    if folder.is_dir():
        return folder
    if name == BUNDLED:
        files.append(bundled_file(f"checkpoints/{name}{SUFFIX}"))
    return next((file for file in files if file.is_file()), None)


def located(path: Path) -> Path:
    """The path; or, if nothing is there, the file that it names without its ending, or the run or model of its name.

    A folder here that holds no checkpoint, such as one of texts, does not hide a run or model of its name.
    """
    if not path.name:
        return path
    if os.path.lexists(path):
        return (_hidden_by(path) if len(path.parts) == 1 else None) or path
    of_name = place_of(path.name) if len(path.parts) == 1 else None
    file = path.with_name(f"{path.name}{SUFFIX}")
    return of_name or (file if file.is_file() else path)


def _hidden_by(folder: Path) -> Path | None:
    """The run or model that has the name of a folder here, if that is a folder without a checkpoint."""
    try:
        holds = not folder.is_dir() or any((folder / name).exists() for name in (LAST, PREVIOUS, BEST, SHARED))
    except OSError:
        return None
    return None if holds else place_of(folder.name)


def _is_model(path: Path) -> bool:
    return path.suffix == SUFFIX and path.is_file()


def require_run(path: Path) -> None:
    """Refuse what is not the folder of a run, which alone has a log.

    Raises:
        CheckpointError: it is a file, or there is nothing.
    """
    if path.is_file():
        raise CheckpointError(f"{path}: a model in a file, which has no log; give the name or the folder of a run")
    if not path.is_dir():
        raise CheckpointError(f"{path}: no such run; {known_runs(path.parent, path.name)}")


def known_runs(folder: Path = RUNS, wanted: str = "") -> str:
    """A part of a message: the names in a folder, or else in :data:`RUNS`; advice if there are none.

    A name like ``wanted`` is proposed instead.
    """
    known = {place: run_names(place) for place in ((folder, RUNS) if folder != Path() else (RUNS, folder))}
    all_names = [*itertools.chain(*known.values(), (BUNDLED,) if folder == Path() else ())]
    for name in (wanted, Path(wanted).stem):
        if near := difflib.get_close_matches(name, all_names, 1):
            return f"did you mean {near[0]}?"
    for place, names in known.items():
        if names:
            more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
            return f"runs in {place}: {', '.join(names[:_MOST])}{more}"
    return (
        "give the name or the folder of a run, or a checkpoint file; charrnn train TEXT makes a run, and "
        f"{BUNDLED} is a model that comes with charrnn"
    )
