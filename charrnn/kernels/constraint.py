"""Characters that must not come next are left out before one is chosen: an automaton beside the model.

Legend: B streams, S states of the automaton, K kinds of characters, V characters of the vocabulary, padded to Vp.

A stream is in a state.  A character is permitted if the automaton has a state after it, from which the text can be
finished with the characters that are left to the stream.  So a text that has begun can be finished, and no character
has to be taken back.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, types

from charrnn.kernels.compiler import Doubles2, Ids1, Ids2, Longs1, intp
from charrnn.kernels.cross_entropy import log_sum_exp

f32 = np.float32

ENDED = -1
"""The state of a stream whose text has ended, and the id that it draws from then on."""

COUNT, SHARE, NATS = 0, 1, 2  # columns of the sums


class Constraint(NamedTuple):
    """An automaton, and the streams in it.

    ``following`` (S, K), ``kinds`` (V,) and ``distance`` (S,) are those of :class:`charrnn.text.automaton.Automaton`.
    ``states`` (B,) int32 are the streams' states; (0,) if every character is permitted.  ``left`` (B,) int64 are the
    characters that the streams may still write.  ``end`` is the character that ends a text where a text may end and the
    automaton has no state after it, or -1.  ``sums`` (B, 3) float64 are, for each stream, the choices so far, the
    probability that was left out, and -log of what was permitted, summed over the choices.
    """

    following: np.ndarray
    kinds: np.ndarray
    distance: np.ndarray
    states: np.ndarray
    left: np.ndarray
    end: int
    sums: np.ndarray


CONSTRAINT = types.NamedTuple((Ids2, Ids1, Ids1, Ids1, Longs1, intp, Doubles2), Constraint)


@njit
def leave_out(constraint, stream, logits_at, logits):
    """Set the logits (Vp,) of characters that must not come next to -inf, and enter the probability that they had.

    The probability is that of the model, at temperature 1 and before other filters.
    """
    following, kinds, distance, states, left, end, sums = constraint
    state, room = states[stream], left[stream] - 1
    before = log_sum_exp(logits_at, logits.size)
    for k in range(kinds.size):
        target = following[state, kinds[k]]
        can_end = k == end and distance[state] == 0
        is_permitted = distance[target] <= room if target >= 0 else can_end
        if not is_permitted:
            logits[k] = f32(-np.inf)
    lost = max(float(before) - float(log_sum_exp(logits_at, logits.size)), 0.0)
    sums[stream, COUNT] += 1.0
    sums[stream, SHARE] += -math.expm1(-lost)
    sums[stream, NATS] += lost


@njit
def advance(constraint, stream, character):
    """Move a stream on by a permitted character; whether its text has this character, and not ended before it."""
    following, kinds, distance, states, left = constraint[:5]
    target = following[states[stream], kinds[character]]
    if target < 0:  # the end that was chosen
        states[stream] = ENDED
        return False
    left[stream] -= 1
    states[stream] = target if can_go_on(following, distance, target, left[stream]) else ENDED
    return True


@njit
def can_go_on(following, distance, state, left):
    """Whether any character may follow in ``state`` where ``left`` characters are left."""
    for kind in range(following.shape[1]):
        target = following[state, kind]
        if target >= 0 and distance[target] < left:
            return True
    return False


@njit
def all_ended(constraint, first, last):
    """Whether the texts of the streams ``first`` to ``last`` have ended."""
    running = 0
    for stream in range(first, last):
        running += constraint.states[stream] != ENDED
    return running == 0
