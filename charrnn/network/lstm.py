"""The LSTM as a layer, for :class:`charrnn.network.recurrent_cells.LSTMCell`: its arrays and kernels.

Legend: U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels of H hidden units.
"""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels import lstm
from charrnn.kernels.packing import COUPLED, Group
from charrnn.kernels.packing import LSTM as IFGO
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.network.layers import Arrays, Window
from charrnn.network.parameters import Parameters
from charrnn.network.recurrent import PRODUCTS, Orders, Recurrent
from charrnn.network.workspace import padded, panels

GATES = "ifgo"  # the order of their blocks of 16 columns in a panel
ALWAYS_OPEN = 100.0  # the sigmoid of it is 1 in float32


class LSTM(Recurrent):
    """One LSTM layer; its input gate may be ``capped``."""

    orders = Orders(IFGO, IFGO)
    vectors = 4  # blocks of a panel that have weights
    steps = (lstm.step,)
    kernels = (lstm.forward, *PRODUCTS[0]), (lstm.backward, *PRODUCTS[1])

    def __init__(self, config: ModelConfig, index: int, capped: bool = False):
        super().__init__(config, index)
        self.capped = capped
        self.panels = padded(config.hidden) // WIDTH

    def array_shapes(self, rows: int) -> dict[str, tuple[int, int, int]]:
        """``gates`` (U, rows, 64), ``h`` (Q, rows, 64) and ``c`` (U, rows, 16)."""
        return {
            "gates": (self.panels, rows, PANEL),
            "h": (panels(self.config.hidden), rows, PANEL),
            "c": (self.panels, rows, WIDTH),
        }

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

    def dz(self, arrays: Arrays) -> np.ndarray:
        """i, f, g, o of 16 units in each panel."""
        return arrays["gates"]

    def signal(self, arrays: Arrays, name: str) -> np.ndarray:
        """h, c (before its tanh), or a gate after its nonlinearity."""
        if name == "h":
            return super().signal(arrays, name)
        if name == "c":
            return arrays["c"].swapaxes(0, 1)
        gate = WIDTH * GATES.index(name)
        return arrays["gates"][:, :, gate : gate + WIDTH].swapaxes(0, 1)

    def preactivation_gradient(self, arrays: Arrays) -> np.ndarray:
        """dz (R, U, 64): i, f, g, o of 16 units."""
        return arrays["gates"].swapaxes(0, 1)

    def step_arguments(self, arrays: Arrays, below: np.ndarray | None) -> tuple[int, ...]:
        """The fields of :class:`charrnn.kernels.lstm.Layer`."""
        (table, w, capped, vectors), below = self.weights, arrays["h"] if below is None else below
        gates, h, c = arrays["gates"], arrays["h"], arrays["c"]
        return lstm.Layer(
            table_at=table.ctypes.data,
            table_panel=table.strides[0] // 4,
            table_rows=table.shape[1],
            below_at=below.ctypes.data,
            below_panel=below.strides[0] // 4,
            w_at=w.ctypes.data,
            inputs=w.shape[1] - self.config.hidden,
            units=self.config.hidden,
            gates_at=gates.ctypes.data,
            gates_panel=gates.strides[0] // 4,
            h_at=h.ctypes.data,
            h_panel=h.strides[0] // 4,
            c_at=c.ctypes.data,
            c_panel=c.strides[0] // 4,
            blocks=self.panels,
            capped=int(capped),
            vectors=vectors,
        )


class CoupledLSTM(LSTM):
    """An LSTM whose input gate is 1 - f: capped, with a pre-activation that is always large instead of a product."""

    orders = Orders(COUPLED, COUPLED)
    vectors = 3

    def __init__(self, config: ModelConfig, index: int):
        super().__init__(config, index, capped=True)

    def bind(self, parameters: Parameters) -> None:
        """Make room for the packed weights of these parameters, and write what they leave out."""
        super().bind(parameters)
        for rows in (self.packed_bias.reshape(-1, PANEL), self.weights.table):
            rows[..., :WIDTH] = ALWAYS_OPEN
