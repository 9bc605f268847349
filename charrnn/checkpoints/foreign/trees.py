"""Goes through the values of a foreign file: dictionaries and lists inside each other, perhaps in circles."""

import sys
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from charrnn.checkpoints.foreign.pickled_values import Unknown
from charrnn.errors import CheckpointError

_DEEPEST = 30  # containers inside each other that are looked into
_LONGEST_NAME = 100  # characters
_MOST_NAMES = 32 * 2**20  # bytes of the names of all parameters
_OF_MODULES = ("_modules", "_parameters", "_buffers")


class Place(NamedTuple):
    """Where a value is: under a name, in what is at another place.  Its string is like ``model.chars``."""

    above: Optional["Place"]
    name: Any

    def __str__(self) -> str:
        names: list[str] = []
        place: Place | None = self
        while place is not None:
            names.append(str(place.name)[:_LONGEST_NAME])
            place = place.above
        return ".".join(reversed(names)).strip(".")


def containers(tree: Any) -> Iterator[tuple[Place, dict | list | tuple]]:
    """Every dictionary, list and tuple of a tree, and its place; outer ones first, and each one once.

    A whole module of PyTorch is the dictionary of its parameters by their names, and then of its other attributes.

    Raises:
        CheckpointError: the names of the parameters take more memory than a model needs.
    """
    seen, waiting, names = set(), deque([(0, Place(None, ""), tree)]), _Names()
    while waiting:
        depth, place, value = waiting.popleft()
        if id(value) in seen or depth > _DEEPEST:
            continue
        seen.add(id(value))
        if isinstance(value, Unknown):
            if _is_module(value):
                yield place, _parameters(value, names)
            waiting.append((depth + 1, place, value.state))
        if not isinstance(value, dict | list | tuple):
            continue
        yield place, value
        waiting.extend(
            (depth + 1, Place(place, name), each)
            for name, each in (value.items() if isinstance(value, dict) else enumerate(value))
            if name not in _OF_MODULES and isinstance(each, dict | list | tuple | Unknown)
        )


def _is_module(value: Any) -> bool:
    state = value.state if isinstance(value, Unknown) else None
    return isinstance(state, dict) and all(isinstance(state.get(name), dict) for name in _OF_MODULES[:2])


class _Names:
    """Joins names, and counts the bytes of what it made: modules that share modules make many names of few."""

    def __init__(self):
        self._left = _MOST_NAMES

    def joined(self, *parts: Any) -> str:
        name = "".join(map(str, parts))
        self._left -= sys.getsizeof(name)
        if self._left < 0:
            raise CheckpointError(f"the names of its parameters take more than {_MOST_NAMES:,} bytes: not a model")
        return name


def _parameters(module: Unknown, names: _Names) -> dict[str, Any]:
    """The parameters of a module and of the modules inside, by their names in a state dict."""
    found: dict[str, Any] = {}
    seen, waiting = set(), deque([("", module)])
    while waiting:
        prefix, module = waiting.popleft()
        if not _is_module(module) or id(module) in seen:
            continue
        seen.add(id(module))
        found |= {names.joined(prefix, name): value for name, value in module.state["_parameters"].items()}
        waiting.extend((names.joined(prefix, name, "."), inner) for name, inner in module.state["_modules"].items())
    return found
