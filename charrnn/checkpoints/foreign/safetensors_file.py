"""Reads safetensors files that other programs wrote: any tensors, of every type that PyTorch writes."""

import math
from typing import IO, Any

import numpy as np

from charrnn.checkpoints import tensor_file
from charrnn.checkpoints.foreign.tensors import KINDS, MOST_DIMENSIONS, Tensor, contiguous
from charrnn.errors import CheckpointError, brief

_TYPES = {
    **{"F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32"},
    **{"I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool"},
}
_LENGTH = 8  # bytes of the header's length


def is_safetensors(start: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that begins with ``start`` can be a safetensors file."""
    return start[_LENGTH : _LENGTH + 1] == b"{" and int.from_bytes(start[:_LENGTH], "little") <= size


def read(file: IO[bytes]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, which read ``file`` when they are asked for, and the metadata.

    Raises:
        CheckpointError: the file is damaged.
        OSError: it cannot be read.
    """
    header = tensor_file.read_header(file)
    begin = file.tell()
    return {name: _tensor(file, begin, header.size, name, entry) for name, entry in header.tensors.items()}, (
        header.metadata
    )


def _tensor(file: IO[bytes], begin: int, size: int, name: str, entry: Any) -> Tensor:
    """The tensor of an entry ``{"dtype": …, "shape": […], "data_offsets": [first, end]}``."""
    match entry:
        case {"dtype": str(code), "shape": [*shape], "data_offsets": [int(first), int(end)]} if code in _TYPES:
            kind, dtype = _TYPES[code], KINDS[_TYPES[code]]
        case _:
            raise CheckpointError(f"the tensor {brief(name)} is of a kind that is not known: {brief(entry)}")
    if len(shape) > MOST_DIMENSIONS:
        raise CheckpointError(f"damaged (the tensor {brief(name)} has {len(shape):,} dimensions)")
    if any(type(length) is not int or not 0 <= length < 2**63 for length in shape):
        raise CheckpointError(f"damaged (the tensor {brief(name)} has the shape {brief(shape)})")
    count = math.prod(shape)
    if not 0 <= first <= end <= size or end - first != count * dtype.itemsize:
        raise CheckpointError(f"damaged or cut short (the tensor {brief(name)} is not where it must be)")

    def numbers() -> np.ndarray:
        file.seek(begin + first)
        data = file.read(end - first)
        if len(data) != end - first:
            raise CheckpointError("damaged (it was cut short while it was read)")
        return np.frombuffer(data, dtype)

    return Tensor(kind, tuple(shape), contiguous(tuple(shape)), 0, numbers)
