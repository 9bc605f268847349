"""Holding cells at a value, by editing the parameters of their units alone.

In c_t = f ⊙ c_{t-1} + i ⊙ g a unit whose columns of W_ih and W_hh are zero has gates that depend on its bias only. With
b_f = 100 its forget gate is exactly 1 in float32, with b_g = 0 its candidate is exactly 0, and its input gate is shut
as well: c stays what it was at the beginning, to the bit, in whatever the network does and at full speed.

The output gate is left alone: h = o ⊙ tanh(v) still rises and falls with it. Held at v = 0 a cell is silent, c and h.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from charrnn.errors import ConfigError
from charrnn.network.network import CharLSTM, LSTMState

Cell = tuple[int, int]
"""A layer and a unit, both from 0."""

SHUT, OPEN = -100.0, 100.0  # of a gate's bias: sigmoid is below 1e-38, and exactly 1


class ClampedLSTM(CharLSTM):
    """A network some of whose cells are held: its states begin with their values."""

    def __init__(self, network: CharLSTM, values: Mapping[Cell, float]):
        super().__init__(network.config, seed=None, threads=network.team.threads)
        self.held = dict(values)
        self.parameters.flat[:] = network.parameters.flat
        for layer, unit in self.held:
            self._hold(layer, unit)

    def _hold(self, layer: int, unit: int) -> None:
        hidden = self.config.hidden
        for gate, bias in enumerate((SHUT, OPEN, 0.0)):  # i, f, g
            column = gate * hidden + unit
            self.parameters[f"w_ih_l{layer}"][:, column] = 0
            self.parameters[f"w_hh_l{layer}"][:, column] = 0
            self.parameters[f"b_l{layer}"][column] = bias

    def initial_state(self, batch: int) -> LSTMState:
        """Zeros for ``batch`` batch rows, but for the cells that are held."""
        state = super().initial_state(batch)
        for (layer, unit), value in self.held.items():
            state.c[layer, :, unit] = value
        return state


def clamp(network: CharLSTM, values: Mapping[Cell, float]) -> ClampedLSTM:
    """A copy of ``network`` in which the c of each cell (layer, unit) is what ``values`` says, always.

    It must start from its own ``initial_state``. With no values it is the same network. The original is untouched.

    Raises:
        ConfigError: there is no such cell, or a value is not a finite float32.
    """
    require_cells(network, values)
    for (layer, unit), value in values.items():
        if not abs(value) <= np.finfo(np.float32).max:
            raise ConfigError(f"cell {layer}:{unit} cannot be held at {value!r}: give a finite number")
    return ClampedLSTM(network, values)


def require_cells(network: CharLSTM, cells: Iterable[Cell]) -> None:
    """Check that the network has ``cells``.

    Raises:
        ConfigError: it has not.
    """
    layers, units = network.config.layers, network.config.hidden
    for layer, unit in cells:
        if not (0 <= layer < layers and 0 <= unit < units):
            raise ConfigError(f"there is no cell {layer}:{unit}: layers are 0 to {layers - 1}, units 0 to {units - 1}")
