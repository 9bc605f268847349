"""Weights as the kernels read them: packed, padded, and transposed for the backward pass."""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.gains import gain_gradient, scale_columns, scale_rows
from charrnn.kernels.linear import linear
from charrnn.kernels.packing import GATES, PLAIN, pack, pack_table, pack_transposed
from charrnn.kernels.tiles import PANEL
from charrnn.network.parameters import Parameters, aligned_zeros
from charrnn.network.workspace import in_order, padded, panels, row_calls, weight_calls
from charrnn.system.threads import divided

PACKED_AT_ONCE = 65_536  # weights of one call: smaller calls would cost more than their work
NEIGHBOURS = 8  # panels of one call at least: `pack` reads rows, in which the columns of panels are neighbours
TABLE_ROWS = 64  # characters of one call


def as_panels(rows: np.ndarray) -> np.ndarray:
    """A copy of rows (..., N) in panels (panels, ..., 64), padded with zeros."""
    width = rows.shape[-1]
    panelled = np.zeros((panels(width), *rows.shape[:-1], PANEL), np.float32)
    for panel, start in zip(panelled, range(0, width, PANEL), strict=True):
        stop = min(start + PANEL, width)
        panel[..., : stop - start] = rows[..., start:stop]
    return panelled


def as_rows(panelled: np.ndarray, width: int) -> np.ndarray:
    """The inverse: (..., ``width``) from panels (panels, ..., columns); a view if there is one panel."""
    rows = np.moveaxis(panelled, 0, -2)
    return rows.reshape(*rows.shape[:-2], -1)[..., :width]


def packed_width(columns: int, order: int) -> int:
    """How many columns a parameter with ``columns`` columns has when it is packed in ``order``."""
    return padded(columns) if order == PLAIN else 4 * padded(columns // GATES[order])


class Matrix:
    """A weight matrix (K, N) as panels, forward (panels over N, K, 64) and transposed (panels over K, Np, 64).

    The N columns are packed in ``order``, one of :mod:`charrnn.kernels.packing`, as Np columns.  ``forward`` may be
    given, as a part of a larger array.
    """

    def __init__(self, weights: np.ndarray, order: int = PLAIN, forward: np.ndarray | None = None):
        depth, columns = weights.shape
        self.weights, self.order = weights, order
        width = packed_width(columns, order)
        self.forward = aligned_zeros(panels(width), depth, PANEL) if forward is None else forward
        self.transposed = aligned_zeros(panels(depth), width, PANEL)

    def packing(self, training: bool) -> list[tuple]:
        """Calls that pack the panels, the transposed ones too if ``training``."""
        calls = []
        for kernel, target in [(pack, self.forward), (pack_transposed, self.transposed)][: 1 + training]:
            group = max(NEIGHBOURS, PACKED_AT_ONCE // target[0].size)
            for first in range(0, len(target), group):
                last = min(first + group, len(target))
                calls.append((kernel, (self.weights, self.order, first, last, target)))
        return calls

    @property
    def nbytes(self) -> int:
        """Bytes of both forms."""
        return self.forward.nbytes + self.transposed.nbytes


class GainedMatrix(Matrix):
    """A matrix whose rows are multiplied by ``gains`` (K,): of a normalised input, see :mod:`charrnn.kernels.gains`."""

    def __init__(self, weights: np.ndarray, gains: np.ndarray):
        super().__init__(weights)
        self.gains = gains

    def packing(self, training: bool) -> list[tuple]:
        """Calls that pack the panels and multiply them."""
        return [(self._pack, call) for call in super().packing(training)]

    def _pack(self, kernel, arguments) -> None:
        kernel(*arguments)
        scale = scale_columns if kernel is pack_transposed else scale_rows
        scale(self.gains, self.weights.shape[1], *arguments[2:])

    def finish_gradient(self, team, dweights: np.ndarray, dgains: np.ndarray) -> None:
        """From the gradient of the product of gains and weights to the gradients of both."""
        team.share_out(
            [
                (gain_gradient, (self.weights, self.gains, first, last, dweights, dgains))
                for first, last in divided(len(self.gains), team.threads)
            ]
        )


class CharacterTable:
    """The first layer's pre-activations before its state is added: ``rows`` (panels, V, 64) = x W_ih + b.

    There is a row for every character x.  Without an embedding x is one-hot and picks a row of W_ih; with one, of V
    rows and E columns, the table is the product embedding W_ih + b.  W_ih is packed in ``order``.
    """

    def __init__(self, config: ModelConfig, parameters: Parameters, packed_bias: np.ndarray, order: int):
        self.config, self._packed_bias, self._order = config, packed_bias, order
        self._w_ih, self._bias = parameters["w_ih_l0"], parameters["b_l0"]
        self.rows = aligned_zeros(panels(len(packed_bias)), config.vocabulary, PANEL)
        if config.embedding:
            self._embedding = parameters["embedding"]
            self._input = Matrix(self._w_ih, order)
            self._panels = aligned_zeros(panels(config.embedding), config.vocabulary, PANEL)
            self._no_bias = aligned_zeros(padded(config.embedding))

    @staticmethod
    def scratch_shapes(config: ModelConfig, width: int) -> dict[str, tuple[int, ...]]:
        """``dtable`` (⌈width/64⌉, V, 64) for packed columns, and with an embedding ``dembedding`` (⌈E/64⌉, V, 64)."""
        shapes = {"dtable": (panels(width), config.vocabulary, PANEL)}
        if config.embedding:
            shapes["dembedding"] = (panels(config.embedding), config.vocabulary, PANEL)
        return shapes

    def packing(self, training: bool) -> list[tuple]:
        """Calls that make the table, or with an embedding pack its factors."""
        if self.config.embedding:
            self._panels[:] = as_panels(self._embedding)
            return self._input.packing(training)
        vocabulary = self.config.vocabulary
        bounds = [(first, min(first + TABLE_ROWS, vocabulary)) for first in range(0, vocabulary, TABLE_ROWS)]
        return [(pack_table, (self._w_ih, self._bias, self._order, *bound, self.rows)) for bound in bounds]

    def finish_packing(self) -> None:
        """With an embedding, the product that is the table."""
        if self.config.embedding:
            linear(self._panels, self._input.forward, self._packed_bias, 0, self.config.vocabulary, self.rows)

    def gradient_calls(self, window, dz: np.ndarray, gradient: Parameters, threads: int) -> list[tuple]:
        """Calls that make the table's gradient; without an embedding it is the gradient of W_ih."""
        dtable = window.scratch["dtable"]
        columns = gradient["w_ih_l0"].shape[1]
        picked = np.zeros((0, columns), np.float32) if self.config.embedding else gradient["w_ih_l0"]
        return row_calls(window.picked, dz, dtable, picked, threads, self._order)

    def partial_sums(self, window) -> list[np.ndarray]:
        """With an embedding, the table's gradient, from which those of its two factors follow."""
        return [window.scratch["dtable"]] if self.config.embedding else []

    def finish_gradient(self, window, gradient: Parameters, team, scratch: list[np.ndarray]) -> None:
        """With an embedding, from the table's gradient to the gradients of its two factors."""
        config = self.config
        if not config.embedding:
            return
        dtable, dembedding = window.scratch["dtable"], window.scratch["dembedding"]
        rows, w_ih = in_order(config.vocabulary), gradient["w_ih_l0"]
        team.share_out(weight_calls(self._panels, dtable, rows, w_ih, None, team.threads, self._order), scratch)
        linear(dtable, self._input.transposed, self._no_bias, 0, config.vocabulary, dembedding)
        gradient["embedding"][:] = as_rows(dembedding, config.embedding)

    @property
    def nbytes(self) -> int:
        """Bytes of the table and of its packed factors."""
        factors = self._input.nbytes + self._panels.nbytes if self.config.embedding else 0
        return self.rows.nbytes + factors
