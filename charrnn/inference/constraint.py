"""What a text must be like: an expression that the whole of it matches, characters that it does not have."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.errors import ConfigError
from charrnn.kernels.constraint import COUNT, ENDED, NATS, SHARE
from charrnn.kernels.constraint import Constraint as Arrays
from charrnn.text.automaton import Automaton, avoiding, matching
from charrnn.text.vocabulary import Vocabulary

_ENDLESS = 2**62  # characters that no text has
_NEWLINE = 10


class Masked(NamedTuple):
    """How much a constraint forced the texts of B streams: what the model expected, and must not write.

    The probabilities are those of the model, at temperature 1 and before other filters.

    Attributes:
        choices: (B,) int64, how many characters and ends were chosen.
        share: (B,) float64, the mean probability that was left out of a choice; 0 without choices.
        bits: (B,) float64, -log2 of the permitted probability, summed over the choices: how much less likely than
            without the constraint a text is that obeys.
    """

    choices: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]
    bits: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Constraint:
    """An automaton that the texts of a sampler obey.

    Args:
        automaton: over the symbols of the model's vocabulary.
        length: the most symbols of a text.  A text that is begun is finished within them.
        end: the id whose probability, where a text may end and this symbol may not follow, is that of the end; -1: a
            text ends where nothing may follow.
        start: the state of the automaton in which texts begin; None is its own.

    Raises:
        ConfigError: no text is short enough.
    """

    automaton: Automaton
    length: int = _ENDLESS
    end: int = -1
    start: int | None = None

    def __post_init__(self) -> None:
        shortest = int(self.automaton.distance[self._first])
        if shortest > self.length:
            raise ConfigError(
                f"the shortest text that matches has {shortest:,} characters, more than the length {self.length:,}"
            )

    @property
    def _first(self) -> int:
        return self.automaton.start if self.start is None else self.start

    def arrays(self, streams: int) -> Arrays:
        """The constraint as the kernels take it, at the beginning of so many texts."""
        following, kinds, distance, _ = self.automaton
        behind = following[self._first]
        goes_on = bool(((behind >= 0) & (distance[behind] < self.length)).any())
        states = np.full(streams, self._first if goes_on else ENDED, np.int32)
        left = np.full(streams, self.length, np.int64)
        return Arrays(following, kinds, distance, states, left, self.end, np.zeros((streams, 3)))


def constraint_of(vocabulary: Vocabulary, length: int, match: str | None = None, without: str = "") -> Constraint:
    """The constraint of texts that match an expression as a whole and have no character of ``without``.

    A text that matches has at most ``length`` symbols.  It ends where nothing may follow; and where it may end, but a
    newline must not follow, with the probability of a newline.  Without an expression texts do not end.

    Raises:
        ConfigError: the expression is not supported, or no text obeys.
    """
    if match is None:
        return Constraint(avoiding(without, vocabulary))
    return Constraint(matching(match, vocabulary, without), length, _newline(vocabulary))


def constraint_of_line(
    vocabulary: Vocabulary, length: int, prime: npt.NDArray[np.int32], match: str | None = None, without: str = ""
) -> Constraint:
    """The constraint of what follows ``prime`` (N,) in a line.

    As a whole the line matches an expression, and has no character of ``without``.

    Raises:
        ConfigError: as for :func:`constraint_of`, or no line that obeys begins with the prime.
    """
    if match is None:
        if "\n" in without:
            raise ConfigError("lines end with a newline: leave it out of the characters that must not come")
        automaton, length = avoiding(without + "\n", vocabulary), _ENDLESS
    else:
        automaton = matching(match, vocabulary, without + "\n")
    start = automaton.read(prime.tolist())
    if start < 0:
        raise ConfigError("no line that obeys --match and --without begins with the prime: change one of them")
    return Constraint(automaton, length, _newline(vocabulary), start)


def no_constraint() -> Arrays:
    """Arrays for a kernel where every character is permitted."""
    nothing = np.zeros(0, np.int32)
    return Arrays(np.zeros((1, 1), np.int32), nothing, nothing, nothing, np.zeros(0, np.int64), -1, np.zeros((0, 3)))


def masked(arrays: Arrays) -> Masked:
    """What the sums of a constraint say."""
    counts = arrays.sums[:, COUNT]
    return Masked(
        counts.astype(np.int64), arrays.sums[:, SHARE] / np.maximum(counts, 1), arrays.sums[:, NATS] / math.log(2)
    )


def _newline(vocabulary: Vocabulary) -> int:
    """The id of the newline, -1 if there is none."""
    return int(vocabulary.look_up(np.array([_NEWLINE], np.uint32))[0])
