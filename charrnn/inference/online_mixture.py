"""A mixture that goes on learning from a text while it scores it.

The network is mixed with two kinds of n-grams: those of the mixture, which go on counting after the training text, and
n-grams that know this text alone.  What is recent then counts more than what was frequent long ago (a cache; Kuhn & De
Mori 1990).  The probabilities of all three are multiplied, each with an exponent (:mod:`charrnn.inference.mixture`),
and the exponents follow the text.  There is a set of exponents for each kind of place, because the beginning of a word
is the network's business more than its end.
"""

import numpy as np
import numpy.typing as npt

from charrnn.inference.mixture import MOST, Mixture, normalised
from charrnn.inference.ngrams import most_symbols, new_readers
from charrnn.inference.online_ngrams import OnlineNgrams
from charrnn.system.threads import Team
from charrnn.text.vocabulary import Vocabulary

_RECENT = 0.05  # the first exponent of the n-grams that know this text alone
_FIRST = 250  # symbols that exponents count for before they follow a text
_FLOOR = -25.0  # nats: n-grams that have learnt next to nothing know symbols as impossible
_LETTERS = 3  # a place is told from others by the letters before it, up to so many
_END, _OTHER, _SPACE, _LOWER, _UPPER = range(5)  # kinds of symbols
PLACES = (_LETTERS + 1) * (_UPPER + 1)

Floats = npt.NDArray[np.float64]


class OnlineMixture:
    """What is mixed with a network that goes on learning, for one row of text.

    Args:
        mixture: has the n-grams, which keep what they learn here, and the first exponents.
        vocabulary: the mixture's symbols.
    """

    def __init__(self, mixture: Mixture, vocabulary: Vocabulary):
        self._ngrams, self._readers, self._most_learnt = mixture.ngrams, new_readers(1), most_symbols(None)
        self._recent = OnlineNgrams(len(vocabulary))
        self._places = Places(vocabulary)
        self._weights = OnlineWeights((*mixture.weights, _RECENT), PLACES)

    def score(self, network: np.ndarray, x: np.ndarray, y: np.ndarray, team: Team) -> Floats:
        """-log p (M,) in nats of each target y (M,) after x (M,), from the network's log p (M, V); 0 where y < 0.

        Then the exponents learn from the targets.
        """
        ngrams = self._ngrams.read(x[:, None], self._readers, team)[:, 0], self._recent.read(x, team)
        logs = np.maximum(np.stack([network, *ngrams]), _FLOOR, dtype=np.float64)
        places, known = self._places.after(x), np.flatnonzero(y >= 0)
        logs, target, places = logs[:, known], y[known].astype(np.int64), places[known]
        losses = np.zeros(len(x))
        losses[known] = -self._weights.mixed(logs, places)[np.arange(len(known)), target]
        if np.isfinite(losses).all():
            self._weights.learn(logs, target, places)
        return losses

    def learn(self, x: npt.NDArray[np.int32]) -> None:
        """Both kinds of n-grams learn ids x (M,), which have just been read."""
        self._recent.learn(x)
        if self._ngrams.learnt + len(x) <= self._most_learnt:
            self._ngrams.learn(x, settle=False)
            self._ngrams.begin_at_end(self._readers)


class Places:
    """Kinds of places in one row of text: how many letters stand before a place, and which kind of symbol."""

    def __init__(self, vocabulary: Vocabulary):
        self._kinds, self._letters = np.array([_kind(symbol) for symbol in vocabulary.symbols]), 0

    def after(self, x: np.ndarray) -> npt.NDArray[np.int64]:
        """The kinds of the places after each of the ids x (M,), which follow those of the last call: (M,)."""
        found = np.empty(len(x), np.int64)
        for number, kind in enumerate(self._kinds[x]):
            self._letters = self._letters + 1 if kind >= _LOWER else 0
            found[number] = min(self._letters, _LETTERS) * (_UPPER + 1) + kind
        return found


def _kind(symbol: str | int) -> int:
    """The kind of a symbol.  A byte that is not ASCII is taken for a part of a letter."""
    character = symbol if isinstance(symbol, str) else chr(symbol) if symbol < 0x80 else "a"
    if character == "\n":
        return _END
    if character.isalpha():
        return _UPPER if character.isupper() else _LOWER
    return _SPACE if character.isspace() else _OTHER


class OnlineWeights:
    """K exponents for each kind of place, which follow a text: after each part they are fitted to all scored so far.

    Each part moves the exponents of the places in it by one step of Newton's method, whose Hessian is the sum over all
    parts so far.  (The online Newton step of Hazan, Agarwal & Kale 2007 sums squares of gradients instead.)  The first
    exponents count as if they had been fitted to ``_FIRST`` symbols.
    """

    def __init__(self, weights: tuple[float, ...], places: int):
        self._weights = np.tile(np.array(weights), (places, 1))
        self._hessians: Floats | None = None

    def mixed(self, logs: np.ndarray, places: np.ndarray) -> Floats:
        """log p (M, V) of the mixture from log probabilities logs (K, M, V) at places (M,)."""
        found: Floats = normalised((self._weights[places].T[..., None] * logs).sum(axis=0))
        return found

    def learn(self, logs: np.ndarray, target: np.ndarray, places: np.ndarray) -> None:
        """Take in a part: log probabilities logs (K, M, V) of targets (M,) at places (M,)."""
        if not len(target):
            return
        p = np.exp(self.mixed(logs, places))
        means = (logs * p).sum(axis=-1)
        gradients = (means - np.take_along_axis(logs, target[None, :, None], axis=-1)[..., 0]).T
        products = np.einsum("imv,jmv,mv->mij", logs, logs, p, optimize=True) - means.T[:, :, None] * means.T[:, None]
        if self._hessians is None:
            first = _FIRST * products.mean(axis=0) + 1e-6 * np.eye(len(logs))
            self._hessians = np.tile(first, (len(self._weights), 1, 1))
        for place in np.unique(places):
            here = places == place
            self._hessians[place] += products[here].sum(axis=0)
            step = np.linalg.solve(self._hessians[place], gradients[here].sum(axis=0))
            self._weights[place] = np.clip(self._weights[place] - step, 0, MOST)
