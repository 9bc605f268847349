"""The GRU as a layer, for :class:`charrnn.network.recurrent_cells.GRUCell`: its arrays and kernels.

Legend: U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels of H hidden units.
"""

import numpy as np

from charrnn.kernels import gru
from charrnn.kernels.packing import GRU_INPUT, GRU_RECURRENT, Group
from charrnn.kernels.simd import WIDTH
from charrnn.network.layers import Arrays, Window
from charrnn.network.recurrent import PRODUCTS, Orders, Recurrent


class GRU(Recurrent):
    """One GRU layer."""

    orders = Orders(GRU_INPUT, GRU_RECURRENT)
    gates = "nrz"  # n has two blocks, n_x and n_h: the first and the fourth
    steps = (gru.step,)
    kernels = (gru.forward, *PRODUCTS[0]), (gru.backward, *PRODUCTS[1])

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
