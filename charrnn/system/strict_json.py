"""Reads JSON from strangers strictly.

Python's own reader accepts a key twice (the last one wins), NaN and infinities, 1e999 as an infinity, and integers of
thousands of digits; a thousand brackets end in a RecursionError.  Here each of these is a ValueError.
"""

import json
import math
from typing import Any

from charrnn.errors import brief

_MOST_CONTAINERS = 1_000_000  # each takes thirty times the memory of its two brackets
_MOST_VALUES = 4_000_000  # commas; so many are read in some seconds
_LONGEST_INTEGER = 20  # digits and sign of the longest integer of 64 bits


def parse(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: the text is not JSON in UTF-8, an object has a key twice, the nesting is too deep, there are
            millions of values, a number is not finite, or an integer has more digits than 64 bits hold.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    if text.count("[") + text.count("{") > _MOST_CONTAINERS or text.count(",") > _MOST_VALUES:
        raise ValueError("it has too many values")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_integer
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"the key {brief(twice)} comes twice")
    return values


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {brief(text)} is too large")
    return number


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError(f"the number {brief(text)} is too large")
    return int(text)
