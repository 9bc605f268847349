"""What the symbols of a text are, and its words."""

import enum
import unicodedata

import numpy as np

from charrnn.text.vocabulary import Vocabulary

QUOTES = "\"'`“”„‟‘’‚‛«»‹›"  # straight, curly, low, angled
LINE_ENDS = "\n\r\v\f\x85\u2028\u2029"


class Kind(enum.IntEnum):
    """What a symbol is. WORD: letters, digits, marks and the underscore; PUNCTUATION: other visible signs."""

    OTHER = 0
    WORD = 1
    SPACE = 2
    LINE_END = 3
    QUOTE = 4
    PUNCTUATION = 5


def kinds(vocabulary: Vocabulary) -> np.ndarray:
    """The kind (V,) int8 of each symbol. Of bytes, those above 127 count as parts of letters, as in UTF-8."""
    return np.array([_kind(symbol) for symbol in vocabulary.symbols], np.int8)


def _kind(symbol: str | int) -> Kind:
    if isinstance(symbol, int):
        if symbol > 127:
            return Kind.WORD
        symbol = chr(symbol)
    category = unicodedata.category(symbol)
    if symbol == "_" or category[0] in "LNM":
        return Kind.WORD
    if symbol in LINE_ENDS:
        return Kind.LINE_END
    if symbol == "\t" or category == "Zs":
        return Kind.SPACE
    if symbol in QUOTES:
        return Kind.QUOTE
    return Kind.PUNCTUATION if category[0] in "PS" else Kind.OTHER


def words(is_word: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the longest runs of True in ``is_word`` (N,) begin and end: starts (W,) and stops (W,)."""
    edges = np.flatnonzero(np.diff(is_word.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2]


def decoded(vocabulary: Vocabulary, ids: np.ndarray) -> str:
    """The text of ids (N,), one character for each; a byte is the character of its number."""
    text = vocabulary.decode(ids)
    return text.decode("latin-1") if isinstance(text, bytes) else text
