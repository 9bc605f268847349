"""A tensor of a foreign file: its type, its shape, and where its numbers are.  They are read when they are asked for.

A file may have been forged.  A tensor never asks for more memory than four bytes for each number of its storage.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from charrnn.errors import CheckpointError

FLOATS = {"float32": "<f4", "float64": "<f8", "float16": "<f2", "bfloat16": "<u2"}
"""The types of weights, and NumPy's types of the same size.  NumPy has no bfloat16: it is half of a float32."""

OTHERS = {"int64": "<i8", "int32": "<i4", "int16": "<i2", "int8": "i1", "uint8": "u1", "bool": "u1"}
"""Types of other tensors, which are not read."""

KINDS = {name: np.dtype(code) for name, code in (FLOATS | OTHERS).items()}
"""NumPy's types by the names of the tensors' types."""

MOST_DIMENSIONS = 16
"""Axes of a tensor; the readers refuse more."""

_MOST_NUMBERS = 2**59  # NumPy counts bytes in an int64, for an empty array as if its axes of size 0 had size 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage.

    Attributes:
        kind: its type, a key of ``KINDS``.
        shape: its shape.
        strides: for each axis the distance of neighbours, in numbers.
        offset: where its first number is in the storage.
        storage: returns the storage, a one-dimensional array of NumPy's type for ``kind``.
    """

    kind: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    storage: Callable[[], np.ndarray]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def values(self) -> np.ndarray:
        """Its numbers as they are in the file, not to be written to.

        Raises:
            CheckpointError: it reaches beyond its storage, or has one number at several places.
        """
        largest = math.prod(max(size, 1) for size in self.shape)
        if min((*self.shape, *self.strides, self.offset)) < 0 or largest > _MOST_NUMBERS:
            raise CheckpointError(f"damaged (a tensor of the shape {self.shape})")
        if not self.size:
            return np.empty(self.shape, KINDS[self.kind])
        numbers = self.storage()
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if max(self.size, last + 1) > len(numbers):
            raise CheckpointError(f"damaged (a tensor of the shape {self.shape} has {len(numbers):,} numbers)")
        # The stride of an axis of size 1 is never used, and so can be any number, even one that NumPy refuses.
        steps = [
            stride * numbers.itemsize if size > 1 else 0 for size, stride in zip(self.shape, self.strides, strict=True)
        ]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps, writeable=False)

    def to_float32(self) -> np.ndarray:
        """Its numbers, C-contiguous.  Numbers that are too large for float32 become infinite.

        Raises:
            CheckpointError: as :meth:`values`.
        """
        found = self.values()
        if self.kind == "bfloat16":
            found = (found.astype("<u4") << 16).view("<f4")
        with np.errstate(all="ignore"):
            return np.ascontiguousarray(found, np.float32)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a tensor whose numbers follow one another in C's order."""
    below = accumulate(shape[:0:-1], operator.mul, initial=1)
    return tuple(below)[: len(shape)][::-1]
