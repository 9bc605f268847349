"""What recurrent layers share: packed weights, and the gradients of parameters from that of their pre-activations.

A recurrent layer's pre-activations are made of x W_ih, h W_hh and b, whatever its equations then make of them.
Legend: H hidden units in Q = ⌈H/64⌉ panels; the packed columns of the parameters have P panels.
"""

from typing import NamedTuple

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels.linear import linear
from charrnn.kernels.packing import BIAS_ORDER, pack, pack_bias, pack_table, pack_transposed
from charrnn.kernels.recurrent import Transposed, Weights, layer_of
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import row_gradient, weight_gradient
from charrnn.network.layers import Arrays, Call, Layer, Window
from charrnn.network.packed_weights import CharacterTable, Matrix, as_rows, padded
from charrnn.network.parameters import Parameters, aligned_zeros
from charrnn.network.workspace import panels, weight_calls

PRODUCTS = (linear, pack, pack_bias, pack_table), (weight_gradient, row_gradient, pack_transposed)
"""Kernels of every recurrent layer: of the forward pass, and of the backward pass."""


class Orders(NamedTuple):
    """How the columns of W_ih and W_hh are packed, see :mod:`charrnn.kernels.packing`."""

    input: int
    recurrent: int


class Recurrent(Layer):
    """A recurrent layer with ``w_ih_l{k}``, ``w_hh_l{k}`` and ``b_l{k}``.

    Unless the layer says otherwise, its gates have blocks of 16 columns in each of P = ⌈H/16⌉ panels; backward, the
    gradient with respect to their pre-activations takes their place.

    Attributes:
        orders: of its packed columns.
        gates: a letter for each block of a panel that is a signal.
        panels: P.
    """

    orders: Orders
    gates = ""
    panels: int

    def __init__(self, config: ModelConfig, index: int):
        super().__init__(config, index)
        self.panels = padded(config.hidden) // WIDTH

    def array_shapes(self, rows: int) -> dict[str, tuple[int, ...]]:
        """``gates`` (P, rows, 64) and ``h`` (Q, rows, 64)."""
        return {"gates": (self.panels, rows, PANEL), "h": (panels(self.config.hidden), rows, PANEL)}

    def dz(self, arrays: Arrays) -> np.ndarray:
        """After :meth:`backward`: panels (P, R, 64) of the gradient with respect to the pre-activations."""
        return arrays["gates"]

    def preactivation_gradient(self, arrays: Arrays) -> np.ndarray:
        """dz (R, P, 16 a gate): the gates of 16 units."""
        return arrays["gates"][:, :, : WIDTH * len(self.gates)].swapaxes(0, 1)

    def scratch_shapes(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """For the first layer the gradients of its table and of an embedding."""
        return {} if self.index else CharacterTable.scratch_shapes(self.config, PANEL * self.panels)

    def bind(self, parameters: Parameters) -> None:
        """Make room for the packed weights of these parameters."""
        k, width, hidden = self.index, PANEL * self.panels, self.config.hidden
        inputs = hidden if k else 0
        w = aligned_zeros(self.panels, inputs + hidden, PANEL)
        self.recurrent = Matrix(parameters[f"w_hh_l{k}"], self.orders.recurrent, w[:, inputs:])
        self.bias, self.packed_bias = parameters[f"b_l{k}"], aligned_zeros(width)
        self.input = self.table = None
        if k:
            self.input = Matrix(parameters[f"w_ih_l{k}"], self.orders.input, w[:, :inputs])
            rows, w_ih_transposed = self.packed_bias.reshape(-1, 1, PANEL), self.input.transposed
        else:
            self.table = CharacterTable(self.config, parameters, self.packed_bias, self.orders.input)
            rows, w_ih_transposed = self.table.rows, aligned_zeros(0, width, PANEL)
        self.weights = Weights(rows, w)
        self.transposed = Transposed(w_ih_transposed, self.recurrent.transposed)

    def packing(self, training: bool) -> list[Call]:
        """Calls that pack the matrices, the bias and the table."""
        calls = self.recurrent.packing(training) + (self.input or self.table).packing(training)
        return [*calls, (pack_bias, (self.bias, BIAS_ORDER[self.orders.input], self.packed_bias))]

    def finish_packing(self) -> None:
        """The table of an embedding is a product of packed weights."""
        if self.table is not None:
            self.table.finish_packing()

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights."""
        return self.recurrent.nbytes + self.packed_bias.nbytes + (self.input or self.table).nbytes

    def gradient_calls(self, window, arrays, below, gradient, threads) -> list[Call]:
        """Calls that make the gradients of W_hh, of b, and of W_ih or the table.

        The gradient of W_hh is a sum over the states before each step.  The gradient of W_ih is a sum over the output
        of the layer below.
        """
        k, dz, layout = self.index, self.dz(arrays), window.layout
        w_hh, bias = gradient[f"w_hh_l{k}"], gradient[f"b_l{k}"]
        before, recurrent = layout.portions_from_before, self.orders.recurrent
        calls = weight_calls(arrays["h"], dz, before, w_hh, bias, threads, recurrent)
        if self.table is not None:
            return calls + self.table.gradient_calls(window, dz, gradient, threads)
        w_ih = gradient[f"w_ih_l{k}"]
        return calls + weight_calls(below, dz, layout.portions, w_ih, None, threads, self.orders.input)

    def partial_sums(self, window: Window) -> list[np.ndarray]:
        """With an embedding, the gradient of the first layer's table."""
        return [] if self.table is None else self.table.partial_sums(window)

    def finish_gradient(self, window: Window, gradient: Parameters, team, scratch: list[np.ndarray]) -> None:
        """From the table's gradient to the gradients of an embedding and its matrix."""
        if self.table is not None:
            self.table.finish_gradient(window, gradient, team, scratch)

    def signal(self, arrays: Arrays, name: str) -> np.ndarray:
        """A gate after its nonlinearity, or h."""
        if name in self.gates:
            first = WIDTH * self.gates.index(name)
            return arrays["gates"][:, :, first : first + WIDTH].swapaxes(0, 1)
        rows = as_rows(arrays[name], padded(self.config.hidden))
        return rows.reshape(len(rows), -1, WIDTH)

    def step_arguments(self, arrays: Arrays, below: np.ndarray | None) -> tuple[int, ...]:
        """The fields of :class:`charrnn.kernels.recurrent.Layer`."""
        h = arrays["h"]
        return layer_of.py_func(self.weights, h if below is None else below, self.dz(arrays), h, self.config.hidden)
