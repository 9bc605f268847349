"""A mixture that goes on learning from a text while it scores it.

The network is mixed with two kinds of n-grams: those of the mixture, which go on counting after the training text, and
n-grams that know this text alone.  What is recent then counts more than what was frequent long ago (a cache; Kuhn & De
Mori 1990).  The probabilities of all three are multiplied, each with an exponent (:mod:`charrnn.inference.mixture`),
and the exponents follow the text.  There is a set of exponents for each kind of position in a word: how the word begins
is the network's business more than how it ends.
"""

import numpy as np
import numpy.typing as npt

from charrnn.inference.mixture import MOST, Mixture, derivatives, normalised
from charrnn.inference.ngrams import most_symbols, new_readers
from charrnn.inference.online_ngrams import OnlineNgrams
from charrnn.system.threads import Team
from charrnn.text.vocabulary import Vocabulary

RECENT = 2**20  # symbols of the text, about 100 MB, after which the n-grams that know it alone begin anew
POSITIONS = 9
_FIRST_RECENT = 0.05  # the first exponent of these n-grams
_FIRST = 250  # symbols that the first exponents count for
_RIDGE = 10.0  # added to the diagonal of each Hessian, so that a few first symbols move exponents only a little
_FLOOR = -25.0  # nats: to n-grams that have met one symbol only, all others are impossible
_WINDOW = 256  # symbols that are scored with the same exponents, at most

Floats = npt.NDArray[np.float64]


class OnlineMixture:
    """What is mixed with a network that goes on learning, for one row of text.

    Args:
        mixture: has the n-grams, which keep what they learn here, and the first exponents.
        vocabulary: the mixture's symbols.
        ngrams_learn: whether the mixture's n-grams learn the text.  Those that know this text alone always learn it.
    """

    def __init__(self, mixture: Mixture, vocabulary: Vocabulary, ngrams_learn: bool = True):
        self._ngrams, self._readers, self._most_learnt = mixture.ngrams, new_readers(1), most_symbols(None)
        self._ngrams_learn = ngrams_learn
        self._recent = OnlineNgrams(len(vocabulary))
        self._positions = WordPositions(vocabulary)
        self._exponents = OnlineExponents((*mixture.weights, _FIRST_RECENT), POSITIONS)

    def score(self, network: np.ndarray, x: np.ndarray, y: np.ndarray, team: Team) -> Floats:
        """-log p (M,) in nats of each target y (M,) after x (M,), from the network's log p (M, V); 0 where y < 0.

        The exponents learn from the targets.
        """
        found = [
            self._window(network[start : start + _WINDOW], x[start : start + _WINDOW], y[start : start + _WINDOW], team)
            for start in range(0, len(x), _WINDOW)
        ]
        return np.concatenate(found)

    def _window(self, network: np.ndarray, x: np.ndarray, y: np.ndarray, team: Team) -> Floats:
        ngrams = self._ngrams.read(x[:, None], self._readers, team)[:, 0], self._recent.read(x, team)
        known, losses = np.flatnonzero(y >= 0), np.zeros(len(x))
        logs = np.stack([each[known] for each in (network, *np.maximum(ngrams, _FLOOR))], dtype=np.float64)
        target, positions = y[known].astype(np.int64), self._positions.after(x)[known]
        losses[known] = -self._exponents.mixed(logs, positions)[np.arange(len(known)), target]
        if np.isfinite(losses).all():
            self._exponents.learn(logs, target, positions)
        return losses

    def learn(self, x: npt.NDArray[np.int32]) -> None:
        """The n-grams learn ids x (M,), which have just been read."""
        if self._recent.learnt >= min(RECENT, self._most_learnt):
            self._recent = OnlineNgrams(self._recent.vocabulary)
        self._recent.learn(x)
        if self._ngrams_learn and self._ngrams.learnt + len(x) <= self._most_learnt:
            self._ngrams.learn(x, settle=False)
            self._ngrams.begin_at_end(self._readers)


class WordPositions:
    """Kinds of positions in one row of text, from 0 to 8.

    After a line end (0), after other white space (1), after anything else that is no letter (2); after the first,
    second or a later letter of a word, which is small or has no case (3, 4, 5) or is a capital (6, 7, 8).  To a model
    of bytes each byte above 0x7F is a letter.
    """

    def __init__(self, vocabulary: Vocabulary):
        self._kinds, self._letters = np.array([_kind(symbol) for symbol in vocabulary.symbols]), 0

    def after(self, x: np.ndarray) -> npt.NDArray[np.int64]:
        """The kinds of the positions after each of the ids x (M,), which follow those of the last call: (M,)."""
        found = np.empty(len(x), np.int64)
        for number, kind in enumerate(self._kinds[x]):
            self._letters = self._letters + 1 if kind >= _LETTER else 0
            found[number] = kind + max(min(self._letters, 3) - 1, 0)
        return found


_LINE_END, _SPACE, _OTHER, _LETTER, _CAPITAL = 0, 1, 2, 3, 6


def _kind(symbol: str | int) -> int:
    character = symbol if isinstance(symbol, str) else chr(symbol) if symbol < 0x80 else "a"
    if character.isalpha():
        return _CAPITAL if character.isupper() else _LETTER
    if character == "\n":
        return _LINE_END
    return _SPACE if character.isspace() else _OTHER


class OnlineExponents:
    """K exponents for each kind of position, which follow a text: after each part they are fitted to all scored so far.

    Each part moves the exponents of the positions in it by one step of Newton's method.  (The online Newton step of
    Hazan, Agarwal & Kale 2007 has the sum of squared gradients for the Hessian.)  The Hessian is the sum over all
    symbols at positions of this kind; the first exponents count as if they had been fitted to ``_FIRST`` symbols, whose
    Hessian is the mean over all symbols so far.
    """

    def __init__(self, exponents: tuple[float, ...], kinds: int):
        count = len(exponents)
        self.values = np.tile(np.array(exponents), (kinds, 1))
        self._hessians, self._learnt = np.zeros((kinds, count, count)), 0

    def mixed(self, logs: np.ndarray, positions: np.ndarray) -> Floats:
        """log p (M, V) of the mixture from log probabilities logs (K, M, V) at positions of these kinds (M,)."""
        found: Floats = normalised((self.values[positions].T[..., None] * logs).sum(axis=0))
        return found

    def learn(self, logs: np.ndarray, target: np.ndarray, positions: np.ndarray) -> None:
        """Take in a part: log probabilities logs (K, M, V) of targets (M,) at positions of these kinds (M,)."""
        kinds, gradients = np.unique(positions), []
        for kind in kinds:
            here = positions == kind
            gradient, hessian = derivatives(logs[:, here], target[here], self.values[kind])
            self._hessians[kind] += hessian
            gradients.append(gradient)
        self._learnt += len(target)
        first = _FIRST * self._hessians.sum(axis=0) / max(self._learnt, 1) + _RIDGE * np.eye(len(logs))
        for kind, gradient in zip(kinds, gradients, strict=True):
            step = np.linalg.solve(first + self._hessians[kind], gradient)
            self.values[kind] = np.clip(self.values[kind] - step, 0, MOST)
