"""Finite automata over the symbols of a vocabulary: which symbols may come next, so that the whole text will obey.

An expression becomes a nondeterministic automaton (Thompson 1968), and that a deterministic one by the construction of
subsets (Rabin & Scott 1959), over classes of code points that no part of the expression tells apart.  For a model of
bytes, every step over a character becomes steps over its bytes in UTF-8.  States from which no text can be finished
with the symbols of the vocabulary are removed.  Every loop has a bound, and an expression that needs more is refused.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from charrnn.errors import ConfigError
from charrnn.text.code_ranges import SURROGATES, Ranges, contains, of_characters
from charrnn.text.expression import Alternatives, Characters, Node, Repeat, Sequence, parse
from charrnn.text.utf8_steps import Utf8Steps
from charrnn.text.vocabulary import Vocabulary

MOST_STATES, MOST_BYTE_STATES = 10_000, 20_000
_MOST_ENTRIES = 1_000_000  # numbers of a table
_MOST_PLACES = 10_000_000  # of sets, each with all ranges
_MOST_WORK = 1_000_000  # steps of the loops here: seconds
_MOST_NAMED = 5  # characters that a message names
_TOO_LARGE = (
    f"the expression needs more than {MOST_STATES:,} states, or too long to find them: make its counts smaller, or "
    "have fewer parts that could go on at the same place, as in (a|b)*a(a|b){20}"
)


class Automaton(NamedTuple):
    """A deterministic automaton with S states over V symbols.

    Attributes:
        following: (S, K) int32, the state after a symbol of each of K kinds, -1 where it must not come.
        kinds: (V,) int32, the kind of each symbol.
        distance: (S,) int32, the fewest symbols to a state in which a text may end, which has 0.
        start: the first state.
    """

    following: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.int32]
    distance: npt.NDArray[np.int32]
    start: int

    def read(self, ids: Iterable[int], state: int | None = None) -> int:
        """The state after some ids, from ``state`` or from the first one; -1 if one of them must not come."""
        state = self.start if state is None else state
        for each in ids:
            state = int(self.following[state, self.kinds[each]]) if state >= 0 else -1
        return state


def matching(expression: str, vocabulary: Vocabulary, without: str = "") -> Automaton:
    """The automaton of the texts that match a regular expression as a whole, and have no character of ``without``.

    A model of bytes writes the texts in UTF-8.

    Raises:
        ConfigError: the expression is none, or is not supported (:mod:`charrnn.text.expression`), its automaton would
            be too large, or the vocabulary has not the characters for any text that matches.
    """
    _require_whole(without)
    nodes = _Nodes(parse(expression))
    classes = _Classes(nodes.sets, of_characters(without), vocabulary)
    following, accepting = _subsets(nodes, classes)
    columns = classes.kinds
    if vocabulary.is_bytes:
        steps = Utf8Steps(classes.starts, classes.kinds)
        expanded = steps.expanded(following, accepting, MOST_BYTE_STATES)
        if expanded is None:
            raise ConfigError(_TOO_LARGE)
        following, accepting = expanded
        columns = vocabulary.points.astype(np.intp)
    found = _trimmed(following, accepting, columns)
    if found is None:
        raise ConfigError(_no_text(nodes.sets, vocabulary, without))
    return found


def avoiding(characters: str, vocabulary: Vocabulary) -> Automaton:
    """The automaton of all texts that have none of these characters, in UTF-8 for a model of bytes.

    Raises:
        ConfigError: the vocabulary has no others, or one is half a character.
    """
    _require_whole(characters)
    symbols = [tuple(each.encode()) if vocabulary.is_bytes else (ord(each),) for each in characters]
    forbidden = set(symbols)
    # A state is the beginning of a forbidden character that the text ends with.  In UTF-8 no such beginning has another
    # one inside, so that any symbol that does not go on with it begins anew.
    begun = sorted({each[:size] for each in forbidden for size in range(1, len(each))})
    states = {(): 0} | {each: number for number, each in enumerate(begun, 1)}
    following = np.zeros((len(states), len(vocabulary)), np.int32)
    for prefix, state in states.items():
        for symbol, point in enumerate(vocabulary.points.tolist()):
            longer = (*prefix, point)
            if longer not in forbidden and longer not in states:
                longer = (point,)
            following[state, symbol] = -1 if longer in forbidden else states.get(longer, 0)
    if (following[0] < 0).all():
        raise ConfigError("nothing is left to write without these characters: the model knows no others")
    return _with_kinds(following, np.arange(len(vocabulary)), np.zeros(len(following), np.int32))


def _require_whole(characters: str) -> None:
    half = next((each for each in characters if SURROGATES[0] <= ord(each) <= SURROGATES[1]), None)
    if half is not None:
        raise ConfigError(f"half a character, U+{ord(half):04X}, cannot be left out: write whole ones, in UTF-8")


class _Nodes:
    """A nondeterministic automaton.

    Attributes:
        sets: the sets of characters that the expression has.
        steps: for each node the number of its set, or -1 for a node without a character.
        targets: for each node the nodes behind it.  Node 0 is the end of the text.
        first: the node where a text begins.
    """

    def __init__(self, tree: Node):
        self._numbers: dict[Ranges, int] = {}
        self.steps, self.targets, self._work = [-1], [[]], 0
        self.first = self._compile(tree, 0)
        self.sets = list(self._numbers)

    def _compile(self, node: Node, behind: int) -> int:
        """The first node of a part after which the text goes on with ``behind``."""
        self._work += 1
        if self._work > 10 * MOST_STATES or len(self.steps) > 2 * MOST_STATES:
            raise ConfigError(_TOO_LARGE)
        match node:
            case Characters(ranges):
                return self._new(self._numbers.setdefault(ranges, len(self._numbers)), [behind])
            case Sequence(parts):
                for part in reversed(parts):
                    behind = self._compile(part, behind)
                return behind
            case Alternatives(parts):
                return self._new(-1, [self._compile(part, behind) for part in parts])
            case Repeat(part, least, most):
                return self._compile_repeat(part, least, most, behind)

    def _compile_repeat(self, part: Node, least: int, most: int | None, behind: int) -> int:
        end = behind
        if most is None:
            behind = self._new(-1, [end])
            self.targets[behind].append(self._compile(part, behind))
        else:
            for _ in range(most - least):
                behind = self._new(-1, [self._compile(part, behind), end])
        for _ in range(least):
            behind = self._compile(part, behind)
        return behind

    def _new(self, step: int, targets: list[int]) -> int:
        self.steps.append(step)
        self.targets.append(targets)
        return len(self.steps) - 1


class _Classes:
    """Kinds of code points: those of a kind are in the same sets.  Kind 0 has all that must not come.

    Attributes:
        of_sets: for each set its kinds.
        count: how many kinds there are.
        starts: (R,) where ranges of code points of one kind begin, from 0 on.
        kinds: their kinds (R,) for a model of bytes; else the kinds (V,) of the vocabulary's characters.
    """

    def __init__(self, sets: list[Ranges], excluded: Ranges, vocabulary: Vocabulary):
        pairs = (pair for ranges in (*sets, excluded, (SURROGATES,)) for pair in ranges)
        if sum(map(len, sets)) > _MOST_WORK:
            raise ConfigError(_TOO_LARGE)
        bounds = {0} | {end for first, last in pairs for end in (first, last + 1)}
        self.starts = np.array(sorted(bounds), np.int64)
        points = self.starts if vocabulary.is_bytes else vocabulary.points.astype(np.int64)
        if len(sets) * len(points) > _MOST_PLACES:
            raise ConfigError(_TOO_LARGE)
        allowed = ~contains(excluded, points) & ~contains((SURROGATES,), points)
        kinds = np.zeros(len(points), np.int64)
        inside = [contains(ranges, points) & allowed for ranges in sets]
        for each in inside:
            _, kinds = np.unique(2 * kinds + each, return_inverse=True)
        none = ~np.any(inside, axis=0) if inside else np.ones(len(points), bool)
        _, kinds = np.unique(np.where(none, -1, kinds), return_inverse=True)
        kinds += not none.any()
        self.of_sets = [np.unique(kinds[each]).tolist() for each in inside]
        self.count = int(kinds.max(initial=0)) + 1
        self.kinds = kinds


def _subsets(nodes: _Nodes, classes: _Classes) -> tuple[np.ndarray, np.ndarray]:
    """The deterministic automaton: (S, K) int32 states after each kind, and (S,) bool where a text may end.

    A state is a set of nodes that read a character, as a sorted tuple; node 0 in it says that the text may end.
    """
    most = min(MOST_STATES, _MOST_ENTRIES // classes.count)
    work = 0

    def closure(starts: Iterable[int]) -> tuple[int, ...]:
        """The nodes that read a character, among ``starts`` and the nodes that they lead to without one."""
        nonlocal work
        stack, seen = list(starts), set(starts)
        found = []
        while stack:
            node = stack.pop()
            work += 1
            if nodes.steps[node] >= 0 or node == 0:
                found.append(node)
                continue
            new = [each for each in nodes.targets[node] if each not in seen]
            seen.update(new)
            stack += new
            work += len(nodes.targets[node])
        return tuple(sorted(found))

    numbers, order, rows = {closure([nodes.first]): 0}, [closure([nodes.first])], []
    known: dict[tuple[int, ...], int] = {}  # the state of a set of nodes, before its closure
    for state in order:
        behind: dict[int, set[int]] = {}  # the nodes behind those that read a set, by its number
        for node in state:
            if node:
                behind.setdefault(nodes.steps[node], set()).update(nodes.targets[node])
        sets_of: dict[int, list[int]] = {}  # the sets with a kind
        for number in sorted(behind):
            for kind in classes.of_sets[number]:
                sets_of.setdefault(kind, []).append(number)
        row = np.full(classes.count, -1, np.int32)
        for kind, sets in sets_of.items():
            starts = tuple(sorted(set().union(*(behind[number] for number in sets))))
            work += len(starts)
            if starts not in known:
                found = closure(starts)
                if found not in numbers:
                    numbers[found] = len(order)
                    order.append(found)
                known[starts] = numbers[found]
            row[kind] = known[starts]
        rows.append(row)
        work += len(state) + len(sets_of)
        if len(order) > most or work > _MOST_WORK:
            raise ConfigError(_TOO_LARGE)
    return np.stack(rows), np.array([state[:1] == (0,) for state in order])


def _trimmed(following: np.ndarray, accepting: np.ndarray, columns: np.ndarray) -> Automaton | None:
    """The part of an automaton in which every state leads from the first state to one where a text may end.

    ``columns`` (V,) are the columns of (S, K) ``following`` for the symbols.  None if there is no such part.
    """
    following, kinds = _merged(following, columns)
    distance = _distances(following, accepting)
    following = np.where(distance[following] >= 0, following, -1)  # an entry of -1 stays -1
    if distance[0] < 0:
        return None
    reached, frontier = np.zeros(len(following), bool), np.array([0])
    while frontier.size:
        reached[frontier] = True
        frontier = np.unique(following[frontier])
        frontier = frontier[(frontier >= 0) & ~reached[frontier]]
    renumbered = np.append(np.cumsum(reached) - 1, -1).astype(np.int32)
    return _with_kinds(renumbered[following[reached]], kinds, distance[reached])


def _distances(following: np.ndarray, accepting: np.ndarray) -> np.ndarray:
    """The fewest symbols from each state to one where a text may end: (S,) int32, -1 where there is no way."""
    there = np.flatnonzero(following >= 0)
    targets, sources = following.reshape(-1)[there], there // following.shape[1]
    order = np.argsort(targets, kind="stable")
    sources = sources[order]
    bounds = np.searchsorted(targets[order], np.arange(len(following) + 1))
    distance, steps = np.full(len(following), -1, np.int32), 0
    frontier = np.flatnonzero(accepting)
    while frontier.size:
        distance[frontier] = steps
        before = np.concatenate([sources[bounds[state] : bounds[state + 1]] for state in frontier])
        frontier, steps = np.unique(before[distance[before] < 0]), steps + 1
    return distance


def _merged(following: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different ones among the columns (S, K) of some symbols, and for each symbol the number of its own (V,).

    ``columns`` (V,) says which column each symbol has.
    """
    found: dict[bytes, int] = {}
    numbers = {each: found.setdefault(following[:, each].tobytes(), len(found)) for each in np.unique(columns).tolist()}
    table = np.frombuffer(b"".join(found), np.int32).reshape(len(found), -1).T
    return np.array(table, order="C"), np.array([numbers[each] for each in columns.tolist()], np.int32)


def _with_kinds(following: np.ndarray, columns: np.ndarray, distance: np.ndarray) -> Automaton:
    """An automaton that begins in state 0, from (S, K) ``following`` and the columns (V,) of the symbols."""
    return Automaton(*_merged(following.astype(np.int32), columns), distance.astype(np.int32), 0)


def _no_text(sets: list[Ranges], vocabulary: Vocabulary, without: str) -> str:
    """Why no text matches."""
    others = without.replace("\n", "")
    message = f"no {'line' if others != without else 'text'} matches the expression"
    if others:
        message += f" without {others[:_MOST_NAMED]!r}{'…' * (len(others) > _MOST_NAMED)}"
    missing = []
    for ranges in sets:
        points = [point for first, last in ranges[:_MOST_NAMED] for point in range(first, min(last, first + 5) + 1)]
        if (
            len(ranges) <= _MOST_NAMED
            and len(points) <= _MOST_NAMED
            and not any(_knows(vocabulary, each) for each in points)
        ):
            missing += points
    if missing:
        named = ", ".join(f"{chr(point)!r} (U+{point:04X})" for point in sorted(missing)[:_MOST_NAMED])
        message += f": the model does not know {named}{' and others' * (len(missing) > _MOST_NAMED)}"
    return message


def _knows(vocabulary: Vocabulary, point: int) -> bool:
    if vocabulary.is_bytes:
        return not SURROGATES[0] <= point <= SURROGATES[1] and all(each in vocabulary for each in chr(point).encode())
    return chr(point) in vocabulary
