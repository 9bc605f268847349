"""Finds a language model among tensors of PyTorch: an embedding or none, an LSTM, GRU or RNN, and a linear layer.

A Transformer is found by ``transformer_state_dict.py``.

What a tensor is for follows from the end of its name and from its shape, whatever the names before it are.  A tensor
that is not understood is an error, because a model with one more layer computes something else.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from charrnn.checkpoints.foreign import transformer_state_dict
from charrnn.checkpoints.foreign.parts import Parts
from charrnn.checkpoints.foreign.pickled_values import Unknown
from charrnn.checkpoints.foreign.tensors import FLOATS, Tensor
from charrnn.checkpoints.foreign.trees import containers
from charrnn.errors import CheckpointError, ConfigError, brief
from charrnn.network.cell import Cell
from charrnn.network.cells import CELLS

ONE_HOT = "none"
_VOCABULARY, _CODE_POINTS = "vocabulary", 0x110000
_FIRST = "weight_ih_l0"
_PARAMETER = re.compile(r"(?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?")
# By the rows of weight_hh over its columns.
_CELLS = {4: ("lstm", "capped-lstm"), 3: ("gru", "coupled-lstm"), 1: ("rnn",)}
_EMBEDDING = re.compile(r"emb|enc|wte|lookup", re.IGNORECASE)  # in the names of embeddings
_MOST_NAMED, _MOST_MODULES = 4, 100

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Names:
    """Which tensors to take where a file leaves a choice; "" lets their shapes decide.

    Attributes:
        lstm: what stands before ``weight_ih_l0``; "." if nothing does.
        embedding: the weight of the embedding, or "none" for a model whose input is one-hot.
        head: the weight of the head.
        ignored: tensors that do not change what the model computes.
    """

    lstm: str = ""
    embedding: str = ""
    head: str = ""
    ignored: Sequence[str] = ()


def find(tree: Any, names: Names) -> Parts:
    """The language model in the values of a file.

    Raises:
        CheckpointError: there is no such model in it, or another kind of network.
        ConfigError: there are several, or several tensors could be the same thing; the message says how to choose.
    """
    if not names.lstm and (found := transformer_state_dict.find(tree)) is not None:
        parts, values = found
        if names.embedding or names.head:
            raise ConfigError("the tensors of a Transformer have their names: leave --embedding and --head out")
        _require_all(names.ignored, parts.tensors)
        left = {name: each for name, each in parts.tensors.items() if name not in names.ignored}
        shape = parts.shape("head.weight")
        return replace(parts, tensors=left, symbols=_symbols(values.get(_VOCABULARY), shape[:1]))
    prefix, values = _state_dict(tree, names.lstm)
    tensors = {name: each for name, each in values.items() if _is_weight(name, each)}
    module = {
        name: each
        for name, each in tensors.items()
        if name.startswith(prefix) and _PARAMETER.fullmatch(name.removeprefix(prefix))
    }
    cell, hidden, inputs = _check_module(prefix, {name.removeprefix(prefix): each for name, each in module.items()})
    rest = {name: each for name, each in tensors.items() if name not in module}
    _require_all((*names.ignored, names.head, names.embedding), rest)
    rest = {name: each for name, each in rest.items() if name not in names.ignored}
    head = _head(rest, names, hidden)
    embedding = _embedding(rest, names, head, inputs, cell)
    bias = _bias(head, rest)
    others = [name for name in rest if name not in (head, embedding, bias)]
    if others:
        raise CheckpointError(
            f"beside an embedding, the {cell.title} and a linear layer it has {_enumerated(others, rest)}, which "
            "charrnn does not compute; --ignore NAME leaves out a tensor that does not matter"
        )
    own_names = {f"{cell.torch_module}.{name.removeprefix(prefix)}": each for name, each in module.items()}
    ends = {"embedding.weight": embedding, "head.weight": head, "head.bias": bias}
    own_names |= {own: rest[name] for own, name in ends.items() if name}
    about = (
        f"embedding {brief(embedding)}" if embedding else "one-hot input",
        f"{cell.title} {brief(prefix.strip('.') or '.')}{' with tanh' if cell.name == 'rnn' else ''}",
        f"head {brief(head)}{', tied' if head == embedding else ''}",
    )
    return Parts(
        "PyTorch", cell, own_names, about=about, symbols=_symbols(values.get(_VOCABULARY), rest[head].shape[:1])
    )


def _require_all(names: Iterable[str], tensors: Tensors) -> None:
    """Refuse a name that no tensor has.

    Raises:
        ConfigError: it names the tensors that there are.
    """
    for name in names:
        if name not in ("", ONE_HOT) and name not in tensors:
            raise ConfigError(f"there is no tensor {brief(name)}: there are {_enumerated(tensors, tensors)}")


def _is_weight(name: Any, value: Any) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor) and value.kind in FLOATS


def _state_dict(tree: Any, wanted: str) -> tuple[str, Mapping[Any, Any]]:
    """What stands before ``weight_ih_l0`` in the names of the recurrent module, and the dictionary that it is in."""
    found: list[tuple[str, str, Mapping[Any, Any]]] = []
    for place, value in containers(tree):
        if isinstance(value, dict) and len(found) < _MOST_MODULES:
            firsts = [name for name, each in value.items() if _is_weight(name, each) and name.endswith(_FIRST)]
            for prefix in (name.removesuffix(_FIRST) for name in firsts):
                found.append((f"{place}.{prefix}".strip("."), prefix, value))
    fitting = [each for each in found if not wanted or each[0] == wanted.strip(".")]
    if len(fitting) == 1:
        return fitting[0][1:]
    if found:
        said = ", ".join(brief(name or ".") for name, _, _ in (fitting or found)[:_MOST_NAMED])
        raise ConfigError(f"choose one of its recurrent modules with --lstm NAME: {said}")
    if isinstance(tree, Unknown):
        raise CheckpointError(f"an object of the class {brief(tree.of)}, not weights: save model.state_dict()")
    raise CheckpointError(
        "there is no LSTM, GRU or RNN of PyTorch in it, and no Transformer of charrnn's: no tensor has a name that "
        f"ends in {_FIRST}"
    )


def _check_module(prefix: str, module: Tensors) -> tuple[Cell, int, int]:
    """The cell, H and the width of the input, from tensors by their names within the module.

    A state dict does not say whether an RNN has tanh or, what is rare, ReLU.  It is taken to have tanh.

    Raises:
        CheckpointError: the module is no cell as charrnn has it, or is not complete.
    """
    what = f"the module {brief(prefix.strip('.') or '.')}"
    for mark, kind in (("_reverse", "bidirectional"), ("_hr_", "an LSTM with projections")):
        if any(mark in name for name in module):
            raise CheckpointError(f"{what} is {kind}: charrnn reads modules that go forward, without projections")
    shapes = {name: each.shape for name, each in module.items()}
    first, recurrent = shapes[_FIRST], shapes.get("weight_hh_l0", ())
    if len(first) != 2 or len(recurrent) != 2 or 0 in recurrent:
        raise CheckpointError(f"{what} has no matrix weight_hh_l0, or weight_ih_l0 is no matrix")
    (rows, hidden), inputs = recurrent, first[1]
    kinds = [CELLS[kind] for kind in _CELLS.get(rows // hidden, ()) if rows % hidden == 0]
    if not kinds:
        raise CheckpointError(f"{what} is another kind of cell: charrnn reads LSTMs, GRUs and RNNs")
    own_name = prefix.strip(".").rpartition(".")[2]
    cell = next((kind for kind in kinds if kind.torch_module == own_name), kinds[0])
    per_layer = 4 if "bias_ih_l0" in module else 2
    wanted: dict[str, tuple[int, ...]] = {}
    for layer in range(len({name.rpartition("_l")[2] for name in module})):
        wanted |= {f"weight_ih_l{layer}": (rows, hidden if layer else inputs), f"weight_hh_l{layer}": (rows, hidden)}
        if per_layer == 4:
            wanted |= {f"bias_ih_l{layer}": (rows,), f"bias_hh_l{layer}": (rows,)}
    for name in sorted(wanted.keys() | shapes.keys()):
        if name not in shapes or name not in wanted:
            raise CheckpointError(f"{what}: {brief(name)} is {'missing' if name in wanted else 'one too many'}")
        if shapes[name] != wanted[name]:
            raise CheckpointError(f"{what}: {brief(name)} has the shape {shapes[name]}, not {wanted[name]}")
    return cell, hidden, inputs


def _head(rest: Tensors, names: Names, hidden: int) -> str:
    """The name of the head's weight, (V, H)."""
    if names.head:
        if len(rest[names.head].shape) != 2 or rest[names.head].shape[1] != hidden:
            raise ConfigError(f"the head must have the shape (V, {hidden}): {_enumerated([names.head], rest)} has not")
        return names.head
    can_be = [name for name, each in rest.items() if len(each.shape) == 2 and each.shape[1] == hidden]
    if not can_be:
        raise CheckpointError(
            f"there is no linear layer from {hidden} hidden units to characters: no matrix (V, {hidden})"
        )
    others = [name for name in can_be if name != names.embedding] or can_be
    for choice in (
        others,
        [name for name in others if _bias(name, rest)],
        [name for name in others if not _EMBEDDING.search(name)],
    ):
        if len(choice) == 1:
            return choice[0]
    raise ConfigError(f"choose the linear layer to characters with --head NAME: {_enumerated(others, rest)}")


def _embedding(rest: Tensors, names: Names, head: str, inputs: int, cell: Cell) -> str:
    """The name of the embedding's weight, (V, D); "" if the input is one-hot."""
    vocabulary, hidden = rest[head].shape
    shape = (vocabulary, inputs)
    if names.embedding:
        if names.embedding != ONE_HOT and rest[names.embedding].shape != shape:
            raise ConfigError(
                f"the embedding must have the shape {shape}: {_enumerated([names.embedding], rest)} has not"
            )
        if names.embedding == ONE_HOT and inputs != vocabulary:
            raise ConfigError(f"{inputs} inputs of the {cell.title} cannot be one-hot for {vocabulary} characters")
        return "" if names.embedding == ONE_HOT else names.embedding
    can_be = [name for name, each in rest.items() if each.shape == shape and name != head and not _bias(name, rest)]
    if len(can_be) > 1:
        raise ConfigError(f"choose the embedding with --embedding NAME: {_enumerated(can_be, rest)}")
    if can_be:
        return can_be[0]
    if inputs == vocabulary:
        return ""
    if inputs == hidden:
        return head  # tied: a file may have the matrix only once
    raise CheckpointError(
        f"the {cell.title} has {inputs} inputs for {vocabulary} characters, and there is no embedding {shape}"
    )


def _bias(weight: str, rest: Tensors) -> str:
    """The name of the bias that belongs to a weight; "" if there is none."""
    name = f"{weight.removesuffix('weight')}bias" if weight.endswith("weight") else ""
    return name if name in rest and rest[name].shape == rest[weight].shape[:1] else ""


def _symbols(tensor: Any, shape: tuple[int, ...]) -> list[str] | list[int]:
    """The symbols in the tensor that charrnn's own exports have: code points, or bytes as uint8."""
    if not isinstance(tensor, Tensor) or tensor.shape != shape or tensor.kind not in ("int64", "uint8"):
        return []
    numbers = tensor.values().tolist()
    if tensor.kind == "uint8":
        return numbers
    return [chr(number) for number in numbers if 0 <= number < _CODE_POINTS]


def _enumerated(names: Iterable[str], tensors: Tensors) -> str:
    """Some tensors for a message."""
    names = list(names)
    said = ", ".join(f"{brief(name)} {brief(tensors[name].shape)}" for name in names[:_MOST_NAMED])
    return said + (f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else "")
