"""Writes files as PyTorch's ``torch.save`` does, without PyTorch: archives and the form before version 1.6.

The pickles are made instruction by instruction, so that a test can also write what PyTorch never would.
"""

import io
import struct
import zipfile

import numpy as np

STORAGES = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "uint8": "Byte"}
MAGIC = 0x1950A86A20F9469CFC6C


class Raw(bytes):
    """Instructions in the place of a value."""


def name(module, inner):
    """A class or a function."""
    return Raw(f"c{module}\n{inner}\n".encode())


def name_from_stack(module, inner):
    """A class or a function whose two names are values on the stack: strings, if the pickle is not a lie."""
    return Raw(instructions(module) + instructions(inner) + b"\x93")


def nested(depth):
    """A tuple in a tuple, ``depth`` times."""
    return Raw(b")" + b"\x85" * depth)


def doubled(levels):
    """A tuple of a tuple twice, ``levels`` times: small in memory, and endless for whoever walks through it."""
    return Raw(b")" + b"".join(b"q%ch%c\x86" % (k, k) for k in range(levels)))


def call(function, *arguments):
    """A call, which the machine of a pickle would make."""
    return Raw(instructions(function) + b"(" + b"".join(map(instructions, arguments)) + b"tR")


def built(object_, state):
    """An object that gets a state."""
    return Raw(instructions(object_) + instructions(state) + b"b")


def instructions(value):
    """The instructions that leave ``value`` on the stack."""
    if isinstance(value, Raw):
        return bytes(value)
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return (
            struct.pack("<BB", 0x8A, len(data)) + data
            if len(data) < 256
            else struct.pack("<BI", 0x8B, len(data)) + data
        )
    if isinstance(value, float):
        return struct.pack(">cd", b"G", value)
    if isinstance(value, str):
        data = value.encode()
        return struct.pack("<cI", b"X", len(data)) + data
    if isinstance(value, tuple):
        return b"(" + b"".join(map(instructions, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(instructions, value)) + b"e"
    return b"}(" + b"".join(instructions(each) for pair in value.items() for each in pair) + b"u"


class Writer:
    """Collects storages: arrays by their keys.  ``view`` is what the older form says beside a storage."""

    def __init__(self, *view):
        self.storages, self.view = {}, view

    def tensor(self, array, **lies):
        """A tensor on the storage of ``array.base`` if it is a view, else of the array itself."""
        base = array if array.base is None else array.base
        key = next((key for key, known in self.storages.items() if known is base), str(len(self.storages)))
        self.storages[key] = base
        offset = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // array.itemsize
        strides = tuple(stride // array.itemsize for stride in array.strides)
        about = {"offset": offset, "shape": array.shape, "strides": strides, "count": base.size, "key": key} | lies
        storage = name("torch", f"{STORAGES[array.dtype.name]}Storage")
        outside = Raw(instructions(("storage", storage, about["key"], "cpu", about["count"], *self.view)) + b"Q")
        places = about["offset"], about["shape"], about["strides"]
        return call(name("torch._utils", "_rebuild_tensor_v2"), outside, *places, False, call(ORDERED))

    def tree(self, value):
        """``value`` with arrays as tensors and dictionaries as they are."""
        if isinstance(value, np.ndarray):
            return self.tensor(value)
        if isinstance(value, dict):
            return {key: self.tree(each) for key, each in value.items()}
        return type(value)(map(self.tree, value)) if type(value) in (list, tuple) else value


ORDERED = name("collections", "OrderedDict")


def pickle(value):
    """A pickle of protocol 2."""
    return b"\x80\x02" + instructions(value) + b"."


def archive(value, folder="model", members=(), compression=zipfile.ZIP_STORED):
    """The bytes of an archive with ``value``, in which arrays are tensors; ``members`` are more (name, bytes)."""
    writer, file = Writer(), io.BytesIO()
    data = pickle(writer.tree(value))
    with zipfile.ZipFile(file, "w", compression) as made:
        for inner, content in (("data.pkl", data), ("byteorder", b"little"), ("version", b"3\n"), *members):
            made.writestr(zipfile.ZipInfo(f"{folder}/{inner}"), content, compression)
        for key, array in writer.storages.items():
            made.writestr(zipfile.ZipInfo(f"{folder}/data/{key}"), array.tobytes(), compression)
    return file.getvalue()


def old(value, machine=None, keys=None):
    """The bytes of a file as PyTorch before 1.6 wrote it."""
    writer = Writer(None)
    data = pickle(writer.tree(value))
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}} if machine is None else machine
    parts = [pickle(MAGIC), pickle(1001), pickle(about), data, pickle(list(writer.storages) if keys is None else keys)]
    parts += [struct.pack("<q", array.size) + array.tobytes() for array in writer.storages.values()]
    return b"".join(parts)


def state_dict(
    rng, vocabulary=5, hidden=4, layers=2, embedding=3, lstm="lstm.", encoder="embedding", head="head", dtype="float32"
):
    """Random weights of a language model under names of PyTorch; without ``embedding`` the input is one-hot."""
    shapes = {f"{encoder}.weight": (vocabulary, embedding)} if embedding else {}
    for layer in range(layers):
        inputs = hidden if layer else embedding or vocabulary
        shapes |= {f"{lstm}weight_ih_l{layer}": (4 * hidden, inputs), f"{lstm}weight_hh_l{layer}": (4 * hidden, hidden)}
        shapes |= dict.fromkeys((f"{lstm}bias_ih_l{layer}", f"{lstm}bias_hh_l{layer}"), (4 * hidden,))
    shapes |= {f"{head}.weight": (vocabulary, hidden), f"{head}.bias": (vocabulary,)}
    return {key: rng.normal(0, 0.4, shape).astype(dtype) for key, shape in shapes.items()}
