"""Reads the files of Torch 7 (``torch.save`` in Lua), in its binary format, as tables, strings, numbers and tensors.

A value begins with its type, an int32.  Tables, objects and functions then have a number; where it comes again, the
value is the same one.  An object has a version, the name of its class, and one table of its fields.  The exceptions are
tensors (sizes, strides, offset and a storage) and storages (a count and the numbers).  Functions are skipped: nothing
of a file is ever executed.

The file may come from anybody.  No count is believed before it is compared with the bytes that are left, values are
nested on a stack of our own and not on Python's, and their number is limited.
"""

import struct
from collections.abc import Generator
from types import GeneratorType
from typing import Any

import numpy as np

from charrnn.checkpoints.foreign.tensors import KINDS, MOST_DIMENSIONS, Tensor
from charrnn.errors import CheckpointError, brief

_NIL, _NUMBER, _STRING, _TABLE, _OBJECT, _BOOLEAN, _OLD_FUNCTION = range(7)
_FUNCTIONS = (7, 8)
_INT, _LONG, _DOUBLE = map(struct.Struct, ("<i", "<q", "<d"))
_DEEPEST = 10_000  # values inside each other; a network of L layers has some 60 L
_MOST_VALUES = 5_000_000

_ELEMENTS = {
    **{"Float": "float32", "Double": "float64", "Half": "float16", "Long": "int64", "Int": "int32", "Short": "int16"},
    **{"Char": "int8", "Byte": "uint8", "Cuda": "float32", "CudaDouble": "float64", "CudaHalf": "float16"},
    **{"CudaLong": "int64", "CudaInt": "int32", "CudaShort": "int16", "CudaChar": "int8", "CudaByte": "uint8"},
    "Cl": "float32",
}
_TENSORS = {f"torch.{name}Tensor": kind for name, kind in _ELEMENTS.items()}
_STORAGES = {f"torch.{name}Storage": kind for name, kind in _ELEMENTS.items()}

Reading = Generator[None, Any, Any]
"""Reads a value that has values inside: each ``yield`` asks for the next of them; it returns the whole."""


class Table:
    """A table of Lua, or an object; ``kind`` is the name of its class, "" for a table and "function" for a function.

    Strings are str with a character for each byte (Latin-1), and numbers are floats.  A table may be a key.
    """

    __slots__ = ("fields", "kind")

    def __init__(self, kind: str = ""):
        self.kind = kind
        self.fields: dict[Any, Any] = {}


def at(value: Any, *path: Any) -> Any:
    """What is found in ``value`` under one key after another, or None."""
    for key in path:
        value = value.fields.get(key) if isinstance(value, Table) else None
    return value


def items(value: Any) -> list[Any]:
    """The values of the keys 1, 2, 3 … of a table up to the first that is missing; none if it is no table."""
    found: list[Any] = []
    while (each := at(value, len(found) + 1)) is not None:
        found.append(each)
    return found


def is_torch7(start: bytes) -> bool:
    """Whether a file that begins with these bytes can be a table or an object of Torch 7."""
    return start[:4] in (b"\3\0\0\0", b"\4\0\0\0")


def read(data: bytes) -> Any:
    """The value in the bytes of a file: None, bool, float, str, :class:`Table` or :class:`Tensor`.

    A storage is a tensor with one axis.  The numbers of tensors are views of ``data``.

    Raises:
        CheckpointError: the bytes are not a value of Torch 7, or are more than such a file has.
    """
    return _Reader(data).read()


class _Reader:
    def __init__(self, data: bytes):
        self._data, self._at, self._values = data, 0, 0
        self._known: dict[int, Any] = {}

    def read(self) -> Any:
        def whole() -> Reading:
            return (yield)

        waiting, reply = [whole()], None
        while True:
            try:
                waiting[-1].send(reply)
            except StopIteration as end:
                waiting.pop()
                if not waiting:
                    return end.value
                reply = end.value
                continue
            found = self._value()
            if isinstance(found, GeneratorType):
                if len(waiting) > _DEEPEST:
                    raise CheckpointError(f"damaged, or not a model: values are nested {_DEEPEST:,} deep")
                waiting.append(found)
            reply = None if isinstance(found, GeneratorType) else found

    def _value(self) -> Any:
        """The next value, or the generator that reads it."""
        self._values += 1
        if self._values > _MOST_VALUES:
            raise CheckpointError(f"more than {_MOST_VALUES:,} values: not a model")
        kind = self._int()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return self._number(_DOUBLE)
        if kind == _STRING:
            return self._string()
        if kind == _BOOLEAN:
            return self._int() == 1
        if kind == _OLD_FUNCTION:
            return self._function(None)
        if kind not in (_TABLE, _OBJECT, *_FUNCTIONS):
            raise CheckpointError(f"damaged (no value has the type {kind})")
        number = self._int()
        if number in self._known:
            return self._known[number]
        if kind == _TABLE:
            return self._table(number)
        return self._object(number) if kind == _OBJECT else self._function(number)

    def _table(self, number: int) -> Reading:
        table = self._known[number] = Table()
        for _ in range(self._count(8)):
            key = yield
            table.fields[key] = yield
        return table

    def _object(self, number: int) -> Any:
        kind = self._string()
        if kind.startswith("V "):  # files from before there were versions have the class alone
            kind = self._string()
        if kind in _STORAGES:
            dtype = KINDS[_STORAGES[kind]]
            count = self._long()
            numbers = np.frombuffer(self._take(count * dtype.itemsize), dtype)
            self._known[number] = Tensor(_STORAGES[kind], (count,), (1,), 0, lambda: numbers)
            return self._known[number]
        return self._tensor(number, _TENSORS[kind]) if kind in _TENSORS else self._fields(number, kind)

    def _fields(self, number: int, kind: str) -> Reading:
        made = self._known[number] = Table(kind)
        fields = yield
        if not isinstance(fields, Table):
            raise CheckpointError(f"an object of the class {brief(kind)} is written in a way of its own: not a model")
        made.fields = fields.fields
        return made

    def _tensor(self, number: int, kind: str) -> Reading:
        dimensions = self._int()
        if not 0 <= dimensions <= MOST_DIMENSIONS:
            raise CheckpointError(f"damaged (a tensor of {dimensions} dimensions)")
        shape = tuple(self._long() for _ in range(dimensions))
        strides = tuple(self._long() for _ in range(dimensions))
        offset = self._long() - 1
        storage = yield
        if storage is None:
            storage = Tensor(kind, (0,), (1,), 0, lambda: np.empty(0, KINDS[kind]))
        if not isinstance(storage, Tensor) or storage.kind != kind:
            raise CheckpointError(f"damaged (a tensor of {kind} has no storage of {kind})")
        self._known[number] = Tensor(kind, shape, strides, offset, storage.storage)
        return self._known[number]

    def _function(self, number: int | None) -> Reading:
        made = Table("function")
        if number is not None:
            self._known[number] = made
        self._string()  # the code
        yield  # the variables around it
        return made

    # ---- bytes ----------------------------------------------------------------------------------------------

    def _take(self, count: int) -> memoryview:
        if not 0 <= count <= len(self._data) - self._at:
            raise CheckpointError(f"damaged or cut short ({count:,} bytes are not there)")
        self._at += count
        return memoryview(self._data)[self._at - count : self._at]

    def _number(self, form: struct.Struct) -> Any:
        begin, self._at = self._at, self._at + form.size
        if self._at > len(self._data):
            raise CheckpointError("damaged or cut short (it ends in the middle of a value)")
        return form.unpack_from(self._data, begin)[0]

    def _int(self) -> int:
        return self._number(_INT)

    def _long(self) -> int:
        return self._number(_LONG)

    def _count(self, size: int) -> int:
        """How many things of at least ``size`` bytes follow."""
        count = self._int()
        if not 0 <= count * size <= len(self._data) - self._at:
            raise CheckpointError(f"damaged or cut short ({count:,} entries are not there)")
        return count

    def _string(self) -> str:
        return str(self._take(self._count(1)), "latin-1")
