"""A model as an ONNX graph: ids and a state go in, logits and the next state come out.

The graph is written as text in ONNX's own syntax and parsed by the library; the weights are added to it.  Each family
of cells has a module for its graph: ``onnx_recurrent.py`` and ``onnx_transformer.py``.
"""

import json
from types import ModuleType

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.foreign import onnx_recurrent, onnx_transformer
from charrnn.errors import ConfigError
from charrnn.version import __version__

OPSET = 22
_IR_VERSION = 10  # of the file; the runtimes that know the opset read it
_LARGEST = 2_000_000_000  # bytes; a file of protocol buffers has less than 2 GiB
_HEADER = f"""<
    ir_version: {_IR_VERSION}, opset_import: ["" : {OPSET}],
    producer_name: "charrnn", producer_version: "{__version__}"
>
charrnn
"""


def onnx_file(checkpoint: Checkpoint) -> bytes:
    """The bytes of the .onnx file.

    Inputs are ``ids`` (T, B) int64 and the state; outputs are ``logits`` (T, B, V) float32 and the next state.  T and B
    may differ from call to call.  The state of a recurrent cell is ``h``, and for an LSTM ``c`` (L, B, H), all zero
    where a text begins.  That of a Transformer is ``k`` and ``v`` (L, B, heads, S, d), the keys and values of the last
    S characters, and ``position`` (1,) int64, of the next character: S and position are 0 where a text begins.  Outputs
    have the same names behind ``next_``.  The metadata of the file has ``vocabulary``: a JSON list of the symbols,
    which are strings of one character, or numbers for a model of bytes.

    Raises:
        ConfigError: the kind of cell is unknown here, or the weights take more than ONNX's 2 GB.
    """
    from onnx import checker, helper, numpy_helper, parser

    family = _family(checkpoint.model.cell)
    weights = dict(family.weights(checkpoint))
    if sum(value.nbytes for value in weights.values()) > _LARGEST:
        raise ConfigError("an .onnx file holds less than 2 GB, and the weights take more: export them as .safetensors")
    model = parser.parse_model(_HEADER + family.graph(checkpoint))
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    helper.set_model_props(model, {"vocabulary": json.dumps(checkpoint.vocabulary.to_list())})
    checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _family(cell: str) -> ModuleType:
    """The module that has the graph of a kind of cell."""
    for family in (onnx_recurrent, onnx_transformer):
        if cell in family.CELLS:
            return family
    raise ConfigError(f"charrnn has no graph of ONNX for the cell {cell}: export it as .safetensors")
