"""Scores lines with n-grams that have learnt a text: the loss of each symbol, without the chances of all others.

:mod:`charrnn.kernels.ngrams` has the trie, and what n-grams expect.  The loss of a symbol needs only the symbol's own
chance.  The sums over all followers of a context are therefore computed once, for every node.
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
    LENGTH,
    NEXT,
    NODE,
    PLACE,
    REACH,
    ROOT,
    SUFFIX,
    TRIE,
    USED,
    find,
    read_symbol,
)


@kernel(void(TRIE, Doubles2))
def sum_followers(trie, sums):
    """sums (A, 2) become, for each node that is a context: Σ c and Σ D(c) over the symbols that have followed it."""
    nodes, discounts = trie.nodes, trie.discounts
    used, orders = trie.sizes[USED], discounts.shape[0]
    lengths = np.zeros(used, np.uint8)
    for node in range(ROOT, used):
        if node != ROOT:
            lengths[node] = lengths[nodes[node, CONTEXT]] + 1
        n, follower = lengths[node], nodes[node, FOLLOWER]
        sums[node, 0] = sums[node, 1] = 0.0
        while n < orders and follower > 0:
            count = nodes[follower, COUNT]
            sums[node, 0] += count
            sums[node, 1] += discounts[n, min(count, 3)]
            follower = nodes[follower, NEXT]


@njit
def chance(trie, sums, symbol):
    """The probability of a symbol after the context of reader 0."""
    nodes, discounts, at, chain = trie.nodes, trie.discounts, trie.readers[0], trie.chain[0]
    node, length = at[NODE], at[LENGTH]
    for n in range(length, -1, -1):
        chain[n] = node
        node = nodes[node, SUFFIX]
    p, n = 1.0 / trie.chances.shape[1], 0
    while n <= length and nodes[chain[n], FOLLOWER] > 0:
        total, left = sums[chain[n], 0], sums[chain[n], 1]
        p *= left / total
        found, _ = find(nodes, trie.table, chain[n], symbol)
        if found:
            count = nodes[found, COUNT]
            p += (count - discounts[n, min(count, 3)]) / total
        n += 1
    # The longer contexts have occurred once, all at the same place, or only at the end of the text.
    if n <= at[REACH]:
        place = -1 - nodes[chain[n], FOLLOWER] if n <= length else at[PLACE]
        if 0 <= place < trie.sizes[LEARNT]:
            share = 1.0
            while n <= at[REACH] and (-1 - nodes[chain[n], FOLLOWER] if n <= length else at[PLACE]) == place:
                share *= discounts[n, 1]
                n += 1
            p *= share
            if trie.text[place] == symbol:
                p += 1.0 - share
    return p


@kernel(void(TRIE, Doubles2, Ids1, Longs1, intp, Array1))
def score_lines(trie, sums, ids, bounds, before, losses):
    """losses (N,) become -log p of ids (N,) in nats.  Line k is ids[bounds[k] : bounds[k + 1]].

    Reader 0 reads each line from the beginning of a text, after the symbol ``before``.
    """
    at = trie.readers[0]
    for line in range(bounds.size - 1):
        at[NODE], at[LENGTH], at[PLACE], at[REACH] = ROOT, 0, -1, 0
        read_symbol(trie, 0, before)
        for k in range(bounds[line], bounds[line + 1]):
            losses[k] = -math.log(chance(trie, sums, ids[k]))
            read_symbol(trie, 0, ids[k])
