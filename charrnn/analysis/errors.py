"""What the characters that a model does not expect have in common: a chain of oracles, each of which would fix some.

Karpathy, Johnson & Li (2015), "Visualizing and Understanding Recurrent Networks", section 4.4. A character is an error
if its probability is below 1/2. The oracles are asked in a fixed order. Each removes the errors that it can explain;
the next oracle sees only the errors that are left. docs/INSPECTION_METHODS.md defines every oracle.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.analysis.ngrams import probabilities
from charrnn.analysis.surprise import Kind, StageCallback, kinds, no_stages, scored_losses, stage, words
from charrnn.model import Model
from charrnn.records import ProgressCallback, no_progress
from charrnn.text.vocabulary import Vocabulary

ORDERS = 9
MEMORIES = (100, 500, 1000, 5000)  # characters
RARE = 5  # occurrences in the training text
BOOSTS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to a probability

_BLOCK = 1 << 20  # symbols of the training text whose words are counted at a time
_LONGEST = 1 << 12  # a block is extended to the end of its last word by at most this many symbols
_NOWHERE = np.iinfo(np.uint16).max  # a distance beyond every memory


@dataclass(frozen=True)
class OracleShare:
    """The ``errors`` that one oracle removes, and the sum of their losses in nats."""

    group: str
    name: str
    errors: int
    loss: float


@dataclass(frozen=True)
class ErrorAnalysis:
    """``errors`` of ``characters`` had a probability below 1/2; ``shares`` lists the oracles in their order.

    ``loss`` is the sum of the losses of all characters in nats, ``error_loss`` the sum over the errors. Every error is
    in exactly one share.
    """

    characters: int
    errors: int
    loss: float
    error_loss: float
    shares: tuple[OracleShare, ...]


def analyse_errors(
    model: Model,
    ids: np.ndarray,
    training: np.ndarray,
    before: np.ndarray | None = None,
    progress: StageCallback = no_stages,
) -> ErrorAnalysis:
    """Divide the errors of ``model`` on ids (M,) among the oracles.

    Args:
        model: one network or several.
        ids: the text. Without ``before`` its first character is context only.
        training: ids (N,) in which n-grams and words are counted.
        before: ids (B,) that stand before the text. The memory oracles look back into them.
        progress: called with the stage, the work done in it and the work there is.

    Raises:
        ConfigError: there is nothing to score, no training text, or n-grams would not fit into memory.
    """
    loss, ids, before = scored_losses(model, ids, training, before, progress)
    left = loss > math.log(2)
    errors, error_loss, shares = int(left.sum()), float(loss[left].sum(dtype=np.float64)), []
    for group, name, fixed in _oracles(model.vocabulary, ids, training, before, loss, left, progress):
        fixed = fixed & left
        shares.append(OracleShare(group, name, int(fixed.sum()), float(loss[fixed].sum(dtype=np.float64))))
        left &= ~fixed
    return ErrorAnalysis(len(ids), errors, float(loss.sum(dtype=np.float64)), error_loss, tuple(shares))


def _oracles(vocabulary, ids, training, before, loss, left, progress) -> Iterator[tuple[str, str, np.ndarray]]:
    """Each oracle's group and name, and which characters (M,) it would get right.

    ``left`` (M,) marks the errors that are left; the caller updates it between oracles.
    """
    counted = stage("Counting n-grams", progress)
    for order, chances in enumerate(probabilities(training, ids, before, len(vocabulary), ORDERS, counted)):
        if order:
            yield "n-gram", f"order {order}", chances >= 0.5
    del chances  # as large as the text
    yield from _word_oracles(vocabulary, ids, training, before, left, progress)
    kind = kinds(vocabulary)
    previous = kind[np.concatenate([before[-1:], ids[:-1]])]
    yield "first of a word", "after a space", previous == Kind.SPACE
    yield "first of a word", "after a quote", previous == Kind.QUOTE
    yield "first of a line", "after a line end", previous == Kind.LINE_END
    yield "punctuation", "punctuation", (kind[ids] == Kind.PUNCTUATION) | (kind[ids] == Kind.QUOTE)
    chances = np.exp(-loss)
    for boost in BOOSTS:
        # The last boost explains every error that is left. Rounding must not lose a probability just under 1/2.
        yield "the rest", f"lacks up to {boost:g}", chances >= 0.5 - boost if boost < 0.5 else left


def _word_oracles(vocabulary, ids, training, before, left, progress):
    """The oracles of words that stand shortly before, and of words that are rare in the training text."""
    before = before[-MEMORIES[-1] :]
    every, first = np.concatenate([before, ids]), len(before)
    text = vocabulary.characters(every)
    starts, stops = words(kinds(vocabulary)[every] == Kind.WORD)
    # Keep the words that contain an error. The errors are shifted to their places in ``text``.
    errors = np.concatenate([np.zeros(first, bool), left, [False]])
    if len(starts):
        has_error = np.logical_or.reduceat(errors, np.stack([starts, stops], axis=1).ravel())[::2]
        starts, stops = starts[has_error], stops[has_error]
    spans = list(zip(starts.tolist(), stops.tolist(), strict=True))

    distance = np.full(len(every), _NOWHERE, np.uint16)
    report = stage("Looking back", progress)
    for number, (start, stop) in enumerate(spans):
        found = text.rfind(text[start:stop], max(start - MEMORIES[-1], 0), start)
        if found >= 0:
            distance[start + 1 : stop] = start - found
        if number % 1000 == 0:
            report(number, len(spans))
    for memory in MEMORIES:
        yield "memory", f"{memory:,} characters", distance[first:] <= memory

    wanted = {text[start:stop] for start, stop in spans}
    counts = count_words(vocabulary, training, wanted, stage("Counting words", progress))
    occurrences = np.full(len(every), RARE + 1, np.uint8)
    for start, stop in spans:
        occurrences[start:stop] = min(counts[text[start:stop]], RARE + 1)
    yield "rare word", "never seen", occurrences[first:] == 0
    yield "rare word", f"seen 1 to {RARE} times", occurrences[first:] <= RARE


def count_words(
    vocabulary: Vocabulary, ids: np.ndarray, wanted: set[str], progress: ProgressCallback = no_progress
) -> Counter[str]:
    """How often each of the ``wanted`` words stands in ids (N,) as a whole word."""
    kind, counts, start = kinds(vocabulary), Counter(), 0
    while start < len(ids):
        stop = min(start + _BLOCK, len(ids))
        no_word = kind[ids[stop : stop + _LONGEST]] != Kind.WORD
        stop += int(no_word.argmax()) if no_word.any() else 0  # so that no word is cut in two
        block = ids[start:stop]
        text = vocabulary.characters(block)
        found = (text[slice(*span)] for span in zip(*words(kind[block] == Kind.WORD), strict=True))
        counts.update(word for word in found if word in wanted)
        start = stop
        progress(stop, len(ids))
    return counts
