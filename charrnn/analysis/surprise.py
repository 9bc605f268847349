"""What the symbols of a text are, and its words.

What every analysis of losses begins with: the text, what stands before it, and the model's losses on it.
"""

import enum
import unicodedata
from collections.abc import Callable

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inference.loss import losses
from charrnn.model import Model
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


Progress = Callable[[str, int, int], None] | None
"""Called with what is being done, how much of it is, and how much there is."""


def surprises(
    model: Model, ids: np.ndarray, training: np.ndarray, before: np.ndarray | None, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Losses (M,) float32 in nats of ids (M,), with these ids and the ids (B,) before them, B from 1.

    Where ``before`` is missing or empty, the text's first character takes its place.

    Raises:
        ConfigError: there is nothing to score, or no ``training`` text.
    """
    if before is None or not len(before):
        before, ids = ids[:1], ids[1:]
    if not len(training):
        raise ConfigError("there is no training text to fit n-grams on")
    return losses(model.network, ids, int(before[-1]), progress=named("Reading", progress)), ids, before


def named(name: str, progress: Progress) -> Callable[[int, int], None] | None:
    """The same progress for one thing that is being done."""
    return None if progress is None else lambda done, total: progress(name, done, total)
