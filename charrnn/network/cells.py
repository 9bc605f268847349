"""What kinds of cell there are, and what each kind learns, remembers and shows.

A cell is described here without its kernels, so that a checkpoint can be read and ``--help`` answered without importing
Numba or NumPy.  :meth:`Cell.layer` makes the layer that computes (:mod:`charrnn.network.layers`).

Legend: E embedding, V vocabulary, H hidden units, G gates; a layer reads D inputs, where D is H or, for the first
layer, E or V.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError, brief

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np

    from charrnn.network.layers import Layer
    from charrnn.network.parameters import Parameters


class Signal(NamedTuple):
    """A number that every unit has after each character.

    ``low`` is the least value that is shown, 0 or -1; the largest is 1.  Values of an unbounded signal are shown
    through tanh.  ``meaning`` is a phrase for people.
    """

    name: str
    meaning: str
    low: float
    unbounded: bool = False


class Gate(NamedTuple):
    """What saturation is counted for: a signal, or its tanh; ``low`` is the least possible value, 0 or -1."""

    name: str
    signal: str
    low: float
    title: str


class Cell(ABC):
    """One kind of cell.

    Attributes:
        name: as checkpoints call it.
        title: as people call it.
        signals: what can be seen of a unit, the most telling first.
        gates: for which signals saturation is counted.
        state: names of the arrays that a layer remembers between characters; each is a signal, too.
        clamped: the signal that :meth:`clamp` holds.
        torch_module: PyTorch's name for a module with the same parameters, as a prefix in checkpoints.
        torch_parameters: for each parameter, by its name without the layer, the names in that module; where there are
            several, their sum is the parameter.
    """

    name: str
    title: str
    signals: tuple[Signal, ...]
    gates: tuple[Gate, ...]
    state: tuple[str, ...]
    clamped: str
    torch_module: str
    torch_parameters: Mapping[str, tuple[str, ...]] = {
        "w_ih": ("weight_ih",),
        "w_hh": ("weight_hh",),
        "b": ("bias_ih", "bias_hh"),
    }

    @abstractmethod
    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` (from 0) of a network, as it computes."""

    @abstractmethod
    def parameter_shapes(self, config: ModelConfig, index: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of a layer's parameters, in the order of the flat buffer."""

    @abstractmethod
    def initialise(
        self, parameters: "Parameters", index: int, uniform, generator: "np.random.Generator", forget_bias: float | None
    ) -> None:
        """Fill a layer's parameters with starting values.

        Args:
            parameters: of the network.
            index: of the layer.
            uniform: ``uniform(name, columns)`` fills a parameter uniformly, as the chosen initialisation says for a
                matrix whose blocks have ``columns`` columns. It leaves biases zero unless the initialisation is
                ``uniform``.
            generator: random numbers, for starting values that ``uniform`` cannot make.
            forget_bias: the starting bias of the forget gate; cells without one ignore it.
        """

    def state_shapes(self, config: ModelConfig, batch: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays of ``state`` in one layer for ``batch`` batch rows: (B, H), unless a cell says more."""
        return dict.fromkeys(self.state, (batch, config.hidden))

    @abstractmethod
    def clamp(self, parameters: "Parameters", index: int, unit: int, value: float) -> dict[str, float]:
        """Edit the parameters so that the signal ``clamped`` of a unit always has ``value``, a finite float32.

        Returns:
            The values that the unit's state must begin with, by name.

        Raises:
            ConfigError: the signal cannot have this value.
        """

    @abstractmethod
    def multiply_adds(self, config: ModelConfig, index: int) -> int:
        """Multiply-adds of the forward pass for one character; a look-up in a table costs none."""

    def signal(self, name: str | None = None) -> Signal:
        """The signal ``name``, or the most telling one.

        Raises:
            ConfigError: the cell has none of this name.
        """
        for signal in self.signals:
            if name is None or signal.name == name:
                return signal
        names = ", ".join(signal.name for signal in self.signals)
        raise ConfigError(f"signal must be one of {names}, not {name!r}")


class LSTMCell(Cell):
    """The LSTM: see :mod:`charrnn.kernels.lstm` for its equations.

    Layer k has ``w_ih_l{k}`` (D, 4H), ``w_hh_l{k}`` (H, 4H) and ``b_l{k}`` (4H,); the gates are in PyTorch's order
    i, f, g, o.
    """

    name, title, torch_module = "lstm", "LSTM", "lstm"
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

    # A unit whose columns of W_ih and W_hh are zero has gates that depend on its bias only. With b_f = 100 its forget
    # gate is exactly 1 in float32; with b_g = 0 its candidate is exactly 0; its input gate is below 1e-38. So in
    # c_t = f ⊙ c_{t-1} + i ⊙ g the unit's c keeps its first value to the bit, at full speed.
    SHUT, OPEN = -100.0, 100.0

    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` of a network, as it computes."""
        from charrnn.network.lstm import LSTM

        return LSTM(config, index)

    def parameter_shapes(self, config: ModelConfig, index: int) -> dict[str, tuple[int, ...]]:
        """``w_ih``, ``w_hh`` and ``b`` of the layer."""
        hidden, inputs = config.hidden, config.hidden if index else config.embedding or config.vocabulary
        return {
            f"w_ih_l{index}": (inputs, 4 * hidden),
            f"w_hh_l{index}": (hidden, 4 * hidden),
            f"b_l{index}": (4 * hidden,),
        }

    def initialise(self, parameters, index, uniform, generator, forget_bias) -> None:
        """Uniform weights; the forget gates' biases are ``forget_bias``."""
        hidden = parameters[f"w_hh_l{index}"].shape[0]
        for name in ("w_ih", "w_hh", "b"):
            uniform(f"{name}_l{index}", hidden)
        parameters[f"b_l{index}"][hidden : 2 * hidden] = forget_bias

    def clamp(self, parameters, index, unit, value) -> dict[str, float]:
        """Hold c: f is 1, i and g are 0.  The output gate is left alone, so h = o ⊙ tanh(value) still moves with it."""
        hidden = parameters[f"w_hh_l{index}"].shape[0]
        for gate, bias in enumerate((self.SHUT, self.OPEN, 0.0)):  # i, f, g
            column = gate * hidden + unit
            parameters[f"w_ih_l{index}"][:, column] = 0
            parameters[f"w_hh_l{index}"][:, column] = 0
            parameters[f"b_l{index}"][column] = bias
        return {"c": value}

    def multiply_adds(self, config: ModelConfig, index: int) -> int:
        """The products with W_hh and, above the first layer, W_ih."""
        return 4 * config.hidden * config.hidden * (2 if index else 1)


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
        from charrnn.network.lstm import LSTM

        return LSTM(config, index, capped=True)


CELLS: dict[str, Cell] = {cell.name: cell for cell in (LSTMCell(), CappedLSTMCell())}
"""The kinds of cell by name."""


def cell_of(config: ModelConfig) -> Cell:
    """The cell of a model.

    Raises:
        ConfigError: there is no cell of this name.
    """
    if config.cell not in CELLS:
        raise ConfigError(f"cell must be one of {', '.join(CELLS)}, not {brief(config.cell)}")
    return CELLS[config.cell]


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all parameters of a model, in the order of the flat buffer.

    ``embedding`` (V, E) if there is one; then the layers' parameters; then ``w_out`` (H, V) and ``b_out`` (V,).
    """
    shapes: dict[str, tuple[int, ...]] = {}
    if config.embedding:
        shapes["embedding"] = (config.vocabulary, config.embedding)
    for index in range(config.layers):
        shapes |= cell_of(config).parameter_shapes(config, index)
    return shapes | {"w_out": (config.hidden, config.vocabulary), "b_out": (config.vocabulary,)}


def parameter_count(config: ModelConfig) -> int:
    """How many numbers a model learns."""
    import math

    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def is_bias(name: str) -> bool:
    """Whether a parameter is a bias: biases are neither decayed nor drawn to zero."""
    return name.startswith("b_")
