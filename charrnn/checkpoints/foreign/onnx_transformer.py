"""A Transformer as an ONNX graph, in ONNX's text syntax; the weights are added to it by ``to_onnx``.

Legend: T steps, B batch rows, V characters, H columns of the stream, F of the MLP, L layers, C the context, d = H /
heads columns of a head, S characters that are remembered, at most C - 1 behind a call.  Keys, values and queries have
the shape (1, B, heads, T, d), so that the layers of the state can be cut from it and joined to it.
"""

import math
from collections.abc import Iterator

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.pytorch import state_dict
from charrnn.network.cells import cell_of
from charrnn.network.transformer_cell import TransformerCell

CELLS = ("transformer",)
_EPSILON, _TURN = 1e-5, 2**23  # of RMSNorm; of rotary positions, as in pytorch_transformer.py

_GRAPH = """
(int64[time, batch] ids, {cache} k, {cache} v, int64[1] position)
=> (float[time, batch, {V}] logits, {kept} next_k, {kept} next_v, int64[1] next_position)
{{
    steps = Shape <start = 0> (ids)
    T = Gather <axis = 0> (steps, axis_first)
    S = Shape <start = 3, end = 4> (k)
    read = Add (S, T)
    next_position = Add (position, T)
    {angles}
    zero = Squeeze (axis_first)
    one = Squeeze (axis_one)
    all = Squeeze (read)
    column = Range (zero, all, one)
    new = Squeeze (T)
    row = Range (zero, new, one)
    own = Add (row, S)
    own_column = Unsqueeze (own, axis_one)
    too_late = Greater (column, own_column)
    first = Sub (own_column, C)
    too_early = LessOrEqual (column, first)
    unseen = Or (too_late, too_early)
    mask = Where (unseen, minus_infinity, nothing)
    {past_k} = Split <axis = 0, num_outputs = {L}> (k)
    {past_v} = Split <axis = 0, num_outputs = {L}> (v)
    texts = Transpose <perm = [1, 0]> (ids)
    x0 = Gather (embedding, texts)
    {layers}
    {out}
    scores = MatMul (out, head_weight)
    sums = Add (scores, head_bias)
    logits = Transpose <perm = [1, 0, 2]> (sums)
    next_k = Concat <axis = 0> ({kept_k})
    next_v = Concat <axis = 0> ({kept_v})
}}
"""
_LAYER = """
    {norm_att}
    qkv{k} = MatMul (n_att{k}, w_qkv{k})
    parts{k} = Reshape (qkv{k}, three_of_heads)
    turned{k} = Transpose <perm = [2, 0, 3, 1, 4]> (parts{k})
    q{k}, key{k}, value{k} = Split <axis = 0, num_outputs = 3> (turned{k})
    {rotate_q}
    {rotate_key}
    keys{k} = Concat <axis = 3> (past_k{k}, key{k}_rotated)
    values{k} = Concat <axis = 3> (past_v{k}, value{k})
    kept_k{k} = Slice (keys{k}, oldest, end, axis_three)
    kept_v{k} = Slice (values{k}, oldest, end, axis_three)
    across{k} = Transpose <perm = [0, 1, 2, 4, 3]> (keys{k})
    products{k} = MatMul (q{k}_rotated, across{k})
    scaled{k} = Mul (products{k}, scale)
    masked{k} = Add (scaled{k}, mask)
    weights{k} = Softmax <axis = -1> (masked{k})
    found{k} = MatMul (weights{k}, values{k})
    heads{k} = Transpose <perm = [0, 1, 3, 2, 4]> (found{k})
    joined{k} = Reshape (heads{k}, one_of_columns)
    attended{k} = Squeeze (joined{k}, axis_first)
    told{k} = MatMul (attended{k}, w_att{k})
    middle{k} = Add (x{k}, told{k})
    {norm_mlp}
    both{k} = MatMul (n_mlp{k}, w_up{k})
    gate{k}, up{k} = Split <axis = -1, num_outputs = 2> (both{k})
    open{k} = Sigmoid (gate{k})
    silu{k} = Mul (gate{k}, open{k})
    mlp{k} = Mul (silu{k}, up{k})
    made{k} = MatMul (mlp{k}, w_down{k})
    x{n} = Add (middle{k}, made{k})
"""
_NORM = """
    {to}_squares = Mul ({x}, {x})
    {to}_mean = ReduceMean <keepdims = 1> ({to}_squares, axis_last)
    {to}_more = Add ({to}_mean, epsilon)
    {to}_size = Sqrt ({to}_more)
    {to}_even = Div ({x}, {to}_size)
    {to} = Mul ({to}_even, {gains})
"""
# A place's angles are whole numbers modulo TURN, exact at any place.
_ANGLES = """
    from_here = Squeeze (position)
    to_here = Squeeze (next_position)
    step = Squeeze (axis_one)
    place = Range (from_here, to_here, step)
    place_column = Unsqueeze (place, axis_one)
    turns = Mul (place_column, frequencies)
    angle_number = Mod (turns, turn)
    angle_whole = Cast <to = 1> (angle_number)
    angle = Mul (angle_whole, unit)
    cos = Cos (angle)
    sin = Sin (angle)
"""
_ROTATE = """
    {x}_a, {x}_b{comma_rest} = Split <axis = -1> ({x}, pairs)
    {x}_ac = Mul ({x}_a, cos)
    {x}_bs = Mul ({x}_b, sin)
    {x}_as = Mul ({x}_a, sin)
    {x}_bc = Mul ({x}_b, cos)
    {x}_first = Sub ({x}_ac, {x}_bs)
    {x}_second = Add ({x}_as, {x}_bc)
    {x}_rotated = Concat <axis = -1> ({x}_first, {x}_second{comma_rest})
"""


def graph(checkpoint: Checkpoint) -> str:
    """Inputs, outputs and operations of the graph."""
    model, cell = checkpoint.model, cell_of(checkpoint.model)
    assert isinstance(cell, TransformerCell)
    heads = cell.heads(model)
    width = model.hidden // heads

    def norm(x: str, to: str, gains: str) -> str:
        return _NORM.format(x=x, to=to, gains=gains)

    def rotate(x: str) -> str:
        if width == 1:
            return f"{x}_rotated = Identity ({x})"
        return _ROTATE.format(x=x, comma_rest=f", {x}_rest" if width % 2 else "")

    def each_layer(name: str) -> str:
        return ", ".join(f"{name}{k}" for k in range(model.layers))

    layers = "".join(
        _LAYER.format(
            k=k,
            n=k + 1,
            norm_att=norm(f"x{k}", f"n_att{k}", f"g_att{k}"),
            norm_mlp=norm(f"middle{k}", f"n_mlp{k}", f"g_mlp{k}"),
            rotate_q=rotate(f"q{k}"),
            rotate_key=rotate(f"key{k}"),
        )
        for k in range(model.layers)
    )
    names = {name: each_layer(name) for name in ("past_k", "past_v", "kept_k", "kept_v")}
    return _GRAPH.format(
        L=model.layers,
        V=model.vocabulary,
        cache=f"float[{model.layers}, batch, {heads}, remembered, {width}]",
        kept=f"float[{model.layers}, batch, {heads}, kept, {width}]",
        angles=_ANGLES if width > 1 else "",
        layers=layers,
        out=norm(f"x{model.layers}", "out", "g_out"),
        **names,
    )


def weights(checkpoint: Checkpoint) -> Iterator[tuple[str, np.ndarray]]:
    """The constants of the graph by name."""
    model, cell = checkpoint.model, cell_of(checkpoint.model)
    assert isinstance(cell, TransformerCell)
    heads, context = cell.heads(model), cell.context(model)
    width = model.hidden // heads
    tensors = state_dict(checkpoint.parameters, cell)
    yield "embedding", tensors["embedding.weight"]
    yield "head_weight", np.ascontiguousarray(tensors["head.weight"].T)
    yield "head_bias", tensors["head.bias"]
    yield "g_out", tensors["transformer.g_out"]
    for k in range(model.layers):
        for name in ("g_att", "g_mlp"):
            yield f"{name}{k}", tensors[f"transformer.{name}_l{k}"]
        for name in ("w_qkv", "w_att", "w_up", "w_down"):
            yield f"{name}{k}", np.ascontiguousarray(tensors[f"transformer.{name}_l{k}"].T)
    yield "axis_first", np.array([0])
    yield "axis_one", np.array([1])
    yield "axis_three", np.array([3])
    yield "axis_last", np.array([-1])
    yield "C", np.array([context])
    yield "oldest", np.array([1 - context])
    yield "end", np.array([np.iinfo(np.int64).max])
    yield "three_of_heads", np.array([0, 0, 3, heads, width])
    yield "one_of_columns", np.array([0, 0, 0, model.hidden])
    yield "epsilon", np.array(_EPSILON, np.float32)
    yield "scale", np.array(1 / math.sqrt(width), np.float32)
    yield "minus_infinity", np.array(-np.inf, np.float32)
    yield "nothing", np.array(0, np.float32)
    if width > 1:
        yield "pairs", np.array([width // 2, width // 2, width % 2][: 2 + width % 2])
        yield "frequencies", _frequencies(width)
        yield "turn", np.array(_TURN)
        yield "unit", np.array(2 * math.pi / _TURN, np.float32)


def _frequencies(width: int) -> np.ndarray:
    """By how many of _TURN parts of a turn each pair of columns turns from place to place: (⌊d/2⌋,) int64."""
    theta = 10_000.0 ** (-2 * np.arange(width // 2) / width)
    return np.round(theta * _TURN / (2 * math.pi)).astype(np.int64)
