"""What a kind of cell says of itself: what it learns, remembers and shows.

A cell is described without its kernels, so that a checkpoint can be read and ``--help`` answered without importing
Numba or NumPy.  :meth:`Cell.layer` makes the layer that computes (:mod:`charrnn.network.layers`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import NamedTuple

from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError, ContradictionError

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
        state: names of the arrays that a layer remembers between characters; each is a signal, too, unless the cell
            has other ``features``.
        clamped: the signal that :meth:`clamp` holds.
        unused: the settings that the cell has no use for.
        slow: kinds of parameters, by their names without the layer, that learn at a lower rate in dynamic evaluation:
            fast changes of them spoil what the network has learnt (docs/MODEL.md).
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
    slow: tuple[str, ...] = ("w_hh",)
    WARM_UP = (
        256  # characters, whose influence on a loss is then well below its fourth decimal (benchmarks/batch_rows.py)
    )
    torch_module: str
    torch_parameters: Mapping[str, tuple[str, ...]] = {
        "w_ih": ("weight_ih",),
        "w_hh": ("weight_hh",),
        "b": ("bias_ih", "bias_hh"),
    }

    first_weights = 1.0  # the bound of a matrix' first weights, times the root of its rows
    first_logits = 5.0  # the same of the output layer

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
        """Refuse settings that the cell has no use for, unless they say nothing: None, the default, or a dropout of 0.

        Raises:
            ConfigError: there are some.
        """
        for field in fields(config):
            value = getattr(config, field.name)
            says_nothing = value is None or value == field.default or (not value and field.default is None)
            if field.name in self.unused and not says_nothing:
                raise ContradictionError(f"{{{field.name}}} has no effect with {{cell}} {self.name}: leave it out")

    def warm_up(self, config: ModelConfig) -> int:
        """After how many characters what was read before has practically no influence on the state."""
        return self.WARM_UP

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
