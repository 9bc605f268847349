"""JSON that may come from anybody: read strictly, or refused.

Python's own reader takes the last of two equal keys, NaN and infinities, 1e999 for an infinity, and whole numbers of
thousands of digits; and a thousand brackets end in a RecursionError.  Here all that is a ValueError.
"""

import json
import math
from typing import Any

from charrnn.errors import brief

_MOST_CONTAINERS = 1_000_000  # each takes thirty times the memory of its two brackets
_MOST_VALUES = 4_000_000  # commas: what is read in some seconds
_LONGEST_WHOLE = 20  # digits and a sign: what 64 bits hold


def parse(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not JSON in UTF-8, an object has a key twice, it is nested too deeply or has millions of
            values, a number is not finite, or a whole number has more digits than 64 bits hold.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    if text.count("[") + text.count("{") > _MOST_CONTAINERS or text.count(",") > _MOST_VALUES:
        raise ValueError("it has too many values")
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_whole
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


def _whole(text: str) -> int:
    if len(text) > _LONGEST_WHOLE:
        raise ValueError(f"the number {brief(text)} is too large")
    return int(text)
