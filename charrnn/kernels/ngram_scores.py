"""Scores lines with n-grams that have learnt a text: the loss of each symbol, without the chances of all others.

:mod:`charrnn.kernels.ngrams` has the trie, and what n-grams expect.  Where the probability of a symbol after a context
of n symbols is p_n(x) = (c(x) - D(c(x)) + p_{n-1}(x) Σ D(c)) / Σ c, two numbers of each node are computed once:

    chance of a gram       p_n(x), where the gram is a context of n symbols and x
    weight of a context    Σ D(c) / Σ c

The chance of x after a context that x has not followed is the context's weight times the chance of x after the context
without its first symbol.  So few nodes are looked up, those of the longest contexts.  (This is the form of a model that
backs off; Katz 1987.)
"""

import math

import numpy as np
from numba import njit

from charrnn.kernels.compiler import Array1, Doubles2, Ids1, Longs1, intp, kernel, void
from charrnn.kernels.ngrams import (
    CONTEXT,
    COUNT,
    FOLLOWER,
    LEARNT,
    NEXT,
    ROOT,
    SUFFIX,
    TRIE,
    USED,
    find,
)

CHANCE, WEIGHT = 0, 1  # columns


@kernel(void(TRIE, Doubles2))
def evaluate_nodes(trie, values):
    """values (A, 2) become the chance of each node and the weight of each node that is a context."""
    nodes, discounts, used = trie.nodes, trie.discounts, trie.sizes[USED]
    orders = discounts.shape[0]
    lengths, totals, order = np.zeros(used, np.uint8), np.zeros(used), np.zeros(used, np.int32)
    firsts = np.zeros(orders + 2, np.int64)  # by length, where its nodes begin in ``order``
    for node in range(ROOT, used):
        if node != ROOT:
            lengths[node] = lengths[nodes[node, CONTEXT]] + 1
        firsts[lengths[node] + 1] += 1
        n, follower, left = lengths[node], nodes[node, FOLLOWER], 0.0
        while n < orders and follower > 0:
            count = nodes[follower, COUNT]
            totals[node] += count
            left += discounts[n, min(count, 3)]
            follower = nodes[follower, NEXT]
        values[node, WEIGHT] = left / totals[node] if totals[node] > 0 else 1.0
    for n in range(1, orders + 2):
        firsts[n] += firsts[n - 1]
    for node in range(ROOT, used):
        order[firsts[lengths[node]]] = node
        firsts[lengths[node]] += 1
    values[ROOT, CHANCE] = 1.0 / trie.chances.shape[1]  # of a symbol that has not been learnt
    for k in range(1, used - ROOT):
        node = order[k]
        context, count = nodes[node, CONTEXT], nodes[node, COUNT]
        kept = count - discounts[lengths[node] - 1, min(count, 3)]
        values[node, CHANCE] = kept / totals[context] + values[context, WEIGHT] * values[nodes[node, SUFFIX], CHANCE]


@njit
def once_place(nodes, chain, n, length, place):
    """Where the symbol stands that has followed the context of n symbols, which has occurred once."""
    return -1 - nodes[chain[n], FOLLOWER] if n <= length else place


@kernel(void(TRIE, Doubles2, Ids1, Longs1, intp, Array1))
def score_lines(trie, values, ids, bounds, before, losses):
    """losses (N,) become -log p of ids (N,) in nats.  Line k is ids[bounds[k] : bounds[k + 1]].

    Each line is read from the beginning of a text, after the symbol ``before``.
    """
    nodes, table, text, discounts, chain = trie.nodes, trie.table, trie.text, trie.discounts, trie.chain[0]
    orders, learnt = discounts.shape[0], trie.sizes[LEARNT]
    for line in range(bounds.size - 1):
        node, length, place, reach = ROOT, 0, -1, 0
        for k in range(bounds[line] - 1, bounds[line + 1]):
            symbol = before if k < bounds[line] else ids[k]
            # The longest context that the symbol has followed; those that have occurred once come first.
            context, n = node, length
            chain[n] = context
            while n > 0 and nodes[context, FOLLOWER] <= 0:
                context, n = nodes[context, SUFFIX], n - 1
                chain[n] = context
            once, p = n + (nodes[context, FOLLOWER] > 0), 1.0
            found, _ = find(nodes, table, context, symbol)
            while not found and n > 0:
                p *= values[context, WEIGHT]
                context, n = nodes[context, SUFFIX], n - 1
                found, _ = find(nodes, table, context, symbol)
            if found:
                p *= values[found, CHANCE]
            else:
                p *= values[context, WEIGHT] * values[ROOT, CHANCE]
            if once <= reach:
                at = once_place(nodes, chain, once, length, place)
                if 0 <= at < learnt:
                    share, m = 1.0, once
                    while m <= reach and once_place(nodes, chain, m, length, place) == at:
                        share *= discounts[m, 1]
                        m += 1
                    p *= share
                    if text[at] == symbol:
                        p += 1.0 - share
            if k >= bounds[line]:
                losses[k] = -math.log(p)
            # The symbol becomes a part of the context, as in ``read_symbol``.
            follows = 0 <= place < learnt - 1 and text[place] == symbol
            node, length = (found, n + 1) if found else (ROOT, 0)
            if length == orders:
                node, length = nodes[node, SUFFIX], length - 1
            if follows:
                place, reach = place + 1, min(reach + 1, orders - 1)
            else:
                place, reach = max(-1 - nodes[node, FOLLOWER], -1), length
