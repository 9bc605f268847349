"""Weights with fewer bits: whole numbers and a scale for each row or column of a matrix."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

BITS = (8, 16, 32)


@dataclass(frozen=True)
class Quantised:
    """An array as whole numbers times scales.

    ``numbers`` has the array's shape, int8, int16 or float32. ``scales`` float32 has one number for each row (``axis``
    0) or column (``axis`` 1); it is empty for ``axis`` -1, where the numbers are the values.
    """

    numbers: np.ndarray
    scales: np.ndarray
    axis: int

    def values(self) -> np.ndarray:
        """The values that a page computes with, float32."""
        if self.axis < 0:
            return self.numbers
        return self.numbers.astype(np.float32) * np.expand_dims(self.scales, 1 - self.axis)

    def to_bytes(self) -> bytes:
        """The scales, then the numbers, little-endian, and zeros up to a multiple of 4 bytes."""
        numbers = self.numbers.astype(self.numbers.dtype.newbyteorder("<")).tobytes()
        return self.scales.astype("<f4").tobytes() + numbers + bytes(-len(numbers) % 4)


def quantised(value: np.ndarray, bits: int) -> Quantised:
    """A float32 array in ``bits`` bits, 8, 16 or 32.

    A matrix has a scale for each row or for each column, whichever has the smaller sum of squared errors; the largest
    number of a row or column is exact but for rounding of the scale. A vector stays float32.
    """
    value = np.asarray(value, np.float32)
    if bits == 32 or value.ndim != 2:
        return Quantised(value, np.zeros(0, np.float32), -1)
    return min((_along(value, bits, axis) for axis in (0, 1)), key=lambda made: _squared_error(value, made))


def all_quantised(arrays: Mapping[str, np.ndarray], bits: int) -> dict[str, Quantised]:
    """The arrays in ``bits`` bits, by name."""
    return {name: quantised(value, bits) for name, value in arrays.items()}


def _along(value: np.ndarray, bits: int, axis: int) -> Quantised:
    most = 2 ** (bits - 1) - 1
    largest = np.abs(value).max(axis=1 - axis, keepdims=True)
    scales = np.where(largest > 0, largest / most, 1).astype(np.float32)
    numbers = np.clip(np.rint(value / scales), -most, most).astype(f"i{bits // 8}")
    return Quantised(numbers, scales.ravel(), axis)


def _squared_error(value: np.ndarray, made: Quantised) -> float:
    return float(np.square(value.astype(np.float64) - made.values()).sum())
