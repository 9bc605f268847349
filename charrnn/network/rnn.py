"""The plain recurrent network as a layer, for :class:`charrnn.network.recurrent_cells.RNNCell`: its arrays and kernels.

Legend: Q = ⌈H/64⌉ panels of H hidden units.
"""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels import rnn
from charrnn.kernels.packing import PLAIN, Group
from charrnn.kernels.tiles import PANEL
from charrnn.network.layers import Arrays, Window
from charrnn.network.packed_weights import as_rows
from charrnn.network.recurrent import PRODUCTS, Orders, Recurrent
from charrnn.network.workspace import panels


class RNN(Recurrent):
    """One layer of a plain recurrent network."""

    orders = Orders(PLAIN, PLAIN)
    steps = (rnn.step,)
    kernels = (rnn.forward, *PRODUCTS[0]), (rnn.backward, *PRODUCTS[1])

    def __init__(self, config: ModelConfig, index: int):
        super().__init__(config, index)
        self.panels = panels(config.hidden)

    def array_shapes(self, rows: int) -> dict[str, tuple[int, int, int]]:
        """``h`` and ``dz`` (Q, rows, 64)."""
        return dict.fromkeys(("h", "dz"), (self.panels, rows, PANEL))

    def forward(self, window: Window, arrays: Arrays, below: np.ndarray | None, state: Arrays, group: Group) -> None:
        """Fill h."""
        below = arrays["h"] if below is None else below  # a placeholder: the first layer reads characters
        rnn.forward(window.x, below, self.weights, group, state["h"], arrays["h"])

    def backward(self, window: Window, arrays: Arrays, dh: np.ndarray, group: Group) -> None:
        """Fill dz; dh becomes dx."""
        rnn.backward(self.transposed, group, window.layout.steps, arrays["h"], dh, arrays["dz"])

    def dz(self, arrays: Arrays) -> np.ndarray:
        """Plain columns."""
        return arrays["dz"]

    def preactivation_gradient(self, arrays: Arrays) -> np.ndarray:
        """dz (R, H)."""
        return as_rows(arrays["dz"], self.config.hidden)

    def step_arguments(self, arrays: Arrays, below: np.ndarray | None) -> tuple[int, ...]:
        """As every recurrent layer has them; products go to h itself."""
        return super().step_arguments({**arrays, "dz": arrays["h"]}, below)
