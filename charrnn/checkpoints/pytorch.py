"""Parameters under PyTorch's names and in its layout."""

from collections.abc import Mapping

import numpy as np

from charrnn.network.cells import Cell


def torch_names(name: str, cell: Cell) -> tuple[str, ...]:
    """The names of the parameter ``name`` in PyTorch; its LSTM has two biases where charrnn's has one."""
    kind, _, layer = name.rpartition("_l")
    if kind in cell.torch_parameters:
        return tuple(f"{cell.torch_module}.{each}_l{layer}" for each in cell.torch_parameters[kind])
    others = {"embedding": "embedding.weight", "w_out": "head.weight", "b_out": "head.bias"}
    return (others.get(name, f"{cell.torch_module}.{name}"),)


def to_torch(name: str, value: np.ndarray, cell: Cell) -> dict[str, np.ndarray]:
    """A parameter in PyTorch's form: weights as (outputs, inputs); of several tensors all but the first are 0."""
    first, *others = torch_names(name, cell)
    return {first: value.T if name.startswith("w_") else value} | {other: np.zeros_like(value) for other in others}


def state_dict(parameters: Mapping[str, np.ndarray], cell: Cell) -> dict[str, np.ndarray]:
    """All parameters of a model in PyTorch's form, C-contiguous, by PyTorch's names."""
    found = {}
    for name, value in parameters.items():
        found |= to_torch(name, value, cell)
    return {name: np.ascontiguousarray(value) for name, value in found.items()}


def from_torch(name: str, tensors: Mapping[str, np.ndarray], cell: Cell) -> np.ndarray:
    """The parameter ``name`` out of tensors with PyTorch's names; several tensors are added up.

    Raises:
        KeyError: a tensor is missing.
    """
    first, *others = (tensors[each] for each in torch_names(name, cell))
    value = sum(others, first)
    return value.T if name.startswith("w_") else value
