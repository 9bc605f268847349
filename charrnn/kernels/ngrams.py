"""Modified Kneser-Ney n-grams of any order up to K, in a trie that learns one symbol at a time.

Legend: a gram is a sequence of at most K symbols; a node of the trie is a gram; a gram's context is the gram without
its last symbol, its parent.  The suffix of a gram is the gram without its first symbol.  V symbols, B readers.

The count of a gram of K symbols is how often it occurs; the count of a shorter gram is how many different symbols
stand before it (Kneser & Ney 1995).  So a new symbol x is counted in the longest context first, and in shorter ones
only as long as the gram is new in the longer ones.  The probability of x after a context of n symbols is

    p_n(x) = (c(x) - D(c(x)) + p_{n-1}(x) Σ D(c)) / Σ c        p_{-1}(x) = 1 / V

with sums over the symbols that have followed the context, and discounts D that depend on n and on a count of 1, 2, or 3
and more (Chen & Goodman 1999, section 3).  A context that has not occurred leaves p_{n-1} as it is.

A context that has occurred once has one follower.  It is not stored as a node but as the place of the follower in the
text, until the context occurs again.  Therefore the trie has about two nodes a symbol whatever K is.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from charrnn.kernels.compiler import Array2, Array3, Doubles2, Ids1, Ids2, Longs1, Longs2, intp, kernel, void
from charrnn.kernels.external import call_by_symbol

# Columns of ``nodes``.  FOLLOWER is the last child that was made; or, if the gram was a context once, -1 - k where
# text[k] followed it; or 0.  NEXT is the child of the same context that was made before, or 0.
SYMBOL, CONTEXT, COUNT, FOLLOWER, NEXT, SUFFIX = range(6)
COLUMNS = 6
ROOT = 1  # the empty gram; node 0 means none

# Columns of ``readers``: the longest context that is a node, its length; and where that context and the longer ones
# have occurred once, the place of what followed them (or -1) and the length of the longest.
NODE, LENGTH, PLACE, REACH = range(4)

# ``sizes``: the number of nodes, how many symbols of the text are learnt, and the node and the length of the longest
# context of the symbol to be learnt next.
USED, LEARNT, LEARNING_NODE, LEARNING_LENGTH = range(4)


class Trie(NamedTuple):
    """The trie and its readers.

    Attributes:
        nodes: (A, 6) int32, see the columns above.
        table: (2^k,) int32, a hash table of nodes by context and symbol; more than twice the number of nodes.
        text: (N,) int32, the symbols, of which the first ones are learnt.
        sizes: (4,) int64.
        discounts: (K, 4) float64 by the length of the context and the count.
        readers: (B, 4) int64.
        chances: (B, V) float64: what the n-grams expect each reader to meet.
        chain: (B, K) int64, scratch: a context's node and those of its suffixes.
    """

    nodes: np.ndarray
    table: np.ndarray
    text: np.ndarray
    sizes: np.ndarray
    discounts: np.ndarray
    readers: np.ndarray
    chances: np.ndarray
    chain: np.ndarray


TRIE = types.NamedTuple((Ids2, Ids1, Ids1, Longs1, Doubles2, Longs2, Doubles2, Longs2), Trie)


@njit
def find(nodes, table, context, symbol):
    """The node of context + symbol, or 0; and its slot in the table, or the slot for it."""
    mask = np.uint64(table.size - 1)
    key = np.uint64(context) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(symbol) * np.uint64(0xC2B2AE3D27D4EB4F)
    key = (key ^ (key >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    slot = (key >> np.uint64(32)) & mask
    while table[slot]:
        node = table[slot]
        if nodes[node, CONTEXT] == context and nodes[node, SYMBOL] == symbol:
            return node, slot
        slot = (slot + np.uint64(1)) & mask
    return 0, slot


@njit
def add(trie, context, symbol, slot, follower):
    """A new node: context + symbol, with a count of 1; ``follower`` is the place of the symbol after it."""
    node = trie.sizes[USED]
    trie.sizes[USED] += 1
    trie.table[slot] = node
    row = trie.nodes[node]
    row[SYMBOL], row[CONTEXT], row[COUNT], row[FOLLOWER] = symbol, context, 1, -1 - follower
    row[NEXT] = max(trie.nodes[context, FOLLOWER], 0)
    row[SUFFIX] = ROOT
    trie.nodes[context, FOLLOWER] = node
    return node


@njit
def store_followers(trie, node):
    """Make a node of what followed ``node`` when it was a context for the first time; also for its suffixes."""
    nodes, longer = trie.nodes, 0
    while node != 0 and nodes[node, FOLLOWER] < 0:
        place = -1 - nodes[node, FOLLOWER]
        symbol = trie.text[place]
        _, slot = find(nodes, trie.table, node, symbol)
        made = add(trie, node, symbol, slot, place + 1)
        if longer:
            nodes[longer, SUFFIX] = made
        longer, node = made, nodes[node, SUFFIX]
    if longer and node != 0:
        nodes[longer, SUFFIX], _ = find(nodes, trie.table, node, symbol)


@kernel(void(TRIE, intp, intp))
def learn(trie, first, last):
    """Count text[first : last], which follows what is learnt already.

    There must be room for ``last - first`` times 2 K nodes.
    """
    nodes, table, text, sizes = trie.nodes, trie.table, trie.text, trie.sizes
    orders = trie.discounts.shape[0]
    node, length = sizes[LEARNING_NODE], sizes[LEARNING_LENGTH]
    for k in range(first, last):
        symbol, longer = text[k], 0
        store_followers(trie, node)
        while True:
            found, slot = find(nodes, table, node, symbol)
            if not found:
                made = add(trie, node, symbol, slot, k + 1)
            else:
                nodes[found, COUNT] += 1
                made = found
            if longer:
                nodes[longer, SUFFIX] = made
            if found:
                node, length = found, length + 1
                break
            longer = made
            if node == ROOT:
                length = 0
                break
            node, length = nodes[node, SUFFIX], length - 1
        if length == orders:  # as long as a gram may be, and too long for a context
            node, length = nodes[node, SUFFIX], length - 1
    sizes[LEARNT], sizes[LEARNING_NODE], sizes[LEARNING_LENGTH] = last, node, length


@kernel(void(TRIE))
def enter_all(trie):
    """Enter all nodes into a table of zeros."""
    for node in range(ROOT + 1, trie.sizes[USED]):
        row = trie.nodes[node]
        _, slot = find(trie.nodes, trie.table, row[CONTEXT], row[SYMBOL])
        trie.table[slot] = node


@kernel(void(TRIE, Longs2))
def count_counts(trie, counts):
    """Add to counts (K, 5) how many grams have a count of 1, 2, 3, 4 (columns), by the length of the context (rows)."""
    nodes, orders, last = trie.nodes, counts.shape[0], trie.sizes[LEARNT]
    depth = np.zeros(trie.sizes[USED], np.uint8)
    for node in range(ROOT + 1, trie.sizes[USED]):
        length = depth[nodes[node, CONTEXT]] + 1
        depth[node] = length
        if nodes[node, COUNT] < counts.shape[1]:
            counts[length - 1, nodes[node, COUNT]] += 1
        if nodes[node, FOLLOWER] < 0:  # longer grams that are not nodes: each has a count of 1
            for n in range(length, min(orders, length + last + 1 + nodes[node, FOLLOWER])):
                counts[n, 1] += 1


@kernel(void(TRIE, intp, intp), symbol="charrnn_read_symbol")
def symbol_reader(trie, reader, symbol):
    """See :func:`read_symbol`."""
    nodes, text, at, orders = trie.nodes, trie.text, trie.readers[reader], trie.discounts.shape[0]
    place, reach = at[PLACE], at[REACH]
    follows = 0 <= place < trie.sizes[LEARNT] - 1 and text[place] == symbol
    node, length = at[NODE], at[LENGTH]
    found, _ = find(nodes, trie.table, node, symbol)
    while not found and node != ROOT:
        node, length = nodes[node, SUFFIX], length - 1
        found, _ = find(nodes, trie.table, node, symbol)
    if found:
        node, length = found, length + 1
    if length == orders:  # as long as a gram may be, and too long for a context
        node, length = nodes[node, SUFFIX], length - 1
    at[NODE], at[LENGTH] = node, length
    if follows:
        at[PLACE], at[REACH] = place + 1, min(reach + 1, orders - 1)
    else:
        at[PLACE], at[REACH] = max(-1 - nodes[node, FOLLOWER], -1), length


@kernel(void(TRIE, intp), symbol="charrnn_expect")
def expectation(trie, reader):
    """See :func:`expect`."""
    nodes, text, discounts, at = trie.nodes, trie.text, trie.discounts, trie.readers[reader]
    p, chain = trie.chances[reader], trie.chain[reader]
    node, length = at[NODE], at[LENGTH]
    for n in range(length, -1, -1):
        chain[n] = node
        node = nodes[node, SUFFIX]
    p[:] = 1.0 / p.size
    n = 0
    while n <= length and nodes[chain[n], FOLLOWER] > 0:
        first = nodes[chain[n], FOLLOWER]
        total, left, follower = 0, 0.0, first
        while follower:
            count = nodes[follower, COUNT]
            total += count
            left += discounts[n, min(count, 3)]
            follower = nodes[follower, NEXT]
        share = left / total
        for v in range(p.size):
            p[v] *= share
        follower = first
        while follower:
            count = nodes[follower, COUNT]
            p[nodes[follower, SYMBOL]] += (count - discounts[n, min(count, 3)]) / total
            follower = nodes[follower, NEXT]
        n += 1
    # The longer contexts have occurred once, all at the same place, or only at the end of the text.
    if n <= at[REACH]:
        place = -1 - nodes[chain[n], FOLLOWER] if n <= length else at[PLACE]
        if 0 <= place < trie.sizes[LEARNT]:
            share = 1.0
            while n <= at[REACH] and (-1 - nodes[chain[n], FOLLOWER] if n <= length else at[PLACE]) == place:
                share *= discounts[n, 1]
                n += 1
            for v in range(p.size):
                p[v] *= share
            p[text[place]] += 1.0 - share


@intrinsic
def read_symbol(typing, trie, reader, symbol):
    """A reader's context becomes longer by a symbol, or shorter if the text does not have it."""
    return symbol_reader.declared, call_by_symbol(symbol_reader)


@intrinsic
def expect(typing, trie, reader):
    """Fill the reader's row of ``chances``: the probability of each symbol after its context."""
    return expectation.declared, call_by_symbol(expectation)


@kernel(void(TRIE, Ids2, intp, intp, Array3))
def read(trie, x, first, last, logs):
    """Readers ``first`` to ``last`` read their columns of x (T, B); logs (T, B, V) are the log chances after each."""
    for reader in range(first, last):
        for t in range(x.shape[0]):
            read_symbol(trie, reader, x[t, reader])
            expect(trie, reader)
            for v in range(logs.shape[2]):
                logs[t, reader, v] = math.log(trie.chances[reader, v])


@njit
def keep_likeliest(p, ids, q):
    """ids (K,) become the K symbols with the largest p (V,), K <= V, and q (K,) their p, made to sum to one."""
    kept, total = 0, 0.0
    for v in range(p.size):
        if kept == ids.size and p[v] <= p[ids[kept - 1]]:
            continue
        k = min(kept, ids.size - 1)
        while k > 0 and p[v] > p[ids[k - 1]]:
            ids[k] = ids[k - 1]
            k -= 1
        ids[k], kept = v, min(kept + 1, ids.size)
    for k in range(kept):
        total += p[ids[k]]
    for k in range(kept):
        q[k] = p[ids[k]] / total


@kernel(void(TRIE, Ids1, Ids2, Array2))
def read_likeliest(trie, x, ids, q):
    """Reader 0 reads x (N,).  ids (N, K) become the K symbols that it finds likeliest before it reads each of x.

    q (N, K) become their probabilities; each row is divided by its sum.
    """
    for k in range(x.size):
        expect(trie, 0)
        keep_likeliest(trie.chances[0], ids[k], q[k])
        read_symbol(trie, 0, x[k])
