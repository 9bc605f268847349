"""The suffix automaton of a short text, and where its stretches stand in a long one.

Blumer et al. (1985), "The smallest automaton recognizing the subwords of a text".  Its states stand for the distinct
stretches of the short text; reading the long text through it costs a step a character and no memory, so every
match is found, and none is false.  State 0 is the empty stretch; as no transition leads there, 0 means "none".
"""

from numba import types

from charrnn.kernels.compiler import Ids1, Ids2, intp, kernel, void

Longs1 = types.Array(types.int64, 1, "C")


@kernel(intp(Ids1, Ids2, Ids1, Ids1, Ids1))
def build(text, following, link, length, at):
    """Make the automaton of ``text`` (M,) over A symbols in arrays of zeros for 2M states; the number of states.

    following (2M, A): the state after a symbol.  link (2M,): the state of the longest stretch that is a suffix of this
    one's and stands in more places.  length (2M,): of a state's longest stretch.  at (M,): the state of text[: k + 1].
    """
    states, last = 1, 0
    for k in range(len(text)):
        symbol = text[k]
        new = states
        states += 1
        length[new] = k + 1
        state = last
        while following[state, symbol] == 0:
            following[state, symbol] = new
            if state == 0:
                state = -1
                break
            state = link[state]
        if state >= 0:
            target = following[state, symbol]
            if length[target] == length[state] + 1:
                link[new] = target
            else:
                copy = states
                states += 1
                length[copy] = length[state] + 1
                following[copy] = following[target]
                link[copy] = link[target]
                link[target] = copy
                link[new] = copy
                while following[state, symbol] == target:
                    following[state, symbol] = copy
                    if state == 0:
                        break
                    state = link[state]
        at[k] = new
        last = new
    return states


@kernel(void(Ids1, intp, Ids2, Ids1, Ids1, Longs1, Ids1, Longs1))
def read(block, offset, following, link, length, reader, longest, end):
    """Read the ids ``block`` (N,) that stand at ``offset`` of the long text; -1 is a symbol the short one lacks.

    ``reader`` (2,), the state and how much of the text's end it has matched, moves on.  ``longest`` and ``end``
    become, for each state, the longest of its stretches met so far and the place behind where that was first.
    """
    state, matched = reader[0], reader[1]
    for k in range(len(block)):
        symbol = block[k]
        if symbol < 0:
            state, matched = 0, 0
            continue
        while state != 0 and following[state, symbol] == 0:
            state = link[state]
            matched = length[state]
        if following[state, symbol] != 0:
            state = following[state, symbol]
            matched += 1
        if matched > longest[state]:
            longest[state] = matched
            end[state] = offset + k + 1
    reader[0], reader[1] = state, matched


@kernel(void(Longs1, Ids1, Ids1, Ids1, Longs1))
def settle(by_length, link, length, longest, end):
    """Make ``longest`` and ``end`` true of whole stretches: of the longest suffix of a state's that the long text has.

    ``by_length`` are the states, the shortest first.  Where a stretch was met, so were its suffixes; where none of a
    state's was, its link's are the longest.
    """
    for k in range(len(by_length) - 1, 0, -1):
        state = by_length[k]
        above = link[state]
        if longest[state] > 0 and longest[above] < length[above]:
            longest[above], end[above] = length[above], end[state]
    for k in range(1, len(by_length)):
        state = by_length[k]
        if longest[state] == 0:
            longest[state], end[state] = longest[link[state]], end[link[state]]
