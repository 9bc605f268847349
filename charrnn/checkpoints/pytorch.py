"""Parameters under PyTorch's names and in its layout."""

from collections.abc import Mapping

import numpy as np

from charrnn.network.cell import Cell
from charrnn.network.cells import kind_of

_ENDS = {"embedding": "embedding.weight", "w_out": "head.weight", "b_out": "head.bias"}


def torch_names(name: str, cell: Cell) -> tuple[str, ...]:
    """The names of the parameter ``name`` in PyTorch; its LSTM has two biases where charrnn's has one."""
    if name in _ENDS:
        return (_ENDS[name],)
    kind = kind_of(name)
    return tuple(f"{cell.torch_module}.{each}{name.removeprefix(kind)}" for each in cell.torch_parameters[kind])


def torch_shapes(name: str, shape: tuple[int, ...], cell: Cell) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors, by name, that the parameter ``name`` of this shape has in PyTorch."""
    shape = cell.torch_shape(kind_of(name), shape)
    return dict.fromkeys(torch_names(name, cell), shape[::-1] if name.startswith("w_") else shape)


def to_torch(name: str, value: np.ndarray, cell: Cell) -> dict[str, np.ndarray]:
    """A parameter in PyTorch's form, as :meth:`Cell.to_torch` says: weights as (outputs, inputs)."""
    names = torch_names(name, cell)
    tensors = [value] if name in _ENDS else cell.to_torch(kind_of(name), value)
    return {each: tensor.T if name.startswith("w_") else tensor for each, tensor in zip(names, tensors, strict=True)}


def state_dict(parameters: Mapping[str, np.ndarray], cell: Cell) -> dict[str, np.ndarray]:
    """All parameters of a model in PyTorch's form, C-contiguous, by PyTorch's names."""
    found = {}
    for name, value in parameters.items():
        found |= to_torch(name, value, cell)
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def from_torch(name: str, tensors: Mapping[str, np.ndarray], cell: Cell) -> np.ndarray:
    """The parameter ``name`` out of tensors with PyTorch's names, as :meth:`Cell.from_torch` says.

    Raises:
        KeyError: a tensor is missing.
    """
    found = [tensors[each] for each in torch_names(name, cell)]
    value = found[0] if name in _ENDS else cell.from_torch(kind_of(name), found)
    return value.T if name.startswith("w_") else value
