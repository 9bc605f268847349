"""What the analyses of errors and of distance share: the model's losses on a text, and the kinds of symbols in it."""

import enum
import unicodedata
from collections.abc import Callable
from functools import partial

import numpy as np

from charrnn.errors import ConfigError
from charrnn.inference.loss import losses
from charrnn.model import Model
from charrnn.records import ProgressCallback
from charrnn.text.vocabulary import Vocabulary

QUOTES = "\"'`“”„‟‘’‚‛«»‹›"  # straight, curly, low, angled
LINE_ENDS = "\n\r\v\f\x85\u2028\u2029"

StageCallback = Callable[[str, int, int], None]
"""Called with the name of a stage of the work, the work done in it and the work there is."""


def no_stages(name: str, done: int, total: int) -> None:
    """The callback of a caller who wants no reports."""


def scored_losses(
    model: Model, ids: np.ndarray, training: np.ndarray, before: np.ndarray | None, progress: StageCallback
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The losses (M,) float32 in nats, the ids (M,) they belong to, and the ids (B,) before these, B >= 1.

    Where ``before`` is missing or empty, the first character of the text becomes it and is not scored.

    Raises:
        ConfigError: there is nothing to score, or no ``training`` text.
    """
    if before is None or not len(before):
        before, ids = ids[:1], ids[1:]
    if not len(training):
        raise ConfigError("there is no training text to fit n-grams on")
    return losses(model.network, ids, int(before[-1]), progress=stage("Reading", progress)), ids, before


def stage(name: str, progress: StageCallback) -> ProgressCallback:
    """A callback that reports to ``progress`` under the name of one stage."""
    return partial(progress, name)


class Kind(enum.IntEnum):
    """The kind of a symbol. WORD: letters, digits, marks and the underscore; PUNCTUATION: other visible signs."""

    OTHER = 0
    WORD = 1
    SPACE = 2
    LINE_END = 3
    QUOTE = 4
    PUNCTUATION = 5


def kinds(vocabulary: Vocabulary) -> np.ndarray:
    """The kind (V,) int8 of each symbol. Bytes above 127 count as WORD, since in UTF-8 they are parts of letters."""
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
