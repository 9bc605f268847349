"""Parameters under PyTorch's names and in its layout.

``module`` is the name of a recurrent module with the same parameters, such as ``lstm`` for :class:`torch.nn.LSTM`.
"""

from collections.abc import Mapping

import numpy as np


def torch_names(name: str, module: str = "lstm") -> tuple[str, ...]:
    """The names of the parameter ``name`` in PyTorch, which has two biases where charrnn has one."""
    kind, _, layer = name.partition("_l")
    if kind == "b":
        return f"{module}.bias_ih_l{layer}", f"{module}.bias_hh_l{layer}"
    if kind in ("w_ih", "w_hh"):
        return (f"{module}.weight_{kind[2:]}_l{layer}",)
    return ({"embedding": "embedding.weight", "w_out": "head.weight", "b_out": "head.bias"}[name],)


def to_torch(name: str, value: np.ndarray, module: str = "lstm") -> dict[str, np.ndarray]:
    """A parameter in PyTorch's form: weights as (outputs, inputs), and two biases, the second of them 0."""
    first, *others = torch_names(name, module)
    return {first: value.T if name.startswith("w_") else value} | {other: np.zeros_like(value) for other in others}


def from_torch(name: str, tensors: Mapping[str, np.ndarray], module: str = "lstm") -> np.ndarray:
    """The parameter ``name`` out of tensors with PyTorch's names; the two biases are added up.

    Raises:
        KeyError: a tensor is missing.
    """
    first, *others = (tensors[each] for each in torch_names(name, module))
    value = sum(others, first)
    return value.T if name.startswith("w_") else value
