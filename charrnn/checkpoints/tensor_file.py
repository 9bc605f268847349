"""Reads and writes safetensors files: eight bytes with the length of the header, a JSON header, the tensors' bytes.

The reader is our own and not the library's, because the file may come from a stranger.  It compares every claim of the
header with the size of the file before it allocates memory, and refuses a key that comes twice.  The tensors are views
of one buffer.  Reading takes at most the tensors' bytes, plus twenty times the header's bytes (limited to 64 MiB), plus
100 MB.
"""

import codecs
import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import safetensors.numpy

from charrnn.errors import CheckpointError, brief
from charrnn.system import memory, strict_json

LARGEST_HEADER = 64 * 2**20  # bytes
_MOST_DIMENSIONS = 4
_TYPES = {"F32": np.dtype("<f4"), "U8": np.dtype(np.uint8)}
_LENGTH = 8  # bytes of the header's length
_TEXT_START = 4096  # bytes that show whether a file is a text


@dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes:
        metadata: strings by name.
        tensors: JSON values by the tensors' names, not yet checked.
        size: bytes of the file after the header.
    """

    metadata: dict[str, str]
    tensors: dict[str, Any]
    size: int

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The tensors' shapes, by name and in the order of their bytes.

        Raises:
            CheckpointError: a tensor is neither float32 nor bytes or has an impossible shape, there is a gap or an
                overlap between two tensors, a float32 tensor is not aligned, or the last one does not end with the
                file.
        """
        for name, entry in self.tensors.items():
            _check_entry(name, entry)
        shapes, end = {}, 0
        for name, entry in sorted(self.tensors.items(), key=lambda item: item[1]["data_offsets"]):
            shape = tuple(entry["shape"])
            size = _TYPES[entry["dtype"]].itemsize
            if entry["data_offsets"] != [end, end + size * math.prod(shape)] or end % size:
                raise CheckpointError(f"damaged (the tensor {brief(name)} is not where it must be)")
            end = entry["data_offsets"][1]
            shapes[name] = shape
        if end != self.size:
            raise CheckpointError(f"damaged or cut short ({self.size:,} bytes for tensors of {end:,})")
        return shapes

    def types(self) -> dict[str, np.dtype]:
        """The tensors' types by name, after :meth:`shapes` has checked them."""
        return {name: _TYPES[entry["dtype"]] for name, entry in self.tensors.items()}


def serialise(tensors: Mapping[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """The bytes of a file with ``tensors``, C-contiguous arrays of float32 or uint8.

    Raises:
        CheckpointError: the header would be longer than ``read_header`` accepts.
    """
    data = safetensors.numpy.save(dict(tensors), metadata)
    length = int.from_bytes(data[:_LENGTH], "little")
    if length > LARGEST_HEADER:
        raise CheckpointError(
            f"its description would take {length:,} bytes, more than {LARGEST_HEADER:,}: evaluate less often"
        )
    return data


def read_header(file: BinaryIO) -> Header:
    """Read the header of ``file``. The file's position is then where the tensors' bytes begin.

    Raises:
        CheckpointError: the file is not a safetensors file, or is damaged.
        OSError: the file cannot be read.
    """
    size = file.seek(0, os.SEEK_END) - _LENGTH
    file.seek(0)
    length = int.from_bytes(file.read(_LENGTH), "little")
    if size < 0 or length > min(size, LARGEST_HEADER):
        if _is_text(file):
            raise CheckpointError("a text, not a checkpoint: charrnn train makes a model of it")
        raise CheckpointError("not a checkpoint, or a damaged one (it is shorter than its header, or that is too long)")
    text = file.read(length).rstrip(b" ")  # the library pads the header with spaces
    try:
        if not (text.startswith(b"{") and text.endswith(b"}")):
            raise ValueError("no JSON object")
        tensors = strict_json.parse(text)
        metadata = tensors.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("its metadata are not strings")
    except ValueError as error:
        raise CheckpointError(f"not a checkpoint, or a damaged one (header: {error})") from None
    return Header(metadata, tensors, size - length)


def _is_text(file: BinaryIO) -> bool:
    """Whether a file begins as a text does: with UTF-8 and without the byte 0."""
    file.seek(0)
    start = file.read(_TEXT_START)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the cut may go through a character
    except UnicodeDecodeError:
        return False
    return bool(start) and b"\0" not in start


def read_tensors(
    file: BinaryIO, shapes: Mapping[str, tuple[int, ...]], types: Mapping[str, np.dtype]
) -> dict[str, np.ndarray]:
    """Read tensors of these shapes and types, one after another, from the position of ``file``.

    Raises:
        CheckpointError: the file ends too early, or the tensors are larger than this machine's memory.
        OSError: the file cannot be read.
    """
    sizes = {name: types[name].itemsize * math.prod(shape) for name, shape in shapes.items()}
    total, have = sum(sizes.values()), memory.installed()
    if have is not None and total > have:
        raise CheckpointError(f"its tensors take {total / 1e9:,.1f} GB, and this machine has {have / 1e9:,.1f}")
    buffer = np.empty(-(-total // 4), "<f4").view(np.uint8)[:total]  # aligned as float32
    if file.readinto(buffer.data) != total:
        raise CheckpointError("damaged (it was cut short while it was read)")
    stops = dict(zip(sizes, itertools.accumulate(sizes.values()), strict=True))
    return {
        name: buffer[stops[name] - size : stops[name]].view(types[name]).reshape(shapes[name])
        for name, size in sizes.items()
    }


def _check_entry(name: str, entry: Any) -> None:
    """Check a tensor's entry in a header: ``{"dtype": …, "shape": […], "data_offsets": [begin, end]}``."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(f"damaged (the entry of the tensor {brief(name)})")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _TYPES:
        raise CheckpointError(f"the tensor {brief(name)} is {brief(entry['dtype'])}, not float32 ('F32')")
    for key, least, lengths in (("shape", 1, range(1, _MOST_DIMENSIONS + 1)), ("data_offsets", 0, (2,))):
        numbers = entry[key]
        fits = isinstance(numbers, list) and len(numbers) in lengths
        if not fits or not all(type(number) is int and number >= least for number in numbers):
            raise CheckpointError(f"the tensor {brief(name)} has an impossible {key}: {brief(numbers)}")
