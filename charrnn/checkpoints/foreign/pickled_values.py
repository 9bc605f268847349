"""Reads the plain values of a pickle, and the tensors that PyTorch puts there, without Python's ``pickle``.

A pickle is a program for a machine with a stack, and may call any function.  Here ``pickletools`` takes the program
apart, and a machine of our own knows the few instructions that build values.  It calls nothing that a pickle names:
PyTorch's tensors and ordered dictionaries have a meaning here, and everything else becomes an :class:`Unknown`.
"""

import io
import pickletools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from charrnn.checkpoints.foreign.tensors import MOST_DIMENSIONS, Tensor
from charrnn.errors import CheckpointError, brief

LARGEST = 16 * 2**20  # bytes of a pickle; the numbers of tensors are elsewhere
_MOST_INSTRUCTIONS = 1_000_000
_LARGEST_KEY = 2**31  # of a dictionary: larger integers could be chosen to collide
_LITERALS = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_TYPES = {
    **{"FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16"},
    **{"LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8"},
    **{"ByteStorage": "uint8", "BoolStorage": "bool"},
}


class Name(NamedTuple):
    """A class or a function that a pickle names."""

    module: str
    name: str


class Unknown:
    """Stands for what is not read: an object of the class ``of``, or a class; ``state`` would be its ``__dict__``."""

    def __init__(self, of: Any):
        self.of = ".".join(of) if isinstance(of, Name) else "?"
        self.state: Any = None


class Storage(NamedTuple):
    """Numbers that a pickle refers to: their type, their key in the file, and how many there are."""

    kind: str
    key: str
    length: int


Load = Callable[[Storage], np.ndarray]
"""Returns the numbers of a storage, (length,) of NumPy's type for its kind."""


def read(file: io.BytesIO, load: Load, storages: dict[str, Storage]) -> Any:
    """The value of the pickle at the position of ``file``, which is left at the end of the pickle.

    Values are None, bool, int, float, str, bytes, list, tuple, dict, :class:`Tensor` and :class:`Unknown`.

    Args:
        file: holds the pickle.
        load: called when the numbers of a tensor are asked for.
        storages: gets every storage that the pickle refers to, by its key.

    Raises:
        CheckpointError: it is not a pickle, or has more instructions than a model needs.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pickletools warns of escapes in strings
            return _Machine(load, storages).run(file)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"damaged (its pickle: {type(error).__name__}: {brief(str(error))})") from None


class _Machine:
    """The stack, the marks in it, and the memo, which holds values that are used again."""

    def __init__(self, load: Load, storages: dict[str, Storage]):
        self._load, self._storages = load, storages
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._left = _MOST_INSTRUCTIONS

    def run(self, file: io.BytesIO) -> Any:
        for code, argument, _ in pickletools.genops(file):
            self._spend(1)
            if code.name == "STOP":
                return self._stack.pop()
            self._step(code.name, argument)
        raise ValueError("it has no end")

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise CheckpointError(f"its pickle has more than {_MOST_INSTRUCTIONS:,} instructions: not a model")

    def _step(self, name: str, argument: Any) -> None:
        stack, memo = self._stack, self._memo
        match name:
            case _ if name in _LITERALS:
                stack.append(argument)
            case _ if name in _NEW:
                stack.append(_NEW[name]())
            case _ if name in _TUPLES:
                stack.append(tuple(self._last(_TUPLES[name])))
            case _ if name in _COLLECTIONS:
                stack.append(_COLLECTIONS[name](self._marked()))
            case "MARK":
                self._marks.append(len(stack))
            case "APPEND" | "APPENDS":
                values = self._last(1) if name == "APPEND" else self._marked()
                if isinstance(stack[-1], list):
                    stack[-1].extend(values)
            case "SETITEM" | "SETITEMS":
                values = self._last(2) if name == "SETITEM" else self._marked()
                if isinstance(stack[-1], dict):
                    stack[-1].update(_dictionary(values))
            case "ADDITEMS" | "POP_MARK":
                self._marked()
            case "POP":
                stack.pop()
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(Name(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                module, inner = self._last(2)
                if not (isinstance(module, str) and isinstance(inner, str)):
                    raise ValueError("the name of a class")
                stack.append(Name(module, inner))
            case "BINPERSID":
                stack.append(self._persistent(stack.pop()))
            case "REDUCE" | "NEWOBJ":
                stack.append(self._called(*self._last(2)))
            case "NEWOBJ_EX":
                stack.append(Unknown(self._last(3)[0]))
            case "BUILD":
                state = stack.pop()
                if isinstance(stack[-1], Unknown):
                    stack[-1].state = state
            case "PROTO" | "FRAME":
                pass
            case _:
                raise ValueError(f"the instruction {name}")

    def _last(self, count: int) -> list[Any]:
        if count > len(self._stack):
            raise IndexError("its stack is empty")
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _marked(self) -> list[Any]:
        begin = self._marks.pop()
        values = self._stack[begin:]
        del self._stack[begin:]
        return values

    def _called(self, what: Any, arguments: Any) -> Any:
        """What stands for the result of a call."""
        match what:
            case Name("collections", "OrderedDict"):
                pairs = arguments[0] if arguments else []  # Python 2 has the pairs here
                self._spend(len(pairs))
                return _dictionary([each for key, value in pairs for each in (key, value)])
            case Name("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor"):
                return self._tensor(*arguments[:4])
            case Name("torch._utils", "_rebuild_parameter"):
                return arguments[0]
        return Unknown(what)

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor | Unknown:
        if not isinstance(storage, Storage):
            return Unknown(None)
        if not len(shape) == len(strides) <= MOST_DIMENSIONS:
            raise ValueError("the dimensions of a tensor")
        if any(type(size) is not int or not 0 <= size < 2**63 for size in (offset, *shape, *strides)):
            raise ValueError("the shape of a tensor")
        return Tensor(storage.kind, tuple(shape), tuple(strides), offset, lambda: self._load(storage))

    def _persistent(self, about: Any) -> Any:
        """What stands for something outside of the pickle: a storage, or a class whose source is in the file."""
        if about[0] == "module":
            return about[1]
        _, kind, key, _, length, *view = about
        if not isinstance(kind, Name) or kind.module != "torch" or kind.name not in _TYPES or any(view):
            return Unknown(kind)
        if type(length) is not int or not 0 <= length < 2**63 or not isinstance(key, str):
            raise ValueError("a storage")
        return self._storages.setdefault(key, Storage(_TYPES[kind.name], key, length))


def _dictionary(values: list[Any]) -> dict[Any, Any]:
    """The dictionary of alternating keys and values."""
    keys = values[::2]
    for key in keys:
        if not isinstance(key, str | bytes | bool | None) and (type(key) is not int or abs(key) > _LARGEST_KEY):
            raise ValueError(f"the key {brief(key)} of a dictionary")
    return dict(zip(keys, values[1::2], strict=True))


# What instructions push: a new value, a tuple of the last values, or a collection of the values above the last mark.
# The values of a set do not matter here.
_NEW: dict[str, Callable[[], Any]] = {
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
    **{"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple},
    "EMPTY_SET": lambda: Unknown(Name("builtins", "set")),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {
    **{"TUPLE": tuple, "LIST": list, "DICT": _dictionary},
    "FROZENSET": lambda _: Unknown(Name("builtins", "frozenset")),
}
