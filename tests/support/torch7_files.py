"""Writes files as Torch 7 does, and checkpoints of char-rnn and torch-rnn with random weights.

The format, little-endian: every value begins with its type, an int32.  nil 0; number 1, a float64; string 2, an int32
length and bytes; boolean 5, an int32.  Table 3 and object 4 have an int32 number next; if the number has come before,
nothing follows.  A table goes on with an int32 count and as many keys and values; an object with the strings "V 1" and
its class, then a table of its fields.  A tensor has no table but its axes (int32), sizes, strides, the place of its
first number (int64, from 1) and its storage, an object with an int64 count and numbers.  Function 8 has a number, an
int32 length, bytes and a table.
"""

import struct

import numpy as np

TYPES = {"float32": "Float", "float64": "Double", "int64": "Long", "int32": "Int", "uint8": "Byte", "float16": "Half"}


class Object:
    """An object of the class ``kind``; two names for one Object are one object in the file."""

    def __init__(self, kind, **fields):
        self.kind, self.fields = kind, fields


class Function:
    """A function: bytes that stand for its code, and a table."""

    def __init__(self, code=b"\x1bLua", variables=None):
        self.code, self.variables = code, variables or {}


class Raw(bytes):
    """Bytes in the place of a value."""


class Writer:
    """Collects the bytes; ``prefix`` goes before Float and Double, as in ``Cuda``."""

    def __init__(self, prefix=""):
        self.parts, self.numbers, self.kept, self.prefix = [], {}, [], prefix

    def pack(self, form, *values):
        self.parts.append(struct.pack(f"<{form}", *values))

    def string(self, text):
        data = text.encode() if isinstance(text, str) else text
        self.pack("i", len(data))
        self.parts.append(data)

    def first(self, kind, value, identity):
        """Write a type and a number; whether the content must follow."""
        self.kept.append(value)  # so that no other object gets its id
        known = identity in self.numbers
        self.pack("ii", kind, self.numbers.setdefault(identity, len(self.numbers) + 1))
        return not known

    def typed(self, kind):
        self.string("V 1")
        self.string(f"torch.{self.prefix}{kind}")

    def value(self, value):
        if value is None:
            self.pack("i", 0)
        elif isinstance(value, Raw):
            self.parts.append(value)
        elif isinstance(value, bool):
            self.pack("ii", 5, value)
        elif isinstance(value, int | float):
            self.pack("id", 1, value)
        elif isinstance(value, str | bytes):
            self.pack("i", 2)
            self.string(value)
        elif isinstance(value, np.ndarray):
            self.tensor(value)
        elif isinstance(value, Object):
            if self.first(4, value, id(value)):
                self.string("V 1")
                self.string(value.kind)
                self.value(value.fields)
        elif isinstance(value, Function):
            if self.first(8, value, id(value)):
                self.string(value.code)
                self.value(value.variables)
        elif self.first(3, value, id(value)):
            pairs = list(enumerate(value, 1) if isinstance(value, list) else value.items())
            self.pack("i", len(pairs))
            for key, each in pairs:
                self.value(key)
                self.value(each)

    def tensor(self, array):
        """A tensor on the storage of ``array.base`` if it is a view, else of the array itself."""
        base = array if array.base is None else array.base
        kind = TYPES[array.dtype.name]
        self.pack("ii", 4, len(self.numbers) + 1)
        self.numbers[object()] = len(self.numbers) + 1
        self.typed(f"{kind}Tensor")
        self.pack("i", array.ndim)
        self.pack(f"{2 * array.ndim}q", *array.shape, *(stride // array.itemsize for stride in array.strides))
        offset = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // array.itemsize
        self.pack("q", offset + 1)
        if not base.size:
            self.value(None)
        elif self.first(4, base, id(base)):
            self.typed(f"{kind}Storage")
            self.pack("q", base.size)
            self.parts.append(base.tobytes())


def dumps(value, prefix=""):
    """The bytes of a file with ``value``."""
    writer = Writer(prefix)
    writer.value(value)
    return b"".join(writer.parts)


def flat(rng, shapes, dtype):
    """Random arrays of these shapes, all of them views of one array, as the programs for Torch keep their weights."""
    base = rng.normal(0, 0.5, sum(map(np.prod, shapes))).astype(dtype)
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    return [base[end - int(np.prod(shape)) : end].reshape(shape) for shape, end in zip(shapes, ends, strict=True)]


def char_rnn_weights(rng, vocabulary, hidden, layers, dtype):
    """The linear maps of char-rnn: (weight, bias) of i2h and h2h of each layer, then of the decoder."""
    maps = [(4 * hidden, hidden if k // 2 or k % 2 else vocabulary) for k in range(2 * layers)] + [(vocabulary, hidden)]
    found = flat(rng, [shape for rows, columns in maps for shape in ((rows, columns), (rows,))], dtype)
    return list(zip(found[::2], found[1::2], strict=True))


class Graph:
    """Nodes as nngraph has them; a node knows its children, and these know which input a parent is."""

    def __init__(self):
        self.nodes = []

    def node(self, module, *parents, **data):
        made = Object("nngraph.Node", data={"mapindex": {}, "annotations": {}, **data}, children={}, visited=False)
        if module is not None:
            made.fields["data"]["module"] = module
        for parent in parents:
            children = parent.fields["children"]
            children[sum(isinstance(key, int) for key in children) + 1] = made
            made.fields["data"]["mapindex"][sum(isinstance(k, int) for k in made.fields["data"]["mapindex"]) + 1] = (
                parent.fields["data"]
            )
        self.nodes.append(made)
        return made


def char_rnn(
    symbols=b"ab\nc", hidden=5, layers=2, dtype="float64", seed=3, dropout=0.0, model="lstm", prefix="", **checkpoint
):
    """The bytes of a checkpoint of char-rnn, and its weights as :func:`char_rnn_weights` lists them."""
    weights = char_rnn_weights(np.random.default_rng(seed), len(symbols), hidden, layers, dtype)
    linear = [Object("nn.Linear", weight=weight, bias=bias, gradWeight=weight, train=True) for weight, bias in weights]
    graph, modules = Graph(), iter(linear)
    root = graph.node(None)
    split = graph.node(None, root, nSplitOutputs=2 * layers + 1)
    inputs = [
        graph.node(Object("nn.Identity", train=True), graph.node(None, split, selectindex=number))
        for number in range(1, 2 * layers + 2)
    ]
    last, outputs = graph.node(Object("OneHot", outputSize=len(symbols)), inputs[0]), []
    for layer in range(layers):
        previous_c, previous_h = inputs[2 * layer + 1], inputs[2 * layer + 2]
        if layer and dropout:
            last = graph.node(Object("nn.Dropout", p=dropout, v2=True), last)
        i2h = graph.node(next(modules), last)
        h2h = graph.node(next(modules), previous_h)
        sums = graph.node(Object("nn.CAddTable"), i2h, h2h)
        gates = [graph.node(Object("nn.Narrow", dimension=2, index=part * hidden + 1), sums) for part in range(4)]
        kept = graph.node(Object("nn.CMulTable"), gates[1], previous_c)
        new = graph.node(Object("nn.CMulTable"), gates[0], gates[3])
        c = graph.node(Object("nn.CAddTable"), kept, new)
        last = graph.node(Object("nn.CMulTable"), gates[2], graph.node(Object("nn.Tanh"), c))
        outputs += [c, last]
    if dropout:
        last = graph.node(Object("nn.Dropout", p=dropout, v2=True), last)
    outputs.append(graph.node(Object("nn.LogSoftMax"), graph.node(next(modules), last)))
    graph.node(None, *outputs)
    rnn = Object("nn.gModule", forwardnodes=graph.nodes, nInputs=2 * layers + 1, fg=graph.nodes[0], verbose=False)
    content = {
        "opt": {"model": model, "rnn_size": hidden, "num_layers": layers, "seq_length": 50, "dropout": dropout},
        "protos": {"rnn": rnn, "criterion": Object("nn.ClassNLLCriterion", sizeAverage=True, f=Function())},
        "vocab": {bytes([symbol]): number for number, symbol in enumerate(symbols, 1)},
        "i": 1000,
        "epoch": 1.5,
        "val_loss": 1.25,
        "train_losses": [2.5, 2.0],
        **checkpoint,
    }
    return dumps(content, prefix), weights


def torch_rnn(
    symbols="abé\n", hidden=4, layers=2, embedding=3, dtype="float32", seed=4, tokens=None, extra=(), **model
):
    """The bytes of a checkpoint of torch-rnn, and its weights: the look-up table, (weight, bias) of each LSTM, and of
    the decoder."""
    count = len(symbols)
    sizes = [(embedding if layer == 0 else hidden) + hidden for layer in range(layers)]
    shapes = [(count, embedding), *(each for size in sizes for each in ((size, 4 * hidden), (4 * hidden,)))]
    table, *pairs = flat(np.random.default_rng(seed), [*shapes, (count, hidden), (count,)], dtype)
    weights = list(zip(pairs[::2], pairs[1::2], strict=True))
    rnns = [Object("nn.LSTM", weight=weight, bias=bias, output=np.empty(0, dtype)) for weight, bias in weights[:-1]]
    modules = [Object("nn.LookupTable", weight=table, gradWeight=table)]
    for rnn in rnns:
        modules += [rnn, *extra, Object("nn.Dropout", p=0.1, v2=True)]
    decoder = Object("nn.Linear", weight=weights[-1][0], bias=weights[-1][1])
    modules += [Object("nn.View", size=np.arange(3)), decoder, Object("nn.View", numElements=9)]
    fields = {
        "idx_to_token": dict(enumerate(tokens or symbols, 1)),
        "model_type": "lstm",
        "rnns": rnns,
        "net": Object("nn.Sequential", modules=modules),
        **model,
    }
    return dumps({"model": Object("nn.LanguageModel", **fields), "i": 500, "opt": {"seed": 1}}), (table, weights)
