"""Finds the model in a checkpoint of char-rnn or torch-rnn, two programs for Torch 7.

char-rnn (Karpathy 2015) writes a graph of modules.  Each layer adds up two linear maps: ``i2h`` of its input, which is
one-hot in the first layer, and ``h2h`` of its own h.  torch-rnn (Johnson 2016) writes a list of modules: a look-up
table, LSTMs with one matrix for their input and h together, and a linear map.
"""

import re
from typing import Any

from charrnn.checkpoints.foreign.parts import Parts
from charrnn.checkpoints.foreign.t7_file import Table, at, items
from charrnn.checkpoints.foreign.tensors import Tensor
from charrnn.errors import CheckpointError, brief
from charrnn.network.recurrent_cells import LSTMCell

_GATES = (0, 1, 3, 2)  # where i, f, g and o are: both programs have them in the order i, f, o, g
_BYTE = re.compile(r"\[(\d{1,3})\]")  # how torch-rnn writes a byte above 127
_LSTM = LSTMCell()


def find(tree: Any) -> Parts:
    """The model in the value of a file of Torch 7.

    Raises:
        CheckpointError: there is none, or it is not an LSTM.
    """
    if (rnn := at(tree, "protos", "rnn")) is not None:
        kind, symbols = at(tree, "opt", "model"), _by_id(at(tree, "vocab"))
        program, read = "char-rnn", _of_graph
    elif (rnn := at(tree, "model", "net", "modules")) is not None:
        kind, symbols = at(tree, "model", "model_type"), items(at(tree, "model", "idx_to_token"))
        program, read = "torch-rnn", _of_list
    else:
        raise CheckpointError("a file of Torch 7, but not a checkpoint of char-rnn or torch-rnn")
    if kind != "lstm":
        raise CheckpointError(f"a model of {program} whose cells are {brief(kind)}: charrnn reads LSTMs only")
    return Parts(program, _LSTM, read(rnn), _GATES, symbols=_symbols(symbols))


def _of_graph(rnn: Any) -> dict[str, Tensor]:
    """The weights of a graph of modules (nngraph's ``gModule``), a step of char-rnn's LSTM.

    Every node has data and children.  Two linear maps with one child are added up: they are a layer's ``i2h`` and
    ``h2h``.  ``h2h`` comes from an input of the graph; input 1 is x, and inputs 2k and 2k + 1 are c and h of layer k.
    """
    parents: dict[Any, Any] = {}
    maps: dict[Any, list[Any]] = {}  # linear maps by their child
    for node in items(at(rnn, "forwardnodes")):
        data = at(node, "data")
        for child in items(at(node, "children")):
            parents.setdefault(at(child, "data"), data)
            if _kind(at(data, "module")) == "nn.Linear":
                maps.setdefault(at(child, "data"), []).append(data)

    def place(data: Any) -> Any:
        """The number of the input that ``data`` comes from, or None."""
        parent = parents.get(data)
        is_input = _kind(at(parent, "module")) == "nn.Identity"
        return at(parents.get(parent), "selectindex") if is_input else None

    heads = [each[0] for each in maps.values() if len(each) == 1]
    pairs = [sorted(each, key=lambda data: place(data) is not None) for each in maps.values() if len(each) == 2]
    layers = {place(h2h): (i2h, h2h) for i2h, h2h in pairs}
    places = [2 * layer + 3 for layer in range(len(layers))]
    if layers.keys() != set(places) or len(heads) != 1 or len(heads) + len(layers) != len(maps):
        raise CheckpointError("its network is not the LSTM of char-rnn")
    found = _linear("head", "", at(heads[0], "module"))
    for layer, number in enumerate(places):
        for name, data in zip(("ih", "hh"), layers[number], strict=True):
            found |= _linear(_LSTM.torch_module, f"_{name}_l{layer}", at(data, "module"))
    return found


def _of_list(rnn: Any) -> dict[str, Tensor]:
    """The weights of a list of modules, torch-rnn's network."""
    found: dict[str, Tensor] = {}
    layer, module_name = 0, _LSTM.torch_module
    for module in items(rnn):
        match _kind(module):
            case "nn.LookupTable":
                found["embedding.weight"] = _tensor(module, "weight", 2)
            case "nn.LSTM":
                both = _tensor(module, "weight", 2)  # (D + H, 4H)
                (rows, columns), strides = both.shape, both.strides[::-1]
                inputs = rows - columns // len(_GATES)
                below = both.offset + inputs * both.strides[0]
                for name, size, offset in (("ih", inputs, both.offset), ("hh", rows - inputs, below)):
                    found[f"{module_name}.weight_{name}_l{layer}"] = Tensor(
                        both.kind, (columns, size), strides, offset, both.storage
                    )
                found[f"{module_name}.bias_ih_l{layer}"] = _tensor(module, "bias", 1)
                layer += 1
            case "nn.Linear":
                found |= _linear("head", "", module)
            case "nn.Dropout" | "nn.View":
                pass
            case kind:
                raise CheckpointError(f"its network has the module {brief(kind)}, which charrnn does not compute")
    return found


def _kind(module: Any) -> str:
    return module.kind if isinstance(module, Table) else ""


def _linear(name: str, end: str, module: Any) -> dict[str, Tensor]:
    """The weight and the bias of a linear map."""
    found = {f"{name}.weight{end}": _tensor(module, "weight", 2)}
    return found if at(module, "bias") is None else found | {f"{name}.bias{end}": _tensor(module, "bias", 1)}


def _tensor(module: Any, name: str, axes: int) -> Tensor:
    found = at(module, name)
    if not isinstance(found, Tensor) or len(found.shape) != axes:
        raise CheckpointError(f"damaged (the {name} of its {brief(_kind(module))})")
    return found


# ---- characters -------------------------------------------------------------------------------------------


def _by_id(vocabulary: Any) -> list[Any]:
    """The symbols of char-rnn's table, whose values are ids from 1."""
    symbols = {number: symbol for symbol, number in vocabulary.fields.items()} if isinstance(vocabulary, Table) else {}
    return [symbols.get(number + 1) for number in range(len(symbols))]


def _symbols(found: list[Any]) -> list[str] | list[int]:
    """Characters; or bytes, if a symbol is a byte that is no character of ASCII.

    char-rnn reads bytes. torch-rnn reads characters and writes them in UTF-8, or reads bytes and writes numbers.
    """
    if not all(isinstance(symbol, str) for symbol in found):
        raise CheckpointError("damaged (its symbols are not numbered from 1)")
    numbers = [_BYTE.fullmatch(symbol) for symbol in found]
    found = [chr(int(each[1])) if each else symbol for symbol, each in zip(found, numbers, strict=True)]
    if all(len(symbol) == 1 for symbol in found):
        return found if all(map(str.isascii, found)) else [ord(symbol) for symbol in found]
    try:
        return [symbol.encode("latin-1").decode("utf-8") for symbol in found]
    except ValueError:
        raise CheckpointError("its symbols are neither bytes nor characters in UTF-8") from None
