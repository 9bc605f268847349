"""How well a closing sign is foreseen, by the distance to the opening one: what a memory of that length is worth.

Karpathy, Johnson & Li (2015), "Visualizing and Understanding Recurrent Networks", section 4.3, do this for closing
braces of C and for line ends.  Bins are [1, 2), [2, 4), [4, 8), … characters.  docs/INSPECTION_METHODS.md says how
signs are matched.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from charrnn.analysis.ngrams import ORDERS, probabilities
from charrnn.analysis.surprise import Progress, decoded, named, surprises
from charrnn.model import Model

BRACKETS = ("()", "[]", "{}", "“”", "«»")  # not <> and ‘’, which are less-than and apostrophe more often
STRAIGHT = ('"',)
LINE_END = "\n"


@dataclass(frozen=True)
class Bin:
    """``count`` closing signs ``start`` <= distance < ``stop`` characters behind their opening ones.

    ``loss`` and ``baseline`` are mean losses in nats at the closing sign, of the model and of the n-gram; ``gain`` the
    mean of baseline - loss; ``…_error`` their standard errors, None for a single sign.
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
    """By kind of sign, its bins; ``order`` is that of the n-gram, ``characters`` how many were read."""

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
    progress: Progress = None,
) -> Distances:
    """Losses at the closing signs of ids (M,), by distance, beside an n-gram's.

    Args:
        model: one network or several.
        ids: the text; without ``before`` its first character is context.
        training: ids (N,) that the n-gram is fitted on.
        before: ids (B,) that stand before the text; the openings in it count.
        order: of the n-gram; None for the one that does best on this very text, to its advantage.
        progress: called with what is being done, how much of it is, and how much there is.

    Raises:
        ConfigError: there is nothing to score, no training text, or n-grams would not fit into memory.
    """
    loss, ids, before = surprises(model, ids, training, before, progress)
    places = closings(decoded(model.vocabulary, np.concatenate([before, ids])))
    places = {kind: (at - len(before), length) for kind, (at, length) in places.items()}
    places = {kind: (at[at >= 0], length[at >= 0]) for kind, (at, length) in places.items() if (at >= 0).any()}
    scored = np.unique(np.concatenate([np.zeros(0, np.int64), *(at for at, _ in places.values())]))
    order, mean, baseline = _ngram(training, ids, before, len(model.vocabulary), order, scored, progress)
    found = {}
    for kind, (at, lengths) in places.items():
        found[kind] = _bins(lengths, loss[at].astype(np.float64), baseline[np.searchsorted(scored, at)])
    return Distances(len(ids), float(loss.mean(dtype=np.float64)), mean, order, found)


def _ngram(training, ids, before, vocabulary, order, places, progress):
    """The order, the mean loss, and the losses at ``places`` (K,) of the n-gram of that order, or of the best."""
    best = None
    counted = named("Counting n-grams", progress)
    for number, chances in enumerate(probabilities(training, ids, before, vocabulary, order or ORDERS, counted)):
        mean = -float(np.log(chances).mean())
        # Of those up to the order asked for the last one counts, or the highest there is.
        if order is not None or best is None or mean < best[1]:
            best = number, mean, -np.log(chances[places])
    return best


def closings(text: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By kind of sign, where it closes (K,) and how far back its opening is (K,), 1 for the character before."""
    found = {kind: _brackets(text, *kind) for kind in BRACKETS}
    found |= {kind * 2: _straight(text, kind) for kind in STRAIGHT}
    found["newline"] = _line_ends(text)
    pairs = {kind: np.array(pairs, np.int64).reshape(-1, 2) for kind, pairs in found.items() if pairs}
    return {kind: (pair[:, 1], pair[:, 1] - pair[:, 0]) for kind, pair in pairs.items()}


def _places(text: str, sign: str) -> list[int]:
    places, at = [], text.find(sign)
    while at >= 0:
        places.append(at)
        at = text.find(sign, at + 1)
    return places


def _brackets(text: str, opening: str, closing: str) -> list[tuple[int, int]]:
    """Every closing sign with the last opening one that is not closed; one without is left out."""
    ends = _places(text, closing)
    if not ends:
        return []
    pairs, still_open = [], []
    for place, is_end in sorted([(at, False) for at in _places(text, opening)] + [(at, True) for at in ends]):
        if not is_end:
            still_open.append(place)
        elif still_open:
            pairs.append((still_open.pop(), place))
    return pairs


def _straight(text: str, sign: str) -> list[tuple[int, int]]:
    """Signs in turn open and close; an empty line forgets what is open, so that a stray sign does no lasting harm."""
    pairs, opened = [], None
    for place in _places(text, sign):
        if opened is not None and text.find("\n\n", opened, place) < 0:
            pairs.append((opened, place))
            opened = None
        else:
            opened = place
    return pairs


def _line_ends(text: str) -> list[tuple[int, int]]:
    return list(itertools.pairwise(_places(text, LINE_END)))


def _bins(lengths: np.ndarray, loss: np.ndarray, baseline: np.ndarray) -> tuple[Bin, ...]:
    power = np.floor(np.log2(lengths)).astype(int)
    found = []
    for number in np.unique(power):
        own = power == number
        means = [_mean(values[own]) for values in (loss, baseline, baseline - loss)]
        found.append(Bin(2 ** int(number), 2 ** (int(number) + 1), int(own.sum()), *means[0], *means[1], *means[2]))
    return tuple(found)


def _mean(values: np.ndarray) -> tuple[float, float | None]:
    """The mean and its standard error, as if the values were independent."""
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error
