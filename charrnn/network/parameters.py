"""One flat float32 buffer with a named view for every parameter: the model's, its gradient's, the optimiser's."""

import math
from collections.abc import Iterator

import numpy as np

from charrnn.config import ModelConfig

ALIGNMENT = 16  # elements: 64 bytes, a cache line and the widest vector


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes, in the order of the buffer.

    ``embedding`` (V, E) if there is one; for each layer k ``w_ih_l{k}`` (D, 4H), ``w_hh_l{k}`` (H, 4H) and
    ``b_l{k}`` (4H,), gates in the order i, f, g, o, where D is E or V for the first layer; ``w_out`` (H, V),
    ``b_out`` (V,).
    """
    vocabulary, hidden = config.vocabulary, config.hidden
    shapes: dict[str, tuple[int, ...]] = {}
    if config.embedding:
        shapes["embedding"] = (vocabulary, config.embedding)
    for layer in range(config.layers):
        inputs = hidden if layer else config.embedding or vocabulary
        shapes[f"w_ih_l{layer}"] = (inputs, 4 * hidden)
        shapes[f"w_hh_l{layer}"] = (hidden, 4 * hidden)
        shapes[f"b_l{layer}"] = (4 * hidden,)
    shapes["w_out"] = (hidden, vocabulary)
    shapes["b_out"] = (vocabulary,)
    return shapes


def parameter_count(config: ModelConfig) -> int:
    """How many numbers the model learns."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def aligned_empty(*shape: int) -> np.ndarray:
    """An uninitialised C-contiguous float32 array that starts on a cache line."""
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
    """A buffer ``flat`` (P,), a new one of zeros or the one given, and its views by name.

    Gaps that keep the views aligned stay zero.
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
        """A parameter's stretch of ``flat`` with the gap behind it: whole vectors."""
        start, stop = self.ranges[name]
        return self.flat[start : -(-stop // ALIGNMENT) * ALIGNMENT]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def items(self):
        """(name, view) in the order of the buffer."""
        return self._views.items()

    @property
    def size(self) -> int:
        """Number of parameters, gaps not counted."""
        return sum(view.size for view in self._views.values())
