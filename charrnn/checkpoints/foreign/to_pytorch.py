"""A model for PyTorch: its state dict in a .pt file, and a module of PyTorch that computes it.

The module is a Python file beside this one: ``pytorch_lstm.py`` or ``pytorch_transformer.py``.  It is not imported: it
is given away as it is, with the weights.  That of a GRU or RNN is the LSTM's with other names.  That of a capped LSTM
is the LSTM's with the class in ``pytorch_capped_lstm.py``; an LSTM with coupled gates has other gates in that class.
"""

import io
from pathlib import Path

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.pytorch import state_dict
from charrnn.errors import ConfigError
from charrnn.network.cells import cell_of

VOCABULARY = "vocabulary"  # the name of a tensor in the state dict, beside the weights


def _source(name: str) -> str:
    """The text of a file beside this one."""
    return Path(__file__).with_name(name).read_text("utf-8")


def _class_of(name: str) -> str:
    """The source of the class that stands behind the imports of a file beside this one."""
    return _source(name).partition("from torch import nn\n\n\n")[2]


_MODULES = {"lstm": "pytorch_lstm.py", "transformer": "pytorch_transformer.py"}
_CLASSES = {"gru": "CharGRU", "rnn": "CharRNN", "transformer": "CharTransformer"}  # of the others CharLSTM
_OF_ONE_STATE = (("(h, c), each (L, B, H)", "h (L, B, H)"), ("h and c are zero", "h is zero"))
# The cells whose module is that of another one, and what differs.
_VARIANTS = {
    "gru": ("lstm", (*_OF_ONE_STATE, ("LSTM", "GRU"), ("lstm", "gru"))),
    "rnn": ("lstm", (*_OF_ONE_STATE, ("LSTM", "RNN"), ("lstm", "rnn"))),
    "capped-lstm": (
        "lstm",
        (
            ("class CharLSTM", f"{_class_of('pytorch_capped_lstm.py')}\n\nclass CharLSTM"),
            ("character-level LSTM", "character-level capped LSTM"),
            ('"lstm.', '"capped_lstm.'),
            ("self.lstm", "self.capped_lstm"),
            ("= nn.LSTM(", "= CappedLSTM("),
        ),
    ),
    "coupled-lstm": (
        "capped-lstm",
        (
            ("An LSTM whose input gate is at most 1 - f", "An LSTM whose input gate is 1 - f"),
            ("It has nn.LSTM's parameters", "It has nn.GRU's three gates"),
            ("CappedLSTM(nn.LSTM)", "CappedLSTM(nn.GRU)"),
            ("i, f, g, o =", "f, g, o ="),
            ("chunk(4", "chunk(3"),
            ("                i = torch.minimum(i.sigmoid(), 1 - f)\n", ""),
            ("i * g.tanh()", "(1 - f) * g.tanh()"),
            ("capped LSTM", "LSTM with coupled gates"),
            ("Capped", "Coupled"),
            ("capped", "coupled"),
        ),
    ),
}


def class_name(cell: str) -> str:
    """The name of the class in :func:`module_source`."""
    return _CLASSES.get(cell, "CharLSTM")


def module_source(cell: str) -> bytes:
    """The source of the module that computes models with this kind of ``cell``.

    Raises:
        ConfigError: there is none.
    """
    if cell in _VARIANTS:
        like, differences = _VARIANTS[cell]
        source = module_source(like).decode()
        for words, others in differences:
            source = source.replace(words, others)
        return source.encode()
    if cell not in _MODULES:
        raise ConfigError(f"there is no module of PyTorch for the cell {cell}: export it as .safetensors")
    return _source(_MODULES[cell]).encode()


def tensors(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """The tensors of the state dict by name: the weights, float32 under PyTorch's names, and the buffers.

    The buffer "vocabulary" (V,) has int64 code points, or uint8 for a model of bytes.  A Transformer has "heads" and
    "context" besides, int64, which no shape tells.
    """
    symbols, cell = checkpoint.vocabulary.points, cell_of(checkpoint.model)
    found = state_dict(checkpoint.parameters, cell)
    found[VOCABULARY] = symbols if checkpoint.vocabulary.is_bytes else symbols.astype(np.int64)
    model = cell.completed(checkpoint.model)
    sizes = {"heads": model.heads, "context": model.context}
    return found | {name: np.array(size, np.int64) for name, size in sizes.items() if size is not None}


def weights_file(checkpoint: Checkpoint) -> bytes:
    """The bytes of the .pt file: :func:`tensors`, which ``torch.load(…, weights_only=True)`` reads."""
    import torch

    file = io.BytesIO()
    # Copies, because views of one buffer would each be saved with the whole buffer.
    torch.save({name: torch.from_numpy(value.copy()) for name, value in tensors(checkpoint).items()}, file)
    return file.getvalue()
