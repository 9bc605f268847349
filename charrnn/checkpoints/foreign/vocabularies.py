"""The symbols of a model by their ids, from a JSON file or from among the values of a foreign file.

Programs write a vocabulary as a list of characters, as a dictionary from characters to ids, or as one from ids to
characters.  Ids are from 0.
"""

import re
from pathlib import Path
from typing import Any

from charrnn.checkpoints.foreign.trees import containers
from charrnn.errors import CharRNNError, CheckpointError, ConfigError, brief, os_errors_as
from charrnn.system import strict_json
from charrnn.system.files import read_regular
from charrnn.text.vocabulary import Vocabulary

_LARGEST = 32 * 2**20  # bytes of a JSON file
_MOST_NAMED = 4


def read(path: Path, size: int) -> Vocabulary:
    """The vocabulary of ``size`` symbols in a JSON file, by itself or inside other values.

    A list by itself may have the numbers of bytes instead of characters.

    Raises:
        CheckpointError: the file cannot be read, or has no such vocabulary.
        ConfigError: it has several.
    """
    with os_errors_as(CheckpointError, f"{path}: cannot be read"):
        text = read_regular(path, _LARGEST)
    try:
        value = strict_json.parse(text)
        symbols = listed(value) or value
        found = Vocabulary.from_list(symbols) if isinstance(symbols, list) else find(value, size)
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from None
    except CharRNNError as error:
        raise type(error)(f"{path}: {error}") from None
    if found is None:
        raise CheckpointError(f"{path}: no list of {size:,} characters, and no object of {size:,} characters and ids")
    if len(found) != size:
        raise CheckpointError(f"{path}: {len(found):,} symbols, and the model has {size:,}")
    return found


def find(tree: Any, size: int) -> Vocabulary | None:
    """The vocabulary of ``size`` symbols among the values of a file, or None.

    Raises:
        CheckpointError: it has symbols of several characters, or none.
        ConfigError: there are several.
    """
    found: dict[tuple, str] = {}
    for place, value in containers(tree):
        symbols = listed(value) if len(value) == size else None
        if symbols is not None:
            found.setdefault(tuple(symbols), str(place))
    good = [symbols for symbols in found if all(len(symbol) == 1 for symbol in symbols)]
    if len(good) > 1:
        named = ", ".join(brief(found[symbols]) for symbols in good[:_MOST_NAMED])
        raise ConfigError(f"several vocabularies that differ: {named}: give the right one with --vocabulary")
    if found and not good:
        words, name = next(iter(found.items()))
        number = next(number for number, word in enumerate(words) if len(word) != 1)
        raise CheckpointError(
            f"its vocabulary {brief(name)} has {brief(words[number])} for id {number}, which is not one character: "
            "give --vocabulary JSON with a character that your texts do not have in its place"
        )
    return Vocabulary.from_list(list(good[0])) if good else None


def listed(value: Any) -> list[str] | None:
    """The symbols of a vocabulary in the order of their ids; None if ``value`` has not the form of a vocabulary."""
    if isinstance(value, dict):
        if all(type(number) is int for number in value.values()):
            value = {number: symbol for symbol, number in value.items()}
        elif all(isinstance(key, str) and re.fullmatch(r"\d{1,9}", key) for key in value):  # JSON has no other keys
            value = {int(key): symbol for key, symbol in value.items()}
        value = [value.get(number) for number in range(len(value))]
    if not isinstance(value, list | tuple) or not value or not all(isinstance(symbol, str) for symbol in value):
        return None
    return list(value)
