"""Finds a Transformer as charrnn exports it among tensors of PyTorch: the state dict of ``pytorch_transformer.py``.

Other Transformers differ in too many ways (norms, positions, MLP) for shapes to tell what they compute.
"""

from typing import Any

from charrnn.checkpoints.foreign.parts import Parts
from charrnn.checkpoints.foreign.tensors import FLOATS, Tensor
from charrnn.checkpoints.foreign.trees import containers
from charrnn.errors import CheckpointError
from charrnn.network.cells import CELLS

_FIRST = "transformer.w_qkv_l0"
_SIZES = ("heads", "context")  # tensors of one number, which no shape tells
_BUFFERS = (*_SIZES, "vocabulary")


def find(tree: Any) -> tuple[Parts, dict[Any, Any]] | None:
    """The Transformer in the values of a file, and the dictionary that it is in; None if there is no such module.

    Raises:
        CheckpointError: it has no heads or no context.
    """
    values = next((value for _, value in containers(tree) if isinstance(value, dict) and _FIRST in value), None)
    if values is None:
        return None
    sizes = {name: _number(name, values.get(name)) for name in _SIZES}
    weights = {
        name: each
        for name, each in values.items()
        if name not in _BUFFERS and isinstance(name, str) and isinstance(each, Tensor) and each.kind in FLOATS
    }
    about = ("Transformer", f"{sizes['heads']:,} heads, context {sizes['context']:,}")
    return Parts("PyTorch", CELLS["transformer"], weights, about=about, sizes=sizes), values


def _number(name: str, tensor: Any) -> int:
    """The value of a tensor of one whole number."""
    if not isinstance(tensor, Tensor) or tensor.kind != "int64" or tensor.size != 1:
        raise CheckpointError(f"a Transformer without the number {name!r}: only charrnn's own exports are read")
    return int(tensor.values().ravel()[0])
