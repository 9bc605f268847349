"""Interpolated n-grams with modified Kneser-Ney smoothing: the strongest simple model of a text, for comparison.

Chen & Goodman (1999), "An empirical study of smoothing techniques for language modeling", section 3 and equation 26.
The grams of a text are numbered order by order: a gram of order n is its context's number, one of order n - 1, and
its last symbol, which make one exact integer; so sorting integers counts grams of any length.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from charrnn import memory
from charrnn.errors import ConfigError

ORDERS = 12

BYTES_A_SYMBOL, BYTES_A_SCORED_SYMBOL = 105, 90  # at the peak, as tracemalloc counts them


@dataclass(frozen=True, eq=False)
class _Grams:
    """The distinct grams of one order in the training text, numbered from 0.

    Attributes:
        at: (N - n + 1,) the number of the gram that ends at each place of the training text.
        contexts: (G,) the number of each gram's context among the grams of the order below.
        known_contexts: how many of those there are.
        counts: (G,) how often each occurs.
        one_place: (G,) an index into ``at`` where each is found.
        scored: (B + M,) the gram that ends at each place of the scored text, -1 if it is not in the training text.
        scored_contexts: (B + M,) the same of the contexts that end before each place.
    """

    at: np.ndarray
    contexts: np.ndarray
    known_contexts: int
    counts: np.ndarray
    one_place: np.ndarray
    scored: np.ndarray
    scored_contexts: np.ndarray


def probabilities(
    training: np.ndarray,
    scored: np.ndarray,
    before: np.ndarray,
    vocabulary: int,
    orders: int = ORDERS,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[np.ndarray]:
    """For order 0, 1, … the probability (M,) float64 that the model of this order gives each scored symbol.

    Order 0 is uniform.  Order n looks at n - 1 symbols; where fewer stand before, or they are nowhere in the training
    text, it is the order below.

    Args:
        training: ids (N,), N >= 1, that are counted.
        scored: ids (M,).
        before: ids (B,) that stand before the scored ones and are context only; may be empty.
        vocabulary: V, above every id.
        orders: the highest order; those above N are left out.
        progress: called with the orders done and their number.

    Raises:
        ConfigError: the counts would not fit into this machine's memory.
    """
    need = BYTES_A_SYMBOL * len(training) + BYTES_A_SCORED_SYMBOL * len(scored)
    have = memory.installed()
    if have is not None and need > have:
        raise ConfigError(
            f"n-grams of {len(training):,} characters need about {need / 1e9:,.1f} GB, and this machine has "
            f"{have / 1e9:,.1f}: fit them on less text with --fit"
        )
    before = before[max(len(before) - orders + 1, 0) :]
    first = len(before)
    lower = np.full(len(scored), 1 / vocabulary)
    yield lower
    followed = np.concatenate([before, scored]).astype(np.int64)
    at, scored_at, size, grams = np.zeros(len(training) + 1, np.int32), np.zeros(len(followed) + 1, np.int64), 1, None
    orders = min(orders, len(training))
    for order in range(1, orders + 1):
        below, grams = grams, _number(training[order - 1 :], at[:-1], size, followed, scored_at[:-1], vocabulary)
        if below is not None:
            # How many different symbols stand before a gram: the counts that a lower order has in Kneser-Ney.
            preceding = np.bincount(at[1 + grams.one_place], minlength=size)
            lower = _interpolate(below, preceding, first, lower)
        yield _interpolate(grams, grams.counts, first, lower)
        at, size = grams.at, len(grams.counts)
        scored_at = np.concatenate([[-1], grams.scored])
        if progress is not None:
            progress(order, orders)


def discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off a count of 0, 1, 2 and 3 or more: (4,) float64, the last three in (0, 1], (0, 2], (0, 3].

    D_k = k - (k + 1) Y n_{k+1} / n_k with Y = n_1 / (n_1 + 2 n_2), where n_k grams have the count k (Chen & Goodman
    1999, equation 26); Y itself (Ney, Essen & Kneser 1994) where that has no value, and 1/2 where that has none
    either.
    """
    grams = np.bincount(np.minimum(counts, 5), minlength=6)
    share = grams[1] / (grams[1] + 2 * grams[2]) if grams[1] else 0.5
    taken = [0.0]
    for k in (1, 2, 3):
        value = k - (k + 1) * share * grams[k + 1] / grams[k] if grams[k] else share
        taken.append(value if 0 < value <= k else share)
    return np.array(taken)


def _number(symbols, contexts, size, followed, scored_contexts, vocabulary) -> _Grams:
    """Number the grams ``contexts`` (·,) + ``symbols`` (·,), and find those of the scored text among them."""
    keys = contexts * np.int64(vocabulary) + symbols
    order = np.argsort(keys)
    keys = keys[order]
    is_first = np.concatenate([[True], keys[1:] != keys[:-1]])
    at = np.empty(len(keys), np.int32 if len(keys) < 2**31 else np.int64)
    at[order] = np.cumsum(is_first, dtype=at.dtype) - 1
    starts = np.flatnonzero(is_first)
    counts = np.diff(starts, append=len(keys))
    one_place, keys = order[starts], keys[starts]
    wanted = np.where(scored_contexts >= 0, scored_contexts * vocabulary + followed, -1)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    scored = np.where(keys[found] == wanted, found, -1)
    return _Grams(at, keys // vocabulary, size, counts, one_place, scored, scored_contexts)


def _interpolate(grams: _Grams, counts: np.ndarray, first: int, lower: np.ndarray) -> np.ndarray:
    """(c - D(c) + Σ D · lower) / Σ c, both sums over the symbols that follow the context; ``lower`` if none does."""
    taken = discounts(counts)[np.minimum(counts, 3)]
    followers = np.bincount(grams.contexts, counts, grams.known_contexts)
    left_over = np.bincount(grams.contexts, taken, grams.known_contexts)
    context, gram = grams.scored_contexts[first:], grams.scored[first:]
    total = np.where(context >= 0, followers[context], 0)
    kept = np.where(gram >= 0, counts[gram] - taken[gram], 0)
    return np.where(total > 0, (kept + left_over[context] * lower) / np.maximum(total, 1), lower)
