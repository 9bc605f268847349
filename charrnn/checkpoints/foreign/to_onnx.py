"""A model as an ONNX graph: ids and a state go in, logits and the next state come out.

The graph is written as text in ONNX's own syntax and parsed by the library; the weights are added to it.  An LSTM, GRU
or RNN is ONNX's operator ``LSTM``, ``GRU`` or ``RNN``.  A capped LSTM is the loop ``Scan`` over a cell made of small
operators, because no operator computes it.  Legend: T steps, B batch rows, V characters, H hidden units, L layers, D
inputs of a layer.
"""

import json
from collections.abc import Iterator

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.pytorch import state_dict
from charrnn.errors import ConfigError
from charrnn.network.cells import cell_of
from charrnn.system.libraries import require
from charrnn.version import __version__

OPSET = 22
_IR_VERSION = 10  # of the file; the runtimes that know the opset read it
_LARGEST = 2_000_000_000  # bytes; a file of protocol buffers has less than 2 GiB

_GRAPH = """
<ir_version: {ir}, opset_import: ["" : {opset}], producer_name: "charrnn", producer_version: "{version}">
charrnn (int64[time, batch] ids{states})
=> (float[time, batch, {V}] logits{next_states})
{{
    {starts}
    {inputs}
    {layers}
    {ends}
    scores = MatMul (x{L}, head_weight)
    logits = Add (scores, head_bias)
}}
"""
_INPUTS = {
    "one-hot": "x0 = OneHot (ids, characters, off_on)",
    "embedding": "x0 = Gather (embedding, ids)",
}
# Each layer k makes x{n} (T, B, H) of x{k} (T, B, D), where n = k + 1. Both kinds of layer have an axis of length 1
# before the batch: of directions in the operator LSTM.
_LAYERS = {
    "lstm": """
    y{k}, end_h{k}, end_c{k} = LSTM <hidden_size = {H}> (x{k}, w{k}, r{k}, b{k}, , start_h{k}, start_c{k})
    x{n} = Squeeze (y{k}, axis_one)
    """,
    "gru": """
    y{k}, end_h{k} = GRU <hidden_size = {H}, linear_before_reset = 1> (x{k}, w{k}, r{k}, b{k}, , start_h{k})
    x{n} = Squeeze (y{k}, axis_one)
    """,
    "rnn": """
    y{k}, end_h{k} = RNN <hidden_size = {H}> (x{k}, w{k}, r{k}, b{k}, , start_h{k})
    x{n} = Squeeze (y{k}, axis_one)
    """,
    "capped-lstm": """
    product{k} = MatMul (x{k}, w{k})
    z{k} = Add (product{k}, b{k})
    end_h{k}, end_c{k}, y{k} = Scan <num_scan_inputs = 1, body = step{k}
        (float[1, batch, {H}] h_before{k}, float[1, batch, {H}] c_before{k}, float[batch, {G}] z_t{k})
        => (float[1, batch, {H}] h_after{k}, float[1, batch, {H}] c_after{k}, float[1, batch, {H}] y_t{k})
    {{
        recurrent{k} = MatMul (h_before{k}, r{k})
        sums{k} = Add (z_t{k}, recurrent{k})
        z_i{k}, z_f{k}, z_g{k}, z_o{k} = Split <axis = -1, num_outputs = 4> (sums{k})
        f{k} = Sigmoid (z_f{k})
        room{k} = Sub (one, f{k})
        free_i{k} = Sigmoid (z_i{k})
        i{k} = Min (free_i{k}, room{k})
        g{k} = Tanh (z_g{k})
        o{k} = Sigmoid (z_o{k})
        kept{k} = Mul (f{k}, c_before{k})
        new{k} = Mul (i{k}, g{k})
        c_after{k} = Add (kept{k}, new{k})
        told{k} = Tanh (c_after{k})
        h_after{k} = Mul (o{k}, told{k})
        y_t{k} = Identity (h_after{k})
    }}> (start_h{k}, start_c{k}, z{k})
    x{n} = Squeeze (y{k}, axis_one)
    """,
}


def require_onnx() -> None:
    """Check that the library onnx is installed.

    Raises:
        ConfigError: it is not.
    """
    require("onnx", "onnx", "an .onnx file")


def onnx_file(checkpoint: Checkpoint) -> bytes:
    """The bytes of the .onnx file.

    Inputs are ``ids`` (T, B) int64 and the state, ``h`` and for an LSTM ``c`` (L, B, H) float32, all zero where a text
    begins; outputs are ``logits`` (T, B, V), ``next_h`` and ``next_c`` (L, B, H), float32.  T and B may differ from
    call to call.  The metadata of the file has ``vocabulary``: a JSON list of the symbols, which are strings of one
    character, or numbers for a model of bytes.

    Raises:
        ConfigError: the kind of cell is unknown here, or the weights take more than ONNX's 2 GB.
    """
    from onnx import checker, helper, numpy_helper, parser

    graph, weights = _graph(checkpoint), dict(_weights(checkpoint))
    if sum(value.nbytes for value in weights.values()) > _LARGEST:
        raise ConfigError("an .onnx file holds less than 2 GB, and the weights take more: export them as .safetensors")
    model = parser.parse_model(graph)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    helper.set_model_props(model, {"vocabulary": json.dumps(checkpoint.vocabulary.to_list())})
    checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _graph(checkpoint: Checkpoint) -> str:
    """The graph without weights, as text."""
    model = checkpoint.model
    if model.cell not in _LAYERS:
        raise ConfigError(f"ONNX has no operator for the cell {model.cell}: export it as .safetensors")
    sizes = {"L": model.layers, "H": model.hidden, "V": model.vocabulary, "G": 4 * model.hidden}
    parts = {
        "layers": "".join(_LAYERS[model.cell].format(k=k, n=k + 1, **sizes) for k in range(model.layers)),
        "inputs": _INPUTS["embedding" if model.embedding else "one-hot"],
    }
    shape, states = "float[{L}, batch, {H}]".format(**sizes), cell_of(model).state

    def each_layer(name: str) -> str:
        return ", ".join(f"{name}{k}" for k in range(model.layers))

    parts |= {
        "states": "".join(f", {shape} {name}" for name in states),
        "next_states": "".join(f", {shape} next_{name}" for name in states),
        "starts": "\n    ".join(
            f"{each_layer(f'start_{name}')} = Split <axis = 0, num_outputs = {model.layers}> ({name})"
            for name in states
        ),
        "ends": "\n    ".join(f"next_{name} = Concat <axis = 0> ({each_layer(f'end_{name}')})" for name in states),
    }
    return _GRAPH.format(ir=_IR_VERSION, opset=OPSET, version=__version__, **sizes, **parts)


def _weights(checkpoint: Checkpoint) -> Iterator[tuple[str, np.ndarray]]:
    """The constants of the graph by name."""
    model, cell = checkpoint.model, cell_of(checkpoint.model)
    tensors = state_dict(checkpoint.parameters, cell)
    yield "axis_one", np.array([1], np.int64)
    yield "head_weight", np.ascontiguousarray(tensors["head.weight"].T)
    yield "head_bias", tensors["head.bias"]
    if model.embedding:
        yield "embedding", tensors["embedding.weight"]
    else:
        yield "characters", np.array(model.vocabulary, np.int64)
        yield "off_on", np.array([0, 1], np.float32)
    if model.cell == "capped-lstm":
        yield "one", np.array(1, np.float32)
    for k in range(model.layers):
        names = (f"{cell.torch_module}.{kind}_l{k}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        w, r, *biases = (tensors[name] for name in names)
        if model.cell == "capped-lstm":
            yield f"w{k}", np.ascontiguousarray(w.T)
            yield f"r{k}", np.ascontiguousarray(r.T)
            yield f"b{k}", sum(biases)
        else:
            yield f"w{k}", _in_order(model.cell, w)[None]
            yield f"r{k}", _in_order(model.cell, r)[None]
            yield f"b{k}", np.concatenate([_in_order(model.cell, bias) for bias in biases])[None]


def _in_order(cell: str, value: np.ndarray) -> np.ndarray:
    """The gates in ONNX's order: i, o, f, c where PyTorch has i, f, g, o, and z, r, h where it has r, z, n."""
    order = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2), "rnn": (0,)}[cell]
    gates = np.split(value, len(order))
    return np.concatenate([gates[gate] for gate in order])
