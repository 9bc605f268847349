"""A recurrent network as an ONNX graph, in ONNX's text syntax; the weights are added to it by ``to_onnx``.

An LSTM, GRU or RNN is ONNX's operator ``LSTM``, ``GRU`` or ``RNN``.  A capped or coupled LSTM is the loop ``Scan`` over
a cell made of small operators, because no operator computes it.  Legend: T steps, B batch rows, V characters, H hidden
units, L layers, D inputs of a layer.
"""

from collections.abc import Iterator

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.pytorch import state_dict
from charrnn.network.cells import cell_of

_GRAPH = """
(int64[time, batch] ids{states})
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
_SCAN = """
    product{k} = MatMul (x{k}, w{k})
    z{k} = Add (product{k}, b{k})
    end_h{k}, end_c{k}, y{k} = Scan <num_scan_inputs = 1, body = step{k}
        (float[1, batch, {H}] h_before{k}, float[1, batch, {H}] c_before{k}, float[batch, {G}] z_t{k})
        => (float[1, batch, {H}] h_after{k}, float[1, batch, {H}] c_after{k}, float[1, batch, {H}] y_t{k})
    {{
        recurrent{k} = MatMul (h_before{k}, r{k})
        sums{k} = Add (z_t{k}, recurrent{k})
        GATES
        g{k} = Tanh (z_g{k})
        o{k} = Sigmoid (z_o{k})
        kept{k} = Mul (f{k}, c_before{k})
        new{k} = Mul (i{k}, g{k})
        c_after{k} = Add (kept{k}, new{k})
        told{k} = Tanh (c_after{k})
        h_after{k} = Mul (o{k}, told{k})
        y_t{k} = Identity (h_after{k})
    }}> (start_h{k}, start_c{k}, z{k})
"""
_CAPPED = """
        z_i{k}, z_f{k}, z_g{k}, z_o{k} = Split <axis = -1, num_outputs = 4> (sums{k})
        f{k} = Sigmoid (z_f{k})
        room{k} = Sub (one, f{k})
        free_i{k} = Sigmoid (z_i{k})
        i{k} = Min (free_i{k}, room{k})
"""
_COUPLED = """
        z_f{k}, z_g{k}, z_o{k} = Split <axis = -1, num_outputs = 3> (sums{k})
        f{k} = Sigmoid (z_f{k})
        i{k} = Sub (one, f{k})
"""
# Each layer k makes y{k} of x{k} (T, B, D), and x{n} (T, B, H) of y{k}, where n = k + 1. In y{k} all kinds of layers
# have an axis of length 1 before the batch: of directions in the operators LSTM, GRU and RNN.
_LAYERS = {
    "lstm": "y{k}, end_h{k}, end_c{k} = LSTM <hidden_size = {H}> (x{k}, w{k}, r{k}, b{k}, , start_h{k}, start_c{k})",
    "gru": "y{k}, end_h{k} = GRU <hidden_size = {H}, linear_before_reset = 1> (x{k}, w{k}, r{k}, b{k}, , start_h{k})",
    "rnn": "y{k}, end_h{k} = RNN <hidden_size = {H}> (x{k}, w{k}, r{k}, b{k}, , start_h{k})",
    "capped-lstm": _SCAN.replace("GATES", _CAPPED),
    "coupled-lstm": _SCAN.replace("GATES", _COUPLED),
}
_SQUEEZE = "\n    x{n} = Squeeze (y{k}, axis_one)\n"
CELLS, _SCANNED = tuple(_LAYERS), ("capped-lstm", "coupled-lstm")


def graph(checkpoint: Checkpoint) -> str:
    """Inputs, outputs and operations of the graph."""
    model, cell = checkpoint.model, cell_of(checkpoint.model)
    rows = state_dict(checkpoint.parameters, cell)[f"{cell.torch_module}.weight_hh_l0"].shape[0]  # of all gates
    sizes = {"L": model.layers, "H": model.hidden, "V": model.vocabulary, "G": rows}
    layer = _LAYERS[model.cell] + _SQUEEZE
    parts = {
        "layers": "".join(layer.format(k=k, n=k + 1, **sizes) for k in range(model.layers)),
        "inputs": _INPUTS["embedding" if model.embedding else "one-hot"],
    }
    shape, states = "float[{L}, batch, {H}]".format(**sizes), cell.state

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
    return _GRAPH.format(**sizes, **parts)


def weights(checkpoint: Checkpoint) -> Iterator[tuple[str, np.ndarray]]:
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
    if model.cell in _SCANNED:
        yield "one", np.array(1, np.float32)
    for k in range(model.layers):
        names = (f"{cell.torch_module}.{kind}_l{k}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        w, r, *biases = (tensors[name] for name in names)
        if model.cell in _SCANNED:
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
