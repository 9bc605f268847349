"""One flat float32 buffer with a named view for every parameter: the model's, its gradient's, the optimiser's."""

import math
from collections.abc import Iterator

import numpy as np

from charrnn.config import INITS, ModelConfig
from charrnn.errors import ConfigError

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


def initialise(
    parameters: Parameters, config: ModelConfig, seed: int, init: str = "unit", forget_bias: float = 1.0
) -> None:
    """Fill with starting values, uniform in ± a bound that ``init`` names:

    - ``unit``: sqrt(3) for the rows that characters pick, sqrt(3/E) where an embedding stands before them, so that a
      character moves the gates by about 1 from the first step; 1/sqrt(H) for the other weights of the layers and
      5/sqrt(H) for the output layer.  docs/LOG.md has what other bounds gave.
    - ``uniform``: 1/sqrt(H) for all weights and biases, as PyTorch's LSTM starts.
    - ``xavier``: sqrt(6 / (rows + columns)) for each gate's block of a matrix and for the output layer (Glorot & Bengio
      2010, equation 16).
    - ``orthogonal``: as ``unit``, but each gate's block of a recurrent matrix is a random orthogonal one (Saxe et al.
      2014).

    Biases are 0 (but with ``uniform``), those of the forget gates ``forget_bias``: at 1 a cell remembers until it
    learns to forget (Gers et al. 2000, Jozefowicz et al. 2015).  An embedding is standard normal.

    Raises:
        ConfigError: there is no such ``init``.
    """
    if init not in INITS:
        raise ConfigError(f"init must be one of {', '.join(INITS)}, not {init!r}")
    generator = np.random.default_rng(seed)
    hidden = config.hidden
    for name, view in parameters.items():
        if name == "embedding":
            view[:] = generator.standard_normal(view.shape, np.float32)
        elif name.startswith("b_") and init != "uniform":
            view[:] = 0
        elif name.startswith("w_hh") and init == "orthogonal":
            for gate in np.split(view, 4, axis=1):
                gate[:] = _orthogonal(generator, hidden)
        else:
            bound = _bound(init, name, view.shape, config)
            view[:] = generator.uniform(-bound, bound, view.shape)
        if name.startswith("b_l"):
            view[hidden : 2 * hidden] = forget_bias


def _bound(init: str, name: str, shape: tuple[int, ...], config: ModelConfig) -> float:
    plain = 1 / math.sqrt(config.hidden)
    if init == "uniform":
        return plain
    if init == "xavier":
        rows, columns = shape
        return math.sqrt(6 / (rows + (columns if name == "w_out" else columns // 4)))
    return {"w_ih_l0": math.sqrt(3 / (config.embedding or 1)), "w_out": 5 / math.sqrt(config.hidden)}.get(name, plain)


def _orthogonal(generator: np.random.Generator, size: int) -> np.ndarray:
    """An orthogonal matrix, all equally likely: QR with the signs of R's diagonal settled (Mezzadri 2007)."""
    q, r = np.linalg.qr(generator.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
