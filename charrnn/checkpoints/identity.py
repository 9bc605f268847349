"""Which model it is: a hash of what it computes with, and the search for the model with a hash."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import candidates
from charrnn.checkpoints.run_names import BEST, BUNDLED, LAST, PREVIOUS, RUNS, place_of, places
from charrnn.config import ModelConfig
from charrnn.errors import CheckpointError
from charrnn.text.vocabulary import Vocabulary


def identity(model: ModelConfig, vocabulary: Vocabulary, parameters: Mapping[str, np.ndarray]) -> bytes:
    """The first 16 bytes of a SHA-256 over the sizes of a model, its characters and its weights by name.

    Checkpoints of the same weights have the same identity, whatever else they hold: an exported model, ``best`` and
    ``last`` of a run whose last weights are its best.
    """
    about = [model.to_dict(), vocabulary.to_list()]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(parameters):
        value = np.ascontiguousarray(parameters[name], "<f4")
        digest.update(f"\n{name} {value.shape}\n".encode())
        digest.update(value.data)
    return digest.digest()[:16]


def identity_of(checkpoint: Checkpoint) -> bytes:
    """The identity of a checkpoint's model."""
    return identity(checkpoint.model, checkpoint.vocabulary, checkpoint.parameters)


def find_model(wanted: bytes, name: str = "", folder: Path = RUNS) -> Checkpoint | None:
    """The checkpoint with the identity ``wanted`` among the runs and models of a folder and the model of charrnn.

    The run or model called ``name`` is tried first. Checkpoints that cannot be read are passed over.
    """
    for path in _files(name, folder):
        try:
            found = Checkpoint.load(path)
        except CheckpointError:
            continue
        if identity_of(found) == wanted:
            return found
    return None


def _files(name: str, folder: Path) -> Iterator[Path]:
    """Every file that may hold a model, the likeliest first."""
    found = places(folder)
    found.sort(key=lambda path: name not in (path.name, path.stem))
    bundled = place_of(BUNDLED)
    for path in [*found, *([bundled] if bundled is not None else [])]:
        try:
            yield from candidates(path, BEST)[:1]
        except CheckpointError:
            continue
    for path in found:
        if path.is_dir():
            yield from (file for file in (path / LAST, path / PREVIOUS) if file.is_file())
