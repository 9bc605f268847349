"""The LSTM as a layer, for :class:`charrnn.network.cells.LSTMCell`: its packed weights, arrays and kernels.

Legend: U = ⌈H/16⌉ blocks and Q = ⌈H/64⌉ panels of H hidden units.
"""

import numpy as np

from charrnn.config import ModelConfig
from charrnn.kernels import lstm, packing
from charrnn.kernels.linear import linear
from charrnn.kernels.packing import Group, pack, pack_bias, pack_table, pack_transposed
from charrnn.kernels.simd import WIDTH
from charrnn.kernels.tiles import PANEL
from charrnn.kernels.weight_gradients import row_gradient, weight_gradient
from charrnn.network.layers import Arrays, Call, Layer, Window
from charrnn.network.packed_weights import CharacterTable, Matrix, as_rows, padded, panels
from charrnn.network.parameters import Parameters, aligned_zeros
from charrnn.network.workspace import weight_calls

GATES = "ifgo"  # the order of their blocks of 16 columns in a panel


class LSTM(Layer):
    """One LSTM layer; its input gate may be ``capped``."""

    steps = (lstm.step,)
    kernels = (
        (lstm.forward, linear, pack, pack_bias, pack_table),
        (lstm.backward, weight_gradient, row_gradient, pack_transposed),
    )

    def __init__(self, config: ModelConfig, index: int, capped: bool = False):
        super().__init__(config, index)
        self.capped = capped
        self.blocks = padded(config.hidden) // WIDTH

    def array_shapes(self, rows: int) -> dict[str, tuple[int, int, int]]:
        """``gates`` (U, rows, 64), ``h`` (Q, rows, 64) and ``c`` (U, rows, 16)."""
        return {
            "gates": (self.blocks, rows, PANEL),
            "h": (panels(self.config.hidden), rows, PANEL),
            "c": (self.blocks, rows, WIDTH),
        }

    def scratch_shapes(self, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
        """``dc`` (U, B, 16), and for the first layer the gradients of its table and of an embedding."""
        return {"dc": (self.blocks, batch, WIDTH)} | (
            CharacterTable.scratch_shapes(self.config, PANEL * self.blocks) if not self.index else {}
        )

    def bind(self, parameters: Parameters) -> None:
        """Make room for the packed weights of these parameters."""
        k, width, hidden = self.index, PANEL * self.blocks, self.config.hidden
        inputs = hidden if k else 0
        w = aligned_zeros(self.blocks, inputs + hidden, PANEL)
        self.recurrent = Matrix(parameters[f"w_hh_l{k}"], packing.LSTM, w[:, inputs:])
        self.bias, self.packed_bias = parameters[f"b_l{k}"], aligned_zeros(width)
        self.input = self.table = None
        if k:
            self.input = Matrix(parameters[f"w_ih_l{k}"], packing.LSTM, w[:, :inputs])
            rows, w_ih_transposed = self.packed_bias.reshape(-1, 1, PANEL), self.input.transposed
        else:
            self.table = CharacterTable(self.config, parameters, self.packed_bias, packing.LSTM)
            rows, w_ih_transposed = self.table.rows, aligned_zeros(0, width, PANEL)
        self.weights = lstm.Weights(rows, w, self.capped)
        self.transposed = lstm.Transposed(w_ih_transposed, self.recurrent.transposed, self.capped)

    def packing(self, training: bool) -> list[Call]:
        """Calls that pack the matrices, the bias and the table."""
        calls = self.recurrent.packing(training) + (self.input or self.table).packing(training)
        return [*calls, (pack_bias, (self.bias, packing.LSTM, self.packed_bias))]

    def finish_packing(self) -> None:
        """The table of an embedding is a product of packed weights."""
        if self.table is not None:
            self.table.finish_packing()

    @property
    def nbytes(self) -> int:
        """Bytes of the packed weights."""
        return self.recurrent.nbytes + self.packed_bias.nbytes + (self.input or self.table).nbytes

    def forward(self, window: Window, arrays: Arrays, below: np.ndarray | None, state: Arrays, group: Group) -> None:
        """Fill gates, h and c."""
        below = arrays["h"] if below is None else below  # a placeholder: the first layer reads characters
        states = lstm.State(state["h"], state["c"])
        lstm.forward(window.x, below, self.weights, group, states, arrays["gates"], arrays["h"], arrays["c"])

    def backward(self, window: Window, arrays: Arrays, dh: np.ndarray, group: Group) -> None:
        """Gates become dz, dh becomes dx."""
        lstm.backward(self.transposed, group, arrays["gates"], arrays["c"], dh, window.scratch["dc"])

    def gradient_calls(self, window, arrays, below, gradient, threads) -> list[Call]:
        """Calls that make the gradients of W_hh, of b, and of W_ih or the table.

        The gradient of W_hh is a sum over the states before each step.  The gradient of W_ih is a sum over the output
        of the layer below.
        """
        k, dz, layout = self.index, arrays["gates"], window.layout
        w_hh, bias = gradient[f"w_hh_l{k}"], gradient[f"b_l{k}"]
        calls = weight_calls(arrays["h"], dz, layout.portions_from_before, w_hh, bias, threads, packing.LSTM)
        if self.table is not None:
            return calls + self.table.gradient_calls(window, dz, gradient, threads)
        return calls + weight_calls(below, dz, layout.portions, gradient[f"w_ih_l{k}"], None, threads, packing.LSTM)

    def finish_gradient(self, window, gradient, team, scratch) -> None:
        """From the table's gradient to the gradients of an embedding and its matrix."""
        if self.table is not None:
            self.table.finish_gradient(window, gradient, team, scratch)

    def signal(self, arrays: Arrays, name: str) -> np.ndarray:
        """h, c (before its tanh), or a gate after its nonlinearity."""
        if name == "h":
            rows = as_rows(arrays["h"], padded(self.config.hidden))
            return rows.reshape(len(rows), -1, WIDTH)
        if name == "c":
            return arrays["c"].swapaxes(0, 1)
        gate = WIDTH * GATES.index(name)
        return arrays["gates"][:, :, gate : gate + WIDTH].swapaxes(0, 1)

    def preactivation_gradient(self, arrays: Arrays) -> np.ndarray:
        """dz (R, U, 64): i, f, g, o of 16 units."""
        return arrays["gates"].swapaxes(0, 1)

    def step_arguments(self, arrays: Arrays, below: np.ndarray | None) -> tuple[int, ...]:
        """The fields of :class:`charrnn.kernels.lstm.Layer`."""
        (table, w, capped), below = self.weights, arrays["h"] if below is None else below
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
            blocks=self.blocks,
            capped=int(capped),
        )
