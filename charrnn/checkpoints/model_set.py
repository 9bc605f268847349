"""Several small models in one safetensors file, by name.  docs/IDENTIFY.md describes the file.

A model is n-grams of bytes.  They are counted in a moment and their counts are larger than the text that is counted, so
the file holds the texts.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from charrnn.checkpoints import tensor_file
from charrnn.checkpoints.checkpoint import SET_KEY as KEY
from charrnn.checkpoints.checkpoint import checksum
from charrnn.checkpoints.description import parsed
from charrnn.errors import CharRNNError, CheckpointError, brief, os_errors_as
from charrnn.system.files import open_regular, write_durably
from charrnn.version import __version__

FORMAT = 1
MOST_MODELS, LONGEST_NAME, HIGHEST_ORDER = 1000, 100, 16
LARGEST_TEXT = 1_000_000  # bytes
NONE = "none"  # the answer "none of them", which therefore no model can be called


@dataclass(frozen=True)
class ModelSet:
    """Small models by name.

    Attributes:
        order: bytes of the longest gram.
        texts: by the name of a model, (N,) uint8, the bytes that its n-grams have learnt.
    """

    order: int
    texts: Mapping[str, npt.NDArray[np.uint8]]

    def save(self, path: Path) -> None:
        """Write to ``path`` durably.

        Raises:
            CheckpointError: it could not be read again, or the disk refuses; a file that was there is as it was.
        """
        try:
            data = self.to_bytes()
        except CharRNNError as error:
            raise CheckpointError(f"{path}: cannot be written ({error})") from None
        with os_errors_as(CheckpointError, f"{path}: cannot be written"):
            write_durably(path, data)

    def to_bytes(self) -> bytes:
        """The bytes of the file.

        Raises:
            CheckpointError: it could not be read again.
        """
        about = json.dumps(
            {"format": FORMAT, "version": __version__, "order": self.order, "names": list(self.texts)},
            ensure_ascii=True,
        )
        tensors = {f"text.{number}": np.ascontiguousarray(text) for number, text in enumerate(self.texts.values())}
        data = tensor_file.serialise(tensors, {KEY: about, "sha256": checksum(about, tensors)})
        _understand(tensor_file.read_header(io.BytesIO(data)))
        return data

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and verify ``path``, which anybody may have written.

        Raises:
            CheckpointError: it cannot be read, is damaged, or holds no set of models.
        """
        with os_errors_as(CheckpointError, f"{path}: cannot be read"), open_regular(path) as file:
            try:
                return cls.read(file)
            except CharRNNError as error:
                raise CheckpointError(f"{path}: {error}") from None

    @classmethod
    def read(cls, file: BinaryIO) -> Self:
        """Read and verify a file that is open.

        Raises:
            CheckpointError: it is damaged, or holds no set of models.
            OSError: it cannot be read.
        """
        header = tensor_file.read_header(file)
        order, names, shapes = _understand(header)
        tensors = tensor_file.read_tensors(file, shapes, header.types())
        if header.metadata.get("sha256") != checksum(header.metadata[KEY], tensors):
            raise CheckpointError("damaged (the checksum does not match its content)")
        return cls(order, {name: tensors[f"text.{number}"] for number, name in enumerate(names)})


def is_model_set(path: Path) -> bool:
    """Whether a file is one of several models: by its header, of which nothing else is checked."""
    try:
        with open_regular(path) as file:
            return KEY in tensor_file.read_header(file).metadata
    except (CheckpointError, OSError):
        return False


def require_name(name: Any) -> str:
    """``name``, if it can be the name of a model in a set.

    Raises:
        CheckpointError: it cannot.
    """
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise CheckpointError(f"{brief(name)} cannot be the name of a model: it takes 1 to {LONGEST_NAME} characters")
    if name == NONE:
        raise CheckpointError(f"no model can be called {NONE}, which stands for none of them")
    return name


def _understand(header: tensor_file.Header) -> tuple[int, list[str], dict[str, tuple[int, ...]]]:
    """The order, the names of the models, and the tensors' shapes.

    Raises:
        CheckpointError: the header is damaged, or not of a set of models.
    """
    about = header.metadata.get(KEY)
    if about is None:
        raise CheckpointError("not a set of models: charrnn identify --learn makes one")
    found = parsed(about, FORMAT)
    order, names = found.get("order"), found.get("names")
    if type(order) is not int or not 1 <= order <= HIGHEST_ORDER:
        raise CheckpointError(f"malformed: n-grams of order {brief(order)}")
    if not isinstance(names, list) or not 1 <= len(names) <= MOST_MODELS:
        raise CheckpointError(f"malformed: it has no names, or more than {MOST_MODELS:,}")
    for name in names:
        require_name(name)
    if len(set(names)) < len(names):
        raise CheckpointError("malformed: a name comes twice")
    shapes = header.shapes()
    if shapes.keys() != {f"text.{number}" for number in range(len(names))}:
        raise CheckpointError(f"malformed: its texts are not those of {len(names):,} models")
    for name, shape in shapes.items():
        if len(shape) != 1 or shape[0] > LARGEST_TEXT or header.types()[name] != np.uint8:
            raise CheckpointError(f"malformed: {name} is not at most {LARGEST_TEXT:,} bytes")
    return order, names, shapes
