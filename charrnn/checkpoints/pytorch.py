"""Parameters under PyTorch's names and in its layout."""

from collections.abc import Mapping

import numpy as np


def torch_names(name: str) -> tuple[str, ...]:
    """What the parameter ``name`` is called in PyTorch, which has two biases for our one."""
    kind, _, layer = name.partition("_l")
    if kind == "b":
        return f"lstm.bias_ih_l{layer}", f"lstm.bias_hh_l{layer}"
    if kind in ("w_ih", "w_hh"):
        return (f"lstm.weight_{kind[2:]}_l{layer}",)
    return ({"embedding": "embedding.weight", "w_out": "head.weight", "b_out": "head.bias"}[name],)


def to_torch(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    """A parameter under PyTorch's names and in its layout: weights (outputs, inputs), two biases, of which one is 0."""
    first, *others = torch_names(name)
    return {first: value.T if name.startswith("w_") else value} | {other: np.zeros_like(value) for other in others}


def from_torch(name: str, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The parameter ``name`` out of tensors with PyTorch's names; its two biases are added up.

    Raises:
        KeyError: a tensor is missing.
    """
    first, *others = (tensors[each] for each in torch_names(name))
    value = sum(others, first)
    return value.T if name.startswith("w_") else value
