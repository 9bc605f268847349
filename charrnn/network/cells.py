"""All kinds of cell, and the parameters of a model with one of them; none of this imports Numba or NumPy."""

import math

from charrnn.config import ModelConfig
from charrnn.errors import ConfigError, brief
from charrnn.network.cell import Cell
from charrnn.network.recurrent_cells import CappedLSTMCell, CoupledLSTMCell, GRUCell, LSTMCell, RNNCell
from charrnn.network.transformer_cell import TransformerCell

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

    ``embedding`` (V, E) if ``config`` has one; then the layers' parameters, which of a Transformer begin with an
    ``embedding`` (V, H); then ``w_out`` (H, V) and ``b_out`` (V,).
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


def kind_of(name: str) -> str:
    """The name of a parameter without its layer."""
    return name.rpartition("_l")[0] or name


def is_bias(name: str) -> bool:
    """Whether a parameter is a bias."""
    return name.startswith("b_")


def is_decayed(name: str) -> bool:
    """Whether weight decay and L1 draw a parameter to zero: not biases, and not the gains of a norm."""
    return not name.startswith(("b_", "g_"))
