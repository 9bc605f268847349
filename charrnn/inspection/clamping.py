"""Clamp cells to a value, by editing the parameters of their units alone.

:meth:`charrnn.network.cell.Cell.clamp` says how: the state of a clamped cell stays what it was at the beginning, to
the bit, in everything that the network does and at full speed.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from charrnn.errors import ConfigError
from charrnn.network.network import Network, State

Cell = tuple[int, int]
"""A layer and a unit, both from 0."""


class ClampedNetwork(Network):
    """A copy of a network in which some cells are clamped; its states begin with their values."""

    def __init__(self, network: Network, values: Mapping[Cell, float]):
        super().__init__(network.config, seed=None, threads=network.team.threads)
        self.parameters.flat[:] = network.parameters.flat
        self._first_values = {
            (layer, unit): self.cell.clamp(self.parameters, layer, unit, value)
            for (layer, unit), value in values.items()
        }

    def initial_state(self, batch: int) -> State:
        """Zeros for ``batch`` batch rows, but for the clamped cells."""
        state = super().initial_state(batch)
        for (layer, unit), values in self._first_values.items():
            for name, value in values.items():
                state[name][layer, :, unit] = value
        return state


def clamp(network: Network, values: Mapping[Cell, float]) -> ClampedNetwork:
    """A copy of ``network`` in which the state of each cell (layer, unit) always has the value given: for an LSTM its
    c.

    It must start from its own ``initial_state``.  With no values it is the same network.  The original is untouched.

    Raises:
        ConfigError: there is no such cell, or a value is not one that it can have.
    """
    require_cells(network, values)
    for (layer, unit), value in values.items():
        if not abs(value) <= float(np.finfo(np.float32).max):
            raise ConfigError(f"cell {layer}:{unit} cannot be clamped to {value!r}: float32 has no such number")
    return ClampedNetwork(network, values)


def require_cells(network: Network, cells: Iterable[Cell]) -> None:
    """Check that the network has ``cells``.

    Raises:
        ConfigError: it does not have one of them.
    """
    layers, units = network.config.layers, network.config.hidden
    for layer, unit in cells:
        if not (0 <= layer < layers and 0 <= unit < units):
            raise ConfigError(f"there is no cell {layer}:{unit}: layers are 0 to {layers - 1}, units 0 to {units - 1}")
