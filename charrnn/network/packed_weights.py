"""The model's weights as the kernels read them: packed, padded, and their transposes for the way back."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.linear import linear
from charrnn.kernels.packing import pack, pack_bias, pack_table, pack_transposed
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.network.parameters import Parameters, aligned_zeros

PACKED_AT_ONCE = 65_536  # weights of one call: many small ones would cost more than they do …
NEIGHBOURS = 8  # … and at least so many panels: forward ones stand side by side in the rows that are read


def padded(size: int) -> int:
    """The next multiple of the vector length."""
    return -(-size // WIDTH) * WIDTH


def panels(width: int) -> int:
    """How many panels cover ``width`` columns."""
    return -(-width // PANEL)


def as_panels(rows: np.ndarray) -> np.ndarray:
    """A copy of rows (..., N) in panels (panels, ..., 64), padded with zeros."""
    width = rows.shape[-1]
    panelled = np.zeros((panels(width), *rows.shape[:-1], PANEL), np.float32)
    for panel, start in zip(panelled, range(0, width, PANEL), strict=True):
        stop = min(start + PANEL, width)
        panel[..., : stop - start] = rows[..., start:stop]
    return panelled


def as_rows(panelled: np.ndarray, width: int) -> np.ndarray:
    """The way back: (..., ``width``) from panels (panels, ..., columns); a view if there is one panel."""
    rows = np.moveaxis(panelled, 0, -2)
    return rows.reshape(*rows.shape[:-2], -1)[..., :width]


class Matrix:
    """A weight matrix (K, N) as panels, forward (panels over N, K, 64) and transposed (panels over K, Np, 64)."""

    def __init__(self, weights: np.ndarray, gated: bool, forward: np.ndarray | None = None):
        depth, columns = weights.shape
        self.weights, self.gated = weights, gated
        self.width = 4 * padded(columns // 4) if gated else padded(columns)
        self.forward = aligned_zeros(panels(self.width), depth, PANEL) if forward is None else forward
        self.transposed = aligned_zeros(panels(depth), self.width, PANEL)

    def packing(self, transposed: bool) -> list[tuple]:
        """The packing of its panels, as calls to be shared out."""
        calls = []
        for kernel, target in [(pack, self.forward), (pack_transposed, self.transposed)][: 1 + transposed]:
            group = max(NEIGHBOURS, PACKED_AT_ONCE // target[0].size)
            for first in range(0, len(target), group):
                last = min(first + group, len(target))
                calls.append((kernel, (self.weights, self.gated, first, last, target)))
        return calls


class PackedWeights:
    """All matrices and biases of a model, packed anew by :meth:`refresh` whenever its parameters change."""

    def __init__(self, config: ModelConfig, parameters: Parameters):
        self.config, self.parameters = config, parameters
        layers, hidden = range(config.layers), config.hidden
        width = 4 * padded(hidden)
        # The layers' panels stand in one array each, so that a kernel can go through any number of layers.
        self.recurrent_stack = aligned_zeros(config.layers, panels(width), hidden, PANEL)
        self.input_stack = aligned_zeros(config.layers, panels(width), hidden, PANEL)  # none for the first layer
        self.bias = aligned_zeros(config.layers, width)
        self.recurrent = [Matrix(parameters[f"w_hh_l{k}"], True, self.recurrent_stack[k]) for k in layers]
        self.input = [Matrix(parameters[f"w_ih_l{k}"], True, self.input_stack[k]) if k else None for k in layers]
        if config.embedding:
            self.input[0] = Matrix(parameters["w_ih_l0"], True)
        self.output = Matrix(parameters["w_out"], False)
        self.output_bias = aligned_zeros(padded(config.vocabulary))
        self.output_bias[config.vocabulary :] = -np.inf
        self._zeros = aligned_zeros(max(padded(hidden), padded(config.embedding or 1)))
        self.table = aligned_zeros(panels(width), config.vocabulary, PANEL)
        # What the layers take beside: rows by character or the bias, and the matrix for what comes from beneath.
        self.tables = [bias.reshape(-1, 1, PANEL) if k else self.table for k, bias in enumerate(self.bias)]
        nothing = aligned_zeros(panels(width), 0, PANEL), aligned_zeros(0, width, PANEL)
        self.beneath = [(self.input[k].forward, self.input[k].transposed) if k else nothing for k in layers]
        if config.embedding:
            self.embedding = aligned_zeros(panels(config.embedding), config.vocabulary, PANEL)

    def refresh(self, team, training: bool) -> None:
        """Pack the parameters; the transposes, which only the way back needs, if ``training``."""
        calls = []
        for matrix in [*self.recurrent, *self.input, self.output]:
            if matrix is not None:
                calls += matrix.packing(training)
        for k, bias in enumerate(self.bias):
            calls.append((pack_bias, (self.parameters[f"b_l{k}"], True, bias)))
        calls.append((pack_bias, (self.parameters["b_out"], False, self.output_bias)))
        vocabulary = self.config.vocabulary
        if self.config.embedding:
            self.embedding[:] = as_panels(self.parameters["embedding"])
        else:
            weights, bias = self.parameters["w_ih_l0"], self.parameters["b_l0"]
            for first in range(0, vocabulary, 64):
                last = min(first + 64, vocabulary)
                calls.append((pack_table, (weights, bias, first, last, self.table)))
        team.share_out(calls)
        if self.config.embedding:
            # A one-hot character times the embedding times W_ih is a row of embedding W_ih.
            linear(self.embedding, self.input[0].forward, self.bias[0], 0, vocabulary, self.table)

    def no_bias(self, columns: int) -> np.ndarray:
        """Zeros in place of a bias, for a product of so many columns."""
        return self._zeros[: padded(columns)]

    @property
    def nbytes(self) -> int:
        """Bytes of all packed arrays."""
        matrices = [matrix for matrix in (*self.recurrent, *self.input, self.output) if matrix is not None]
        stacked = [self.recurrent_stack, self.input_stack, self.output.forward, self.bias, self.output_bias, self.table]
        first = [self.embedding, self.input[0].forward] if self.config.embedding else []
        return sum(array.nbytes for array in [*stacked, *first, *(matrix.transposed for matrix in matrices)])
