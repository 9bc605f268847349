"""A model for PyTorch: its state dict in a .pt file, and a module of PyTorch that computes it.

The module is a Python file beside this one, ``pytorch_lstm.py`` or ``pytorch_capped_lstm.py``.  It is not imported: it
is given away as it is, with the weights.  That of a GRU or RNN is the LSTM's with other names.
"""

import io
from pathlib import Path

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.pytorch import state_dict
from charrnn.errors import ConfigError
from charrnn.network.cells import cell_of
from charrnn.system.libraries import require

VOCABULARY = "vocabulary"  # the name of a tensor in the state dict, beside the weights

_MODULES = {"lstm": "pytorch_lstm.py", "capped-lstm": "pytorch_capped_lstm.py"}
_OTHERS = {"gru": "GRU", "rnn": "RNN"}  # and their classes in PyTorch
_OF_TWO_STATES = (("(h, c), each (L, B, H)", "h (L, B, H)"), ("h and c are zero", "h is zero"))


def require_torch() -> None:
    """Check that PyTorch is installed.

    Raises:
        ConfigError: it is not.
    """
    require("torch", "pytorch", "a .pt file")


def class_name(cell: str) -> str:
    """The name of the class in :func:`module_source`."""
    return f"Char{_OTHERS.get(cell, 'LSTM')}"


def module_source(cell: str) -> bytes:
    """The source of the module that computes models with this kind of ``cell``.

    Raises:
        ConfigError: there is none.
    """
    if cell in _OTHERS:
        source = module_source("lstm").decode()
        for word, other in (*_OF_TWO_STATES, ("LSTM", _OTHERS[cell]), ("lstm", cell)):
            source = source.replace(word, other)
        return source.encode()
    if cell not in _MODULES:
        raise ConfigError(f"there is no module of PyTorch for the cell {cell}: export it as .safetensors")
    return Path(__file__).with_name(_MODULES[cell]).read_bytes()


def weights_file(checkpoint: Checkpoint) -> bytes:
    """The bytes of the .pt file: a dictionary of tensors, which ``torch.load(…, weights_only=True)`` reads.

    It has the weights as float32 under PyTorch's names, and the tensor "vocabulary" (V,): int64 code points, or uint8
    for a model of bytes.
    """
    import torch

    symbols = checkpoint.vocabulary.points
    arrays = state_dict(checkpoint.parameters, cell_of(checkpoint.model))
    arrays[VOCABULARY] = symbols if checkpoint.vocabulary.is_bytes else symbols.astype(np.int64)
    file = io.BytesIO()
    # Copies, because views of one buffer would each be saved with the whole buffer.
    torch.save({name: torch.from_numpy(value.copy()) for name, value in arrays.items()}, file)
    return file.getvalue()
