"""A model and its run in one safetensors file, and back.  docs/FORMAT.md describes the file.

Weights have the names and layout of PyTorch's ``Embedding``, ``LSTM`` and ``Linear``.  The metadata key
``charrnn`` holds JSON, ``sha256`` a checksum over that JSON and over every tensor's name, type, shape and bytes.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from charrnn import __version__
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.files import write_durably
from charrnn.parameters import parameter_shapes
from charrnn.text.vocabulary import Vocabulary

FORMAT = 1
LARGEST_HEADER = 64 * 2**20


@dataclass
class Checkpoint:
    """All there is to know about a model, and, in ``last.safetensors``, all that a resume needs.

    ``parameters`` by name as in :func:`charrnn.parameters.parameter_shapes`; ``progress`` the run's counters;
    ``history`` its evaluations; ``corpus`` where the text came from and how it was read; ``optimizer`` the
    moments, each a dictionary by parameter name; ``state`` the lanes' h and c, each (L, B, H).
    """

    model: ModelConfig
    vocabulary: Vocabulary
    parameters: Mapping[str, np.ndarray]
    training: TrainConfig | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    corpus: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    state: tuple[np.ndarray, np.ndarray] | None = None

    def save(self, path: Path, previous: Path | None = None) -> None:
        """Write to ``path`` durably; what was there is kept as ``previous`` if that is given.

        Raises:
            CheckpointError: the disk refuses; a file that was there is as it was.
        """
        tensors = {}
        for name, value in self.parameters.items():
            tensors.update(to_torch(name, value))
        for slot, moments in self.optimizer.items():
            tensors.update({f"optimizer.{slot}.{name}": value for name, value in moments.items()})
        if self.state is not None:
            tensors["state.h"], tensors["state.c"] = self.state
        # safetensors 0.8 writes wrong bytes for arrays that are not contiguous.
        tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
        about = json.dumps(
            {
                "format": FORMAT,
                "version": __version__,
                "config": self.model.to_dict(),
                "vocabulary": self.vocabulary.to_list(),
                "training": self.training.to_dict() if self.training else None,
                "progress": self.progress,
                "history": self.history,
                "corpus": self.corpus,
            },
            ensure_ascii=True,
            allow_nan=False,
        )
        data = safetensors.numpy.save(tensors, {"charrnn": about, "sha256": checksum(about, tensors)})
        try:
            write_durably(path, data, previous)
        except OSError as error:
            raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from None

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read and verify ``path``.

        Raises:
            CheckpointError: it cannot be read, is damaged, or is not a checkpoint of this program.
        """
        about, tensors = _read(path)
        try:
            return cls._assemble(about, tensors)
        except CharRNNError as error:
            raise CheckpointError(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{path}: malformed checkpoint ({error!r})") from None

    @classmethod
    def _assemble(cls, about: dict[str, Any], tensors: dict[str, np.ndarray]) -> "Checkpoint":
        model = ModelConfig.from_dict(about["config"])
        vocabulary = Vocabulary.from_list(about["vocabulary"])
        if len(vocabulary) != model.vocabulary:
            raise CheckpointError(f"{len(vocabulary)} characters for a model of {model.vocabulary}")
        shapes = parameter_shapes(model)
        parameters = {name: from_torch(name, tensors) for name in shapes}
        optimizer: dict[str, dict[str, np.ndarray]] = {}
        state = None
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                slot, _, parameter = rest.partition(".")
                optimizer.setdefault(slot, {})[parameter] = value
        if "state.h" in tensors:
            state = tensors["state.h"], tensors["state.c"]
            if state[0].shape != state[1].shape or state[0].shape[::2] != (model.layers, model.hidden):
                raise CheckpointError(f"the state has shape {state[0].shape}")
        for group in (parameters, *optimizer.values()):
            if group.keys() != shapes.keys():
                raise CheckpointError(f"tensors are missing or too many: {sorted(group.keys() ^ shapes.keys())}")
            for name, value in group.items():
                if value.shape != shapes[name] or value.dtype != np.float32:
                    raise CheckpointError(f"{name} is {value.dtype} {value.shape}, not float32 {shapes[name]}")
        # safetensors gives them in no order.
        optimizer = {slot: {name: optimizer[slot][name] for name in shapes} for slot in sorted(optimizer)}
        for name, value in parameters.items():
            if not np.isfinite(value).all():
                raise CheckpointError(f"{name} has values that are not finite")
        training = TrainConfig.from_dict(about["training"]) if about["training"] else None
        for counters in (about["progress"], *about["history"]):
            if not all(value is None or type(value) in (int, float) for value in dict(counters).values()):
                raise CheckpointError("a counter is not a number")
        _check_corpus(about["corpus"])
        return cls(
            model,
            vocabulary,
            parameters,
            training,
            dict(about["progress"]),
            list(about["history"]),
            dict(about["corpus"]),
            optimizer,
            state,
        )


_CORPUS = {
    **{"sources": list, "paths": list, "sha256": str, "characters": int},
    **{"as_bytes": bool, "encoding": str, "min_count": int, "max_vocab": int},
}


def _check_corpus(corpus: Any) -> None:
    """What is said of the text must have the types that those who read it count on."""
    if corpus == {}:
        return
    for name, kind in _CORPUS.items():
        if type(corpus.get(name)) is not kind:
            raise CheckpointError(f"what it says of its text is malformed ({name})")
    if not all(isinstance(source, str) for source in corpus["sources"] + corpus["paths"]):
        raise CheckpointError("what it says of its text is malformed (sources)")


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The verified metadata and tensors of a file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > LARGEST_HEADER:
                raise CheckpointError(f"{path}: not a checkpoint, or a damaged one (its header is impossibly long)")
            header = file.read(size)
            data = size.to_bytes(8, "little") + header + file.read()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    try:
        tensors = safetensors.numpy.load(data)
        metadata = json.loads(header).get("__metadata__") or {}
    except (safetensors.SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a checkpoint, or a damaged one ({error})") from None
    if "charrnn" not in metadata:
        raise CheckpointError(f"{path}: a safetensors file, but not one that charrnn wrote")
    try:
        about = json.loads(metadata["charrnn"])
        version = about["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CheckpointError(f"{path}: damaged (its description cannot be read)") from None
    if version != FORMAT:
        raise CheckpointError(f"{path}: format {version}, but this version of charrnn reads format {FORMAT}")
    if metadata.get("sha256") != checksum(metadata["charrnn"], tensors):
        raise CheckpointError(f"{path}: damaged (the checksum does not match its content)")
    return about, tensors


def checksum(about: str, tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the description and over every tensor's name, type, shape and bytes, by name."""
    digest = hashlib.sha256(about.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"\n{name} {value.dtype.str} {value.shape}\n".encode("utf-8", "surrogatepass"))
        digest.update(value.data if value.size else b"")
    return digest.hexdigest()


def to_torch(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    """A parameter under PyTorch's names and in its layout: weights (outputs, inputs), two biases."""
    kind, _, layer = name.partition("_l")
    if kind == "b":
        return {f"lstm.bias_ih_l{layer}": value, f"lstm.bias_hh_l{layer}": np.zeros_like(value)}
    if kind in ("w_ih", "w_hh"):
        return {f"lstm.weight_{kind[2:]}_l{layer}": value.T}
    return {"embedding": {"embedding.weight": value}, "w_out": {"head.weight": value.T}, "b_out": {"head.bias": value}}[
        name
    ]


def from_torch(name: str, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The parameter ``name`` out of tensors with PyTorch's names; its two biases are added up.

    Raises:
        CheckpointError: a tensor is missing.
    """
    kind, _, layer = name.partition("_l")
    try:
        if kind == "b":
            return tensors[f"lstm.bias_ih_l{layer}"] + tensors[f"lstm.bias_hh_l{layer}"]
        if kind in ("w_ih", "w_hh"):
            return tensors[f"lstm.weight_{kind[2:]}_l{layer}"].T
        if name == "w_out":
            return tensors["head.weight"].T
        return tensors[{"embedding": "embedding.weight", "b_out": "head.bias"}[name]]
    except KeyError as error:
        raise CheckpointError(f"the tensor {error} is missing") from None
