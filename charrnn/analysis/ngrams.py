"""Interpolated n-grams with modified Kneser-Ney smoothing: the strongest simple model of a text, for comparison.

Chen & Goodman (1999), "An empirical study of smoothing techniques for language modeling", section 3 and equation 26.
The grams of a text are numbered order by order. The number of a gram's context (a gram of order n - 1) and the gram's
last symbol make one exact integer, so sorting integers counts grams of any length. Arrays as long as a text take most
of the memory: they have small types, or are computed block by block, and are deleted early.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charrnn.records import ProgressCallback, no_progress
from charrnn.system import memory

ORDERS = 12

BYTES_A_SYMBOL, BYTES_A_SCORED_SYMBOL = 45, 48  # at the peak, measured with tracemalloc
_BLOCK = 1 << 18


@dataclass(eq=False)
class _Grams:
    """The G distinct grams of one order in the training text, numbered from 0. The number -1 is an unknown gram.

    Attributes:
        contexts: (G,) the number of each gram's context among the grams of the order below, ascending.
        known_contexts: the number of grams of the order below.
        counts: (G,) how often each gram occurs; in a lower order, how many different symbols stand before it.
        scored: (B + M,) the number of the gram that ends at each place of the scored text.
        scored_contexts: (B + M,) the number of the context that ends before each place of the scored text.
    """

    contexts: np.ndarray
    known_contexts: int
    counts: np.ndarray
    scored: np.ndarray
    scored_contexts: np.ndarray


def probabilities(
    training: np.ndarray,
    scored: np.ndarray,
    before: np.ndarray,
    vocabulary: int,
    orders: int = ORDERS,
    progress: ProgressCallback = no_progress,
) -> Iterator[np.ndarray]:
    """Yield for order 0, 1, … the probability (M,) float64 that the model of this order gives each scored symbol.

    Order 0 is uniform. Order n looks at the n - 1 symbols before. Where fewer symbols stand before, or the training
    text does not have them, the probability of the order below is used.

    Args:
        training: ids (N,), N >= 1, that are counted.
        scored: ids (M,).
        before: ids (B,) that stand before the scored ids and are context only; may be empty.
        vocabulary: V, above every id.
        orders: the highest order. Orders above N are left out.
        progress: called with the orders done and the number of orders.

    Raises:
        ConfigError: the counts would not fit into this machine's memory.
    """
    need = BYTES_A_SYMBOL * len(training) + BYTES_A_SCORED_SYMBOL * len(scored)
    memory.require(need, f"n-grams of {len(training):,} characters need", "fit them on less text with --fit")
    before = before[max(len(before) - orders + 1, 0) :]
    first, kind = len(before), _number_type(len(training))
    lower = np.full(len(scored), 1 / vocabulary)
    yield lower.copy()
    followed = np.concatenate([before, scored])
    at, scored_at, size, grams = np.zeros(len(training) + 1, kind), np.zeros(len(followed) + 1, kind), 1, None
    orders = min(orders, len(training))
    for order in range(1, orders + 1):
        below = grams
        grams, above, one_place = _number(training[order - 1 :], at[:-1], size, followed, scored_at[:-1], vocabulary)
        if below is not None:
            # In Kneser-Ney the count of a gram of a lower order is how many different symbols stand before it.
            below.counts = np.zeros(size, kind)
            for block in _blocks(len(one_place)):
                np.add.at(below.counts, at[1 + one_place[block]], 1)
            _interpolate(below, first, lower, lower)
        del below, one_place
        yield _interpolate(grams, first, lower, np.empty_like(lower))
        at, size = above, len(grams.counts)
        scored_at = np.concatenate([np.array([-1], kind), grams.scored])
        progress(order, orders)


def discounts(counts: np.ndarray) -> np.ndarray:
    """The discount of a count of 0, 1, 2 and 3 or more: (4,) float64, the last three in (0, 1], (0, 2], (0, 3].

    D_k = k - (k + 1) Y n_{k+1} / n_k with Y = n_1 / (n_1 + 2 n_2), where n_k grams have the count k (Chen & Goodman
    1999, equation 26). Where D_k has no value, it is Y (Ney, Essen & Kneser 1994); where Y has no value, it is 1/2.
    """
    grams = sum(np.bincount(np.minimum(counts[block], 5), minlength=6) for block in _blocks(len(counts)))
    share = grams[1] / (grams[1] + 2 * grams[2]) if grams[1] else 0.5
    taken = [0.0]
    for k in (1, 2, 3):
        value = k - (k + 1) * share * grams[k + 1] / grams[k] if grams[k] else share
        taken.append(value if 0 < value <= k else share)
    return np.array(taken)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, max(count, 1), _BLOCK))


def _number_type(count: int) -> type:
    return np.int32 if count < 2**31 else np.int64


def _number(symbols, contexts, size, followed, scored_contexts, vocabulary) -> tuple[_Grams, np.ndarray, np.ndarray]:
    """Number the grams ``contexts`` (N,) + ``symbols`` (N,), and find the grams of the scored text among them.

    Returns the grams, the number of the gram at each place (N,), and one place of each gram (G,).
    """
    keys = contexts * np.int64(vocabulary)
    keys += symbols
    order = _sort(keys, size * vocabulary)
    is_first = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=is_first[1:])
    number = np.cumsum(is_first, dtype=order.dtype)
    number -= 1
    at = np.empty_like(order)
    at[order] = number
    del number
    one_place = order[is_first]
    del order
    keys = keys[is_first]
    starts = np.flatnonzero(is_first).astype(at.dtype)
    counts = np.empty_like(starts)
    np.subtract(starts[1:], starts[:-1], out=counts[:-1])
    counts[-1] = len(is_first) - starts[-1]
    del starts, is_first
    scored = np.empty_like(scored_contexts)
    for block in _blocks(len(followed)):
        known = scored_contexts[block] >= 0
        wanted = np.where(known, scored_contexts[block] * np.int64(vocabulary) + followed[block], -1)
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        scored[block] = np.where(keys[found] == wanted, found, -1)
    keys //= vocabulary
    return _Grams(keys.astype(at.dtype), size, counts, scored, scored_contexts), at, one_place


def _sort(keys: np.ndarray, limit: int) -> np.ndarray:
    """Sort keys (N,) int64 below ``limit`` in place; return where each of them stood (N,)."""
    count = len(keys)
    bits = max(count - 1, 1).bit_length()
    if limit.bit_length() + bits > 63:
        order = np.argsort(keys)
        keys[:] = keys[order]
        return order
    # A key and its place share one word: sorting these words needs half the memory and a fraction of the time.
    order = np.arange(count, dtype=_number_type(count))
    keys <<= bits
    keys |= order
    keys.sort()
    for block in _blocks(count):
        order[block] = keys[block] & ((1 << bits) - 1)
    keys >>= bits
    return order


def _interpolate(grams: _Grams, first: int, lower: np.ndarray, into: np.ndarray) -> np.ndarray:
    """Compute (c - D(c) + Σ D · lower) / Σ c, both sums over the symbols that follow the context.

    Where no symbol follows the context, the result is ``lower``. It is written to ``into`` (M,), which may be the same
    array as ``lower``, and returned.
    """
    taken, counts = discounts(grams.counts), grams.counts
    followers, left_over = np.zeros((2, grams.known_contexts))
    for block in _blocks(len(counts)):
        np.add.at(followers, grams.contexts[block], counts[block])
        np.add.at(left_over, grams.contexts[block], taken[np.minimum(counts[block], 3)])
    for block in _blocks(len(lower)):
        behind = slice(first + block.start, first + min(block.stop, len(lower)))
        context, gram = grams.scored_contexts[behind], grams.scored[behind]
        total = np.where(context >= 0, followers[context], 0)
        kept = np.where(gram >= 0, counts[gram] - taken[np.minimum(counts[gram], 3)], 0)
        shared = (kept + left_over[context] * lower[block]) / np.maximum(total, 1)
        into[block] = np.where(total > 0, shared, lower[block])
    return into
