"""What kinds of cell there are, and what each kind learns, remembers and shows.

A cell is described here without its kernels, so that a checkpoint can be read and ``--help`` answered without importing
Numba or NumPy.  :meth:`Cell.layer` makes the layer that computes (:mod:`charrnn.network.layers`).

Legend: E embedding, V vocabulary, H hidden units, G gates; a layer reads D inputs, where D is H or, for the first
layer, E or V.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import ClassVar, NamedTuple

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError, ContradictionError, brief

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
        unused: the settings that the cell has no use for.
        torch_module: PyTorch's name for a module with the same parameters, as a prefix in checkpoints.
        torch_parameters: for each parameter, by its name without the layer, the names in that module; where there are
            several, their sum is the parameter, unless the cell says more (:meth:`to_torch`).
    """

    name: str
    title: str
    signals: tuple[Signal, ...]
    gates: tuple[Gate, ...]
    state: tuple[str, ...]
    clamped: str
    unused: tuple[str, ...] = ("heads", "context")
    torch_module: str
    torch_parameters: Mapping[str, tuple[str, ...]] = {
        "w_ih": ("weight_ih",),
        "w_hh": ("weight_hh",),
        "b": ("bias_ih", "bias_hh"),
    }

    first_logits = 5.0  # the bound of the output layer's first weights, times sqrt(H)

    @property
    def features(self) -> tuple[str, ...]:
        """The signals that tell most of where a text stands: the state, unless a cell says otherwise."""
        return self.state

    def heads(self, config: ModelConfig) -> int:
        """How many heads of attention a layer has; 0 for a cell without attention."""
        return 0

    def context(self, config: ModelConfig) -> int:
        """How many characters a head looks at, the newest among them.

        Raises:
            ConfigError: the cell has no heads.
        """
        raise ConfigError(self.no_attention)

    def silence_head(self, parameters: "Parameters", config: ModelConfig, index: int, head: int) -> None:
        """Edit the parameters so that a head of layer ``index`` has no effect on what comes after it.

        Raises:
            ConfigError: the cell has no heads.
        """
        raise ConfigError(self.no_attention)

    @property
    def no_attention(self) -> str:
        """A message: the cell has no heads."""
        return f"the {self.title} has no attention: only a Transformer has heads"

    def check(self, config: ModelConfig | TrainConfig) -> None:
        """Refuse settings that the cell has no use for, unless they say nothing: None, 0, or the default.

        Raises:
            ConfigError: there are some.
        """
        for field in fields(config):
            value = getattr(config, field.name)
            if field.name in self.unused and value and value != field.default:
                raise ContradictionError(f"{{{field.name}}} has no effect with {{cell}} {self.name}: leave it out")

    def completed(self, config: ModelConfig, steps: int | None = None) -> ModelConfig:
        """The same settings, with the cell's values for those that are left to it, for windows of ``steps`` steps."""
        return config

    def check_state(self, state: "Mapping[str, np.ndarray]") -> None:  # noqa: B027, most cells have nothing to do here
        """Refuse a state from a file, of the right shapes and of finite numbers, that no run of the cell has.

        Raises:
            ConfigError: it is one.
        """

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

    def torch_shape(self, kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of each of PyTorch's tensors for the parameter ``kind`` of this shape, weights not transposed."""
        return shape

    def to_torch(self, kind: str, value: "np.ndarray") -> "list[np.ndarray]":
        """PyTorch's tensors for the parameter ``kind``, weights not transposed: all but the first are 0."""
        import numpy as np

        return [value, *(np.zeros_like(value) for _ in self.torch_parameters.get(kind, ())[1:])]

    def from_torch(self, kind: str, tensors: "Sequence[np.ndarray]") -> "np.ndarray":
        """The inverse of :meth:`to_torch`, which also adds up what PyTorch has in several tensors."""
        return sum(tensors[1:], tensors[0])

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
        from charrnn.network.lstm import LSTM

        return LSTM(config, index, capped=True)


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


class TransformerCell(Cell):
    """A decoder-only Transformer: see :mod:`charrnn.network.transformer` for its equations.

    The first layer has ``embedding`` (V, H) besides.  Layer k has the gains ``g_att_l{k}`` (H,) and ``g_mlp_l{k}``
    (H,), ``w_qkv_l{k}`` (H, 3H) with queries, keys and values of all heads, ``w_att_l{k}`` (H, H), ``w_up_l{k}``
    (H, 2F) with gates first, and ``w_down_l{k}`` (F, H).  The last layer has the gains ``g_out`` (H,) besides.

    The state has the keys ``k`` (B, C, H), rotated, and the values ``v`` (B, C, H) of the last C characters, the last
    one at the end, and the ``position`` (B, 1) of the next one.
    """

    name, title, torch_module = "transformer", "Transformer", "transformer"
    signals = (Signal("h", "tanh(h), the stream behind the layer", -1, unbounded=True),)
    gates = ()
    state, clamped, first_logits = ("k", "v", "position"), "h", 0.5
    unused = ("embedding", "variational", "recurrent_dropout", "forget_bias")
    torch_parameters: ClassVar = {
        name: (name,) for name in ("g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down", "g_out")
    }
    HEADS, CONTEXT = 4, 64  # unless the settings say otherwise
    LAST_POSITION = 2**24  # as in charrnn.kernels.attention

    @property
    def features(self) -> tuple[str, ...]:
        """The stream."""
        return ("h",)

    def heads(self, config: ModelConfig) -> int:
        """How many heads: 4, or as many as divide the width."""
        if config.heads is not None:
            return config.heads
        return next(heads for heads in range(self.HEADS, 0, -1) if config.hidden % heads == 0)

    def context(self, config: ModelConfig) -> int:
        """How many characters a head looks at."""
        return self.CONTEXT if config.context is None else config.context

    @staticmethod
    def mlp(config: ModelConfig) -> int:
        """F: 8H/3, so that three matrices have as many weights as the usual two of 4H; in whole panels."""
        return -(-8 * config.hidden // (3 * 64)) * 64

    def check(self, config: ModelConfig | TrainConfig) -> None:
        """Refuse heads that do not divide the width, too."""
        super().check(config)
        if isinstance(config, ModelConfig) and config.hidden % self.heads(config):
            near = [heads for heads in range(1, config.hidden + 1) if config.hidden % heads == 0]
            near.sort(key=lambda heads: abs(heads - config.heads))
            raise ContradictionError(
                f"{{heads}} {config.heads} do not divide {{hidden}} {config.hidden}: "
                f"{' or '.join(map(str, sorted(near[:2])))} would"
            )

    def completed(self, config: ModelConfig, steps: int | None = None) -> ModelConfig:
        """With heads and context, so that a checkpoint says what they are; a window is the usual context."""
        context = self.context(config) if config.context or steps is None else max(2, steps)
        return replace(config, heads=self.heads(config), context=context)

    def check_state(self, state: "Mapping[str, np.ndarray]") -> None:
        """Refuse positions that are not whole numbers from 0 to 2²⁴ - 1."""
        position = state["position"]
        if (position % 1).any() or position.min() < 0 or position.max() >= self.LAST_POSITION:
            raise ConfigError(
                f"the state has positions that are not whole numbers from 0 to {self.LAST_POSITION - 1:,}"
            )

    def layer(self, config: ModelConfig, index: int) -> "Layer":
        """Layer ``index`` of a network, as it computes."""
        from charrnn.network.transformer import Transformer

        return Transformer(config, index, self.heads(config), self.context(config), self.mlp(config))

    def parameter_shapes(self, config: ModelConfig, index: int) -> dict[str, tuple[int, ...]]:
        """Gains and matrices of the layer; the first one has the embedding, the last one the gains of the last norm."""
        hidden, mlp = config.hidden, self.mlp(config)
        shapes: dict[str, tuple[int, ...]] = {} if index else {"embedding": (config.vocabulary, hidden)}
        shapes |= {
            f"g_att_l{index}": (hidden,),
            f"w_qkv_l{index}": (hidden, 3 * hidden),
            f"w_att_l{index}": (hidden, hidden),
            f"g_mlp_l{index}": (hidden,),
            f"w_up_l{index}": (hidden, 2 * mlp),
            f"w_down_l{index}": (mlp, hidden),
        }
        return shapes | ({"g_out": (hidden,)} if index == config.layers - 1 else {})

    def initialise(self, parameters, index, uniform, generator, forget_bias) -> None:
        """Uniform weights, smaller by sqrt(2 L) where they add to the stream (Radford et al. 2019); gains of 1."""
        hidden = len(parameters[f"w_qkv_l{index}"])
        layers = sum(name.startswith("w_qkv") for name in parameters)
        if not index:
            embedding = parameters["embedding"]
            embedding[:] = generator.standard_normal(embedding.shape, "float32")
        for name, parts in (("w_qkv", 3), ("w_att", 1), ("w_up", 2), ("w_down", 1)):
            view = parameters[f"{name}_l{index}"]
            uniform(f"{name}_l{index}", view.shape[1] // parts)
            if name in ("w_att", "w_down"):
                view *= (2 * layers * len(view) / hidden) ** -0.5
        for name in (f"g_att_l{index}", f"g_mlp_l{index}", "g_out"):
            if name in parameters:
                parameters[name][:] = 1

    def state_shapes(self, config: ModelConfig, batch: int) -> dict[str, tuple[int, ...]]:
        """Keys, values and position."""
        kept = (batch, self.context(config), config.hidden)
        return {"k": kept, "v": kept, "position": (batch, 1)}

    def clamp(self, parameters, index, unit, value) -> dict[str, float]:
        """Hold a column of the stream behind this layer: it has the value from the embedding on."""
        parameters["embedding"][:, unit] = value
        for layer in range(index + 1):
            parameters[f"w_att_l{layer}"][:, unit] = 0
            parameters[f"w_down_l{layer}"][:, unit] = 0
        return {}

    def silence_head(self, parameters, config: ModelConfig, index: int, head: int) -> None:
        """Zero the rows of ``w_att`` that read the head's sum of values."""
        size = config.hidden // self.heads(config)
        parameters[f"w_att_l{index}"][head * size : (head + 1) * size] = 0

    def multiply_adds(self, config: ModelConfig, index: int) -> int:
        """The products with the four matrices, and the attention to half a context, as a window of one needs."""
        hidden = config.hidden
        return 4 * hidden * hidden + 3 * hidden * self.mlp(config) + hidden * (self.context(config) + 1)


_ALL = LSTMCell(), CappedLSTMCell(), CoupledLSTMCell(), RNNCell(), GRUCell(), TransformerCell()
CELLS: dict[str, Cell] = {cell.name: cell for cell in _ALL}
"""The kinds of cell by name."""


def cell_of(config: ModelConfig) -> Cell:
    """The cell of a model.

    Raises:
        ConfigError: there is no cell of this name, or it has no use for a setting.
    """
    if config.cell not in CELLS:
        raise ConfigError(f"cell must be one of {', '.join(CELLS)}, not {brief(config.cell)}")
    CELLS[config.cell].check(config)
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
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def is_bias(name: str) -> bool:
    """Whether a parameter is a bias."""
    return name.startswith("b_")


def is_decayed(name: str) -> bool:
    """Whether weight decay and L1 draw a parameter to zero: not biases, and not the gains of a norm."""
    return not name.startswith(("b_", "g_"))
