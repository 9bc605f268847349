"""The LSTM as a layer, for :class:`charrnn.network.recurrent_cells.LSTMCell`: its arrays and kernels.

Legend: U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels of H hidden units.
"""

import numpy as np

from charrnn.kernels import lstm
from charrnn.kernels.packing import COUPLED, Group
from charrnn.kernels.packing import LSTM as IFGO
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.network.layers import Arrays, Window
from charrnn.network.parameters import Parameters
from charrnn.network.recurrent import PRODUCTS, Orders, Recurrent

ALWAYS_OPEN = 100.0  # the sigmoid of it is 1 in float32


class LSTM(Recurrent):
    """One LSTM layer."""

    orders = Orders(IFGO, IFGO)
    gates = "ifgo"
    capped = False
    vectors = 4  # blocks of a panel that have weights
    steps = (lstm.step,)
    kernels = (lstm.forward, *PRODUCTS[0]), (lstm.backward, *PRODUCTS[1])

    def array_shapes(self, rows: int) -> dict[str, tuple[int, ...]]:
        """``gates`` (U, rows, 64), ``h`` (Q, rows, 64) and ``c`` (U, rows, 16)."""
        return super().array_shapes(rows) | {"c": (self.panels, rows, WIDTH)}

    def scratch_shapes(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """``dc`` (U, B, 16), and what every recurrent layer has."""
        return {"dc": (self.panels, batch, WIDTH)} | super().scratch_shapes(steps, batch)

    def bind(self, parameters: Parameters) -> None:
        """Make room for the packed weights of these parameters."""
        super().bind(parameters)
        self.weights = lstm.Weights(*self.weights, self.capped, self.vectors)
        self.transposed = lstm.Transposed(*self.transposed, self.capped, self.vectors)

    def forward(self, window: Window, arrays: Arrays, below: np.ndarray | None, state: Arrays, group: Group) -> None:
        """Fill gates, h and c."""
        below = arrays["h"] if below is None else below  # a placeholder: the first layer reads characters
        states = lstm.State(state["h"], state["c"])
        lstm.forward(window.x, below, self.weights, group, states, arrays["gates"], arrays["h"], arrays["c"])

    def backward(self, window: Window, arrays: Arrays, dh: np.ndarray, group: Group) -> None:
        """Gates become dz, dh becomes dx."""
        lstm.backward(self.transposed, group, arrays["gates"], arrays["c"], dh, window.scratch["dc"])

    def signal(self, arrays: Arrays, name: str) -> np.ndarray:
        """h, c (before its tanh), or a gate after its nonlinearity."""
        return arrays["c"].swapaxes(0, 1) if name == "c" else super().signal(arrays, name)

    def step_arguments(self, arrays: Arrays, below: np.ndarray | None) -> tuple[int, ...]:
        """The fields of :class:`charrnn.kernels.lstm.Layer`."""
        below = arrays["h"] if below is None else below
        return lstm.layer_of.py_func(self.weights, below, arrays["gates"], arrays["h"], arrays["c"], self.config.hidden)


class CappedLSTM(LSTM):
    """An LSTM with a capped input gate."""

    capped = True


class CoupledLSTM(CappedLSTM):
    """An LSTM whose input gate is 1 - f: capped, with a pre-activation that is always large instead of a product."""

    orders = Orders(COUPLED, COUPLED)
    vectors = 3

    def bind(self, parameters: Parameters) -> None:
        """Make room for the packed weights of these parameters, and write what they leave out."""
        super().bind(parameters)
        for rows in (self.packed_bias.reshape(-1, PANEL), self.weights.table):
            rows[..., :WIDTH] = ALWAYS_OPEN
