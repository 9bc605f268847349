"""The recurrent cells: LSTM, capped and coupled LSTM, RNN, GRU.

Legend: E embedding, V vocabulary, H hidden units, G gates; a layer reads D inputs, where D is H or, for the first
layer, E or V.
"""

import math
from collections.abc import Sequence

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError
from charrnn.network.cell import Cell, Gate, Signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np

    from charrnn.network.layers import Layer


class RecurrentCell(Cell):
    """A cell with the parameters of PyTorch's recurrent modules.

    Layer k has ``w_ih_l{k}`` (D, GH), ``w_hh_l{k}`` (H, GH) and a bias ``b_l{k}``; the G gates are in PyTorch's order.

    Attributes:
        gate_count: G.
        bias_count: how many parts of H units the bias has.
    """

    gate_count: int
    bias_count: int

    # A unit whose columns of W_ih and W_hh are zero has gates that depend on its bias only. With this bias a sigmoid is
    # exactly 1 in float32, with its negative it is below 1e-38.
    OPEN = 100.0

    def parameter_shapes(self, config: ModelConfig, index: int) -> dict[str, tuple[int, ...]]:
        """``w_ih``, ``w_hh`` and ``b`` of the layer."""
        hidden, inputs = config.hidden, config.hidden if index else config.embedding or config.vocabulary
        return {
            f"w_ih_l{index}": (inputs, self.gate_count * hidden),
            f"w_hh_l{index}": (hidden, self.gate_count * hidden),
            f"b_l{index}": (self.bias_count * hidden,),
        }

    def initialise(self, parameters, index, uniform, generator, forget_bias) -> None:
        """Uniform weights."""
        hidden = parameters[f"w_hh_l{index}"].shape[0]
        for name in ("w_ih", "w_hh", "b"):
            uniform(f"{name}_l{index}", hidden)

    def hold(self, parameters, index: int, unit: int, gate: int, bias: float) -> None:
        """Make what a gate of a unit gets its ``bias`` alone."""
        hidden = parameters[f"w_hh_l{index}"].shape[0]
        column = gate * hidden + unit
        parameters[f"w_ih_l{index}"][:, column] = 0
        parameters[f"w_hh_l{index}"][:, column] = 0
        parameters[f"b_l{index}"][column] = bias

    def multiply_adds(self, config: ModelConfig, index: int) -> int:
        """The products with W_hh and, above the first layer, W_ih."""
        return self.gate_count * config.hidden * config.hidden * (2 if index else 1)


class LSTMCell(RecurrentCell):
    """The LSTM: see :mod:`charrnn.kernels.lstm` for its equations.

    Layer k has ``w_ih_l{k}`` (D, 4H), ``w_hh_l{k}`` (H, 4H) and ``b_l{k}`` (4H,); the gates are in PyTorch's order
    i, f, g, o.
    """

    name, title, torch_module = "lstm", "LSTM", "lstm"
    gate_count = bias_count = 4
    order = "ifgo"
    signals = (
        Signal("c", "tanh(c), what the cell remembers", -1, unbounded=True),
        Signal("h", "h, what the cell tells", -1),
        Signal("i", "i, the input gate", 0),
        Signal("f", "f, the forget gate", 0),
        Signal("g", "g, the candidate", -1),
        Signal("o", "o, the output gate", 0),
    )
    gates = (
        Gate("i", "i", 0, "input gate"),
        Gate("f", "f", 0, "forget gate"),
        Gate("o", "o", 0, "output gate"),
        Gate("g", "g", -1, "candidate g"),
        Gate("tanh_c", "c", -1, "tanh(c)"),
    )
    state, clamped = ("h", "c"), "c"

    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` of a network, as it computes."""
        from charrnn.network.lstm import LSTM

        return LSTM(config, index)

    def initialise(self, parameters, index, uniform, generator, forget_bias) -> None:
        """Uniform weights; the forget gates' biases are ``forget_bias``."""
        super().initialise(parameters, index, uniform, generator, forget_bias)
        hidden, gate = parameters[f"w_hh_l{index}"].shape[0], self.order.index("f")
        parameters[f"b_l{index}"][gate * hidden : (gate + 1) * hidden] = forget_bias

    def clamp(self, parameters, index, unit, value) -> dict[str, float]:
        """Hold c: f is 1, i and g are 0.  The output gate is left alone, so h = o ⊙ tanh(value) still moves with it.

        In c_t = f ⊙ c_{t-1} + i ⊙ g the unit's c keeps its first value to the bit, at full speed.
        """
        for gate, bias in {"i": -self.OPEN, "f": self.OPEN, "g": 0.0}.items():
            if gate in self.order:
                self.hold(parameters, index, unit, self.order.index(gate), bias)
        return {"c": value}


class CappedLSTMCell(LSTMCell):
    """The LSTM with a capped input gate: i is at most 1 - f, and c stays between -1 and 1.

    (As in Melis, Kočiský & Blunsom 2020, "Mogrifier LSTM".)  It has the parameters of an LSTM, but PyTorch has no
    module that computes it.
    """

    name, title, torch_module = "capped-lstm", "capped LSTM", "capped_lstm"
    signals = (Signal("c", "c, what the cell remembers", -1), *LSTMCell.signals[1:])
    gates = (*LSTMCell.gates[:-1], Gate("c", "c", -1, "c"))

    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` of a network, as it computes."""
        from charrnn.network.lstm import CappedLSTM

        return CappedLSTM(config, index)


class CoupledLSTMCell(CappedLSTMCell):
    """The LSTM with coupled gates: i is 1 - f, so c stays between -1 and 1 (Greff et al. 2017).

    It has three quarters of an LSTM's parameters: the gates are f, g, o.  PyTorch has no module that computes it.
    """

    name, title, torch_module = "coupled-lstm", "coupled LSTM", "coupled_lstm"
    gate_count = bias_count = 3
    order = "fgo"
    signals = tuple(signal for signal in CappedLSTMCell.signals if signal.name != "i")
    gates = tuple(gate for gate in CappedLSTMCell.gates if gate.name != "i")

    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` of a network, as it computes."""
        from charrnn.network.lstm import CoupledLSTM

        return CoupledLSTM(config, index)


class RNNCell(RecurrentCell):
    """The plain recurrent network of Elman (1990), with tanh: see :mod:`charrnn.kernels.rnn` for its equation."""

    name, title, torch_module = "rnn", "RNN", "rnn"
    gate_count = bias_count = 1
    signals = (Signal("h", "h, what the unit remembers and tells", -1),)
    gates = (Gate("h", "h", -1, "h"),)
    state, clamped, unused = ("h",), "h", (*Cell.unused, "forget_bias")

    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` of a network, as it computes."""
        from charrnn.network.rnn import RNN

        return RNN(config, index)

    def clamp(self, parameters, index, unit, value) -> dict[str, float]:
        """Hold h: the unit gets a bias alone whose tanh is ``value``, but for rounding."""
        _check_is_between_ones(value)
        bias = math.copysign(self.OPEN, value) if abs(value) == 1 else math.atanh(value)
        self.hold(parameters, index, unit, 0, bias)
        return {"h": value}


class GRUCell(RecurrentCell):
    """The GRU as PyTorch has it: see :mod:`charrnn.kernels.gru` for its equations.

    Layer k has ``w_ih_l{k}`` (D, 3H) and ``w_hh_l{k}`` (H, 3H), whose gates are in PyTorch's order r, z, n, and
    ``b_l{k}`` (4H,): r, z, n_x, n_h.  The candidate n has two biases, because the reset gate scales only the one beside
    the product with W_hh.
    """

    name, title, torch_module = "gru", "GRU", "gru"
    gate_count, bias_count = 3, 4
    signals = (
        Signal("h", "h, what the unit remembers and tells", -1),
        Signal("r", "r, the reset gate", 0),
        Signal("z", "z, the update gate", 0),
        Signal("n", "n, the candidate", -1),
    )
    gates = (
        Gate("r", "r", 0, "reset gate"),
        Gate("z", "z", 0, "update gate"),
        Gate("n", "n", -1, "candidate n"),
        Gate("h", "h", -1, "h"),
    )
    state, clamped, unused = ("h",), "h", (*Cell.unused, "forget_bias")

    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` of a network, as it computes."""
        from charrnn.network.gru import GRU

        return GRU(config, index)

    def clamp(self, parameters, index, unit, value) -> dict[str, float]:
        """Hold h: z is 1, so in h_t = (1 - z) ⊙ n + z ⊙ h_{t-1} the unit's h keeps its first value to the bit."""
        _check_is_between_ones(value)
        self.hold(parameters, index, unit, 1, self.OPEN)
        return {"h": value}

    def torch_shape(self, kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Each of PyTorch's two biases has r, z and n."""
        return (shape[0] // self.bias_count * self.gate_count,) if kind == "b" else shape

    def to_torch(self, kind: str, value: "np.ndarray") -> "list[np.ndarray]":
        """bias_ih is r, z, n_x; bias_hh is 0, 0, n_h."""
        if kind != "b":
            return super().to_torch(kind, value)
        import numpy as np

        r, z, n_x, n_h = np.split(value, self.bias_count)
        nothing = np.zeros_like(r)
        return [np.concatenate([r, z, n_x]), np.concatenate([nothing, nothing, n_h])]

    def from_torch(self, kind: str, tensors: "Sequence[np.ndarray]") -> "np.ndarray":
        """Both biases of r and z are added up."""
        if kind != "b":
            return super().from_torch(kind, tensors)
        import numpy as np

        (r, z, n_x), (more_r, more_z, n_h) = (np.split(tensor, self.gate_count) for tensor in tensors)
        return np.concatenate([r + more_r, z + more_z, n_x, n_h])


def _check_is_between_ones(h: float) -> None:
    if abs(h) > 1:
        raise ConfigError(f"h is from -1 to 1, not {h:g}")
