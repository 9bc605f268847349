"""A model and its run in one safetensors file, and back.  docs/FORMAT.md describes the file.

Weights have the names and layout of PyTorch's ``Embedding``, ``LSTM``, ``GRU``, ``RNN`` and ``Linear``.  The metadata
key ``charrnn`` holds JSON, ``sha256`` a checksum over that JSON and over every tensor's name, type, shape and bytes.
"""

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from charrnn.checkpoints import tensor_file
from charrnn.checkpoints.description import Description
from charrnn.checkpoints.pytorch import from_torch, state_dict, torch_shapes
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, CheckpointError, brief, os_errors_as
from charrnn.network.cells import cell_of, parameter_count, parameter_shapes
from charrnn.system.files import open_regular, write_durably

SET_KEY = "charrnn.models"  # of the metadata of a set of models, see model_set.py
LARGEST = 1e18  # largest weight that is accepted: sums of products of larger ones could overflow float32
_NGRAM_TEXT = "ngrams.text"
LARGEST_MOMENT = float(np.finfo(np.float32).max)  # moments are squares of gradients


@dataclass
class Checkpoint(Description):
    """All there is to know about a model, and, in ``last.safetensors``, all that a resume needs.

    It is a description and tensors: ``parameters`` by name as in :func:`charrnn.network.cells.parameter_shapes`;
    ``optimizer`` the moments, each a dictionary by parameter name; ``state`` what the layers remember of each batch
    row, (L, B, H) by name; ``ngram_text`` (N,) int32 the ids that n-grams learn, if there are ``ngrams``.
    """

    parameters: Mapping[str, np.ndarray] = field(kw_only=True)
    optimizer: dict[str, dict[str, np.ndarray]] = field(default_factory=dict, kw_only=True)
    state: dict[str, np.ndarray] | None = field(default=None, kw_only=True)
    ngram_text: np.ndarray | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        size, step = parameter_count(self.model), self.counters.get("step")
        return f"<Checkpoint: {cell_of(self.model).title}, {size:,} parameters" + (f", step {step:,}>" if step else ">")

    def save(self, path: Path, previous: Path | None = None) -> str:
        """Write to ``path`` durably; what was there is kept as ``previous`` if that is given.

        What would be written first passes the checks of :meth:`read`. Returns the SHA-256 of the file in hexadecimal.

        Raises:
            CheckpointError: it could not be read again, or the disk refuses; a file that was there is as it was.
        """
        try:
            data = self.to_bytes()
        except CharRNNError as error:
            raise CheckpointError(f"{path}: cannot be written ({error})") from None
        with os_errors_as(CheckpointError, f"{path}: cannot be written"):
            write_durably(path, data, previous)
        return hashlib.sha256(data).hexdigest()

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays by the names that they have in the file."""
        tensors = state_dict(self.parameters, cell_of(self.model))
        for slot, moments in self.optimizer.items():
            tensors.update({f"optimizer.{slot}.{name}": value for name, value in moments.items()})
        if self.state is not None:
            tensors |= {f"state.{name}": value for name, value in self.state.items()}
        if self.ngrams is not None:
            tensors[_NGRAM_TEXT] = _to_bytes(self.ngram_text, self.model.vocabulary)
        # safetensors 0.8 writes wrong bytes for arrays that are not contiguous.
        return {name: np.ascontiguousarray(value) for name, value in tensors.items()}

    def to_bytes(self, **metadata: str) -> bytes:
        """The bytes of the file, which has ``metadata`` beside its own.

        Raises:
            CharRNNError: it could not be read again.
        """
        tensors, about = self.tensors(), self.to_json()
        data = tensor_file.serialise(tensors, {"charrnn": about, "sha256": checksum(about, tensors)} | metadata)
        _understand(tensor_file.read_header(io.BytesIO(data)))
        check_values(tensors, self.model.vocabulary)
        return data

    def shared(self, with_ngrams: bool = False) -> Self:
        """A copy to give away: weights and description, without optimiser, state, and the paths of this machine.

        Of each path only the last name is kept. The text of the n-grams is left out unless ``with_ngrams``.
        """
        corpus = dict(self.corpus)
        for key in ("sources", "paths"):
            if key in corpus:
                corpus[key] = [Path(source).name or source for source in self.corpus["sources"]]
        if corpus.get("init_from"):
            corpus["init_from"] = Path(corpus["init_from"]).name
        ngrams = {} if with_ngrams else {"ngrams": None, "ngram_text": None}
        return replace(self, corpus=corpus, optimizer={}, state=None, **ngrams)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read and verify ``path``.

        Raises:
            CheckpointError: it cannot be read, is damaged, or is not a checkpoint of this program.
        """
        with os_errors_as(CheckpointError, f"{path}: cannot be read"), open_regular(path) as file:
            try:
                return cls.read(file)
            except CharRNNError as error:
                raise CheckpointError(f"{path}: {error}") from None

    @staticmethod
    def describe(path: Path) -> Description:
        """The description of the checkpoint ``path``, whose tensors are not read.

        Raises:
            CheckpointError: it cannot be read, its header is damaged, or it is not a checkpoint of this program.
        """
        with os_errors_as(CheckpointError, f"{path}: cannot be read"), open_regular(path) as file:
            try:
                return _understand(tensor_file.read_header(file))[0]
            except CharRNNError as error:
                raise CheckpointError(f"{path}: {error}") from None

    @classmethod
    def read(cls, file: BinaryIO) -> "Checkpoint":
        """Read and verify a file that is open.

        It may come from anybody: what it claims is checked before memory is asked for, and the checksum, which anybody
        can compute, is no reason to believe the rest.

        Raises:
            CharRNNError: it is damaged, or is not a checkpoint of this program.
            OSError: it cannot be read.
        """
        header = tensor_file.read_header(file)
        description, shapes, slots, states = _understand(header)
        tensors = tensor_file.read_tensors(file, shapes, header.types())
        if header.metadata.get("sha256") != checksum(header.metadata["charrnn"], tensors):
            raise CheckpointError("damaged (the checksum does not match its content)")
        check_values(tensors, description.model.vocabulary)
        names, cell = parameter_shapes(description.model), cell_of(description.model)
        if states:
            cell.check_state({name: tensors[f"state.{name}"] for name in states})
        parameters = {name: from_torch(name, tensors, cell) for name in names}
        return cls(
            parameters=parameters,
            optimizer={slot: {name: tensors[f"optimizer.{slot}.{name}"] for name in names} for slot in slots},
            state={name: tensors[f"state.{name}"] for name in states} or None,
            ngram_text=_from_bytes(tensors[_NGRAM_TEXT]) if description.ngrams else None,
            **vars(description),
        )


def _understand(
    header: tensor_file.Header,
) -> tuple[Description, dict[str, tuple[int, ...]], list[str], tuple[str, ...]]:
    """The description, the tensors' shapes, and the names of the optimiser's slots and of the state.

    Raises:
        CharRNNError: the header is damaged, or not of a checkpoint of this program.
    """
    about = header.metadata.get("charrnn")
    if about is None and SET_KEY in header.metadata:
        raise CheckpointError("a set of models, which only charrnn identify reads")
    if about is None:
        raise CheckpointError("a safetensors file, but not one that charrnn wrote: charrnn import may make one of it")
    description, shapes = Description.from_json(about), header.shapes()
    for name, kind in header.types().items():
        if (kind == np.uint8) != (name == _NGRAM_TEXT and description.ngrams is not None):
            raise CheckpointError(f"the tensor {brief(name)} has the type {kind.name}")
    networks = {name: shape for name, shape in shapes.items() if name != _NGRAM_TEXT}
    if description.ngrams is not None:
        width = _bytes_an_id(description.model.vocabulary)
        if len(shapes.get(_NGRAM_TEXT, ())) != 2 or shapes[_NGRAM_TEXT][1] != width:
            raise CheckpointError(f"the tensor {_NGRAM_TEXT} is missing, or has not {width} bytes a character")
    return description, shapes, *_check_shapes(description.model, networks)


def _check_shapes(model: ModelConfig, shapes: Mapping[str, tuple[int, ...]]) -> tuple[list[str], tuple[str, ...]]:
    """Compare the tensors' shapes with the model's; returns the optimiser's slots and the names of the state."""
    own, cell = parameter_shapes(model), cell_of(model)
    wanted: dict[str, tuple[int, ...]] = {}
    for name, shape in own.items():
        wanted |= torch_shapes(name, shape, cell)
    slots = sorted({name.split(".")[1] for name in shapes if name.startswith("optimizer.")})
    wanted |= {f"optimizer.{slot}.{name}": shape for slot in slots for name, shape in own.items()}
    states = cell.state if any(f"state.{name}" in shapes for name in cell.state) else ()
    if states:
        batch = (*shapes.get(f"state.{states[0]}", ()), 1, 1)[1]
        shapes_of_states = cell.state_shapes(model, batch)
        wanted |= {f"state.{name}": (model.layers, *shapes_of_states[name]) for name in states}
    for name, shape in wanted.items():
        if name not in shapes:
            raise CheckpointError(f"the tensor {brief(name)} is missing")
        if shapes[name] != shape:
            raise CheckpointError(f"the tensor {name} has the shape {shapes[name]}, not {shape}")
    if len(shapes) > len(wanted):
        raise CheckpointError(f"it has a tensor too many: {brief(next(iter(shapes.keys() - wanted.keys())))}")
    return slots, states


def is_within(value: np.ndarray, largest: float = LARGEST) -> bool:
    """Whether all numbers are finite and at most ``largest`` in size: weights beyond are neither written nor read."""
    # NaN is what min and max give if it is anywhere, and it compares with nothing.  They need no array of flags.
    return bool(value.min() >= -largest and value.max() <= largest)


def _bytes_an_id(vocabulary: int) -> int:
    return next(size for size in (1, 2, 4) if vocabulary <= 256**size)


def _to_bytes(ids: np.ndarray, vocabulary: int) -> np.ndarray:
    """ids (N,) as (N, 1), (N, 2) or (N, 4) bytes, the lowest first, as the vocabulary needs."""
    size = _bytes_an_id(vocabulary)
    return np.ascontiguousarray(ids, f"<u{size}").view(np.uint8).reshape(-1, size)


def _from_bytes(data: np.ndarray) -> np.ndarray:
    """The ids (N,) int32 of :func:`_to_bytes`."""
    return np.ascontiguousarray(data).view(f"<u{data.shape[1]}")[:, 0].astype(np.int32)


def check_values(tensors: Mapping[str, np.ndarray], vocabulary: int) -> None:
    """Refuse tensors that are neither written nor read.

    Raises:
        CheckpointError: it names a tensor with numbers that are not finite or too large, or with an id that no symbol
            of the vocabulary has.
    """
    for name, value in tensors.items():
        if name == _NGRAM_TEXT:
            if np.ascontiguousarray(value).view(f"<u{value.shape[1]}").max() >= vocabulary:
                raise CheckpointError(f"the tensor {name} has an id that is not below {vocabulary:,}")
            continue
        largest = LARGEST_MOMENT if name.startswith("optimizer.") else LARGEST
        if not is_within(value, largest):
            raise CheckpointError(f"the tensor {name} has values that are not finite, or beyond ±{largest:.2g}")


def checksum(about: str, tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the description and over every tensor's name, type, shape and bytes, by name."""
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"\n{name} {value.dtype.str} {value.shape}\n".encode("utf-8", "surrogatepass"))
        digest.update(value.data if value.size else b"")
    return digest.hexdigest()
