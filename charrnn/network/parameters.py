"""One flat float32 buffer with a named view for every parameter: the model's, its gradient's, the optimiser's."""

import math
from collections.abc import ItemsView, Iterator

import numpy as np

from charrnn.config import ModelConfig
from charrnn.network.cells import parameter_shapes

ALIGNMENT = 16  # elements: 64 bytes, a cache line and the widest vector


def aligned_empty(*shape: int) -> np.ndarray:
    """An uninitialised C-contiguous float32 array that starts on a cache line.

    Large arrays must not start at multiples of a large power of two, such as huge pages: they would compete for the
    same sets of the caches.
    """
    size = math.prod(shape)
    buffer = np.empty(size + ALIGNMENT, np.float32)
    start = -(buffer.ctypes.data // buffer.itemsize) % ALIGNMENT
    return buffer[start : start + size].reshape(shape)


def aligned_zeros(*shape: int) -> np.ndarray:
    """A C-contiguous float32 array of zeros that starts on a cache line."""
    array = aligned_empty(*shape)
    array.fill(0)
    return array


class Parameters:
    """A buffer ``flat`` (P,) float32, the one given or a new one of zeros, and its views by name.

    Views begin on cache lines; the gaps between them stay zero.
    """

    def __init__(self, config: ModelConfig, flat: np.ndarray | None = None):
        self.ranges: dict[str, tuple[int, int]] = {}
        shapes, start = parameter_shapes(config), 0
        for name, shape in shapes.items():
            stop = start + math.prod(shape)
            self.ranges[name] = (start, stop)
            start = -(-stop // ALIGNMENT) * ALIGNMENT
        self.flat = aligned_zeros(start) if flat is None else flat
        self._views = {name: self.flat[slice(*self.ranges[name])].reshape(shape) for name, shape in shapes.items()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self._views[name]

    def padded(self, name: str) -> np.ndarray:
        """A parameter's part of ``flat`` with the gap behind it: whole vectors."""
        start, stop = self.ranges[name]
        return self.flat[start : -(-stop // ALIGNMENT) * ALIGNMENT]

    def chunks(self, most: int) -> Iterator[tuple[str, int, int]]:
        """Pieces of ``flat`` with the parameter in each: (name, start, stop), with at most ``most`` elements.

        They are whole vectors if ``most`` is a multiple of 16.
        """
        for name, (start, _) in self.ranges.items():
            stop = start + self.padded(name).size
            for first in range(start, stop, most):
                yield name, first, min(first + most, stop)

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def items(self) -> ItemsView[str, np.ndarray]:
        """(name, view) in the order of the buffer."""
        return self._views.items()

    @property
    def size(self) -> int:
        """Number of parameters, gaps not counted."""
        return sum(view.size for view in self._views.values())
