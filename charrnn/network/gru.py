"""The GRU as a layer, for :class:`charrnn.network.recurrent_cells.GRUCell`: its arrays and kernels.

Legend: U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels of H hidden units.
"""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels import gru
from charrnn.kernels.packing import GRU_INPUT, GRU_RECURRENT, Group
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.network.layers import Arrays, Window
from charrnn.network.recurrent import PRODUCTS, Orders, Recurrent, step_arguments
from charrnn.network.workspace import padded, panels

GATES = "nrz"  # the order of their blocks of 16 columns in a panel; the fourth is n_h


class GRU(Recurrent):
    """One GRU layer."""

    orders = Orders(GRU_INPUT, GRU_RECURRENT)
    steps = (gru.step,)
    kernels = (gru.forward, *PRODUCTS[0]), (gru.backward, *PRODUCTS[1])

    def __init__(self, config: ModelConfig, index: int):
        super().__init__(config, index)
        self.panels = padded(config.hidden) // WIDTH

    def array_shapes(self, rows: int) -> dict[str, tuple[int, int, int]]:
        """``gates`` (U, rows, 64) and ``h`` (Q, rows, 64)."""
        return {"gates": (self.panels, rows, PANEL), "h": (panels(self.config.hidden), rows, PANEL)}

    def scratch_shapes(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """``kept`` (U, B, 16), and what every recurrent layer has."""
        return {"kept": (self.panels, batch, WIDTH)} | super().scratch_shapes(steps, batch)

    def forward(self, window: Window, arrays: Arrays, below: np.ndarray | None, state: Arrays, group: Group) -> None:
        """Fill gates and h."""
        below = arrays["h"] if below is None else below  # a placeholder: the first layer reads characters
        gru.forward(window.x, below, self.weights, group, state["h"], arrays["gates"], arrays["h"])

    def backward(self, window: Window, arrays: Arrays, dh: np.ndarray, group: Group) -> None:
        """Gates become dz, dh becomes dx."""
        gru.backward(self.transposed, group, arrays["gates"], arrays["h"], dh, window.scratch["kept"])

    def dz(self, arrays: Arrays) -> np.ndarray:
        """n_x, r, z, n_h of 16 units in each panel."""
        return arrays["gates"]

    def signal(self, arrays: Arrays, name: str) -> np.ndarray:
        """h, or a gate or the candidate after its nonlinearity."""
        if name == "h":
            return super().signal(arrays, name)
        gate = WIDTH * GATES.index(name)
        return arrays["gates"][:, :, gate : gate + WIDTH].swapaxes(0, 1)

    def preactivation_gradient(self, arrays: Arrays) -> np.ndarray:
        """dz (R, U, 48): n, r, z of 16 units."""
        return arrays["gates"][:, :, : len(GATES) * WIDTH].swapaxes(0, 1)

    def step_arguments(self, arrays: Arrays, below: np.ndarray | None) -> tuple[int, ...]:
        """The fields of :class:`charrnn.kernels.recurrent.Layer`."""
        return step_arguments(self, arrays["gates"], arrays["h"], below)
