"""The loss at a closing sign, by the distance to its opening sign: what a memory of that length is worth.

Karpathy, Johnson & Li (2015), "Visualizing and Understanding Recurrent Networks", section 4.3, measure this for closing
braces of C and for line ends. The bins are [1, 2), [2, 4), [4, 8), … characters. docs/INSPECTION_METHODS.md says how
signs are matched.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.analysis.ngrams import ORDERS, probabilities
from charrnn.analysis.surprise import StageCallback, no_stages, scored_losses, stage
from charrnn.model import Model

BRACKETS = ("()", "[]", "{}", "“”", "«»")  # not <> and ‘’, which are more often less-than signs and apostrophes
STRAIGHT = ('"',)
LINE_END = "\n"


@dataclass(frozen=True)
class Bin:
    """``count`` closing signs that stand ``start`` <= distance < ``stop`` characters after their opening signs.

    ``loss`` and ``baseline`` are mean losses in nats at the closing sign, of the model and of the n-gram. ``gain`` is
    the mean of baseline - loss. ``…_error`` are standard errors, None for a single sign.
    """

    start: int
    stop: int
    count: int
    loss: float
    loss_error: float | None
    baseline: float
    baseline_error: float | None
    gain: float
    gain_error: float | None


@dataclass(frozen=True)
class Distances:
    """The bins of each kind of sign, over ``characters`` that were read.

    ``loss`` and ``baseline`` are mean losses in nats over all characters, of the model and of the n-gram of ``order``.
    """

    characters: int
    loss: float
    baseline: float
    order: int
    kinds: dict[str, tuple[Bin, ...]]


def distances(
    model: Model,
    ids: np.ndarray,
    training: np.ndarray,
    before: np.ndarray | None = None,
    order: int | None = None,
    progress: StageCallback = no_stages,
) -> Distances:
    """Measure the losses at the closing signs of ids (M,), by distance, beside the losses of an n-gram.

    Args:
        model: one network or several.
        ids: the text. Without ``before`` its first character is context only.
        training: ids (N,) that the n-gram is fitted on.
        before: ids (B,) that stand before the text. The opening signs in it count.
        order: the order of the n-gram. None chooses the order that is best on this text, to the n-gram's advantage.
        progress: called with the stage, the work done in it and the work there is.

    Raises:
        ConfigError: there is nothing to score, no training text, or n-grams would not fit into memory.
    """
    loss, ids, before = scored_losses(model, ids, training, before, progress)
    places = {}
    for kind, (at, length) in closings(model.vocabulary.characters(np.concatenate([before, ids]))).items():
        own = at >= len(before)
        if own.any():
            places[kind] = at[own] - len(before), length[own]
    scored = np.unique(np.concatenate([np.zeros(0, np.int64), *(at for at, _ in places.values())]))
    order, mean, baseline = _ngram(training, ids, before, len(model.vocabulary), order, scored, progress)
    bins = {
        kind: _bins(lengths, loss[at].astype(np.float64), baseline[np.searchsorted(scored, at)])
        for kind, (at, lengths) in places.items()
    }
    return Distances(len(ids), float(loss.mean(dtype=np.float64)), mean, order, bins)


def _ngram(training, ids, before, vocabulary, order, places, progress):
    """The order, the mean loss, and the losses at ``places`` (K,) of the n-gram of ``order``, or of the best one."""
    best = None
    counted = stage("Counting n-grams", progress)
    for number, chances in enumerate(probabilities(training, ids, before, vocabulary, order or ORDERS, counted)):
        mean = -float(np.log(chances).mean()) + 0.0  # -0.0 becomes 0.0
        # If an order is asked for, the last one that exists up to it is taken.
        if order is not None or best is None or mean < best[1]:
            best = number, mean, -np.log(chances[places])
    return best


def closings(text: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each kind of sign in ``text``: where it closes (K,), and how far back its opening is (K,), 1 or more."""
    found = {kind: _brackets(text, *kind) for kind in BRACKETS}
    found |= {kind * 2: _straight(text, kind) for kind in STRAIGHT}
    found["newline"] = list(itertools.pairwise(_places(text, LINE_END)))
    pairs = {kind: np.array(pairs, np.int64).reshape(-1, 2) for kind, pairs in found.items() if pairs}
    return {kind: (pair[:, 1], pair[:, 1] - pair[:, 0]) for kind, pair in pairs.items()}


def _places(text: str, sign: str) -> Iterator[int]:
    return (found.start() for found in re.finditer(re.escape(sign), text))


def _brackets(text: str, opening: str, closing: str) -> list[tuple[int, int]]:
    """Pair every closing sign with the last opening sign that is still open. A closing sign without one is left out."""
    ends = [(at, True) for at in _places(text, closing)]
    if not ends:
        return []
    pairs, still_open = [], []
    for place, is_end in sorted([(at, False) for at in _places(text, opening)] + ends):
        if not is_end:
            still_open.append(place)
        elif still_open:
            pairs.append((still_open.pop(), place))
    return pairs


def _straight(text: str, sign: str) -> list[tuple[int, int]]:
    """Pair signs that open and close in turn.

    An empty line closes an open sign without a pair: so a stray sign does not turn round the rest of the text.
    """
    pairs, opened = [], None
    for place in _places(text, sign):
        if opened is not None and text.find("\n\n", opened, place) < 0:
            pairs.append((opened, place))
            opened = None
        else:
            opened = place
    return pairs


def _bins(lengths: np.ndarray, loss: np.ndarray, baseline: np.ndarray) -> tuple[Bin, ...]:
    power = np.floor(np.log2(lengths)).astype(int)
    found = []
    for number in np.unique(power).tolist():
        own = power == number
        means = [_mean(values[own]) for values in (loss, baseline, baseline - loss)]
        found.append(Bin(2**number, 2 ** (number + 1), int(own.sum()), *itertools.chain(*means)))
    return tuple(found)


def _mean(values: np.ndarray) -> tuple[float, float | None]:
    """The mean and its standard error, computed as if the values were independent."""
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error
