"""The suffix automaton of a short text, and where its substrings occur in a long text.

A state of the automaton stands for a set of substrings of the short text that end at the same places (Blumer et al.
1985, "The smallest automaton recognizing the subwords of a text").  Reading the long text takes constant time a
character on average and no memory; it finds every match, and no false one.  State 0 is the empty substring; no
transition leads to it, so 0 in ``following`` means "none".
"""

from charrnn.kernels.compiler import Ids1, Ids2, Longs1, intp, kernel, void


@kernel(intp(Ids1, Ids2, Ids1, Ids1, Ids1))
def build(text, following, link, length, at):
    """Build the automaton of ``text`` (M,) over A symbols, in arrays of zeros for 2M states; returns how many it has.

    following (2M, A) has the state after each symbol.  link (2M,) has a state's suffix link: the state of the longest
    suffix that occurs in more places.  length (2M,) has the length of a state's longest substring.  at (M,) has the
    state of text[: k + 1].
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
    """Read the ids ``block`` (N,) at ``offset`` of the long text; -1 is a symbol that the short text lacks.

    ``reader`` (2,) is the state after the last character and the length of the match that ends there; both are updated.
    For each state, ``longest`` becomes the longest of its substrings that has occurred so far, and ``end`` the index
    behind its first occurrence.
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
    """Complete ``longest`` and ``end``: for each state, the longest suffix of its substrings that the long text has.

    ``by_length`` are the states, the shortest first.  Where a substring occurs, so do its suffixes.  A state none of
    whose substrings occurs takes the values of its suffix link.
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
