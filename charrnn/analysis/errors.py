"""What the characters that a model does not expect have in common: a chain of oracles, each of which would fix some.

Karpathy, Johnson & Li (2015), "Visualizing and Understanding Recurrent Networks", section 4.4.  A character is an error
if its probability is below 1/2.  An oracle removes the errors that it can explain, in a fixed order, and what it
removes is not there for the next.  docs/INSPECTION_METHODS.md states each of them.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.analysis.ngrams import probabilities
from charrnn.analysis.surprise import Kind, Progress, decoded, kinds, named, surprises, words
from charrnn.model import Model

ORDERS = 9
MEMORIES = (100, 500, 1000, 5000)  # characters
RARE = 5  # occurrences in the training text
BOOSTS = (0.1, 0.2, 0.3, 0.4, 0.5)  # of a probability

_BLOCK = 1 << 20  # symbols of the training text whose words are counted at a time
_LONGEST = 1 << 12  # a block is not drawn out for a longer word
_NOWHERE = np.iinfo(np.uint16).max  # a distance beyond every memory


@dataclass(frozen=True)
class Share:
    """What one oracle removes: ``errors`` characters with a loss of ``loss`` nats in all."""

    group: str
    name: str
    errors: int
    loss: float


@dataclass(frozen=True)
class Mistakes:
    """``errors`` of ``characters`` had a probability below 1/2; ``shares`` has the oracles in their order.

    ``loss`` is that of all characters in nats, in all, ``error_loss`` that of the errors; every error is in one share.
    """

    characters: int
    errors: int
    loss: float
    error_loss: float
    shares: tuple[Share, ...]


def mistakes(
    model: Model, ids: np.ndarray, training: np.ndarray, before: np.ndarray | None = None, progress: Progress = None
) -> Mistakes:
    """Divide the errors of ``model`` on ids (M,) among the oracles.

    Args:
        model: one network or several.
        ids: the text; without ``before`` its first character is context.
        training: ids (N,) that n-grams and the words' counts are taken from.
        before: ids (B,) that stand before the text; memory looks back into them.
        progress: called with what is being done, how much of it is, and how much there is.

    Raises:
        ConfigError: there is nothing to score, no training text, or n-grams would not fit into memory.
    """
    loss, ids, before = surprises(model, ids, training, before, progress)
    left = loss > math.log(2)
    errors, error_loss, shares = int(left.sum()), float(loss[left].sum(dtype=np.float64)), []
    for group, name, fixed in _oracles(model, ids, training, before, loss, left, progress):
        fixed = fixed & left
        shares.append(Share(group, name, int(fixed.sum()), float(loss[fixed].sum(dtype=np.float64))))
        left &= ~fixed
    return Mistakes(len(ids), errors, float(loss.sum(dtype=np.float64)), error_loss, tuple(shares))


def _oracles(model, ids, training, before, loss, left, progress) -> Iterator[tuple[str, str, np.ndarray]]:
    """Each oracle's group and name, and which characters (M,) it would get right; ``left`` are the errors till then."""
    done = named("Counting n-grams", progress)
    for order, chances in enumerate(probabilities(training, ids, before, len(model.vocabulary), ORDERS, done)):
        if order:
            yield "n-gram", f"order {order}", chances >= 0.5
    del chances
    yield from _word_oracles(model.vocabulary, ids, training, before, left, progress)
    kind = kinds(model.vocabulary)
    previous = kind[np.concatenate([before[-1:], ids[:-1]])]
    yield "first of a word", "after a space", previous == Kind.SPACE
    yield "first of a word", "after a quote", previous == Kind.QUOTE
    yield "first of a line", "after a line end", previous == Kind.LINE_END
    yield "punctuation", "punctuation", (kind[ids] == Kind.PUNCTUATION) | (kind[ids] == Kind.QUOTE)
    chances = np.exp(-loss)
    for boost in BOOSTS:
        # A probability just under 1/2 must not be lost to rounding of the last one.
        yield "the rest", f"lacks up to {boost:g}", chances >= 0.5 - boost if boost < 0.5 else left


def _word_oracles(vocabulary, ids, training, before, left, progress):
    """Words that were there not long ago, and words that are rare."""
    kind = kinds(vocabulary)
    before = before[-MEMORIES[-1] :]
    every = np.concatenate([before, ids])
    first = len(before)
    starts, stops = words(kind[every] == Kind.WORD)
    text = decoded(vocabulary, every)
    behind = np.concatenate([np.zeros(first, bool), left, [False]])  # errors, by their places in ``text``
    has = np.logical_or.reduceat(behind, np.stack([starts, stops], axis=1).ravel())[::2] if len(starts) else starts > 0
    starts, stops = starts[has], stops[has]

    distance = np.full(len(every), _NOWHERE, np.uint16)
    report = named("Looking back", progress)
    for number, (start, stop) in enumerate(zip(starts.tolist(), stops.tolist(), strict=True)):
        found = text.rfind(text[start:stop], max(start - MEMORIES[-1], 0), start)
        if found >= 0:
            distance[start + 1 : stop] = start - found
        if report is not None and number % 1000 == 0:
            report(number, len(starts))
    for memory in MEMORIES:
        yield "memory", f"{memory:,} characters", distance[first:] <= memory

    wanted = {text[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)}
    counts = count_words(vocabulary, training, wanted, named("Counting words", progress))
    often = np.full(len(every), RARE + 1, np.uint8)
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        often[start:stop] = min(counts[text[start:stop]], RARE + 1)
    yield "rare word", "never seen", often[first:] == 0
    yield "rare word", f"seen 1 to {RARE} times", often[first:] <= RARE


def count_words(vocabulary, ids: np.ndarray, wanted: set[str], progress=None) -> Counter[str]:
    """How often each of the ``wanted`` words is a word of ids (N,)."""
    kind, counts, begun = kinds(vocabulary), Counter(), 0
    while begun < len(ids):
        end = min(begun + _BLOCK, len(ids))
        more = kind[ids[end : end + _LONGEST]] != Kind.WORD
        end += int(more.argmax()) if more.any() else 0  # a word is not cut in two
        block = ids[begun:end]
        text = decoded(vocabulary, block)
        starts, stops = words(kind[block] == Kind.WORD)
        found = (text[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True))
        counts.update(word for word in found if word in wanted)
        begun = end
        if progress is not None:
            progress(end, len(ids))
    return counts
